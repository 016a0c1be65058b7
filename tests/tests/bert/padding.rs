//! One-token and all-padding rows against Python's transformers 5.24.0 with torch 2.11.0, which attends equally to all
//! positions if all are padding. `fixtures/padding_row/generate.py` recorded them.

use std::path::{Path, PathBuf};

use brew_core::pass::Wants;
use brew_core::prelude::*;
use tests::read_tensors;

use super::support::{difference, everything};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/padding_row")
}

#[test]
fn a_row_of_padding_alone_has_the_logits_and_gradients_of_transformers() {
    let golden = read_tensors(&folder().join("golden.safetensors"));
    let near = |name: &str, found: &Tensor, form: &str| {
        let off = difference(found, &golden[name]);
        assert!(off < 1e-5, "{form}: {name} is off by {off:e}");
    };
    // With the maps that somebody reads, and without.
    for form in ["step by step", "fused"] {
        let model = BertForSequenceClassification::from_pretrained(folder(), Device::Cpu).unwrap();
        let pass = match form {
            "step by step" => Pass::evaluation(everything()),
            _ => Pass::evaluation(Wants::nothing().and_role("hidden")),
        };
        let run = || {
            let types = Some(&golden["token_type_ids"]);
            model.forward(&golden["input_ids"], &golden["attention_mask"], types, None, &pass).unwrap()
        };
        let output = run();
        near("logits", &output.logits, form);
        for (layer, state) in output.hidden_states.iter().enumerate() {
            near(&format!("hidden.{layer}"), state, form);
        }
        for (layer, map) in output.attentions.iter().enumerate().filter(|(_, map)| map.defined()) {
            near(&format!("attention.{layer}"), map, form);
        }
        (&output.logits * &golden["weights"]).sum(Kind::Float).backward();
        for (name, parameter) in model.parameters().iter() {
            near(&format!("gradient.{name}"), &parameter.grad(), form);
        }
    }
}

// softmax of one score is 1: transformers' eager attention has the gradient 0 there, to the last bit.
#[test]
fn texts_of_one_token_give_queries_and_keys_no_gradient_at_all() {
    let _alone = tests::alone();
    let golden = read_tensors(&folder().join("golden.safetensors"));
    let row = |name: &str, length: i64| golden[name].narrow(0, 2, 1).narrow(1, 0, length);
    for (length, wants) in
        [(1, Wants::nothing()), (9, Wants::nothing()), (1, everything()), (9, everything())]
    {
        let model = BertForSequenceClassification::from_pretrained(folder(), Device::Cpu).unwrap();
        let (ids, mask, types) =
            (row("input_ids", length), row("attention_mask", length), row("token_type_ids", length));
        // With dropout it is our kernel; without, libtorch's.
        for pass in [Pass::evaluation(wants.clone()), Pass::training(0, wants.clone())] {
            let output = model.forward(&ids, &mask, Some(&types), None, &pass).unwrap();
            (output.logits * golden["weights"].narrow(0, 2, 1)).sum(Kind::Float).backward();
        }
        for (name, parameter) in model.parameters().iter() {
            let largest = parameter.grad().abs().max().double_value(&[]);
            let still = name.contains("self.query") || name.contains("self.key");
            assert_eq!(largest == 0.0, still, "{name}, {length} positions: {largest:e}");
        }
    }
}

// A loss that reads queries and keys themselves has its gradient all the same.
#[test]
fn a_loss_over_the_queries_of_one_token_keeps_its_gradient() {
    let golden = read_tensors(&folder().join("golden.safetensors"));
    let model = BertForSequenceClassification::from_pretrained(folder(), Device::Cpu).unwrap();
    let pass = Pass::evaluation(Wants::nothing().and_role("query"));
    let row = |name: &str| golden[name].narrow(0, 2, 1);
    let types = row("token_type_ids");
    let output = model.forward(&row("input_ids"), &row("attention_mask"), Some(&types), None, &pass).unwrap();
    output.queries[0].square().sum(Kind::Float).backward();
    let parameters = model.parameters();
    let (_, query) =
        parameters.iter().find(|(name, _)| name.ends_with("layer.0.attention.self.query.weight")).unwrap();
    assert!(query.grad().abs().max().double_value(&[]) > 0.0);
}
