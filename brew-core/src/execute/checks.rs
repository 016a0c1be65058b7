//! What labels and masks of the student's batch must be, whatever its losses read.

use tch::{Kind, Tensor};

use super::Executor;
use super::held::Held;
use super::probe::Findings;
use crate::adaptor::Adaptor;
use crate::batch::Feeds;
use crate::error::{Error, Result};
use crate::feature::Feature;
use crate::loss::zeros_and_ones;
use crate::model::ProblemType;
use crate::plan::{Stage, StageId};
use crate::role::{InputsMask, Labels, Logits, LogitsMask, Role};

impl<T: 'static, A: Adaptor> Executor<'_, T, A> {
    /// Checks that labels lie in 0 to classes - 1, or are -100, which no loss counts.
    pub(super) fn check_labels<B: Feeds<T, A::Batch>>(
        &self,
        stage: &Stage,
        batch: &B,
        held: &Held,
        id: StageId,
        findings: &mut Findings,
    ) {
        let model = self.plan().inputs(id).into_iter().find_map(|(_, from, _)| held.outputs.get(&from));
        let Some(output) = model else { return };
        let read = |role| {
            self.student().read(role, batch.student(), &**output).ok().flatten().map(Feature::into_tensors)
        };
        let (Some(logits), Some(labels)) = (read(Logits::NAME), read(Labels::NAME)) else { return };
        let stated = self.student().problem_type();
        // A model may leave out logits that no loss reads.
        for (logits, labels) in logits.iter().zip(&labels).filter(|(logits, _)| logits.defined()) {
            match labels_misfit(stated, logits, labels) {
                Ok(Some(message)) => findings.problem(stage, Error::invalid(message)),
                Ok(None) => {}
                Err(error) => findings.problem(stage, error),
            }
        }
    }

    /// Checks that the student's masks are 0 and 1, even if only its model reads them.
    pub(super) fn check_masks<B: Feeds<T, A::Batch>>(
        &self,
        batch: &B,
        held: &Held,
        id: StageId,
    ) -> Result<()> {
        let model = self.plan().inputs(id).into_iter().find_map(|(_, from, _)| held.outputs.get(&from));
        let Some(output) = model else { return Ok(()) };
        for role in [InputsMask::NAME, LogitsMask::NAME] {
            // A mask that cannot be read is reported where it is read.
            let Ok(Some(masks)) = self.student().read(role, batch.student(), &**output) else { continue };
            for mask in masks.into_tensors() {
                zeros_and_ones(&format!("the student's `{role}`"), &mask)?;
            }
        }
        Ok(())
    }
}

/// The mismatch between labels and logits, if there is one; the model may state the problem type.
fn labels_misfit(stated: Option<ProblemType>, logits: &Tensor, labels: &Tensor) -> Result<Option<String>> {
    let classes = logits.size().last().copied().unwrap_or(0);
    let problem = match (ProblemType::of(stated, &logits.size(), labels), labels.kind()) {
        (Ok(problem), _) => problem,
        (Err(error), _) if stated.is_some() => return Ok(Some(error.to_string())),
        // Labels of a custom loss may have any shape; integers are still classes.
        (Err(_), Kind::Int64 | Kind::Int) => ProblemType::SingleLabelClassification,
        (Err(_), _) => return Ok(None),
    };
    problem.misfit(labels, classes)
}
