//! Runs the rollout of a plan: the batches of an optimizer step become those that the student wrote.
//!
//! It comes before all other stages and covers a whole step at once, so that a window counts what is learnt, and so that
//! the student's answers do not depend on how the step is divided into batches.

use tracing::debug_span;

use super::Executor;
use crate::adaptor::Adaptor;
use crate::batch::Feeds;
use crate::distill::TextsOf;
use crate::error::{Error, InStage as _, Result};
use crate::feature::Feature;
use crate::model::{CausalLm, Model as _};
use crate::role::{LogitsMask, Role as _};
use crate::rollout::{CANNOT_WRITE, Rollout, TextRow};

/// The answers of the check before the first step are this long.
const TOKENS_OF_PROBE: i64 = 2;

impl<T: 'static, A: Adaptor> Executor<'_, T, A> {
    /// The batches of an optimizer step as they are learnt, if the plan has a rollout: with the student's answers to
    /// their prompts. `batches` are all batches of the step. The result depends on the student, these rows, `seed` and
    /// `step`, and not on how the rows are divided into batches.
    ///
    /// # Errors
    /// A plan without a rollout; rows that cannot be prompts, each with its batch; those of
    /// [`generate`](crate::generate::generate()).
    pub fn roll_out<B: Feeds<T, A::Batch>>(&self, batches: &[B], seed: i64, step: u64) -> Result<Vec<B>> {
        let texts = batches.iter().enumerate().map(|(index, batch)| {
            self.texts(batch).map_err(|error| {
                Error::invalid(format!("batch {index} of the step: {}", error.within("rollout")))
            })
        });
        let texts = texts.collect::<Result<Vec<_>>>()?;
        let mut written = self.write(&texts.concat(), seed, step)?.into_iter();
        let of_batch = |texts: &Vec<TextRow>| {
            let written: Vec<TextRow> = written.by_ref().take(texts.len()).flatten().collect();
            self.batch_of(&written)
        };
        texts.iter().map(of_batch).collect()
    }

    /// The rows of a batch, whose prompts the student can answer.
    pub(crate) fn texts<B: Feeds<T, A::Batch>>(&self, batch: &B) -> Result<Vec<TextRow>> {
        let (rollout, student, texts) = self.rollout()?;
        (texts.of)(rollout, student, batch.student()).in_stage("rollout")
    }

    /// What is learnt in place of each row of a step.
    pub(crate) fn write(&self, texts: &[TextRow], seed: i64, step: u64) -> Result<Vec<Vec<TextRow>>> {
        let _span = debug_span!("rollout").entered();
        let (rollout, student, _) = self.rollout()?;
        rollout.write(student, texts, seed, step).in_stage("rollout")
    }

    /// A batch of these rows, on the student's device.
    pub(crate) fn batch_of<B: Feeds<T, A::Batch>>(&self, texts: &[TextRow]) -> Result<B> {
        let (_, _, of) = self.rollout()?;
        B::of_student((of.batch)(texts, self.device)?).ok_or_else(|| {
            Error::invalid(
                "the student writes the rows, and the teachers must read the same: batches with rows of the teachers' own, or with their outputs, are not supported yet in a pipeline that is `.on_policy(…)`",
            )
        })
    }

    /// The rows of a batch as the models read them where nothing is written: before the first step, and to compare a
    /// resumed student. Without a rollout, the batch itself.
    pub(crate) fn unwritten<B: Feeds<T, A::Batch>>(&self, batch: B) -> Result<B> {
        match self.plan().rollout() {
            Some(_) => self.batch_of(&self.texts(&batch)?),
            None => Ok(batch),
        }
    }

    /// The rows of a batch as a step would have them, for a check: with short answers of the student. Without a
    /// rollout, `None`.
    ///
    /// # Errors
    /// Losses that would count other positions than those of the answers.
    pub(crate) fn written_for_check<B: Feeds<T, A::Batch>>(&self, batch: &B) -> Result<Option<B>> {
        let Some(rollout) = self.plan().rollout() else { return Ok(None) };
        let short = Rollout {
            share: 1.0,
            max_new_tokens: rollout.max_new_tokens.min(TOKENS_OF_PROBE),
            learn_truncated: true,
            ..rollout.clone()
        };
        let texts = self.texts(batch)?;
        let (_, student, _) = self.rollout()?;
        let written = short.write(student, &texts, 0, 0).in_stage("rollout")?.concat();
        let batch: B = self.batch_of(&written)?;
        let answers = TextRow::batch(&written, self.device)?.labels;
        let mask = self.student().read_batch(LogitsMask::NAME, batch.student())?.map(Feature::into_tensors);
        let same = match (answers, mask.as_deref()) {
            (Some(answers), Some([mask])) if mask.size() == answers.size() => {
                mask.f_ne(0)?.f_eq_tensor(&answers.f_ge(0)?)?.f_all()?.f_int64_value(&[])? == 1
            }
            _ => false,
        };
        if same {
            return Ok(Some(batch));
        }
        Err(Error::invalid(
            "the student's `logits_mask` is not 1 for the tokens of the answers and 0 elsewhere, so losses would also count the prompts, which the student did not write: see teacher and student by `CausalLmAnswersAdaptor`, or give such a `logits_mask` from the batch's labels",
        ))
    }

    fn rollout(&self) -> Result<(&Rollout, &dyn CausalLm, &TextsOf<A::Batch>)> {
        let (rollout, texts) = (self.plan().rollout(), self.pipeline.texts.as_ref());
        let (Some(rollout), Some(texts)) = (rollout, texts) else {
            return Err(Error::invalid("the plan has no rollout: `Pipeline::on_policy` adds one"));
        };
        let student = self.pipeline.student.causal_lm();
        Ok((rollout, student.ok_or_else(|| Error::invalid(CANNOT_WRITE))?, texts))
    }
}
