//! Runs the stages of a teacher: decides where its features come from and passes them on to their readers.
//!
//! A teacher's features are computed by its forward pass, given by the batch, or recalled from a cache. The
//! teacher's stage decides this once per batch ([`Origin`]); its adaptor and cache follow that decision.

use std::any::Any;

use tch::Tensor;
use tracing::debug_span;

use super::held::Held;
use super::run::{PassInputs, Provided, StageFeatures};
use super::teacher_cache::computed;
use super::{Executor, reads};
use crate::adaptor::Adaptor;
use crate::batch::Feeds;
use crate::cache::Recalled;
use crate::error::{Error, Result};
use crate::plan::{Flow, FlowId, StageId, StageKind};

/// Where the features of a teacher come from, for one batch.
pub(super) enum Origin {
    /// The teacher ran.
    Made,
    /// The batch brought the teacher's output.
    Given,
    /// A cache had them for every row.
    Recalled(Recalled),
}

impl<T: 'static, A: Adaptor> Executor<'_, T, A> {
    /// Decides where the features come from, and runs the teacher if they must be computed.
    pub(super) fn teach<B: Feeds<T, A::Batch>>(
        &self,
        id: StageId,
        index: usize,
        inputs: &PassInputs<'_, B>,
        held: &mut Held,
    ) -> Result<Provided> {
        if inputs.batch.teacher_output(index).is_some() {
            held.origins.insert(index, Origin::Given);
            return Ok(Provided::Nothing);
        }
        let _span = debug_span!("teacher", index).entered();
        let pass = inputs.pass.with_argument(self.pipeline.argument.clone());
        let pass = pass.for_teacher(self.wants_of(id));
        if let Some(recalled) = self.recalled(index, inputs, &pass)? {
            held.origins.insert(index, Origin::Recalled(recalled));
            return Ok(Provided::Nothing);
        }
        held.origins.insert(index, Origin::Made);
        let (_guard, _autocast) = (tch::no_grad_guard(), self.autocast()?);
        self.teacher(index)?.forward(inputs.batch.teacher(), &pass).map(Provided::Output)
    }

    /// The features that a teacher's adaptor reads: from the computed or given output, else from the batch
    /// alone.
    pub(super) fn teacher_features<B: Feeds<T, A::Batch>>(
        &self,
        id: StageId,
        index: usize,
        inputs: &PassInputs<'_, B>,
        held: &mut Held,
    ) -> Result<StageFeatures> {
        let made = self.output_of(id, held);
        let output = match held.origins.get(&index) {
            Some(Origin::Recalled(_)) => None,
            Some(Origin::Given) => inputs.batch.teacher_output(index),
            _ => Some(made.as_deref().ok_or_else(|| Error::invalid("an adaptor has no output to read"))?),
        };
        let _guard = tch::no_grad_guard();
        let mut features = Vec::new();
        for (flow, to, kind) in self.plan().outputs(id) {
            let Flow::Feature { role, layers } = kind else { continue };
            let is_kept = self.plan().stage(to).is_some_and(|to| matches!(to.kind, StageKind::Recall(_)));
            let feature = match output {
                // The cache has it.
                None if is_kept => continue,
                Some(output) if is_kept || !self.is_cached(index) => {
                    self.teacher(index)?.read(role, inputs.batch.teacher(), output)
                }
                // Features read from the batch alone do not depend on whether the teacher ran.
                _ => self.teacher(index)?.read_batch(role, inputs.batch.teacher()),
            };
            features.push((flow, feature.and_then(|feature| reads::pick(role, feature, layers.as_deref()))));
        }
        Ok(features)
    }

    /// The cached features of a batch, either read from the cache or just stored. Given outputs are passed
    /// through and not stored, since the teacher did not compute them.
    pub(super) fn recall<B: Feeds<T, A::Batch>>(
        &self,
        id: StageId,
        index: usize,
        inputs: &PassInputs<'_, B>,
        held: &mut Held,
    ) -> Result<StageFeatures> {
        let arrived: Vec<(&Flow, Vec<Tensor>)> = (self.plan().inputs(id).into_iter())
            .filter_map(|(flow, _, kind)| Some((kind, held.flows.remove(&flow)?)))
            .collect();
        match held.origins.get(&index) {
            Some(Origin::Recalled(recalled)) => {
                Ok(self.flows_out(id, |role, layers| recalled.flow(role, layers)))
            }
            Some(Origin::Made) => {
                let kept = self.settle(index, inputs.batch, inputs.keys, computed(arrived))?;
                Ok(self.flows_out(id, |role, layers| kept.flow(role, layers)))
            }
            Some(Origin::Given) | None => Ok(self.flows_out(id, |role, layers| {
                let is_same = |flow: &Flow| matches!(flow, Flow::Feature { role: known, layers: of } if known == role && of.as_deref() == layers);
                let found = arrived.iter().find(|(flow, _)| is_same(flow));
                let found = found.map(|(_, tensors)| tensors.iter().map(Tensor::shallow_clone).collect());
                found.ok_or_else(|| Error::invalid(format!("`{role}` did not arrive")))
            })),
        }
    }

    /// A value for each output feature of a stage.
    fn flows_out(
        &self,
        id: StageId,
        value: impl Fn(&str, Option<&[i64]>) -> Result<Vec<Tensor>>,
    ) -> StageFeatures {
        let of_flow = |(flow, _, kind): (FlowId, StageId, &Flow)| match kind {
            Flow::Feature { role, layers } => Some((flow, value(role, layers.as_deref()))),
            _ => None,
        };
        self.plan().outputs(id).into_iter().filter_map(of_flow).collect()
    }

    /// Takes the output that an adaptor reads from the held results.
    pub(super) fn output_of(&self, adaptor: StageId, held: &mut Held) -> Option<Box<dyn Any>> {
        let inputs = self.plan().inputs(adaptor);
        let model = inputs.into_iter().find(|(_, _, flow)| matches!(flow, Flow::Output));
        model.and_then(|(_, model, _)| held.outputs.remove(&model))
    }
}
