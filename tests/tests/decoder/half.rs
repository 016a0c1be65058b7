//! Teachers that are held in half precision.

use brew_core::model::DecoderForCausalLm;
use brew_core::prelude::*;
use tempfile::TempDir;
use tests::wants;

use super::support::{ALL, config_of, difference, fixture, load, off_at_tokens, recorded};

#[test]
fn a_frozen_teacher_is_held_in_its_dtype_and_computes_in_it() {
    // Rounding of 8 and of 11 bits, through two layers.
    for (kind, tolerance) in [(Kind::BFloat16, 0.06), (Kind::Half, 0.01), (Kind::Double, 1e-5)] {
        for case in ALL {
            let teacher = DecoderForCausalLm::frozen(fixture(case), kind, Device::Cpu).unwrap();
            for (name, tensor) in teacher.parameters().iter() {
                assert!(tensor.kind() == kind && !tensor.requires_grad(), "{case}: {name}");
            }
            let golden = recorded(case);
            let (ids, mask) = (&golden["input_ids"], &golden["attention_mask"]);
            for roles in [&["logits", "hidden"][..], &["logits", "hidden", "attention"]] {
                let output = teacher.forward(ids, mask, None, &Pass::evaluation(wants(roles))).unwrap();
                assert_eq!(output.logits.kind(), kind, "{case}");
                assert_eq!(output.logits.isfinite().all().int64_value(&[]), 1, "{case}");
                let off = off_at_tokens(&output.logits, &golden["logits"], mask);
                assert!(off < tolerance, "{case}, {kind:?}: off by {off}");
                assert!(off > 0.0, "{case}, {kind:?}: it was rounded");
            }
        }
    }
    let message = DecoderForCausalLm::frozen(fixture("llama"), Kind::Int64, Device::Cpu).unwrap_err();
    assert!(message.to_string().contains("cannot be held in Int64"), "{message}");
}

#[test]
fn a_teacher_in_half_precision_is_saved_so_and_its_student_learns_in_float32() {
    let teacher = DecoderForCausalLm::frozen(fixture("qwen2"), Kind::BFloat16, Device::Cpu).unwrap();
    let saved = TempDir::new().unwrap();
    teacher.save(saved.path()).unwrap();
    assert_eq!(config_of(saved.path())["dtype"], "bfloat16");
    // The folder's weights are bfloat16, so that nothing is lost on the way.
    let again = DecoderForCausalLm::from_pretrained(saved.path(), Device::Cpu).unwrap();
    for ((name, again), (_, source)) in again.parameters().iter().zip(load("qwen2").parameters().iter()) {
        assert_eq!(difference(again, source), 0.0, "{name}");
    }
    let student = DecoderForCausalLm::from_layers_of(&teacher, Keep::first(1)).unwrap();
    assert!(
        student.parameters().iter().all(|(_, tensor)| tensor.kind() == Kind::Float && tensor.requires_grad())
    );
}
