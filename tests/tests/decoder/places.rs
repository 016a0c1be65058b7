//! Where tokens stand and what they see, by the mask alone.

use brew_core::model::{CausalLmBatch, DecoderArchitecture, DecoderConfig, DecoderForCausalLm};
use brew_core::prelude::*;
use tests::wants;

use super::support::{ALL, difference, load, off_at_tokens};

fn ids() -> Tensor {
    Tensor::from_slice(&[3_i64, 1, 4, 1, 5, 9, 2, 6]).unsqueeze(0)
}

/// The ids of a row at the places where a mask is 1, and something else elsewhere.
fn laid(mask: &[i64]) -> (Tensor, Tensor) {
    let mut tokens = Vec::<i64>::try_from(ids().squeeze()).unwrap().into_iter();
    let row: Vec<i64> = mask.iter().map(|seen| if *seen == 1 { tokens.next().unwrap() } else { 7 }).collect();
    (Tensor::from_slice(&row).unsqueeze(0), Tensor::from_slice(mask).unsqueeze(0))
}

/// The logits at the tokens of a row.
fn at_tokens(model: &DecoderForCausalLm, (ids, mask): &(Tensor, Tensor)) -> Tensor {
    let tokens = mask.squeeze().nonzero().squeeze_dim(1);
    model.logits(ids, mask).unwrap().squeeze_dim(0).index_select(0, &tokens)
}

// Trainers that forward left-padded rows by columns are right for rotated models and off by 3.5 for GPT-2.
#[test]
fn padding_left_right_and_between_changes_no_logits() {
    for case in ALL {
        let model = load(case);
        let whole = at_tokens(&model, &(ids(), ids().ones_like()));
        for mask in [
            &[1_i64, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0][..],
            &[0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1],
            &[1, 0, 1, 1, 1, 0, 0, 1, 1, 1, 1],
            &[0, 1, 1, 1, 1, 1, 0, 1, 1, 1, 0, 0],
        ] {
            let off = difference(&at_tokens(&model, &laid(mask)), &whole);
            assert!(off < 2e-5, "{case}, {mask:?}: off by {off:e}");
        }
    }
}

#[test]
fn a_row_of_padding_alone_gives_no_nan_and_no_gradient_to_its_neighbours() {
    for case in ALL {
        let gradients = |rows: &Tensor, mask: &Tensor| {
            let model = load(case);
            let pass = Pass::evaluation(wants(&["losses", "hidden", "attention", "logits"]));
            let output = model.forward(rows, mask, Some(rows), &pass).unwrap();
            for tensor in output.hidden_states.iter().chain(&output.attentions).chain([&output.logits]) {
                assert_eq!(tensor.isfinite().all().int64_value(&[]), 1, "{case}");
            }
            output.loss.unwrap().backward();
            let named = model.parameters();
            named.iter().map(|(name, tensor)| (name.to_owned(), tensor.grad())).collect::<Vec<_>>()
        };
        let with = gradients(
            &Tensor::cat(&[ids(), ids()], 0),
            &Tensor::cat(&[ids().ones_like(), ids().zeros_like()], 0),
        );
        for ((name, with), (_, without)) in with.iter().zip(gradients(&ids(), &ids().ones_like())) {
            let off = difference(with, &without);
            assert!(off < 1e-6, "{case}: {name} is off by {off:e}");
        }
        // Nothing to learn at all: 0, and no NaN.
        let model = load(case);
        let pass = Pass::evaluation(wants(&["losses"]));
        let loss = model.forward(&ids(), &ids().zeros_like(), Some(&ids()), &pass).unwrap().loss.unwrap();
        assert_eq!(loss.double_value(&[]), 0.0);
        loss.backward();
        assert!(model.parameters().iter().all(|(_, tensor)| {
            !tensor.grad().defined() || tensor.grad().abs().max().double_value(&[]) == 0.0
        }));
    }
}

#[test]
fn a_token_sees_no_later_one() {
    for case in ALL {
        let model = load(case);
        let other = Tensor::from_slice(&[3_i64, 1, 4, 1, 5, 8, 8, 8]).unsqueeze(0);
        let first = |ids: &Tensor| model.logits(ids, &ids.ones_like()).unwrap().narrow(1, 0, 5);
        assert_eq!(difference(&first(&ids()), &first(&other)), 0.0, "{case}");
    }
}

// Of three tokens in each of two layers: from the sixth token on nothing is known of the first.
#[test]
fn a_window_hides_what_lies_before_it() {
    let model = load("mistral");
    assert_eq!(model.config().window(0), Some(3));
    let other = Tensor::from_slice(&[9_i64, 1, 4, 1, 5, 9, 2, 6]).unsqueeze(0);
    let of = |ids: &Tensor| model.logits(ids, &ids.ones_like()).unwrap();
    let off = (of(&ids()) - of(&other)).abs().amax([0, 2], false);
    let changed: Vec<bool> = (0..8).map(|place| off.double_value(&[place]) > 0.0).collect();
    assert_eq!(changed, [true, true, true, true, true, false, false, false]);
}

#[test]
fn a_sequence_with_more_tokens_than_positions_is_refused_and_a_padded_one_is_not() {
    let model = load("gpt2");
    let long = Tensor::full([1, 14], 5, (Kind::Int64, Device::Cpu));
    let message = model.logits(&long, &long.ones_like()).unwrap_err().to_string();
    assert!(message.contains("14 tokens, but the model has 12 positions"), "{message}");
    let mask = Tensor::cat(&[Tensor::zeros([1, 4], (Kind::Int64, Device::Cpu)), ids().ones_like()], 1);
    let padded = Tensor::cat(&[ids().narrow(1, 0, 4), ids()], 1);
    assert!(model.logits(&padded, &mask).is_ok());
    let unpadded = model.logits(&ids(), &ids().ones_like()).unwrap();
    let off = difference(&model.logits(&padded, &mask).unwrap().narrow(1, 4, 8), &unpadded);
    assert!(off < 1e-5, "off by {off:e}");
}

#[test]
fn tokens_and_labels_out_of_range_are_named() {
    let model = load("llama");
    let bad = Tensor::from_slice(&[3_i64, 20]).unsqueeze(0);
    let message = model.logits(&bad, &bad.ones_like()).unwrap_err().to_string();
    assert!(message.contains("`input_ids` must be integers from 0 to 19"), "{message}");
    let good = Tensor::from_slice(&[3_i64, 2]).unsqueeze(0);
    let run = |labels: &Tensor| {
        model.forward(&good, &good.ones_like(), Some(labels), &Pass::evaluation(wants(&["losses"])))
    };
    let message = run(&bad).unwrap_err().to_string();
    assert!(message.contains("`labels` must be tokens, int64, from 0 to 19"), "{message}");
    assert!(run(&Tensor::from_slice(&[3_i64])).unwrap_err().to_string().contains("`labels` is [1]"));
}

// A loss for each label that follows a token, wherever the padding is, and none for padding.
#[test]
fn labels_of_padding_and_of_first_tokens_do_not_count() {
    let model = load("qwen3");
    let loss = |(ids, mask): &(Tensor, Tensor)| {
        let batch = CausalLmBatch {
            input_ids: ids.shallow_clone(),
            attention_mask: mask.shallow_clone(),
            labels: Some(ids.shallow_clone()),
        };
        let count = model.losses_count(&batch).unwrap().unwrap()[0].sum(Kind::Float).double_value(&[]);
        let output = model.run(&batch, &Pass::evaluation(wants(&["losses"]))).unwrap();
        (output.loss.unwrap().double_value(&[]), count)
    };
    let (whole, count) = loss(&(ids(), ids().ones_like()));
    assert_eq!(count, 7.0);
    for mask in [&[1_i64, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0][..], &[0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]] {
        let (padded, count) = loss(&laid(mask));
        assert!((padded - whole).abs() < 1e-6 && count == 7.0, "{padded} of {whole}, {count}");
    }
}

// libtorch's fused kernel works in blocks of 512 keys: here it meets whole blocks that a token sees nothing of.
#[test]
fn long_rows_with_much_padding_are_the_same_fused_and_step_by_step() {
    let config = DecoderConfig {
        vocab_size: 20,
        hidden_size: 16,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: Some(2),
        intermediate_size: Some(16),
        initializer_range: 0.3,
        ..DecoderConfig::base(DecoderArchitecture::Llama)
    };
    let ids = Tensor::arange(1100, (Kind::Int64, Device::Cpu)).remainder(19).unsqueeze(0).repeat([2, 1]);
    let places = Tensor::arange(1100, (Kind::Int64, Device::Cpu));
    let mask = Tensor::stack(&[places.ge(1040), places.lt(600)], 0).to_kind(Kind::Int64);
    let [(fused, of_fused), (whole, of_whole)] =
        [&["losses", "hidden"][..], &["losses", "hidden", "attention"]].map(|roles| {
            let model = DecoderForCausalLm::new(config.clone(), 3, Device::Cpu).unwrap();
            let pass = Pass::evaluation(wants(roles));
            let output = model.forward(&ids, &mask, Some(&ids), &pass).unwrap();
            output.loss.unwrap().backward();
            let gradients: Vec<Tensor> = model.parameters().iter().map(|(_, tensor)| tensor.grad()).collect();
            (output.hidden_states[2].detach(), gradients)
        });
    let off = off_at_tokens(&fused, &whole, &mask);
    assert!(off < 1e-5, "hidden states are off by {off:e}");
    for (fused, whole) in of_fused.iter().zip(&of_whole) {
        let off = difference(fused, whole);
        assert!(off < 1e-5, "a gradient is off by {off:e}");
    }
}
