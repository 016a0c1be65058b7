//! `lm generate` on a small model.

#![expect(clippy::unwrap_used, reason = "a failure is a panic")]

use std::process::{Command, Output};

use serde_json::Value;

fn generate(arguments: &[&str]) -> Output {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/decoders/llama");
    let program = env!("CARGO_BIN_EXE_lm");
    Command::new(program).args(["generate", "--model", model]).args(arguments).output().unwrap()
}

fn answer(arguments: &[&str]) -> Value {
    let output = generate(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn prints_tokens_and_settings_and_draws_by_seed() {
    let ids = ["--ids", "3,1,4", "--max-new-tokens", "6"];
    let output = generate(&ids);
    let settings = String::from_utf8(output.stderr).unwrap();
    assert!(settings.contains("max_new_tokens 6, do_sample false, repetition_penalty 1"), "{settings}");
    let greedy = answer(&ids);
    // The small model has no tokenizer.
    assert_eq!((&greedy["prompt"], &greedy["text"]), (&serde_json::json!([3, 1, 4]), &Value::Null));
    assert!((1..=6).contains(&greedy["ids"].as_array().unwrap().len()));
    let drawn =
        |seed: &str| answer(&[&ids[..], &["--temperature", "2", "--top-k", "15", "--seed", seed]].concat());
    assert_eq!(drawn("1"), drawn("1"));
    assert_ne!(drawn("1"), drawn("2"));
    assert_eq!(answer(&[&ids[..], &["--temperature", "0"]].concat()), greedy);
}

#[test]
fn bad_input_is_one_line() {
    for (arguments, said) in [
        (&["--ids", "3,99"][..], "token 1 of prompt 0 is 99; the model's tokens are 0 to 19"),
        (&["--ids", "3", "--max-new-tokens", "64"], "lower max_new_tokens to at most 63"),
        (&["--ids", "3", "--top-p", "0"], "top_p is 0; it must be above 0 and at most 1"),
        (&["--prompt", "a"], "the folder has no tokenizer"),
        (&[], "required"),
    ] {
        let output = generate(arguments);
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && message.contains(said), "{message}");
        assert!(output.stdout.is_empty());
    }
}
