//! Students made of a teacher's layers.

use std::collections::BTreeMap;

use brew_core::model::{DecoderArchitecture, DecoderConfig, DecoderForCausalLm};
use brew_core::prelude::*;
use tempfile::TempDir;
use tests::wants;

use super::support::{ALL, difference, load, recorded};

fn named(model: &DecoderForCausalLm) -> BTreeMap<String, Tensor> {
    model.parameters().iter().map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone())).collect()
}

#[test]
fn a_student_of_all_layers_computes_what_its_teacher_does_and_is_no_part_of_it() {
    for case in ALL {
        let teacher = load(case);
        let student = DecoderForCausalLm::from_layers_of(&teacher, Keep::every(1)).unwrap();
        let golden = recorded(case);
        let run = |model: &DecoderForCausalLm| {
            model.logits(&golden["input_ids"], &golden["attention_mask"]).unwrap()
        };
        let before = run(&teacher);
        assert_eq!(difference(&run(&student), &before), 0.0, "{case}");
        let _guard = brew_core::tch::no_grad_guard();
        for (_, tensor) in student.parameters().iter() {
            let _ = tensor.shallow_clone().zero_();
        }
        assert_eq!(difference(&run(&teacher), &before), 0.0, "{case}");
    }
}

#[test]
fn kept_layers_are_copied_under_their_new_numbers_with_their_rotation_and_window() {
    for (case, layers) in
        [("gemma3", "model.layers."), ("smollm3", "model.layers."), ("gpt2", "transformer.h.")]
    {
        let teacher = load(case);
        let student = DecoderForCausalLm::from_layers_of(&teacher, Keep::layers([1, 0, 1])).unwrap();
        let (of_teacher, of_student) = (named(&teacher), named(&student));
        for (name, tensor) in &of_student {
            let source = [("0.", "1."), ("1.", "0."), ("2.", "1.")].into_iter().find_map(|(new, old)| {
                let rest = name.strip_prefix(&format!("{layers}{new}"))?;
                Some(format!("{layers}{old}{rest}"))
            });
            let source = source.unwrap_or_else(|| name.clone());
            assert_eq!(difference(tensor, &of_teacher[&source]), 0.0, "{case}: {name}");
            assert!(tensor.requires_grad(), "{case}: {name}");
        }
        let windows = |model: &DecoderForCausalLm, layers: &[usize]| {
            layers.iter().map(|layer| model.config().window(*layer)).collect::<Vec<_>>()
        };
        assert_eq!(windows(&student, &[0, 1, 2]), windows(&teacher, &[1, 0, 1]), "{case}");

        // What it is saved as says so too.
        let saved = TempDir::new().unwrap();
        student.save(saved.path()).unwrap();
        let again = DecoderForCausalLm::from_pretrained(saved.path(), Device::Cpu).unwrap();
        let golden = recorded(case);
        let run = |model: &DecoderForCausalLm| {
            model.logits(&golden["input_ids"], &golden["attention_mask"]).unwrap()
        };
        assert_eq!(difference(&run(&again), &run(&student)), 0.0, "{case}");
    }
}

#[test]
fn a_layer_that_counts_its_own_number_stays_in_its_place() {
    let config = DecoderConfig {
        vocab_size: 20,
        hidden_size: 8,
        num_hidden_layers: 3,
        num_attention_heads: 2,
        scale_attn_by_inverse_layer_idx: true,
        ..DecoderConfig::base(DecoderArchitecture::Gpt2)
    };
    let teacher = DecoderForCausalLm::new(config, 1, Device::Cpu).unwrap();
    assert!(DecoderForCausalLm::from_layers_of(&teacher, Keep::first(2)).is_ok());
    let message = DecoderForCausalLm::from_layers_of(&teacher, Keep::every(2)).unwrap_err().to_string();
    assert!(message.contains("scale_attn_by_inverse_layer_idx"), "{message}");
    let message = DecoderForCausalLm::from_layers_of(&teacher, Keep::layers([5])).unwrap_err().to_string();
    assert!(message.contains("no such layers: 5"), "{message}");
}

#[test]
fn frozen_parts_get_no_gradient() {
    let golden = recorded("qwen3");
    let model = load("qwen3").freeze_embeddings().unwrap().freeze_layers(1).unwrap();
    let (ids, mask, labels) = (&golden["input_ids"], &golden["attention_mask"], &golden["labels"]);
    let pass = Pass::training(0, wants(&["losses"]));
    model.forward(ids, mask, Some(labels), &pass).unwrap().loss.unwrap().backward();
    for (name, tensor) in model.parameters().iter() {
        let learns = name.starts_with("model.layers.1.") || name == "model.norm.weight";
        assert_eq!(tensor.grad().defined(), learns, "{name}");
    }
    assert!(load("qwen3").freeze_layers(3).is_err());
}
