//! SmolLM2-135M-Instruct as `cargo xtask setup` lays it out: 4-bit weights, against transformers 5.24.0 (float32, one
//! thread) with the same numbers.

use brew_core::model::DecoderForCausalLm;
use brew_core::prelude::*;
use brew_core::tch::Kind;
use brew_data::{Chat, ChatTemplate, Message, Tokenizer};
use serde_json::json;
use tempfile::TempDir;
use tests::{python, say, smollm2};

use super::support::{QUESTION, ask, logits, open, read_by_transformers};

const SENTENCE: &str = "The capital of France is Paris, and the capital of Italy is Rome. Water boils at one hundred degrees Celsius.";
const SENTENCE_IDS: [i64; 23] = [
    504, 3575, 282, 4649, 314, 7042, 28, 284, 260, 3575, 282, 7158, 314, 7268, 30, 4643, 36411, 418, 582,
    3822, 5027, 20590, 30,
];
/// The chat template's render of [`QUESTION`], with the beginning of an answer.
const CHAT_IDS: [i64; 37] = [
    1, 9690, 198, 2683, 359, 253, 5356, 5646, 11173, 3365, 3511, 308, 34519, 28, 7018, 411, 407, 19712, 8182,
    2, 198, 1, 4093, 198, 1780, 314, 260, 3575, 282, 4649, 47, 2, 198, 1, 520, 9531, 198,
];

fn nll(model: &DecoderForCausalLm, ids: &[i64]) -> f64 {
    let logits = logits(model, ids).select(0, 0).narrow(0, 0, ids.len() as i64 - 1);
    let next = Tensor::from_slice(&ids[1..]);
    logits.to_kind(Kind::Double).cross_entropy_for_logits(&next).double_value(&[])
}

#[test]
fn smollm2_computes_what_transformers_computes() {
    let model = open(&smollm2());
    assert_eq!(model.parameters().scalars(), 134_515_008);
    // With the rows of queries and keys as they are stored it would be 3.4595.
    let found = nll(&model, &SENTENCE_IDS);
    assert!((found - 2.578_036).abs() < 2e-6, "{found}");
    let last = logits(&model, &CHAT_IDS).select(0, 0).select(0, -1);
    let (values, ids) = last.topk(5, -1, true, true);
    assert_eq!(Vec::<i64>::try_from(ids).unwrap(), [504, 60, 15_319, 2219, 7026]);
    for (place, wanted) in [25.3254, 25.2433, 24.9424, 24.4017, 24.3146].into_iter().enumerate() {
        let value = values.double_value(&[place as i64]);
        assert!((value - wanted).abs() < 1e-4, "{place}: {value}");
    }
    let probability = last.log_softmax(-1, Kind::Double).double_value(&[504]);
    assert!((probability + 1.882_703).abs() < 1e-5, "{probability}");
    let mut ids = CHAT_IDS.to_vec();
    while ids.last() != Some(&2) && ids.len() < 50 {
        ids.push(logits(&model, &ids).select(1, -1).argmax(-1, false).int64_value(&[0]));
    }
    assert_eq!(ids[37..], [504, 3575, 282, 4649, 314, 7042, 30, 2]);
}

#[test]
fn smollm2_reads_texts_and_chats_as_it_was_trained_to() {
    let tokenizer = Tokenizer::from_folder(smollm2()).unwrap();
    let chat = Chat::new([Message::user(QUESTION)]).answered();
    let render = ChatTemplate::from_folder(smollm2()).unwrap().render(&chat).unwrap();
    let found = tokenizer.encode(&[SENTENCE, &render]).unwrap();
    let ids = |place: usize| found[place].input_ids.iter().map(|id| i64::from(*id)).collect::<Vec<_>>();
    assert_eq!(ids(0), SENTENCE_IDS);
    assert_eq!(ids(1), CHAT_IDS);
}

#[test]
fn smollm2_saved_as_a_folder_is_the_same_model_and_transformers_reads_it_whole() {
    let test = "smollm2_saved_as_a_folder_is_the_same_model_and_transformers_reads_it_whole";
    let model = open(&smollm2());
    let folder = TempDir::new().unwrap();
    model.save(folder.path()).unwrap();
    assert!(logits(&model, &CHAT_IDS).equal(&logits(&open(folder.path()), &CHAT_IDS)));
    let Some(python) = python(test, "import torch, transformers, safetensors") else { return };
    let texts = [
        SENTENCE,
        "",
        "In 2024, 1234567 of 3.14 and 007 ...",
        "I'LL say we've don't 'S 'tis",
        "a\n\n b\r\n\tc   d  ",
        "  leading, trailing  ",
        "Café naïve é 中文 ٣٤ 🦀❤️",
        "<|im_start|>user\nHi<|im_end|> <|endoftext|><repo_name>x",
        "x=1;y[0]+=f(z)/*!*/\nif(a!=b){return;}",
    ];
    ask((folder.path(), &model), &CHAT_IDS, &texts);
    let read = read_by_transformers(&python, &[folder.path()]).remove(0);
    assert_eq!(read.problems, Vec::<String>::new());
    assert!(read.off < 1e-5, "off by {}", read.off);
    for path in [smollm2().as_path(), folder.path()] {
        let found = Tokenizer::from_folder(path).unwrap().encode(&texts).unwrap();
        assert_eq!(found.into_iter().map(|found| found.input_ids).collect::<Vec<_>>(), read.ids);
    }
    let chat = Chat::new([Message::user(QUESTION)]).answered();
    assert_eq!(ChatTemplate::from_folder(smollm2()).unwrap().render(&chat).unwrap(), read.chat);
    assert_eq!(read.eos, json!(2));
    say(test, "compared SmolLM2-135M-Instruct");
}
