//! What a pipeline with texts of its student refuses, and with which words.

use std::sync::{Arc, Mutex};

use brew_core::batch::Both;
use brew_core::cache::MemoryCache;
use brew_core::distill::Objective;
use brew_core::loss::{Dkd, Kl, next_token};
use brew_core::model::{CausalLmAnswersAdaptor, CausalLmBatch, CausalLmOutputAdaptor};
use brew_core::prelude::*;
use brew_core::rollout::{Rollout, TextRow};
use tests::{in_batches, prompts_and_completions};

use super::support::{Pipe, pipeline, rollout, student, teacher};

fn pipe(rollout: Rollout) -> Pipe {
    pipeline(Objective::ReverseKl, true, teacher(), rollout)
}

/// The message of a run over these batches.
fn refused(pipeline: Pipe, batches: Vec<CausalLmBatch>) -> String {
    Trainer::new(pipeline).steps(2).run(batches).unwrap_err().to_string()
}

fn assert_says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

#[test]
fn settings_out_of_range_are_all_named_when_the_plan_is_made() {
    let wrong = Rollout {
        share: 1.5,
        max_new_tokens: 0,
        temperature: 0.0,
        top_p: 2.0,
        answers_at_once: 0,
        eos_token_id: vec![20],
        ..rollout()
    };
    let [teacher, student] = [teacher(), student()].map(|model| model.seen_by(CausalLmAnswersAdaptor));
    let plan = Distill::new(teacher, student).soft_targets(next_token(Kl::at(1.0))).plan().unwrap();
    let message = plan.on_policy(wrong).unwrap_err().to_string();
    assert_says(
        &message,
        &[
            "share is 1.5; it must be from 0 to 1",
            "max_new_tokens is 0",
            "temperature is 0",
            "top_p is 2",
            "answers_at_once is 0",
            "eos_token_id is 20",
        ],
    );
}

#[test]
fn losses_that_would_learn_something_else_are_named() {
    let [teacher, student] = [teacher(), student()].map(|model| model.seen_by(CausalLmAnswersAdaptor));
    let plan = Distill::new(teacher, student)
        .soft_targets(Kl::at(1.0))
        .soft_targets(next_token(Dkd::at(1.0)))
        .hard_labels(0.5)
        .plan()
        .unwrap();
    let message = plan.on_policy(rollout()).unwrap_err().to_string();
    assert_says(&message, &["`kl`", "wrap it in `next_token`", "`hard_labels`", "the student's own tokens"]);
    assert_eq!(message.matches("reads the labels").count(), 2, "{message}");
    let message = pipe(rollout()).on_policy(rollout()).unwrap_err().to_string();
    assert_says(&message, &["already"]);
}

#[test]
fn a_student_that_cannot_write_is_refused() {
    let student = Arc::new(Mutex::new(student())).seen_by(CausalLmAnswersAdaptor);
    let plan = Distill::new(teacher().seen_by(CausalLmAnswersAdaptor), student);
    let plan = plan.soft_targets(next_token(Kl::at(1.0))).plan().unwrap();
    assert_says(&plan.on_policy(rollout()).unwrap_err().to_string(), &["`Model::causal_lm`", "Arc<Mutex"]);
}

#[test]
fn an_adaptor_that_would_count_prompts_is_refused_before_the_first_step() {
    let plan = Distill::new(teacher().seen(), student().seen_by(CausalLmOutputAdaptor));
    let plan = plan.soft_targets(next_token(Kl::at(1.0))).plan().unwrap().on_policy(rollout()).unwrap();
    let rows = in_batches(&prompts_and_completions(), 4);
    let message = Trainer::new(plan).steps(2).run(rows).unwrap_err().to_string();
    assert_says(&message, &["`logits_mask`", "`CausalLmAnswersAdaptor`"]);
    // One side alone: masks that differ.
    let plan = Distill::new(teacher().seen(), student().seen_by(CausalLmAnswersAdaptor));
    let plan = plan.soft_targets(next_token(Kl::at(1.0))).plan().unwrap().on_policy(rollout()).unwrap();
    let rows = in_batches(&prompts_and_completions(), 4);
    let message = Trainer::new(plan).steps(2).run(rows).unwrap_err().to_string();
    assert_says(&message, &["masks of teacher and student differ"]);
}

#[test]
fn a_teacher_cache_and_rows_of_the_teachers_own_are_refused() {
    let rows = || in_batches(&prompts_and_completions(), 4);
    let cached = Trainer::new(pipe(rollout())).steps(2).teacher_cache(MemoryCache::default());
    assert_says(&cached.run(rows()).unwrap_err().to_string(), &["cache", "`.teacher_cache(…)`"]);
    let both: Vec<Both<_, _>> =
        rows().into_iter().zip(rows()).map(|(teacher, student)| Both { teacher, student }).collect();
    let message = Trainer::new(pipe(rollout())).steps(2).run(Stream(both)).unwrap_err().to_string();
    assert_says(&message, &["not supported yet", "`.on_policy(…)`"]);
}

/// Pairs of batches.
struct Stream(Vec<Both<CausalLmBatch, CausalLmBatch>>);

impl Batches for Stream {
    type Batch = Both<CausalLmBatch, CausalLmBatch>;
    fn batches_per_epoch(&self) -> Option<usize> {
        Some(self.0.len())
    }
    fn rows(&self) -> Option<usize> {
        None
    }
    fn epoch(&self, _: u64) -> Result<brew_core::batch::Walk<'_, Self::Batch>> {
        use brew_core::batch::Feeds;
        Ok(Box::new(self.0.iter().map(|both| both.to_device(Device::Cpu))))
    }
}

#[test]
fn rows_that_are_no_prompts_are_named_with_their_batch() {
    let (mut rows, no) = (prompts_and_completions(), -100);
    // Before the first step: the longest row.
    rows[6] = TextRow { ids: vec![1; 24], labels: vec![no; 24] };
    let message = refused(pipe(rollout()), in_batches(&rows, 4));
    assert_says(&message, &["24 tokens", "10 may follow", "32 positions", "lower `max_new_tokens`"]);
    // In the run: a row whose first token is an answer.
    rows[6] = TextRow { ids: vec![4, 4], labels: vec![4, 4] };
    let message = refused(pipe(rollout()), in_batches(&rows, 4));
    assert_says(&message, &["row 2 has no prompt", "batch 1"]);
    // Packed rows.
    let packed = CausalLmBatch {
        input_ids: Tensor::from_slice2(&[[1_i64, 2, 3, 4]; 2]),
        attention_mask: Tensor::from_slice2(&[[1_i64, 1, 2, 2]; 2]),
        labels: None,
    };
    assert_says(&refused(pipe(rollout()), vec![packed]), &["packed rows", "a row of its own"]);
    // Prompts alone, where the data's answers are to stay.
    let prompts = in_batches(&prompts_and_completions(), 4);
    let prompts = prompts.into_iter().map(|batch| CausalLmBatch { labels: None, ..batch }).collect();
    let message = refused(pipe(Rollout { share: 0.5, ..rollout() }), prompts);
    assert_says(&message, &["share is 0.5", "no `labels`"]);
}

#[test]
fn a_resumed_run_with_another_rollout_is_refused_with_what_differs() {
    let folder = tempfile::tempdir().unwrap();
    let run = |rollout: Rollout, stop: Option<u64>| {
        Trainer::new(pipe(rollout))
            .steps(4)
            .checkpoint_every_steps(1)
            .on_checkpoint(tests::killed_at(stop))
            .run_dir(folder.path().join("run"))
            .run(in_batches(&prompts_and_completions(), 4))
            .map(drop)
    };
    assert!(run(rollout(), Some(2)).is_err());
    let message = run(Rollout { temperature: 0.7, ..rollout() }, None).unwrap_err().to_string();
    assert_says(&message, &["temperature"]);
    run(rollout(), None).unwrap();
}
