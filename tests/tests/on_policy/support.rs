//! Pipelines of two small models, and what a step of them computes.

use brew_core::distill::{Objective, OnPolicy};
use brew_core::execute::Executor;
use brew_core::loss::{Jsd, Kl, ReverseKl, SkewKl, SkewReverseKl, next_token};
use brew_core::model::{CausalLmAnswersAdaptor, CausalLmBatch, DecoderArchitecture, DecoderForCausalLm};
use brew_core::pass::Wants;
use brew_core::prelude::*;
use brew_core::rollout::{Rollout, TextRow};
use tests::small_lm;

pub(crate) type Pipe = Pipeline<CausalLmBatch, CausalLmAnswersAdaptor>;

pub(crate) const OBJECTIVES: [Objective; 5] = [
    Objective::ForwardKl,
    Objective::ReverseKl,
    Objective::Jsd(0.3),
    Objective::SkewKl(0.1),
    Objective::SkewReverseKl(0.1),
];

pub(crate) fn student() -> DecoderForCausalLm {
    small_lm(DecoderArchitecture::Qwen3, 9, 0.0)
}

pub(crate) fn teacher() -> DecoderForCausalLm {
    small_lm(DecoderArchitecture::Qwen3, 5, 0.0)
}

/// Answers of up to ten tokens, of which two end them.
pub(crate) fn rollout() -> Rollout {
    Rollout { max_new_tokens: 10, eos_token_id: vec![3, 5, 11], ..Rollout::default() }
}

/// An objective over logits that are all there, or over those of a chunk.
pub(crate) fn pipeline(
    objective: Objective,
    chunked: bool,
    teacher: DecoderForCausalLm,
    rollout: Rollout,
) -> Pipe {
    if chunked {
        return OnPolicy { objective, rollout }.plan(teacher, student()).unwrap();
    }
    let start =
        Distill::new(teacher.seen_by(CausalLmAnswersAdaptor), student().seen_by(CausalLmAnswersAdaptor));
    let plan = match objective {
        Objective::ForwardKl => start.soft_targets(next_token(Kl::at(1.0))).plan(),
        Objective::ReverseKl => start.soft_targets(next_token(ReverseKl::at(1.0))).plan(),
        Objective::Jsd(beta) => start.soft_targets(next_token(Jsd::between(beta))).plan(),
        Objective::SkewKl(alpha) => start.soft_targets(next_token(SkewKl::by(alpha))).plan(),
        Objective::SkewReverseKl(alpha) => start.soft_targets(next_token(SkewReverseKl::by(alpha))).plan(),
    };
    plan.unwrap().on_policy(rollout).unwrap()
}

/// The rows that are learnt in a step, in order.
pub(crate) fn written(pipeline: &Pipe, batches: &[CausalLmBatch], seed: i64, step: u64) -> Vec<TextRow> {
    let batches = Executor::new(pipeline, 0).unwrap().roll_out(batches, seed, step).unwrap();
    batches.iter().flat_map(|batch| TextRow::of(batch).unwrap()).collect()
}

/// The loss of batches that are one window, and the student's gradients.
pub(crate) fn over(pipeline: &Pipe, batches: &[CausalLmBatch]) -> (f64, Vec<Tensor>) {
    let executor = Executor::new(pipeline, 0).unwrap();
    let window = (batches.len() > 1).then(|| executor.window(batches).unwrap());
    let pass = Pass::training(0, Wants::nothing());
    let mut value = 0.0;
    for batch in batches {
        let loss = executor.run(batch, &pass, window.as_ref()).unwrap().total;
        loss.backward();
        value += loss.double_value(&[]);
    }
    let parameters = pipeline.student().parameters();
    let gradients = parameters.iter().map(|(_, tensor)| tensor.grad());
    (value, gradients.filter(Tensor::defined).map(|tensor| tensor.copy()).collect())
}
