//! The BiGRU student: folders, padding, frozen parts. Its numbers are tested next to its layer.

use std::fs;

use brew_core::model::{
    BiGruConfig, BiGruForSequenceClassification, BiGruForTokenClassification, ClassifierOutputAdaptor,
};
use brew_core::pass::Wants;
use brew_core::prelude::*;

use super::{evaluation, off, texts};

fn config() -> BiGruConfig {
    BiGruConfig {
        vocab_size: 10,
        embedding_size: 4,
        hidden_size: 3,
        num_hidden_layers: 2,
        ..BiGruConfig::default()
    }
}

fn student() -> BiGruForSequenceClassification {
    BiGruForSequenceClassification::new(config(), 5, Device::Cpu).unwrap()
}

#[test]
fn a_saved_student_loads_to_the_same_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let student = student();
    student.save(folder.path()).unwrap();
    let loaded = BiGruForSequenceClassification::from_pretrained(folder.path(), Device::Cpu).unwrap();
    let numbers = |model: &BiGruForSequenceClassification| {
        let output = model.run(&texts(), &evaluation()).unwrap();
        assert_eq!(output.hidden_states.len(), 3);
        assert_eq!(output.hidden_states[2].size(), [2, 3, 6]);
        (output.logits, output.loss.unwrap())
    };
    assert_eq!(numbers(&loaded), numbers(&student));
    let names: Vec<String> = loaded.parameters().iter().map(|(name, _)| name.to_owned()).collect();
    assert!(names.contains(&"gru.weight_hh_l1_reverse".to_owned()), "{names:?}");
    assert_eq!(loaded.config().hidden_size, 3);
}

#[test]
fn a_folder_that_does_not_fit_is_refused_by_file_and_name() {
    let folder = tempfile::tempdir().unwrap();
    student().save(folder.path()).unwrap();
    let load = || {
        let model = BiGruForSequenceClassification::from_pretrained(folder.path(), Device::Cpu);
        model.map(drop).map_err(|error| error.to_string())
    };
    let tokens = BiGruForTokenClassification::from_pretrained(folder.path(), Device::Cpu);
    let error = tokens.map(drop).unwrap_err().to_string();
    assert!(error.contains("this is a BiGruForSequenceClassification"), "{error}");
    let path = folder.path().join("config.json");
    let text = fs::read_to_string(&path).unwrap();
    for (from, to, words) in [
        (
            "\"hidden_size\": 3",
            "\"hidden_size\": 4",
            "`gru.weight_hh_l0` is (9, 3), but by the config it should be (12, 4)",
        ),
        ("\"hidden_size\": 3", "\"hidden_sise\": 3", "unknown field `hidden_sise`"),
        ("\"num_labels\": 2", "\"num_labels\": 0", "`num_labels` is 0; it must be at least 1"),
        ("\"dropout\": 0.1", "\"dropout\": 1.5", "`dropout` is 1.5"),
    ] {
        assert!(text.contains(from), "{text}");
        fs::write(&path, text.replace(from, to)).unwrap();
        let error = load().unwrap_err();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn padding_changes_nothing_and_a_token_after_padding_is_refused() {
    let student = student();
    let alone = |row: i64, tokens: i64| {
        let cut = |tensor: &Tensor| tensor.narrow(0, row, 1).narrow(1, 0, tokens);
        let batch = texts();
        student
            .forward(&cut(&batch.input_ids), &cut(&batch.attention_mask), None, &evaluation())
            .unwrap()
            .logits
    };
    let together = student.run(&texts(), &evaluation()).unwrap().logits;
    for (row, tokens) in [(0, 3), (1, 2)] {
        let golden: Vec<f64> = Vec::try_from(alone(row, tokens).to_kind(Kind::Double).reshape([-1])).unwrap();
        assert!(off(&together.get(row), &golden) < 1e-6, "row {row}");
    }
    let mut batch = texts();
    batch.attention_mask = Tensor::from_slice2(&[[1_i64, 1, 1], [0, 1, 1]]);
    let error = student.run(&batch, &evaluation()).unwrap_err().to_string();
    assert!(error.contains("needs padding at the end"), "{error}");
    // A row of padding alone is no reason to stop.
    batch.attention_mask = Tensor::from_slice2(&[[1_i64, 1, 1], [0, 0, 0]]);
    assert!(student.run(&batch, &evaluation()).unwrap().logits.isfinite().all().int64_value(&[]) == 1);
}

#[test]
fn tokens_have_a_score_each_and_wanted_layers_only_are_kept() {
    let config = BiGruConfig { num_labels: 5, ..config() };
    let tagger = BiGruForTokenClassification::new(config, 5, Device::Cpu).unwrap();
    let batch = texts();
    let labels = Tensor::from_slice2(&[[1_i64, -100, 4], [0, 2, -100]]);
    let pass = Pass::evaluation(Wants::nothing().and_layer("hidden", 1).and_role("losses"));
    let output = tagger.forward(&batch.input_ids, &batch.attention_mask, Some(&labels), &pass).unwrap();
    assert_eq!(output.logits.size(), [2, 3, 5]);
    let defined: Vec<bool> = output.hidden_states.iter().map(Tensor::defined).collect();
    assert_eq!(defined, [false, true, false]);
    let golden = output.logits.reshape([-1, 5]).cross_entropy_loss(
        &labels.reshape([-1]),
        None::<Tensor>,
        brew_core::tch::Reduction::Mean,
        -100,
        0.0,
    );
    assert!((output.loss.unwrap() - golden).abs().double_value(&[]) < 1e-6);
}

#[test]
fn embeddings_can_be_a_teachers_and_stay_as_they_are() {
    let given = Tensor::arange(40, (Kind::Float, Device::Cpu)).view([10, 4]) / 40.0;
    let student = student().with_embeddings(&given).unwrap().freeze_embeddings().unwrap();
    let pipeline = Supervised::new(student.seen_by(ClassifierOutputAdaptor)).plan().unwrap();
    let trained = Trainer::new(pipeline).optimizer(AdamW::with_lr(0.1)).epochs(3).run(vec![texts()]).unwrap();
    let parameters = trained.student().parameters();
    let embeddings = parameters.iter().find(|(name, _)| *name == "embeddings.weight").unwrap().1;
    assert_eq!(embeddings, &given);
    let error = self::student().with_embeddings(&Tensor::zeros([10, 5], (Kind::Float, Device::Cpu)));
    assert!(error.unwrap_err().to_string().contains("set vocab_size and embedding_size"));
}
