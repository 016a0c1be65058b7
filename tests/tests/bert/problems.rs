//! What labels mean to a head, and how its logits are read: every problem type, form of labels and number of
//! classes, against transformers 5.24.0.
//!
//! `fixtures/problems/make.py` recorded what its models compute, or that they end in an error.

use std::path::Path;

use brew_core::model::Scores;
use brew_core::model::{
    BertForTokenClassification, BiGruConfig, BiGruForSequenceClassification, BiGruForTokenClassification,
    ProblemType,
};
use brew_core::pass::Wants;
use brew_core::prelude::*;
use serde_json::Value;

use super::support::{difference, edit_config, everything, head_folder, head_folder_copy, recorded};

fn golden() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/problems/golden.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The labels that `make.py` gives.
fn labels(form: &str, classes: i64) -> Tensor {
    let hot = Tensor::from_slice2(&[[1_i64, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]]).narrow(1, 0, classes);
    let whole = Tensor::from_slice(&[0_i64, 2, 1, 2]).remainder(classes.max(2));
    match form {
        "integers per row" => whole,
        "integers per row, 32 bits" => whole.to_kind(Kind::Int),
        "integers per row in a column" => whole.unsqueeze(1),
        "integers per logit" => hot,
        "floats per row" => Tensor::from_slice(&[0.5_f32, -1.25, 2.0, 0.0]),
        "floats per logit" => hot.to_kind(Kind::Float),
        "booleans per row" => whole.to_kind(Kind::Bool),
        "booleans per logit" => hot.to_kind(Kind::Bool),
        other => panic!("{other}"),
    }
}

fn model(case: &str, problem: &Value) -> BertForSequenceClassification {
    let folder = head_folder_copy(case);
    edit_config(folder.path(), |config| config["problem_type"] = problem.clone());
    BertForSequenceClassification::from_pretrained(folder.path(), Device::Cpu).unwrap()
}

/// Where brew and transformers part, and why.
fn parts(row: &Value) -> Option<&'static str> {
    let problem = row["problem"].as_str().unwrap_or("none");
    match (row["form"].as_str().unwrap(), problem, row["case"].as_str().unwrap()) {
        ("integers per row, 32 bits", "none" | "single_label_classification", "distilbert/sequence") => {
            Some("torch takes int64 alone, which loses nothing of int32")
        }
        ("floats per row", "multi_label_classification", "bert/sequence") => {
            Some("one number per example is one per logit where there is one logit")
        }
        ("integers per row in a column", "regression", "distilbert/sequence") => {
            Some("transformers broadcasts one number over three logits")
        }
        ("integers per row in a column", "none" | "single_label_classification", "distilbert/sequence") => {
            Some("transformers flattens a column of classes")
        }
        (booleans, ..) if booleans.starts_with("booleans") => {
            Some("transformers computes with some booleans and fails at others")
        }
        _ => None,
    }
}

#[test]
fn labels_mean_what_they_mean_to_transformers_or_are_refused() {
    let golden = golden();
    let rows = golden["losses"].as_array().unwrap();
    assert_eq!(rows.len(), 2 * 4 * 8);
    let (mut equal, mut refused, mut apart) = (0, 0, 0);
    for row in rows {
        let case = row["case"].as_str().unwrap();
        let inputs = recorded(case);
        let model = model(case, &row["problem"]);
        let labels = labels(row["form"].as_str().unwrap(), model.config().classes());
        let types = inputs.get("token_type_ids");
        let output = model.forward(
            &inputs["input_ids"],
            &inputs["attention_mask"],
            types,
            Some(&labels),
            &Pass::evaluation(everything()),
        );
        let found = output.map(|output| output.loss.unwrap().mean(None).double_value(&[]));
        match (found, row["loss"].as_f64(), parts(row)) {
            (Ok(found), Some(expected), None) => {
                assert!((found - expected).abs() < 1e-5, "{row}: {found}");
                let then = model.problem_type().map(|problem| problem.to_string());
                assert_eq!(then.as_deref(), row["then"].as_str(), "{row}");
                equal += 1;
            }
            (Err(error), None, _) => {
                // The message says what the labels are, and what to do.
                let message = error.to_string();
                assert!(message.contains("`labels` is (4") && message.contains(';'), "{row}: {message}");
                refused += 1;
            }
            (found, expected, Some(_)) => {
                assert_ne!(found.is_ok(), expected.is_some(), "{row}: they do not part here");
                apart += 1;
            }
            (found, expected, None) => panic!("{row}: {found:?} and not {expected:?}"),
        }
    }
    println!("{equal} equal, {refused} refused by both, {apart} apart");
    assert!(equal >= 14 && refused >= 24, "{equal} {refused} {apart}");
}

// torch 2.11.0: an exception of the table above, with the class as int64.
#[test]
fn classes_of_32_bits_are_those_of_64() {
    let inputs = recorded("distilbert/sequence");
    let loss = |labels: &Tensor| {
        let model = model("distilbert/sequence", &Value::Null);
        let (ids, mask) = (&inputs["input_ids"], &inputs["attention_mask"]);
        model.forward(ids, mask, None, Some(labels), &Pass::evaluation(everything())).unwrap().loss.unwrap()
    };
    let whole = labels("integers per row", 3);
    assert_eq!(difference(&loss(&whole), &loss(&whole.to_kind(Kind::Int))), 0.0);
}

#[test]
fn scores_are_those_of_transformers_pipeline() {
    let golden = golden();
    let rows = golden["scores"].as_array().unwrap();
    assert_eq!(rows.len(), 2 * 4);
    for row in rows {
        let case = row["case"].as_str().unwrap();
        let inputs = recorded(case);
        let model = model(case, &row["problem"]);
        let types = inputs.get("token_type_ids");
        let pass = Pass::evaluation(Wants::nothing());
        let output =
            model.forward(&inputs["input_ids"], &inputs["attention_mask"], types, None, &pass).unwrap();
        let scores = Scores::of(model.problem_type(), model.config().classes());
        let found =
            Vec::<f64>::try_from(scores.from_logits(&output.logits).unwrap().get(0).to_kind(Kind::Double));
        let found = found.unwrap();
        let expected = row["scores"].as_array().unwrap();
        assert_eq!(found.len(), expected.len(), "{row}");
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected.as_f64().unwrap()).abs() < 1e-5, "{row}: {found}");
        }
    }
}

// transformers 5.24.0: BertConfig(num_labels=1, problem_type="single_label_classification") raises "requires
// `num_labels > 1`"; a loss of one token class is 0 whatever the logits.
#[test]
fn a_softmax_over_one_logit_is_no_loss_of_any_model() {
    let expected = "a softmax over one logit is always 1; give the head two classes";
    let inputs = recorded("bert/sequence");
    let zeros = Tensor::zeros([4], (Kind::Int64, Device::Cpu));
    let (ids, mask, pass) = (&inputs["input_ids"], &inputs["attention_mask"], Pass::evaluation(everything()));

    let single = model("bert/sequence", &"single_label_classification".into());
    let refused = single.forward(ids, mask, None, Some(&zeros), &pass).unwrap_err().to_string();
    assert!(refused.contains(expected), "{refused}");

    let zeros = zeros.unsqueeze(1).expand_as(ids);
    let tagger =
        BertForTokenClassification::from_encoder(head_folder("bert/token"), 1, 0, Device::Cpu).unwrap();
    let refused = tagger.forward(ids, mask, None, Some(&zeros), &pass).unwrap_err().to_string();
    assert!(refused.contains(expected), "{refused}");

    let config = BiGruConfig { num_labels: 1, ..BiGruConfig::default() };
    let tagger = BiGruForTokenClassification::new(config.clone(), 0, Device::Cpu).unwrap();
    let mask = ids.ones_like();
    let refused = tagger.forward(ids, &mask, Some(&zeros), &pass).unwrap_err().to_string();
    assert!(refused.contains(expected), "{refused}");

    let student = BiGruForSequenceClassification::new(config, 0, Device::Cpu).unwrap();
    let refused = student.problem(ProblemType::SingleLabelClassification).unwrap_err().to_string();
    assert!(refused.contains("needs at least two classes, but the head has 1"), "{refused}");
}

// The table of `ProblemType::of` is one for all models: a BiGRU's rows are those of a BERT's.
#[test]
fn a_bigru_reads_labels_as_a_bert_does() {
    for row in golden()["losses"].as_array().unwrap() {
        let classes = if row["case"] == "bert/sequence" { 1 } else { 3 };
        let labels = labels(row["form"].as_str().unwrap(), classes);
        let problem_type: Option<ProblemType> = serde_json::from_value(row["problem"].clone()).unwrap();
        let num_labels = usize::try_from(classes).unwrap();
        let config = BiGruConfig {
            vocab_size: 20,
            hidden_size: 4,
            num_labels,
            problem_type,
            ..BiGruConfig::default()
        };
        let student = BiGruForSequenceClassification::new(config, 3, Device::Cpu).unwrap();
        let ids = Tensor::from_slice(&[5_i64, 6, 7, 8]).reshape([4, 1]);
        let found = student.forward(&ids, &ids.ones_like(), Some(&labels), &Pass::evaluation(everything()));
        let bert = ProblemType::of(problem_type, &[4, classes], &labels);
        assert_eq!(found.is_ok(), bert.is_ok(), "{row}");
        assert_eq!(student.problem_type(), bert.ok().or(problem_type), "{row}");
    }
}
