//! Keys and values that are kept: a step gives what a forward pass over the whole text gives.

use brew_core::model::{CausalLm, DecoderArchitecture, DecoderConfig, DecoderForCausalLm, Prefill};
use brew_core::prelude::*;
use tests::wants;

use super::by_formula::{all, by_formula};
use super::support::{ALL, difference, fixture, load, recorded};

/// Three prompts padded on the left, and the tokens that follow them.
fn prompts() -> (Tensor, Tensor, Tensor) {
    let ids = Tensor::from_slice(&[3_i64, 1, 4, 1, 5, 0, 0, 0, 9, 2, 0, 0, 0, 0, 6]).view([3, 5]);
    let mask = Tensor::from_slice(&[1_i64, 1, 1, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1]).view([3, 5]);
    let next = Tensor::from_slice(&[9_i64, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8, 4, 6, 2, 6]).view([3, 6]);
    (ids, mask, next)
}

/// The largest difference between scores step by step and those of whole texts, relative to the largest score.
fn off(model: &DecoderForCausalLm, (ids, mask, next): &(Tensor, Tensor, Tensor), answers: i64) -> f64 {
    let steps = next.size()[1];
    let prefill = Prefill { input_ids: ids, attention_mask: mask, answers, steps };
    let (mut scores, mut texts) = model.prefill(&prefill).unwrap();
    let every = |tensor: &Tensor| tensor.repeat_interleave_self_int(answers, 0, None);
    let (mut ids, mut mask, next) = (every(ids), every(mask), every(next));
    let mut worst: f64 = 0.0;
    for step in 0..=steps {
        let whole = model.logits(&ids, &mask).unwrap().select(1, -1);
        let largest = whole.abs().max().double_value(&[]).max(1.0);
        worst = worst.max(difference(&scores, &whole) / largest);
        if step < steps {
            let chosen = next.select(1, step);
            scores = texts.step(&chosen).unwrap();
            ids = Tensor::cat(&[&ids, &chosen.unsqueeze(1)], 1);
            mask = Tensor::cat(&[&mask, &chosen.unsqueeze(1).ones_like()], 1);
        }
    }
    worst
}

// Windows of three and four tokens are shorter than the texts; GPT-2's positions are learned; Gemma 2 caps its scores.
#[test]
fn each_step_gives_what_the_whole_text_gives() {
    let (ids, mask, next) = prompts();
    let alone = (ids.narrow(0, 0, 1), mask.narrow(0, 0, 1), next.narrow(0, 0, 1));
    let models = ALL.map(|case| (case.to_owned(), load(case)));
    let formulas = all().map(|golden| (format!("{:?}", golden.config.model_type), by_formula(golden.config)));
    for (name, model) in models.into_iter().chain(formulas) {
        for (texts, answers) in [(&prompts(), 1), (&alone, 1), (&prompts(), 3)] {
            let off = off(&model, texts, answers);
            assert!(off < 1e-5, "{name} with {answers} answers: off by {off:e}");
        }
    }
}

// An unused window of 1 is the token alone.
#[test]
fn windows_of_any_length_give_what_the_whole_text_gives() {
    for window in 1..12 {
        let config = DecoderConfig {
            vocab_size: 11,
            hidden_size: 8,
            intermediate_size: Some(12),
            num_hidden_layers: 3,
            num_attention_heads: 4,
            num_key_value_heads: Some(2),
            initializer_range: 0.5,
            sliding_window: Some(window),
            ..DecoderConfig::base(DecoderArchitecture::Mistral)
        };
        let off = off(&DecoderForCausalLm::new(config, 5, Device::Cpu).unwrap(), &prompts(), 2);
        assert!(off < 1e-5, "window {window}: off by {off:e}");
    }
}

#[test]
fn a_model_in_half_precision_keeps_its_dtype() {
    for kind in [Kind::BFloat16, Kind::Half] {
        let model = DecoderForCausalLm::frozen(fixture("qwen2"), kind, Device::Cpu).unwrap();
        let off = off(&model, &prompts(), 1);
        assert!(off < 0.02, "{kind:?}: off by {off:e}");
    }
}

// Layers that are recomputed in a backward pass keep nothing, so a text would be reread for every token.
#[test]
fn checkpointing_before_and_after_changes_no_step() {
    // Recomputation sets libtorch's generator.
    let _alone = tests::alone();
    let golden = recorded("llama");
    let [plain, recomputing] = [false, true].map(|recompute| {
        let model = load("llama");
        let pass = Pass::training(0, wants(&["losses"])).recomputing(recompute);
        let (ids, mask, labels) = (&golden["input_ids"], &golden["attention_mask"], &golden["labels"]);
        model.forward(ids, mask, Some(labels), &pass).unwrap().loss.unwrap().backward();
        let (ids, mask, next) = prompts();
        let prefill = Prefill { input_ids: &ids, attention_mask: &mask, answers: 1, steps: 1 };
        let (_, mut texts) = model.prefill(&prefill).unwrap();
        texts.step(&next.select(1, 0)).unwrap()
    });
    assert!(plain == recomputing && !plain.requires_grad());
}

#[test]
fn dropout_is_off_and_nothing_is_trained_while_writing() {
    let config = DecoderConfig {
        vocab_size: 11,
        hidden_size: 8,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        attention_dropout: 0.5,
        residual_dropout: 0.5,
        embedding_dropout: 0.5,
        ..DecoderConfig::base(DecoderArchitecture::Gpt2)
    };
    let model = DecoderForCausalLm::new(config, 5, Device::Cpu).unwrap();
    assert!(off(&model, &prompts(), 1) < 1e-5);
    assert!(model.parameters().iter().all(|(_, tensor)| tensor.requires_grad() && !tensor.grad().defined()));
}

#[test]
fn what_cannot_be_continued_is_refused() {
    let model = load("llama");
    let (ids, mask, next) = prompts();
    let message = |ids: &Tensor, mask: &Tensor| {
        let prefill = Prefill { input_ids: ids, attention_mask: mask, answers: 1, steps: 1 };
        model.prefill(&prefill).map(drop).unwrap_err().to_string()
    };
    for bad in [[1_i64, 1, 1, 1, 0], [0, 1, 0, 1, 1], [0, 0, 0, 0, 0]] {
        let bad = Tensor::from_slice(&bad).unsqueeze(0);
        let found = message(&ids.narrow(0, 0, 1), &bad);
        assert!(found.contains("0 for padding on the left"), "{found}");
    }
    let found = message(&ids, &mask.narrow(0, 0, 2));
    assert!(found.contains("they must be equal"), "{found}");
    let found = message(&ids.narrow(1, 0, 0), &mask.narrow(1, 0, 0));
    assert!(found.contains("at least one prompt"), "{found}");

    let prefill = Prefill { input_ids: &ids, attention_mask: &mask, answers: 2, steps: 1 };
    let (_, mut texts) = model.prefill(&prefill).unwrap();
    let found = texts.step(&next.select(1, 0)).unwrap_err().to_string();
    assert!(found.contains("`ids` is [3]; it must be (6,)"), "{found}");
    let six = Tensor::from_slice(&[1_i64; 6]);
    let _ = texts.step(&six).unwrap();
    let found = texts.step(&six).unwrap_err().to_string();
    assert!(found.contains("room for 1 steps"), "{found}");
}
