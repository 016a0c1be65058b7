//! The modules of `fixtures/torchscript/make.py` as teachers.

use std::path::PathBuf;

use brew_core::distill::{student_layer, teacher_layer};
use brew_core::loss::{HiddenMse, KdCe};
use brew_core::model::{BiGruConfig, BiGruForSequenceClassification, ClassifierOutputAdaptor, TorchScript};
use brew_core::model::{Part, ScriptOutput, ScriptOutputAdaptor};
use brew_core::prelude::*;

use super::{evaluation, off, texts};

/// What torch 2.11.0 gives for the batch of the other file: the last line of make.py.
const LOGITS: [f64; 4] =
    [0.010_947_866_365_313_53, 0.102_550_931_274_890_9, -0.075_023_129_582_405_09, -0.238_034_501_671_791_08];

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/torchscript").join(name)
}

fn load(name: &str) -> TorchScript {
    TorchScript::load(fixture(name), Device::Cpu).unwrap()
}

fn run(module: &TorchScript) -> Result<ScriptOutput> {
    module.run(&texts(), &evaluation())
}

fn refusal(module: &TorchScript) -> String {
    run(module).unwrap_err().to_string()
}

#[test]
fn logits_and_hidden_states_are_found_by_position_and_by_name() {
    for module in [
        load("tuple.pt").hidden(Part::At(1)),
        load("dict.pt").logits(Part::named("scores")),
        load("tensor.pt"),
    ] {
        let output = run(&module).unwrap();
        assert!(off(&output.logits, &LOGITS) < 1e-6, "{module:?}");
        let hidden: Vec<_> = output.hidden_states.iter().map(Tensor::size).collect();
        let wanted = if format!("{module:?}").contains("Some") { vec![vec![2, 3, 4]; 2] } else { vec![] };
        assert_eq!(hidden, wanted, "{module:?}");
    }
}

// The embedding is 0.5 sin(0.3 i + 0.1), as make.py has it; token 1 has the numbers 4 to 7.
#[test]
fn hidden_states_are_those_of_the_module() {
    let output = run(&load("tuple.pt").hidden(Part::At(1))).unwrap();
    let golden: Vec<f64> = (4..8).map(|i| 0.5 * (0.3 * f64::from(i) + 0.1).sin()).collect();
    assert!(off(&output.hidden_states[0].get(0).get(0), &golden) < 1e-6);
}

#[test]
fn a_module_teaches_a_student_and_is_left_as_it_was() {
    let teacher = load("tuple.pt").hidden(Part::At(1));
    let before = teacher.parameters();
    assert!(before.iter().count() == 2 && before.iter().all(|(_, tensor)| !tensor.requires_grad()));
    let before: Vec<Tensor> = before.iter().map(|(_, tensor)| tensor.copy()).collect();
    let config = BiGruConfig {
        vocab_size: 10,
        embedding_size: 4,
        hidden_size: 3,
        dropout: 0.0,
        ..BiGruConfig::default()
    };
    let student = BiGruForSequenceClassification::new(config, 5, Device::Cpu).unwrap();
    let untrained = student.run(&texts(), &evaluation()).unwrap().logits;
    let teacher = std::sync::Arc::new(std::sync::Mutex::new(teacher));
    let seen = teacher.clone().seen_by(ScriptOutputAdaptor);
    let pipeline = Distill::new(seen, student.seen_by(ClassifierOutputAdaptor))
        .soft_targets(KdCe::at(1.0))
        .matching([hidden(teacher_layer(0), student_layer(0)).by(HiddenMse)])
        .plan()
        .unwrap();
    let trainer = Trainer::new(pipeline).optimizer(AdamW::with_lr(0.05)).epochs(60);
    let trained = trainer.run(vec![texts()]).unwrap();
    let distance = |logits: &Tensor| off(&logits.softmax(-1, Kind::Double), &soft(&LOGITS));
    let after = trained.student().run(&texts(), &evaluation()).unwrap().logits;
    assert!(distance(&after) < 0.2 * distance(&untrained), "{} {}", distance(&after), distance(&untrained));
    for ((name, now), before) in teacher.parameters().iter().zip(&before) {
        assert_eq!(now, before, "{name}");
    }
}

fn soft(logits: &[f64]) -> Vec<f64> {
    Vec::try_from(Tensor::from_slice(logits).reshape([2, 2]).softmax(-1, Kind::Double).reshape([-1])).unwrap()
}

#[test]
fn what_is_not_there_is_named_with_what_is() {
    for (module, words) in [
        (load("dict.pt").logits(Part::named("score")), "did you mean `scores`?"),
        (load("dict.pt"), "no logits at position 0: the module returned a dict of `scores`, `last`"),
        (load("tuple.pt").logits(Part::At(2)), "no logits at position 2: the module returned a tuple of 2"),
        (load("tuple.pt").logits(Part::At(1)), "the logits must be a tensor; at position 1"),
        (load("tuple.pt").hidden(Part::At(0)), "must be a tuple or list of tensors; at position 0"),
        (load("tensor.pt").logits(Part::named("scores")), "the module returned a tensor of [2, 2]"),
        (load("tuple.pt").inputs(["input_id"]), "did you mean `input_ids`?"),
        (load("tuple.pt").inputs(["input_ids"]), "torchscript forward"),
    ] {
        let error = refusal(&module);
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn a_module_traced_with_dropout_is_refused() {
    let error = refusal(&load("dropout.pt"));
    assert!(error.contains("call `model.eval()` in Python"), "{error}");
}

#[test]
fn a_file_that_is_missing_or_no_module_is_refused_by_name() {
    for (name, words) in [("absent.pt", "the file does not exist"), ("make.py", "not a TorchScript module")] {
        let error = TorchScript::load(fixture(name), Device::Cpu).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(words), "{error}");
    }
}
