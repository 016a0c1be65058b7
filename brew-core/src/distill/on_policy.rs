//! Pipelines whose student learns from texts that it writes itself.

use tch::Device;

use super::Pipeline;
use crate::adaptor::Adaptor;
use crate::error::{Error, InStage as _, Problem, Result};
use crate::model::{CausalLm, CausalLmBatch, Model as _};
use crate::plan::{Flow, StageId, passes};
use crate::role::{Labels, Logits, Losses, OutputWeight, Role as _};
use crate::rollout::{CANNOT_WRITE, Rollout, TextRow};

/// The rows of a batch as texts, and back.
#[derive(Debug)]
pub(crate) struct TextsOf<B> {
    pub(crate) of: fn(&Rollout, &dyn CausalLm, &B) -> Result<Vec<TextRow>>,
    pub(crate) batch: fn(&[TextRow], Device) -> Result<B>,
}

impl<A: Adaptor<Batch = CausalLmBatch>> Pipeline<CausalLmBatch, A> {
    /// The same pipeline on policy: before each step the student answers the prompts of the step's rows, and teachers and
    /// student read these answers in place of the data's. The stage `rollout` of the plan prints every setting.
    ///
    /// The data has rows of prompts, or of prompts and completions ([`TextRow::prompt`] says what the prompt of a row is).
    /// Losses on logits must pair positions with the next token, and count the answers alone, for which teacher and student
    /// are seen by [`CausalLmAnswersAdaptor`](crate::model::CausalLmAnswersAdaptor). Their denominators are the numbers of
    /// tokens that were written, over all batches of the step.
    ///
    /// A run may accumulate any number of batches, and resumes with the same answers. It cannot have a teacher cache or
    /// several ranks.
    ///
    /// ```
    /// use brew_core::loss::{ReverseKl, next_token};
    /// use brew_core::model::{CausalLmAnswersAdaptor, CausalLmBatch, DecoderForCausalLm};
    /// use brew_core::prelude::*;
    /// use brew_core::rollout::Rollout;
    ///
    /// # fn example(teacher: DecoderForCausalLm, student: DecoderForCausalLm, prompts: Vec<CausalLmBatch>) -> Result<()> {
    /// let [teacher, student] = [teacher, student].map(|model| model.seen_by(CausalLmAnswersAdaptor));
    /// let pipeline = Distill::new(teacher, student)
    ///     .soft_targets(next_token(ReverseKl::at(1.0)))
    ///     .plan()?
    ///     .on_policy(Rollout { max_new_tokens: 256, ..Rollout::default() })?;
    /// println!("{}", pipeline.explain());
    /// let student = Trainer::new(pipeline).accumulate(4).steps(1_000).run(prompts)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// A student that writes no texts, settings out of range, a pipeline that is on policy already; and, for each loss, what
    /// keeps it from texts of the student's own.
    pub fn on_policy(mut self, rollout: Rollout) -> Result<Self> {
        if self.plan.rollout().is_some() {
            return Err(Error::invalid("the pipeline is on policy already: call `.on_policy(…)` once"));
        }
        let student = self.student.causal_lm().ok_or_else(|| Error::invalid(CANNOT_WRITE))?;
        let rollout = rollout.of_student(student).in_stage("rollout")?;
        let problems: Vec<Problem> = self.losses.keys().filter_map(|loss| self.unfit(*loss)).collect();
        if !problems.is_empty() {
            return Err(Error::Plan(problems));
        }
        self.plan = passes::rollout(&self.plan, &rollout);
        self.plan.check()?;
        Ok(Pipeline { texts: Some(TextsOf { of: Rollout::texts_of, batch: TextRow::batch }), ..self })
    }

    /// Why a loss cannot be learnt from texts that the student wrote.
    fn unfit(&self, id: StageId) -> Option<Problem> {
        let stage = self.plan.stage(id)?;
        let reads = |name: &str| {
            let inputs = self.plan.inputs(id).into_iter();
            inputs.into_iter().any(|(_, _, flow)| matches!(flow, Flow::Feature { role, .. } if role == name))
        };
        let paired = self.losses.get(&id)?.loss().pairs_next_token();
        let message = if reads(Losses::NAME) || reads(Labels::NAME) {
            "it reads the labels, which in rows that the student wrote are the student's own tokens, so it would learn them as if they were right: leave it out of a pipeline that is `.on_policy(…)`"
        } else if (reads(Logits::NAME) || reads(OutputWeight::NAME)) && !paired {
            "it counts the logits at the tokens of an answer, and what decides those are the logits one position before: wrap it in `next_token`"
        } else {
            return None;
        };
        Some(Problem::Unfit { stage: stage.name.clone(), message: message.to_owned() })
    }
}
