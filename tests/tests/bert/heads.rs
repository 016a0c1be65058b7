//! Every architecture with every head against Python's transformers 5.23.0 with torch 2.11.0.
//!
//! `fixtures/heads/generate.py` made the models and recorded what they compute.

use brew_core::model::{
    BertForQuestionAnswering, BertForTokenClassification, FloatLabelClassifierAdaptor, FloatLabelTextBatch,
    TokenClassifierOutput,
};
use brew_core::pass::Wants;
use brew_core::prelude::*;

use super::support::{
    Columns, difference, edit_config, everything, head_folder, head_folder_copy, optional, recorded,
    span_batch, token_batch,
};

/// The parts of an output, whatever the task.
struct Found {
    logits: Vec<Tensor>,
    hidden_states: Vec<Tensor>,
    attentions: Vec<Tensor>,
    loss: Tensor,
}

fn classify(model: &BertForSequenceClassification, columns: &Columns, pass: &Pass) -> Found {
    let types = optional(columns, "token_type_ids");
    let labels = Some(&columns["labels"]);
    let output = model
        .forward(&columns["input_ids"], &columns["attention_mask"], types.as_ref(), labels, pass)
        .unwrap();
    Found {
        logits: vec![output.logits],
        hidden_states: output.hidden_states,
        attentions: output.attentions,
        loss: output.loss.unwrap(),
    }
}

fn tag(model: &BertForTokenClassification, columns: &Columns, pass: &Pass) -> Found {
    let TokenClassifierOutput { logits, hidden_states, attentions, loss, .. } =
        model.run(&token_batch(columns), pass).unwrap();
    Found { logits: vec![logits], hidden_states, attentions, loss: loss.unwrap() }
}

fn answer(model: &BertForQuestionAnswering, columns: &Columns, pass: &Pass) -> Found {
    let output = model.run(&span_batch(columns), pass).unwrap();
    Found {
        logits: vec![output.start_logits, output.end_logits],
        hidden_states: output.hidden_states,
        attentions: output.attentions,
        loss: output.loss.unwrap(),
    }
}

/// Compares outputs, loss and the recorded gradients with and without attention maps.
fn check<M: Model>(case: &str, model: &M, run: impl Fn(&M, &Columns, &Pass) -> Found) {
    let golden = recorded(case);
    let near = |name: &str, found: &Tensor| {
        let off = difference(found, &golden[name]);
        assert!(off < 1e-5, "{case}: {name} is off by {off:e}");
    };
    let found = run(model, &golden, &Pass::evaluation(everything()));
    assert_eq!((found.hidden_states.len(), found.attentions.len()), (3, 2), "{case}");
    match found.logits.as_slice() {
        [logits] => near("logits", logits),
        [start, end] => {
            near("logits.0", start);
            near("logits.1", end);
        }
        other => panic!("{case} has {} logits", other.len()),
    }
    for (layer, state) in found.hidden_states.iter().enumerate() {
        near(&format!("hidden.{layer}"), state);
    }
    for (layer, map) in found.attentions.iter().enumerate() {
        near(&format!("attention.{layer}"), map);
    }
    near("loss", &found.loss);

    // Fused attention, and backward through it.
    let fused = run(model, &golden, &Pass::evaluation(Wants::nothing().and_role("losses")));
    near("loss", &fused.loss);
    fused.loss.backward();
    let mut compared = 0;
    for (name, parameter) in model.parameters().iter() {
        if golden.contains_key(&format!("gradient.{name}")) {
            near(&format!("gradient.{name}"), &parameter.grad());
            compared += 1;
        }
    }
    let recorded = golden.keys().filter(|name| name.starts_with("gradient.")).count();
    assert!(compared == recorded && compared >= 4, "{case}: {compared} of {recorded} gradients");
}

#[test]
fn classifiers_of_sequences_are_those_of_transformers() {
    for case in ["bert/sequence", "roberta/sequence", "distilbert/sequence"] {
        let model = BertForSequenceClassification::from_pretrained(head_folder(case), Device::Cpu).unwrap();
        check(case, &model, classify);
    }
}

#[test]
fn classifiers_of_tokens_are_those_of_transformers() {
    for case in ["bert/token", "roberta/token", "distilbert/token"] {
        let model = BertForTokenClassification::from_pretrained(head_folder(case), Device::Cpu).unwrap();
        check(case, &model, tag);
    }
}

// Among the recorded positions are some beyond the text, which do not count, and one below 0.
#[test]
fn models_that_answer_questions_are_those_of_transformers() {
    for case in ["bert/question", "roberta/question", "distilbert/question"] {
        let model = BertForQuestionAnswering::from_pretrained(head_folder(case), Device::Cpu).unwrap();
        check(case, &model, answer);
    }
}

#[test]
fn losses_of_the_problem_types_are_those_of_transformers() {
    let case = "distilbert/sequence";
    let golden = recorded(case);
    for problem in ["multi_label_classification", "regression"] {
        let folder = head_folder_copy(case);
        edit_config(folder.path(), |config| config["problem_type"] = problem.into());
        let model = BertForSequenceClassification::from_pretrained(folder.path(), Device::Cpu).unwrap();
        let batch = FloatLabelTextBatch {
            input_ids: golden["input_ids"].shallow_clone(),
            attention_mask: golden["attention_mask"].shallow_clone(),
            token_type_ids: None,
            labels: Some(golden[&format!("{problem}.labels")].shallow_clone()),
        };
        let seen = model.seen_by(FloatLabelClassifierAdaptor);
        let output = seen.run(&batch, &Pass::evaluation(everything())).unwrap();
        let losses = seen.read("losses", &batch, &output).unwrap().unwrap().into_tensors().remove(0);
        let off = difference(&losses, &golden[&format!("{problem}.loss")]);
        assert!(off < 1e-5, "{problem} is off by {off:e}");
    }
}

// Without a problem type, numbers mean several labels where there are several classes: so says
// transformers, and so does the loss recorded for that type.
#[test]
fn numbers_as_labels_mean_several_labels() {
    let case = "distilbert/sequence";
    let mut golden = recorded(case);
    let model = BertForSequenceClassification::from_pretrained(head_folder(case), Device::Cpu).unwrap();
    let labels = golden["multi_label_classification.labels"].shallow_clone();
    golden.insert("labels".to_owned(), labels);
    let found = classify(&model, &golden, &Pass::evaluation(everything()));
    assert!(difference(&found.loss, &golden["multi_label_classification.loss"]) < 1e-5);
}

#[test]
fn a_batch_in_which_nothing_counts_has_no_loss_and_no_nan() {
    let pass = Pass::evaluation(everything());
    let mut columns = recorded("bert/token");
    let _ = columns.get_mut("labels").unwrap().fill_(-100);
    let tagger = BertForTokenClassification::from_pretrained(head_folder("bert/token"), Device::Cpu).unwrap();
    assert_eq!(tag(&tagger, &columns, &pass).loss.double_value(&[]), 0.0);

    let mut columns = recorded("bert/question");
    for positions in ["start_positions", "end_positions"] {
        let _ = columns.get_mut(positions).unwrap().fill_(7);
    }
    let reader =
        BertForQuestionAnswering::from_pretrained(head_folder("bert/question"), Device::Cpu).unwrap();
    assert_eq!(answer(&reader, &columns, &pass).loss.double_value(&[]), 0.0);
}
