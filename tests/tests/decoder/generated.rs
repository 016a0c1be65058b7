//! Answers: those of transformers where nothing is drawn, and the same in any batch.

use brew_core::generate::{Generation, GenerationConfig, Prompts, generate, generate_streaming};
use brew_core::model::{CausalLm, Continuation, DecoderForCausalLm, Prefill};
use brew_core::prelude::*;
use tests::wants;

use super::by_formula::{all, by_formula};
use super::support::{difference, load};

/// Greedy, without an end.
fn endless(tokens: i64) -> GenerationConfig {
    GenerationConfig { max_new_tokens: tokens, ..GenerationConfig::default() }
}

/// Drawn, without an end.
fn drawn(tokens: i64) -> GenerationConfig {
    GenerationConfig { do_sample: true, seed: 5, ..endless(tokens) }
}

fn rows() -> Vec<Vec<i64>> {
    vec![vec![3, 1, 4], vec![9], vec![2, 6, 5, 3, 5, 8, 9, 7], vec![3, 1, 4]]
}

fn written(model: &DecoderForCausalLm, rows: Vec<Vec<i64>>, config: &GenerationConfig) -> Generation {
    generate(model, &Prompts::of_ids(rows), config).unwrap()
}

// Golden answers of transformers 5.24.0, as in by_formula.rs.
#[test]
fn greedy_answers_are_those_of_transformers_alone_and_in_a_padded_batch() {
    for golden in all() {
        let name = format!("{:?}", golden.config.model_type);
        let model = by_formula(golden.config);
        let alone = written(&model, vec![vec![3, 1, 4]], &endless(8));
        assert_eq!(alone.answers, [golden.greedy], "{name}");
        let batch = written(&model, rows(), &endless(8));
        assert_eq!(batch.answers[0], golden.greedy, "{name}");
        assert_eq!(batch.answers[3], golden.greedy, "{name}");
        for (row, answer) in rows().into_iter().zip(&batch.answers) {
            assert_eq!(written(&model, vec![row], &endless(8)).answers[0], *answer, "{name}");
        }
    }
}

// Defect: left-padded rows with positions by the column change GPT-2's logits.
#[test]
fn left_padded_logits_of_gpt2_are_the_unpadded_ones() {
    let model = load("gpt2");
    let ids = Tensor::from_slice(&[0_i64, 0, 0, 3, 1, 4]).unsqueeze(0);
    let mask = Tensor::from_slice(&[0_i64, 0, 0, 1, 1, 1]).unsqueeze(0);
    let of = |ids: &Tensor, mask: &Tensor| {
        let prefill = Prefill { input_ids: ids, attention_mask: mask, answers: 1, steps: 1 };
        let (first, mut texts) = model.prefill(&prefill).unwrap();
        [first, texts.step(&Tensor::from_slice(&[1_i64])).unwrap()]
    };
    let padded = of(&ids, &mask);
    let unpadded = of(&ids.narrow(1, 3, 3), &mask.narrow(1, 3, 3));
    for (padded, unpadded) in padded.iter().zip(&unpadded) {
        let off = difference(padded, unpadded);
        assert!(off < 1e-5, "off by {off:e}");
    }
}

#[test]
fn draws_depend_on_seed_row_answer_and_position_and_not_on_the_batch() {
    for case in ["llama", "gpt2"] {
        let model = load(case);
        let config = GenerationConfig { num_return_sequences: 3, repetition_penalty: 1.2, ..drawn(4) };
        let batch = written(&model, rows(), &config);
        assert_eq!(batch.answers.len(), 12);
        for (number, row) in rows().into_iter().enumerate() {
            let alone = Prompts::of_ids([row]).numbered([number as u64]).unwrap();
            let several = generate(&model, &alone, &config).unwrap().answers;
            assert_eq!(several, batch.answers[3 * number..3 * number + 3], "{case}");
            // More answers change none of those before.
            let one = GenerationConfig { num_return_sequences: 1, ..config.clone() };
            assert_eq!(generate(&model, &alone, &one).unwrap().answers, several[..1], "{case}");
        }
        // Equal prompts of other numbers, other answers, other seeds.
        assert_ne!(batch.answers[..3], batch.answers[9..]);
        assert_ne!(batch.answers[0], batch.answers[1]);
        let other = GenerationConfig { seed: 6, ..config.clone() };
        assert_ne!(written(&model, rows(), &other).answers, batch.answers);
        // The start of a longer answer is the shorter one.
        let shorter = GenerationConfig { max_new_tokens: 2, ..config };
        let shorter = written(&model, rows(), &shorter).answers;
        assert!(shorter.iter().zip(&batch.answers).all(|(short, long)| long.starts_with(short)));
    }
}

/// The greedy answers of `rows` to their limit.
fn free(model: &DecoderForCausalLm) -> Vec<Vec<i64>> {
    written(model, rows(), &endless(8)).answers
}

// Defect: only the first id of a list ended an answer.
#[test]
fn any_of_several_stop_ids_ends_its_row_and_no_other() {
    let model = by_formula(all().into_iter().nth(1).unwrap().config);
    let free = free(&model);
    // The fourth token of one row and the second of another, unless they come before.
    let stops = [free[0][3], free[1][1]];
    let config = GenerationConfig { eos_token_id: stops.to_vec(), pad_token_id: Some(0), ..endless(8) };
    let generation = written(&model, rows(), &config);
    let mut ended_by = Vec::new();
    for (row, (answer, free)) in generation.answers.iter().zip(&free).enumerate() {
        let end = free.iter().position(|id| stops.contains(id));
        let length = end.map_or(8, |end| end + 1);
        assert_eq!(answer, &free[..length], "row {row}");
        assert_eq!(generation.ended[row], end.is_some(), "row {row}");
        ended_by.extend(end.map(|end| free[end]));
        // Padding after the end, under a mask of 0.
        let columns = generation.input_ids.size()[1];
        for column in 8..columns {
            let inside = column - 8 < length as i64;
            assert_eq!(generation.attention_mask.int64_value(&[row as i64, column]), i64::from(inside));
            let id = generation.input_ids.int64_value(&[row as i64, column]);
            assert_eq!(id, if inside { answer[(column - 8) as usize] } else { 0 });
        }
    }
    assert!(stops.iter().all(|stop| ended_by.contains(stop)), "{ended_by:?} by {stops:?}: both must end one");
}

#[test]
fn a_batch_ends_with_its_last_answer() {
    let model = by_formula(all().into_iter().nth(1).unwrap().config);
    let free = free(&model);
    let config = GenerationConfig { eos_token_id: vec![free[0][1]], ..endless(8) };
    let mut steps = 0;
    let prompts = Prompts::of_ids([rows()[0].clone()]);
    let generation = generate_streaming(&model, &prompts, &config, |chosen| {
        assert_eq!((chosen.position, chosen.rows), (steps, &[0_usize][..]));
        assert_eq!(chosen.ids, [free[0][steps]]);
        steps += 1;
        Ok(())
    });
    assert_eq!((steps, generation.unwrap().input_ids.size()), (2, vec![1, 5]));
}

// Defect: a model without a token for the end crashed.
#[test]
fn a_model_without_a_stop_id_writes_to_the_limit() {
    let mut config = all().into_iter().nth(1).unwrap().config;
    (config.eos_token_id, config.pad_token_id) = (None, None);
    let model = by_formula(config);
    let config = GenerationConfig { max_new_tokens: 20, ..GenerationConfig::of(&model) };
    assert!(config.eos_token_id.is_empty());
    let generation = written(&model, rows(), &config);
    assert!(generation.answers.iter().all(|answer| answer.len() == 20));
    assert!(generation.ended.iter().all(|ended| !ended));
}

// Defect: an answer that contains the padding token, or ends with it, was cut or never seen to end.
#[test]
fn padding_may_be_the_stop_id_or_any_token_of_an_answer() {
    let model = by_formula(all().into_iter().nth(1).unwrap().config);
    let free = free(&model);
    let pad_inside = GenerationConfig { pad_token_id: Some(free[0][2]), ..endless(8) };
    assert_eq!(written(&model, rows(), &pad_inside).answers, free);
    let stop = free[0][2];
    let same = GenerationConfig { eos_token_id: vec![stop], pad_token_id: Some(stop), ..endless(8) };
    let generation = written(&model, rows(), &same);
    assert_eq!(generation.answers[0], free[0][..3]);
    let counted: Vec<f64> =
        generation.attention_mask.sum_dim_intlist([1_i64].as_slice(), false, Kind::Int64).try_into().unwrap();
    let lengths = rows()
        .iter()
        .zip(&generation.answers)
        .map(|(row, answer)| (row.len() + answer.len()) as f64)
        .collect::<Vec<_>>();
    assert_eq!(counted, lengths);
}

// Defect: the ratio of a truncated draw was taken for the model's. By hand, from the whole text's logits.
#[test]
fn log_probabilities_of_the_model_and_of_the_sampler_are_told_apart() {
    let model = load("qwen3");
    let config = GenerationConfig {
        temperature: 0.7,
        top_k: 3,
        output_log_probs: true,
        eos_token_id: vec![free(&model)[0][1]],
        ..drawn(5)
    };
    let generation = written(&model, rows(), &config);
    let logits = model.logits(&generation.input_ids, &generation.attention_mask).unwrap();
    let log_probs = generation.log_probs.unwrap();
    let start = generation.prompt_length;
    for (row, answer) in generation.answers.iter().enumerate() {
        for column in 0..log_probs.of_model.size()[1] {
            let [model, sampler] = [&log_probs.of_model, &log_probs.of_sampler]
                .map(|tensor| tensor.double_value(&[row as i64, column]));
            let Some(id) = answer.get(column as usize) else {
                assert_eq!((model, sampler), (0.0, 0.0));
                continue;
            };
            let scores = logits.get(row as i64).get(start + column - 1);
            let whole = scores.log_softmax(-1, Kind::Double).double_value(&[*id]);
            assert!((model - whole).abs() < 1e-5, "{model} of {whole}");
            let largest = scores.topk(3, -1, true, true).0 / 0.7;
            let kept = largest.logsumexp([0_i64].as_slice(), false).double_value(&[]);
            let truncated = scores.double_value(&[*id]) / 0.7 - kept;
            assert!((sampler - truncated).abs() < 1e-5, "{sampler} of {truncated}");
            assert!((sampler - model).abs() > 1e-3);
        }
    }
    // What is not drawn has no choice.
    let greedy = GenerationConfig { do_sample: false, ..config };
    let greedy = written(&model, rows(), &greedy).log_probs.unwrap();
    assert_eq!(greedy.of_sampler.abs().max().double_value(&[]), 0.0);
    assert!(greedy.of_model.max().double_value(&[]) <= 0.0 && greedy.of_model.min().double_value(&[]) < 0.0);
}

// transformers 5.24.0: the penalty is for tokens from a prompt's first one on, so padding penalizes nothing.
#[test]
fn padding_is_not_penalized() {
    let model = by_formula(all().into_iter().next().unwrap().config);
    let config = GenerationConfig { repetition_penalty: 1.8, ..endless(8) };
    for pad in 0..11 {
        let config = GenerationConfig { pad_token_id: Some(pad), ..config.clone() };
        let batch = written(&model, rows(), &config);
        for (row, answer) in rows().into_iter().zip(&batch.answers) {
            assert_eq!(written(&model, vec![row], &config).answers[0], *answer, "padded with {pad}");
        }
    }
    assert_ne!(written(&model, rows(), &config).answers, free(&model));
}

// Defect: with checkpointing, texts were written without a cache, or degenerated.
#[test]
fn answers_are_the_same_between_training_steps_with_checkpointing() {
    // Recomputation sets libtorch's generator.
    let _alone = tests::alone();
    let answers = [false, true].map(|recompute| {
        let model = load("smollm3");
        let ids = Tensor::from_slice(&[3_i64, 1, 4, 1, 5]).unsqueeze(0);
        let pass = Pass::training(0, wants(&["losses"])).recomputing(recompute);
        model.forward(&ids, &ids.ones_like(), Some(&ids), &pass).unwrap().loss.unwrap().backward();
        written(&model, rows(), &drawn(4)).answers
    });
    assert_eq!(answers[0], answers[1]);
}

/// A model that wraps another and counts what it is asked for.
struct Wrapped<'m>(&'m DecoderForCausalLm);

impl CausalLm for Wrapped<'_> {
    fn vocab_size(&self) -> i64 {
        self.0.vocab_size()
    }
    fn max_positions(&self) -> Option<i64> {
        None
    }
    fn eos_token_ids(&self) -> Vec<i64> {
        self.0.eos_token_ids()
    }
    fn pad_token_id(&self) -> Option<i64> {
        self.0.pad_token_id()
    }
    fn device(&self) -> Device {
        CausalLm::device(self.0)
    }
    fn prefill(&self, prompts: &Prefill<'_>) -> Result<(Tensor, Box<dyn Continuation + '_>)> {
        let (scores, texts) = self.0.prefill(prompts)?;
        Ok((scores * f64::NAN, texts))
    }
}

#[test]
fn scores_that_are_not_numbers_are_named_by_row_and_token() {
    let model = load("llama");
    let broken = generate(&Wrapped(&model), &Prompts::of_ids(rows()), &endless(2));
    let message = broken.unwrap_err().to_string();
    assert!(message.contains("row 0 at token 0 of its answer"), "{message}");
}
