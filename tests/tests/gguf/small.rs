//! Small files of every supported architecture, rule of texts, and most types of blocks, written by Python's gguf.
//!
//! Their logits are those of transformers 5.24.0 with the numbers that gguf 0.19.0 makes of the blocks, and their ids
//! those of transformers' tokenizers (`fixtures/gguf/make.py`).

use brew_core::model::{DecoderForCausalLm, Lora, ModelFiles};
use brew_core::prelude::*;
use brew_core::tch::Kind;
use brew_data::Tokenizer;
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::{python, read_tensors, say};

use super::support::{ask, fixture, logits, open, read_by_transformers};

const ALL: [&str; 3] = ["llama", "qwen2", "qwen3"];

/// How the error of a save begins that wrote the model.
const SAVED: &str = "the model was saved, but not all of its tokenizer: ";

fn ids_of(name: &str) -> Vec<i64> {
    Vec::try_from(read_tensors(&fixture(&format!("{name}.safetensors")))["ids"].view(-1)).unwrap()
}

#[test]
fn a_file_computes_what_transformers_computes_with_its_numbers() {
    for name in ALL {
        let model = open(&fixture(&format!("{name}.gguf")));
        let golden = &read_tensors(&fixture(&format!("{name}.safetensors")))["logits"];
        let off = (logits(&model, &ids_of(name)) - golden).abs().max() / golden.abs().max();
        assert!(off.double_value(&[]) < 1e-5, "{name}: off by {off}");
    }
}

#[test]
fn a_file_and_the_folder_saved_of_it_compute_the_same_to_the_bit() {
    for name in ALL {
        let path = fixture(&format!("{name}.gguf"));
        let folder = TempDir::new().unwrap();
        open(&path).save(folder.path()).unwrap();
        let ids = ids_of(name);
        assert!(logits(&open(&path), &ids).equal(&logits(&open(folder.path()), &ids)), "{name}");
        for kind in [Kind::BFloat16, Kind::Half] {
            let [file, saved] = [path.as_path(), folder.path()]
                .map(|path| DecoderForCausalLm::frozen(path, kind, Device::Cpu).unwrap());
            assert!(logits(&file, &ids).equal(&logits(&saved, &ids)), "{name} {kind:?}");
        }
        // The same config, but for keys that only one of them has.
        let [file, saved] = [path.as_path(), folder.path()].map(|path| open(path).config().clone());
        assert_eq!(format!("{:?}", file.rope), format!("{:?}", saved.rope));
        assert_eq!(file.eos_token_id, saved.eos_token_id);
    }
}

#[test]
fn the_rotation_of_llama_3_is_found_again() {
    let config = open(&fixture("llama.gguf")).config().to_owned();
    let wanted = json!({ "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32 });
    assert_eq!(json!(config.rope.scaling), wanted);
    assert_eq!(config.rope.theta, 500.0);
    let config = open(&fixture("qwen2.gguf")).config().to_owned();
    assert_eq!(json!(config.rope.scaling), json!({ "rope_type": "linear", "factor": 2.0 }));
}

#[derive(Deserialize)]
struct About {
    texts: Vec<Text>,
}

#[derive(Deserialize)]
struct Text {
    text: String,
    ids: Vec<u32>,
}

#[test]
fn texts_become_the_ids_of_the_models_own_tokenizer() {
    for name in ALL {
        let path = fixture(&format!("{name}.gguf"));
        let folder = TempDir::new().unwrap();
        open(&path).save(folder.path()).unwrap();
        let about = std::fs::read(fixture(&format!("{name}.json"))).unwrap();
        let About { texts } = serde_json::from_slice(&about).unwrap();
        let asked: Vec<&str> = texts.iter().map(|text| text.text.as_str()).collect();
        for path in [path.as_path(), folder.path()] {
            let found = Tokenizer::from_folder(path).unwrap().encode(&asked).unwrap();
            for (found, Text { text, ids }) in found.iter().zip(&texts) {
                assert_eq!(&found.input_ids, ids, "{name}: {text:?}");
            }
        }
    }
}

#[test]
fn transformers_reads_the_saved_folder_whole() {
    let test = "transformers_reads_the_saved_folder_whole";
    let Some(python) = python(test, "import torch, transformers, safetensors") else { return };
    let folders = ALL.map(|_| TempDir::new().unwrap());
    let mut wanted = Vec::new();
    for (name, folder) in ALL.into_iter().zip(&folders) {
        let model = open(&fixture(&format!("{name}.gguf")));
        model.save(folder.path()).unwrap();
        let about = std::fs::read(fixture(&format!("{name}.json"))).unwrap();
        let About { texts } = serde_json::from_slice(&about).unwrap();
        let asked: Vec<&str> = texts.iter().map(|text| text.text.as_str()).collect();
        ask((folder.path(), &model), &ids_of(name), &asked);
        wanted.push(texts.into_iter().map(|text| text.ids).collect::<Vec<_>>());
    }
    let all = read_by_transformers(&python, &folders.each_ref().map(|folder| folder.path()));
    assert_eq!(all.len(), ALL.len());
    for ((name, read), wanted) in ALL.into_iter().zip(all).zip(wanted) {
        assert_eq!(read.problems, Vec::<String>::new(), "{name}");
        assert!(read.off < 1e-5, "{name}: off by {}", read.off);
        assert_eq!(read.ids, wanted, "{name}");
        assert_eq!(read.chat, "<|user|>What is the capital of France?<|end|>", "{name}");
        assert_eq!(read.eos, json!(284), "{name}");
    }
    say(test, &format!("compared {} models", ALL.len()));
}

#[test]
fn a_file_has_the_files_of_a_folder() {
    let files = ModelFiles::open(fixture("qwen3.gguf")).unwrap();
    let read = |name: &str| -> Value { serde_json::from_slice(&files.read(name).unwrap().unwrap()).unwrap() };
    assert_eq!(
        read("generation_config.json"),
        json!({ "bos_token_id": 283, "eos_token_id": 284, "pad_token_id": 284 })
    );
    let settings = read("tokenizer_config.json");
    assert_eq!((&settings["eos_token"], &settings["model_max_length"]), (&json!("<|end|>"), &json!(128)));
    assert_eq!(read("config.json")["head_dim"], 32);
    assert_eq!(files.read("chat_template.jinja").unwrap(), None);
    // What fills the vocabulary up is no token.
    let vocabulary = open(&fixture("qwen3.gguf")).vocabulary().unwrap().unwrap();
    assert_eq!((vocabulary.len(), vocabulary.token(285)), (286, Some("<|tool|>")));
}

#[test]
fn a_tokenizer_that_is_not_supported_is_refused_by_name_and_the_model_opens() {
    let bytes = std::fs::read(fixture("llama.gguf")).unwrap();
    let place = bytes.windows(9).position(|part| part == b"llama-bpe").unwrap();
    let mut other = bytes;
    other[place..place + 9].copy_from_slice(b"deepseek3");
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("other.gguf");
    std::fs::write(&path, other).unwrap();
    let model = open(&path);
    let wanted = "key `tokenizer.ggml.pre` is `deepseek3`, which is not supported yet; `gpt-2`, `smollm`, `llama-bpe`, `qwen2` are";
    let message = Tokenizer::from_folder(&path).unwrap_err().to_string();
    assert!(message.contains("other.gguf: ") && message.contains(wanted), "{message}");
    // Everything else is saved, and the advice works.
    let saved = folder.path().join("saved");
    let message = model.save(&saved).unwrap_err().to_string();
    assert!(message.starts_with(SAVED) && message.contains(wanted), "{message}");
    assert!(logits(&open(&saved), &[1, 2, 3]).equal(&logits(&model, &[1, 2, 3])));
    std::fs::remove_file(&path).unwrap();
    let message = model.save(&saved).unwrap_err().to_string();
    assert!(message.starts_with(SAVED) && message.contains("other.gguf: "), "{message}");
    model.with_tokenizer_of(fixture("llama.gguf")).save(&saved).unwrap();
    assert!(Tokenizer::from_folder(&saved).is_ok());
}

#[test]
fn an_adapter_names_the_file_of_its_base() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path().join("adapter");
    open(&fixture("qwen3.gguf")).with_lora(Lora::rank(2), 1).unwrap().save(&folder).unwrap();
    let config = std::fs::read(folder.join("adapter_config.json")).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    let base = &config["base_model_name_or_path"];
    assert!(base.as_str().is_some_and(|base| base.ends_with("qwen3.gguf")), "{base}");
}
