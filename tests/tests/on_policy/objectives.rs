//! Losses at the positions that a student visits: their values and gradients by other formulas, and what they divide by.

use brew_core::distill::Objective;
use brew_core::execute::Executor;
use brew_core::model::{CausalLmBatch, DecoderArchitecture, DecoderForCausalLm};
use brew_core::prelude::*;
use brew_core::rollout::{Rollout, TextRow};
use tests::{in_batches, off, prompts_and_completions, small_lm, wants};

use super::support::{OBJECTIVES, Pipe, over, pipeline, rollout, student, teacher, written};

/// The batches of a step as the student wrote them.
fn rolled(pipeline: &Pipe, batches: &[CausalLmBatch]) -> Vec<CausalLmBatch> {
    Executor::new(pipeline, 0).unwrap().roll_out(batches, 7, 0).unwrap()
}

fn assert_same(one: &(f64, Vec<Tensor>), other: &(f64, Vec<Tensor>), what: &str) {
    assert!((one.0 - other.0).abs() < 1e-6 * other.0.max(1.0), "{what}: {} of {}", one.0, other.0);
    assert!(!other.1.is_empty() && one.1.len() == other.1.len(), "{what}");
    for (one, other) in one.1.iter().zip(&other.1) {
        let off = off(one, other);
        assert!(off < 1e-6, "{what}: off by {off:e}");
    }
}

// Defects: means of micro-batches' means, prompt tokens in the loss (TRL's issue 4719, PR 6006).
#[test]
fn one_batch_of_16_four_of_4_and_sixteen_of_1_have_the_same_gradients() {
    let rows = prompts_and_completions();
    for objective in OBJECTIVES {
        for (chunked, share) in [(false, 1.0), (true, 0.5)] {
            let pipeline = || pipeline(objective, chunked, teacher(), Rollout { share, ..rollout() });
            let step = |size| {
                let pipeline = pipeline();
                over(&pipeline, &rolled(&pipeline, &in_batches(&rows, size)))
            };
            let whole = step(16);
            assert!(whole.0 > 0.01, "{objective:?}: {}", whole.0);
            for size in [4, 1] {
                assert_same(&step(size), &whole, &format!("{objective:?} in batches of {size}"));
            }
        }
    }
}

/// The divergence at a position, from logits in float64.
fn divergence(objective: Objective, teacher: &Tensor, student: &Tensor) -> Tensor {
    let (p, q) = (teacher.softmax(-1, Kind::Double), student.softmax(-1, Kind::Double));
    let kl = |left: &Tensor, right: &Tensor| {
        (left * (left.log() - right.log())).sum_dim_intlist(-1, false, Kind::Double)
    };
    match objective {
        Objective::ForwardKl => kl(&p, &q),
        Objective::ReverseKl => kl(&q, &p),
        Objective::Jsd(beta) => {
            let mixture = &p * beta + &q * (1.0 - beta);
            kl(&p, &mixture) * beta + kl(&q, &mixture) * (1.0 - beta)
        }
        Objective::SkewKl(alpha) => kl(&p, &(&p * alpha + &q * (1.0 - alpha))),
        Objective::SkewReverseKl(alpha) => kl(&q, &(&p * (1.0 - alpha) + &q * alpha)),
    }
}

/// The logits at the positions before the tokens of an answer, of a row alone and without padding.
fn before_answer(model: &DecoderForCausalLm, row: &TextRow) -> Tensor {
    let ids = Tensor::from_slice(&row.ids).unsqueeze(0);
    let pass = Pass::evaluation(wants(&["logits"]));
    let logits = model.forward(&ids, &ids.ones_like(), None, &pass).unwrap().logits;
    let prompt = row.prompt().len() as i64;
    logits.squeeze_dim(0).narrow(0, prompt - 1, row.ids.len() as i64 - prompt).to_kind(Kind::Double)
}

// Defects: loss on padding, denominators of the data's labels (TRL's PRs 2058, 6452, 6478), windows of the longest row.
#[test]
fn a_loss_is_the_sum_over_the_tokens_that_were_written_divided_by_their_number() {
    let rows = prompts_and_completions();
    for objective in OBJECTIVES {
        for chunked in [false, true] {
            let pipeline = pipeline(objective, chunked, teacher(), rollout());
            let batches = rolled(&pipeline, &in_batches(&rows, 4));
            let (value, gradients) = over(&pipeline, &batches);
            let (teacher, student) = (teacher(), student());
            let (mut sum, mut count) = (Tensor::zeros([], (Kind::Double, Device::Cpu)), 0);
            for row in batches.iter().flat_map(|batch| TextRow::of(batch).unwrap()) {
                let (of_teacher, of_student) = (before_answer(&teacher, &row), before_answer(&student, &row));
                count += of_student.size()[0];
                sum += divergence(objective, &of_teacher.detach(), &of_student).sum(Kind::Double);
            }
            let of_data: usize = rows.iter().map(|row| row.ids.len() - row.prompt().len()).sum();
            assert!(count != of_data as i64, "the data's own count would do");
            let mean = sum / count as f64;
            mean.backward();
            let wanted = mean.double_value(&[]);
            assert!((value - wanted).abs() < 1e-5, "{objective:?}: {value} of {wanted}");
            let parameters = student.parameters();
            let wanted = parameters.iter().map(|(_, tensor)| tensor.grad()).filter(Tensor::defined);
            for (ours, wanted) in gradients.iter().zip(wanted) {
                let off = off(ours, &wanted);
                assert!(off < 1e-5, "{objective:?}: off by {off:e}");
            }
        }
    }
}

// Defects: log-probabilities of the teacher shifted by one, one-token answers lost (AReaL's issue 1728).
#[test]
fn a_copy_of_the_student_as_its_teacher_gives_0_at_every_row_and_another_does_not() {
    let rows = prompts_and_completions();
    for (tokens, dropout) in [(1, 0.0), (10, 0.3)] {
        for objective in OBJECTIVES {
            for chunked in [false, true] {
                let rollout = Rollout { max_new_tokens: tokens, ..rollout() };
                let with =
                    |teacher: DecoderForCausalLm| pipeline(objective, chunked, teacher, rollout.clone());
                let copy = with(small_lm(DecoderArchitecture::Qwen3, 9, dropout));
                let other = with(teacher());
                let batches = rolled(&copy, &in_batches(&rows, 1));
                let [of_copy, of_other] = [&copy, &other].map(|pipeline| of_each(pipeline, &batches));
                let what = format!("{objective:?}, up to {tokens} tokens: {of_copy:?}, {of_other:?}");
                assert!(of_copy.iter().all(|value| value.abs() < 1e-6), "{what}");
                assert!(of_other.iter().all(|value| *value > 1e-5), "{what}");
            }
        }
    }
}

/// The loss of each batch by itself.
fn of_each(pipeline: &Pipe, batches: &[CausalLmBatch]) -> Vec<f64> {
    let executor = Executor::new(pipeline, 0).unwrap();
    let pass = Pass::training(0, wants(&[]));
    let value = |batch| executor.run(batch, &pass, None).unwrap().total.double_value(&[]);
    batches.iter().map(value).collect()
}

// The end of an answer is learnt where it also pads: Defect of DistiLLM's sampler, which deleted it.
#[test]
fn what_decides_the_end_of_an_answer_gets_a_gradient() {
    let rows = prompts_and_completions();
    let pipeline = pipeline(Objective::ReverseKl, false, teacher(), rollout());
    let texts = written(&pipeline, &in_batches(&rows, 16), 7, 0);
    let ended =
        texts.into_iter().find(|text| rollout().eos_token_id.contains(text.ids.last().unwrap())).unwrap();
    // Only the last token is to learn.
    let mut labels = vec![-100; ended.ids.len()];
    *labels.last_mut().unwrap() = *ended.ids.last().unwrap();
    let last = TextRow { labels, ..ended };
    let (value, gradients) = over(&pipeline, &in_batches(&[last], 1));
    assert!(value > 1e-4);
    assert!(gradients.iter().any(|gradient| gradient.abs().max().double_value(&[]) > 1e-4));
}

#[test]
fn a_step_in_which_no_token_is_learnt_has_a_loss_of_0_and_no_nan() {
    let rows = prompts_and_completions();
    let unanswered = |row: &TextRow| TextRow { labels: vec![-100; row.ids.len()], ids: row.ids.clone() };
    let rows: Vec<TextRow> = rows.iter().map(unanswered).collect();
    for chunked in [false, true] {
        let none = Rollout { share: 0.0, ..rollout() };
        let pipeline = pipeline(Objective::ReverseKl, chunked, teacher(), none);
        let (value, gradients) = over(&pipeline, &rolled(&pipeline, &in_batches(&rows, 4)));
        assert_eq!(value, 0.0);
        assert!(gradients.iter().all(|gradient| gradient.abs().max().double_value(&[]) == 0.0));
    }
}
