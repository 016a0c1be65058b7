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
            assert!((prediction.probability - expected.2).abs() < 1e-5, "{prediction:?}");
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
