//! From text to a label, as Python's transformers does it.

use std::path::Path;

use brew_core::tch::Device;
use brew_data::TextClassifier;
use tempfile::{TempDir, tempdir};

/// Words, no special tokens, and a padding to 12 tokens that must be cleared.
const TOKENIZER: &str = r#"{"version": "1.0", "truncation": null, "padding": {"strategy": {"Fixed": 12},
 "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"},
 "added_tokens": [], "normalizer": null, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null,
 "decoder": null, "model": {"type": "WordLevel", "unk_token": "[UNK]",
 "vocab": {"[PAD]": 0, "[UNK]": 1, "a": 17, "gorgeous": 42, "film": 99, "tepid": 118}}}"#;

/// A tiny BERT of three classes and 32 positions, with the tokenizer above.
fn folder() -> TempDir {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/trajectory/student_final");
    let folder = tempdir().unwrap();
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(model.join(file), folder.path().join(file)).unwrap();
    }
    std::fs::write(folder.path().join("tokenizer.json"), TOKENIZER).unwrap();
    folder
}

/// transformers 5.23.0, torch 2.11.0, in the folder above:
///
/// ```python
/// model = AutoModelForSequenceClassification.from_pretrained(".").eval()
/// tokenizer = PreTrainedTokenizerFast(tokenizer_file="tokenizer.json", pad_token="[PAD]", unk_token="[UNK]")
/// for text in ["a gorgeous film", "tepid", "a film " * 40]:
///     inputs = tokenizer(text, truncation=True, max_length=32, padding=False, return_tensors="pt")
///     model(input_ids=inputs.input_ids, attention_mask=inputs.attention_mask).logits.softmax(-1)
/// # [0.32592, 0.30750, 0.36658], [0.33086, 0.42227, 0.24687], [0.32785, 0.31772, 0.35444]
/// ```
#[test]
fn a_folder_predicts_from_text_as_python_does_whatever_else_is_in_the_batch() {
    let folder = folder();
    let classifier = TextClassifier::from_pretrained(folder.path(), Device::Cpu).unwrap();
    let long = "a film ".repeat(40);
    let texts = ["a gorgeous film", "tepid", &long];
    let expected = [(2, "LABEL_2", 0.366_575_6), (1, "LABEL_1", 0.422_269_8), (2, "LABEL_2", 0.354_435_8)];
    let alone = texts.map(|text| classifier.predict(&[text]).unwrap().remove(0));
    let together = classifier.predict(&texts).unwrap();
    for (predictions, expected) in alone.iter().zip(&together).zip(expected) {
        for prediction in [predictions.0, predictions.1] {
            assert_eq!((prediction.class, prediction.label.as_str()), (expected.0, expected.1));
            assert!((prediction.score - expected.2).abs() < 1e-5, "{prediction:?}");
        }
    }
}

#[test]
fn every_text_has_its_prediction_in_order_and_no_text_has_none() {
    let folder = folder();
    let classifier = TextClassifier::from_pretrained(folder.path(), Device::Cpu).unwrap();
    let texts: Vec<&str> =
        (0..70).map(|index| if index % 3 == 0 { "tepid" } else { "a gorgeous film" }).collect();
    let predictions = classifier.predict(&texts).unwrap();
    assert_eq!(predictions.len(), 70);
    for (index, prediction) in predictions.iter().enumerate() {
        assert_eq!(prediction.class, if index % 3 == 0 { 1 } else { 2 });
    }
    assert!(classifier.predict(&[]).unwrap().is_empty());
}

// transformers' `truncation=True` without a length cuts at `model_max_length`. The tokenizer adds no special
// tokens, so that four words are left.
#[test]
fn texts_are_cut_where_the_tokenizer_says_that_the_model_ends() {
    let folder = folder();
    let config = folder.path().join("tokenizer_config.json");
    let score = |text: &str| {
        let classifier = TextClassifier::from_pretrained(folder.path(), Device::Cpu).unwrap();
        classifier.predict(&[text]).unwrap().remove(0).score
    };
    let (long, four) = ("a film a film tepid tepid gorgeous", score("a film a film"));
    assert!((score(long) - four).abs() > 1e-4);
    std::fs::write(&config, r#"{"model_max_length": 4}"#).unwrap();
    assert!((score(long) - four).abs() < 1e-6);
    // What transformers writes where there is no limit.
    std::fs::write(&config, r#"{"model_max_length": 1000000000000000019884624838656}"#).unwrap();
    assert!((score(long) - four).abs() > 1e-4);
}

#[test]
fn a_model_folder_without_a_tokenizer_is_refused_by_name() {
    let folder = folder();
    std::fs::remove_file(folder.path().join("tokenizer.json")).unwrap();
    let message = TextClassifier::from_pretrained(folder.path(), Device::Cpu).unwrap_err().to_string();
    assert_eq!(
        message,
        format!(
            "{}: the folder has no tokenizer: copy `tokenizer.json` of the pretrained model into it",
            folder.path().display()
        )
    );
}

/// A tiny BERT with one logit, of a regression that was saved without saying so, and this problem type.
fn one_logit(problem: &str) -> TempDir {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/one_logit");
    let folder = tempdir().unwrap();
    for file in ["model.safetensors", "tokenizer.json"] {
        std::fs::copy(model.join(file), folder.path().join(file)).unwrap();
    }
    let config = std::fs::read_to_string(model.join("config.json")).unwrap();
    let config = config.replacen('{', &format!("{{\"problem_type\": {problem},"), 1);
    std::fs::write(folder.path().join("config.json"), config).unwrap();
    folder
}

/// transformers 5.24.0, torch 2.11.0, with `problem_type` set in the config of `fixtures/one_logit`:
///
/// ```python
/// print(pipeline("text-classification", folder)(["a good film", "the plot was boring"]))
/// # None, multi_label_classification: LABEL_0 0.556893, LABEL_0 0.536013
/// # regression: LABEL_0 0.228560, LABEL_0 0.144302
/// ```
#[test]
fn one_logit_is_a_yes_or_no_and_a_regressions_number_is_not_a_probability() {
    for (problem, expected) in [
        ("null", [0.556_893, 0.536_013]),
        ("\"multi_label_classification\"", [0.556_893, 0.536_013]),
        ("\"regression\"", [0.228_560, 0.144_302]),
    ] {
        let classifier = TextClassifier::from_pretrained(one_logit(problem).path(), Device::Cpu).unwrap();
        let predictions = classifier.predict(&["a good film", "the plot was boring"]).unwrap();
        for (prediction, expected) in predictions.iter().zip(expected) {
            assert_eq!((prediction.class, prediction.label.as_str()), (0, "LABEL_0"));
            assert!((prediction.score - expected).abs() < 1e-5, "{problem}: {prediction:?}");
            assert_eq!(prediction.scores, [prediction.score]);
        }
    }
}
