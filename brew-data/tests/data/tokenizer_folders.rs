//! Folders of tokenizers, read as Python's transformers reads them.
//!
//! `fixtures/tokenizer_folders.json` was made by the script beside it with transformers 5.24.0.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use arrow::array::StringArray;
use brew_data::{Tokenize, Tokenizer};
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use crate::aligned::column;
use crate::batches::{array, table};
use crate::python;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn recorded() -> Value {
    serde_json::from_slice(&fs::read(fixture("tokenizer_folders.json")).unwrap()).unwrap()
}

/// Writes the files of a case; `=name` stands for one that several have.
fn folder_of(recorded: &Value, files: &Value) -> TempDir {
    let folder = tempdir().unwrap();
    for (name, content) in files.as_object().unwrap() {
        let shared = content.as_str().and_then(|text| text.strip_prefix('='));
        let content = shared.map_or(content, |shared| &recorded["files"][shared]);
        let text = content.as_str().map_or_else(|| content.to_string(), str::to_owned);
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// The tokens and their types of each text and pair, as the script writes them.
fn tokens(tokenizer: &Tokenizer, recorded: &Value, length: usize) -> Vec<Value> {
    let texts = strings(&recorded["texts"]);
    let single = tokenizer.truncated_to(length).unwrap().encode(&texts).unwrap();
    let mut found: Vec<Value> =
        single.iter().map(|tokens| json!([tokens.input_ids, tokens.token_type_ids])).collect();
    let pairs: Vec<Vec<&str>> = recorded["pairs"].as_array().unwrap().iter().map(strings).collect();
    let side =
        |side: usize| array(StringArray::from(pairs.iter().map(|pair| pair[side]).collect::<Vec<_>>()));
    let dataset = table(&[("first", side(0)), ("second", side(1))]);
    let cache = tempdir().unwrap();
    let tokens =
        dataset.tokenize(tokenizer, &Tokenize::pair("first", "second", length), cache.path()).unwrap();
    let [ids, types] = ["input_ids", "token_type_ids"].map(|name| column(&tokens, name));
    found.extend(ids.iter().zip(&types).map(|(ids, types)| json!([ids, types])));
    found
}

#[test]
fn tokens_are_those_that_transformers_gives_whatever_the_folder_has() {
    let recorded = recorded();
    let length = recorded["length"].as_u64().unwrap() as usize;
    let mut wrong = Vec::new();
    let cases = recorded["cases"].as_object().unwrap();
    assert_eq!(cases.len(), 46);
    for (name, case) in cases {
        let folder = folder_of(&recorded, &case["files"]);
        let tokenizer = match Tokenizer::from_folder(folder.path()) {
            Ok(tokenizer) => tokenizer,
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        for (what, length) in [("whole", 1000), ("cut", length)] {
            let found = tokens(&tokenizer, &recorded, length);
            let expected = case[what].as_array().unwrap();
            assert_eq!(found.len(), expected.len());
            for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
                if found != expected {
                    wrong.push(format!("{name}, {what}, {place}:\n  {found}\n  {expected}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_recorded_tokens_are_still_those_of_transformers() {
    let Some(python) = python("import transformers, tokenizers") else { return };
    let output = Command::new(&python)
        .args([fixture("tokenizer_folders.py"), fixture("tokenizer_folders.json")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let now: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(now["cases"], recorded()["cases"]);
}

fn refusal(files: &[(&str, &str)]) -> String {
    let folder = tempdir().unwrap();
    files.iter().for_each(|(name, content)| fs::write(folder.path().join(name), content).unwrap());
    Tokenizer::from_folder(folder.path()).unwrap_err().to_string()
}

#[test]
fn a_folder_whose_tokenizer_is_not_read_says_what_to_do() {
    let advice = "AutoTokenizer as A";
    let message =
        refusal(&[("config.json", r#"{"model_type": "xlm-roberta"}"#), ("sentencepiece.bpe.model", "")]);
    assert!(
        message.contains("`sentencepiece.bpe.model` is not supported") && message.contains(advice),
        "{message}"
    );
    // The words of a PhoBERT are no BERT's, though its file has the same name.
    let config = r#"{"tokenizer_class": "PhobertTokenizer"}"#;
    let message = refusal(&[("tokenizer_config.json", config), ("vocab.txt", "a 1"), ("bpe.codes", "")]);
    assert!(
        message.contains("`bpe.codes` with `vocab.txt` of a PhobertTokenizer is not supported"),
        "{message}"
    );
    let message = refusal(&[("vocab.txt", "a 1"), ("bpe.codes", "")]);
    assert!(message.contains("`bpe.codes`"), "{message}");
    let config = r#"{"tokenizer_class": "BertJapaneseTokenizer"}"#;
    let message = refusal(&[("tokenizer_config.json", config), ("vocab.txt", "[UNK]")]);
    assert!(message.contains("`vocab.txt` of a BertJapaneseTokenizer is not supported"), "{message}");
    assert!(refusal(&[]).contains("the folder has no tokenizer"));
    let message = refusal(&[("vocab.txt", "[UNK]"), ("tokenizer_config.json", "{")]);
    assert!(message.contains("tokenizer_config.json") && message.contains("not a JSON object"), "{message}");
    let message = refusal(&[("vocab.json", "{}"), ("merges.txt", "a b c")]);
    assert!(message.contains("vocab.json") && message.contains("merges.txt beside it"), "{message}");
}

const SENTENCE_PIECE: &str = r#"
import pathlib, sys, sentencepiece
folder = pathlib.Path(sys.argv[1])
(folder / "corpus.txt").write_text("\n".join(f"a film of the year {n}, fine and gorgeous" for n in range(200)))
sentencepiece.SentencePieceTrainer.train(
    input=str(folder / "corpus.txt"), model_prefix=str(folder / "sentencepiece.bpe"), vocab_size=40, minloglevel=2)
"#;

/// What transformers makes of a text with the folder that the line of Python wrote.
const ENCODE: &str = r#"
import json, sys
from transformers import AutoTokenizer
print(json.dumps(AutoTokenizer.from_pretrained(sys.argv[1])("a gorgeous film")["input_ids"]))
"#;

#[test]
fn the_conversion_of_a_sentence_piece_model_works_as_it_is_printed() {
    let Some(python) = python("import transformers, sentencepiece, google.protobuf") else { return };
    let folder = tempdir().unwrap();
    let run = |script: &str| {
        let output = Command::new(&python).args(["-c", script]).arg(folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    run(SENTENCE_PIECE);
    fs::write(folder.path().join("config.json"), r#"{"model_type": "xlm-roberta"}"#).unwrap();
    let message = Tokenizer::from_folder(folder.path()).unwrap_err().to_string();
    let advised = message.lines().last().unwrap().trim().strip_prefix("python ").unwrap();
    let output = Command::new("sh").args(["-c", &format!("'{python}' {advised}")]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let expected: Vec<u32> = serde_json::from_slice(&run(ENCODE)).unwrap();
    let found = Tokenizer::from_folder(folder.path()).unwrap().encode(&["a gorgeous film"]).unwrap();
    assert_eq!(found[0].input_ids, expected);
}

#[test]
fn the_cache_of_tokens_knows_the_settings_beside_the_tokenizer() {
    let recorded = recorded();
    let texts = table(&[("text", array(StringArray::from(vec!["A gorgeous Film"])))]);
    let cache = tempdir().unwrap();
    let mut found = Vec::new();
    for case in ["cased by its config", "lower by its config", "cut from the left"] {
        let folder = folder_of(&recorded, &recorded["cases"][case]["files"]);
        let tokenizer = Tokenizer::from_folder(folder.path()).unwrap();
        let tokens = texts.tokenize(&tokenizer, &Tokenize::text("text", 4), cache.path()).unwrap();
        found.push(column(&tokens, "input_ids"));
    }
    // Ids by the vocabulary in the fixture, counted from 0: A 17, a 8, gorgeous 13, film 10.
    assert_eq!(found, [[[2, 17, 13, 3]], [[2, 8, 13, 3]], [[2, 13, 10, 3]]]);
}
