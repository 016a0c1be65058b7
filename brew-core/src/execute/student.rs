//! Runs the stages of the student: its forward pass, its adaptor, and the projections of its features.

use std::any::Any;

use tracing::debug_span;

use super::held::{Held, OwnCounts};
use super::run::{PassInputs, StageFeatures};
use super::{Executor, reads};
use crate::adaptor::Adaptor;
use crate::batch::{Batch, Feeds};
use crate::error::{Error, Result};
use crate::feature::Feature;
use crate::model::{ErasedModel, labelled};
use crate::plan::{Flow, StageId};
use crate::role::{Labels, Losses, Role};

impl<T: 'static, A: Adaptor> Executor<'_, T, A> {
    /// The student's forward pass within a step.
    pub(super) fn study<B: Feeds<T, A::Batch>>(
        &self,
        id: StageId,
        inputs: &PassInputs<'_, B>,
    ) -> Result<Box<dyn Any>> {
        let _span = debug_span!("student").entered();
        self.student_output(id, inputs)
    }

    /// The same without a tracing span, for passes outside of steps.
    pub(super) fn student_output<B: Feeds<T, A::Batch>>(
        &self,
        id: StageId,
        inputs: &PassInputs<'_, B>,
    ) -> Result<Box<dyn Any>> {
        let pass = inputs.pass.with_argument(self.pipeline.argument.clone()).with_wants(self.wants_of(id));
        let pass = if self.plan().rollout().is_some() { pass.without_own_dropout() } else { pass };
        let _autocast = self.autocast()?;
        let (student, batch) = (self.student(), inputs.batch.student());
        student.forward(batch, &pass).map_err(|error| with_label_range(error, student, batch))
    }

    /// Extracts the student's features from its output, which is dropped afterwards.
    pub(super) fn student_features<B: Feeds<T, A::Batch>>(
        &self,
        id: StageId,
        inputs: &PassInputs<'_, B>,
        held: &mut Held,
    ) -> Result<StageFeatures> {
        let batch = inputs.batch.student();
        let output = self.output_of(id, held);
        let output = output.ok_or_else(|| Error::invalid("an adaptor has no output to read"))?;
        let mut features = Vec::new();
        for (flow, _, kind) in self.plan().outputs(id) {
            let Flow::Feature { role, layers } = kind else { continue };
            let feature = self.student().read(role, batch, &*output);
            let feature = feature.and_then(|feature| reads::pick(role, feature, layers.as_deref()));
            if role == Losses::NAME {
                held.counts = self.own_counts(batch, &*output)?;
            }
            features.push((flow, feature));
        }
        Ok(features)
    }

    /// The counts of the student's own losses; labels that the model itself provides are known only now.
    fn own_counts(&self, batch: &A::Batch, output: &dyn Any) -> Result<OwnCounts> {
        let losses = match self.student().losses_count(batch)? {
            Some(counts) => Some(counts),
            None => self
                .student()
                .read(Labels::NAME, batch, output)?
                .and_then(|labels| labelled(&labels.into_tensors()))
                .transpose()?,
        };
        Ok(OwnCounts { losses, rows: Batch::rows(batch) })
    }

    /// The student's features at the teacher's width.
    pub(super) fn project(&self, id: StageId, held: &mut Held) -> Result<StageFeatures> {
        let inputs = self.plan().inputs(id);
        // Inputs and outputs have the same order: a projection may serve several losses.
        let outputs = self.plan().outputs(id);
        let paired = inputs
            .iter()
            .zip(&outputs)
            .filter_map(|((from, ..), (to, ..))| held.flows.remove(from).map(|features| (*to, features)));
        let projected = paired.map(|(to, features)| {
            let projected = features.iter().map(|feature| self.projections.apply(id, feature));
            (to, projected.collect())
        });
        Ok(projected.collect())
    }
}

/// Adds the range of the batch's labels to a student's error: libtorch reports a label that is out of bounds,
/// but not its origin.
fn with_label_range<B: 'static>(error: Error, student: &dyn ErasedModel<B>, batch: &B) -> Error {
    let labels = student.read_batch(Labels::NAME, batch).ok().flatten().map(Feature::into_tensors);
    let range = labels.and_then(|labels| {
        let labels = labels.into_iter().next()?.f_to_kind(tch::Kind::Double).ok()?;
        Some((labels.f_min().ok()?.f_double_value(&[]).ok()?, labels.f_max().ok()?.f_double_value(&[]).ok()?))
    });
    match (error, range) {
        (Error::Torch { stages, message }, Some((low, high))) => {
            Error::Torch { stages, message: format!("{message} (the batch's labels are {low} to {high})") }
        }
        (error, _) => error,
    }
}
