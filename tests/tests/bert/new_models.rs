//! Models of any size with new weights, compared with those that transformers 5.24.0 makes from a config:
//! `fixtures/new_models/make.py` recorded names, shapes, constants and deviations.

use std::path::Path;

use brew_core::model::{
    Architecture, BertConfig, BertForMaskedLm, BertForQuestionAnswering, BertForTokenClassification,
    BertModel,
};
use brew_core::prelude::*;
use serde_json::Value;
use tempfile::TempDir;

use super::support::{difference, everything};

/// The sizes of the fixture.
fn config(architecture: Architecture) -> BertConfig {
    BertConfig {
        vocab_size: 200,
        hidden_size: 32,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        intermediate_size: 48,
        max_position_embeddings: 40,
        initializer_range: 0.5,
        ..BertConfig::base(architecture)
    }
}

fn parameters(case: &str, seed: u64) -> Parameters {
    let (family, head) = case.split_once('/').unwrap();
    let config = config(match family {
        "bert" => Architecture::Bert,
        "roberta" => Architecture::Roberta,
        _ => Architecture::DistilBert,
    });
    match head {
        "sequence" => BertForSequenceClassification::new(config, 3, seed, Device::Cpu).unwrap().parameters(),
        "token" => BertForTokenClassification::new(config, 3, seed, Device::Cpu).unwrap().parameters(),
        "masked" => BertForMaskedLm::new(config, seed, Device::Cpu).unwrap().parameters(),
        "none" => BertModel::new(config, seed, Device::Cpu).unwrap().parameters(),
        _ => BertForQuestionAnswering::new(config, seed, Device::Cpu).unwrap().parameters(),
    }
}

#[test]
fn new_weights_are_distributed_as_those_of_transformers() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/new_models/golden.json");
    let golden: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let cases = golden.as_object().unwrap();
    assert_eq!(cases.len(), 15);
    for (case, expected) in cases {
        let (found, other) = (parameters(case, 1), parameters(case, 2));
        let expected = expected.as_object().unwrap();
        let names: Vec<&str> = found.iter().map(|(name, _)| name).collect();
        let mut wanted: Vec<&str> = expected.keys().map(String::as_str).collect();
        wanted.sort_unstable();
        assert_eq!(names, wanted, "{case}");
        for ((name, tensor), (_, other)) in found.iter().zip(other.iter()) {
            let row = &expected[name];
            let shape: Vec<i64> = serde_json::from_value(row["shape"].clone()).unwrap();
            assert_eq!(tensor.size(), shape, "{case} {name}");
            assert!(tensor.requires_grad(), "{case} {name}");
            if let Some(all) = row["all"].as_f64() {
                assert_eq!((tensor - all).abs().max().double_value(&[]), 0.0, "{case} {name}");
                continue;
            }
            // N(0, 0.5²): the deviation has a standard error of 0.5 / sqrt(2 n), and the padding's row is 0.
            let zero: Vec<i64> = row["zero_rows"]
                .as_array()
                .map_or(vec![], |rows| rows.iter().map(|row| row.as_i64().unwrap()).collect());
            let rows = (0..shape[0]).filter(|row| !zero.contains(row)).collect::<Vec<_>>();
            let drawn = tensor.index_select(0, &Tensor::from_slice(&rows));
            let count = drawn.numel() as f64;
            let deviation = drawn.square().mean(Kind::Double).sqrt().double_value(&[]);
            assert!((deviation - 0.5).abs() < 4.0 * 0.5 / (2.0 * count).sqrt(), "{case} {name}: {deviation}");
            for row in &zero {
                assert_eq!(tensor.get(*row).abs().max().double_value(&[]), 0.0, "{case} {name}");
            }
            let empty: Vec<i64> =
                (0..shape[0]).filter(|row| tensor.get(*row).abs().max().double_value(&[]) == 0.0).collect();
            assert_eq!(empty, zero, "{case} {name}");
            assert!(difference(tensor, other) > 0.0, "{case} {name} does not follow the seed");
        }
        // The same seed, the same weights; no two tensors of one shape are equal.
        for ((name, one), (_, again)) in found.iter().zip(parameters(case, 1).iter()) {
            assert_eq!(difference(one, again), 0.0, "{case} {name}");
        }
        let drawn = found.iter().filter(|(name, _)| expected[*name].get("deviation").is_some());
        let drawn: Vec<_> = drawn.collect();
        for (place, (name, tensor)) in drawn.iter().enumerate() {
            for (other_name, other) in &drawn[place + 1..] {
                let equal = tensor.size() == other.size() && difference(tensor, other) == 0.0;
                assert!(!equal, "{case}: {name} and {other_name} are equal");
            }
        }
    }
}

#[test]
fn a_new_model_trains_is_saved_and_is_read_again() {
    for architecture in [Architecture::Bert, Architecture::Roberta, Architecture::DistilBert] {
        let config = BertConfig { initializer_range: 0.02, ..config(architecture) };
        let model = BertForSequenceClassification::new(config, 2, 3, Device::Cpu).unwrap();
        let model = model.classes(["negative", "positive"]).unwrap();
        let ids = Tensor::from_slice2(&[[5_i64, 9, 30], [7, 8, 9]]);
        let labels = Tensor::from_slice(&[0_i64, 1]);
        let run = |model: &BertForSequenceClassification| {
            let pass = Pass::evaluation(everything());
            model.forward(&ids, &ids.ones_like(), None, Some(&labels), &pass).unwrap()
        };
        let output = run(&model);
        output.loss.unwrap().mean(None).backward();
        assert!(model.parameters().iter().all(|(_, tensor)| tensor.grad().defined()));
        let folder = TempDir::new().unwrap();
        model.save(folder.path()).unwrap();
        let read = BertForSequenceClassification::from_pretrained(folder.path(), Device::Cpu).unwrap();
        assert_eq!(difference(&run(&read).logits, &output.logits), 0.0);
        assert_eq!(read.class_names().unwrap(), ["negative", "positive"]);
        assert_eq!(read.config().hidden_size, 32);
    }
}

#[test]
fn sizes_that_make_no_model_are_refused_all_at_once() {
    let config = BertConfig {
        hidden_size: 30,
        num_attention_heads: 4,
        initializer_range: 0.0,
        hidden_dropout_prob: 1.0,
        layer_norm_eps: -1.0,
        ..BertConfig::default()
    };
    let refused = BertForSequenceClassification::new(config, 3, 0, Device::Cpu).unwrap_err().to_string();
    for part in [
        "invalid model config, 5 problems:",
        "hidden_dropout_prob is 1; it must be at least 0 and below 1",
        "hidden_size 30 must be a multiple of num_attention_heads 4",
        "initializer_range is 0; it must be above 0",
        "layer_norm_eps is -1; it must be at least 0",
    ] {
        assert!(refused.contains(part), "{refused}");
    }
    let config = BertConfig {
        id2label: [(0, "no".to_owned()), (1, "yes".to_owned())].into(),
        ..BertConfig::default()
    };
    let refused = BertForSequenceClassification::new(config, 3, 0, Device::Cpu).unwrap_err().to_string();
    assert!(refused.contains("id2label names 2 classes, but the head has 3"), "{refused}");
    let none = BertForTokenClassification::new(BertConfig::default(), 0, 0, Device::Cpu).unwrap_err();
    assert!(none.to_string().contains("it needs at least 1"), "{none}");
}
