//! SmolLM2-135M-Instruct, as `cargo xtask setup` lays it out: greedy answers token for token.
//!
//! `BREW_SWEEP=8 cargo test -p tests --test decoder smollm2` compares 128 tokens after each of 8 prompts; by default it is
//! 24 tokens after two of them. `fixtures/generation/smollm2.py` recorded what transformers answers.

use std::path::Path;

use brew_core::generate::{GenerationConfig, Prompts, generate};
use brew_core::prelude::*;
use brew_data::prelude::*;
use serde::Deserialize;
use tests::smollm2;

/// A prompt and transformers' answer.
#[derive(Debug, Deserialize)]
struct Case {
    prompt: String,
    ids: Vec<i64>,
    answer: Vec<i64>,
    text: String,
    /// The smallest difference between the two highest scores on the way.
    margin: f64,
}

#[test]
fn greedy_answers_are_those_of_transformers_alone_and_in_a_padded_batch() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let cases = std::fs::read(root.join("fixtures/generation/smollm2.json")).unwrap();
    let mut cases: Vec<Case> = serde_json::from_slice(&cases).unwrap();
    let told = std::env::var("BREW_SWEEP").ok().map(|count| count.parse().expect("BREW_SWEEP is a number"));
    let (count, tokens) = told.map_or((2, 24), |count: usize| (count, 128));
    cases.truncate(count);
    // Rounding moves scores by about 1e-4.
    assert!(cases.iter().all(|case| case.margin > 1e-3));

    let generator = TextGenerator::from_pretrained(smollm2(), Device::Cpu).unwrap();
    assert_eq!(generator.config().eos_token_id, [2]);
    let config = GenerationConfig { max_new_tokens: tokens as i64, ..generator.config().clone() };
    let generator = generator.with_config(config);
    let prompts: Vec<&str> = cases.iter().map(|case| case.prompt.as_str()).collect();
    let batch = generator.generate(&prompts).unwrap();
    for (case, written) in cases.iter().zip(&batch) {
        let answer = &case.answer[..tokens.min(case.answer.len())];
        let (prompt, ids) = (&case.prompt, &case.ids);
        assert_eq!(&written.prompt, ids, "{prompt}");
        assert_eq!(written.ids, answer, "{prompt}, in a padded batch");
        let text = written.text.trim_end_matches('\u{fffd}');
        // One answer is the end alone.
        let is_start = case.text.starts_with(text) && text.is_empty() == case.text.is_empty();
        assert!(is_start, "{prompt}: {text}");
        let alone = generate(generator.model(), &Prompts::of_ids([ids.clone()]), generator.config()).unwrap();
        assert_eq!(alone.answers, [answer], "{prompt}, alone");
    }
}
