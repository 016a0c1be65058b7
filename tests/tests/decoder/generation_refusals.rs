//! What is refused before the first token is written.

use brew_core::generate::{GenerationConfig, Prompts, generate};

use super::support::load;

fn refusal(rows: &[&[i64]], config: &GenerationConfig) -> String {
    let model = load("gpt2");
    let prompts = Prompts::of_ids(rows.iter().map(|row| row.to_vec()));
    generate(&model, &prompts, config).unwrap_err().to_string()
}

fn few() -> GenerationConfig {
    GenerationConfig { max_new_tokens: 2, ..GenerationConfig::default() }
}

#[test]
fn more_tokens_than_positions_are_refused_with_the_room_there_is() {
    let config = GenerationConfig { max_new_tokens: 10, ..few() };
    let message = refusal(&[&[1], &[1, 2, 3]], &config);
    assert!(message.contains("the longest prompt has 3 tokens, and 10 may follow"), "{message}");
    assert!(message.contains("12 positions: lower max_new_tokens to at most 9"), "{message}");
    let model = load("gpt2");
    let fits = GenerationConfig { max_new_tokens: 9, ..few() };
    assert!(generate(&model, &Prompts::of_ids([vec![1, 2, 3]]), &fits).is_ok());
    let message = refusal(&[&[1; 12]], &few());
    assert!(message.ends_with("12 positions: shorten the prompt"), "{message}");
    let message = refusal(&[&[1, 2, 3]], &GenerationConfig { max_new_tokens: i64::MAX, ..few() });
    assert!(message.contains("12 positions: lower max_new_tokens to at most 9"), "{message}");
}

#[test]
fn empty_prompts_and_tokens_that_the_model_does_not_have_are_named() {
    assert!(refusal(&[], &few()).contains("there is no prompt"));
    assert!(refusal(&[&[1], &[]], &few()).contains("prompt 1 is empty"));
    for id in [-1, 20] {
        let message = refusal(&[&[1], &[1, id]], &few());
        assert!(
            message.contains(&format!("token 1 of prompt 1 is {id}; the model's tokens are 0 to 19")),
            "{message}"
        );
    }
}

#[test]
fn all_settings_out_of_range_are_named_together() {
    let config = GenerationConfig {
        max_new_tokens: 0,
        do_sample: true,
        temperature: 0.0,
        top_k: -1,
        top_p: 0.0,
        min_p: 1.5,
        repetition_penalty: f64::NAN,
        num_return_sequences: 0,
        eos_token_id: vec![3, 20],
        pad_token_id: Some(99),
        ..GenerationConfig::default()
    };
    let message = refusal(&[&[1]], &config);
    for said in [
        "9 problems",
        "max_new_tokens is 0",
        "num_return_sequences is 0",
        "top_k is -1",
        "temperature is 0; it must be a number above 0: to take the most likely token, set do_sample to false",
        "repetition_penalty is NaN",
        "top_p is 0;",
        "min_p is 1.5",
        "eos_token_id is 20; the model's tokens are 0 to 19",
        "pad_token_id is 99",
    ] {
        assert!(message.contains(said), "{said}: {message}");
    }
}

#[test]
fn a_temperature_that_is_not_read_is_to_be_left_out() {
    let message = refusal(&[&[1]], &GenerationConfig { temperature: 0.0, ..few() });
    let wanted = "temperature is 0; it must be a number above 0; it has no effect unless do_sample is true: leave it out";
    assert!(message.contains(wanted), "{message}");
}

// Both make some scores larger than float32 can hold.
#[test]
fn settings_that_leave_no_finite_scores_are_refused_at_the_first_token() {
    let prompt: Vec<i64> = (0..10).collect();
    let (do_sample, max_new_tokens) = (true, 1);
    for config in [
        GenerationConfig { do_sample, max_new_tokens, temperature: 1e-40, ..few() },
        GenerationConfig { do_sample, max_new_tokens, repetition_penalty: 1e-40, ..few() },
        GenerationConfig { max_new_tokens, repetition_penalty: 1e-40, ..few() },
    ] {
        let message = refusal(&[&prompt], &config);
        assert!(message.contains("row 0 at token 0 of its answer is not a finite number"), "{message}");
    }
}
