//! Parameter groups: the parameters that an optimizer updates, grouped by setting, with their slots.
//!
//! In exact semantics biases and norms (vectors) do not decay, and with layer decay the layers nearer to the
//! input learn slower: each combination is a group, so that one call of a fused kernel updates it.

use std::collections::{BTreeMap, BTreeSet};

use tch::Tensor;

use super::Optimizer;
use super::group::Group;
use super::rows::{GradientRows, SparseUpdates};
use crate::error::{InStage, Result};
use crate::native::ffi;
use crate::parameters::Parameters;
use crate::plan::OptimizerChanges;
use crate::semantics::Semantics;

/// The name of a parameter's step count in the saved state.
const STEP: &str = "step";

/// All parameters that one optimizer updates.
#[derive(Debug)]
pub(crate) struct Groups {
    optimizer: Box<dyn Optimizer>,
    semantics: Semantics,
    step: u64,
    groups: Vec<Group>,
    sparse: SparseUpdates,
}

impl Groups {
    /// An optimizer without parameters yet.
    pub(crate) fn new(optimizer: Box<dyn Optimizer>, semantics: Semantics) -> Self {
        let sparse = SparseUpdates::EveryRow;
        Groups { optimizer, semantics, step: 0, groups: Vec::new(), sparse }
    }

    /// Sets which rows of a parameter with a sparse gradient are updated.
    pub(crate) fn moving(self, sparse: SparseUpdates) -> Self {
        Groups { sparse, ..self }
    }

    /// Adds parameters, and slots for every one that requires a gradient. A tensor that was already added,
    /// under any name, is not added again. `factor` maps a parameter's name to its learning rate factor.
    pub(crate) fn add(
        &mut self,
        changes: &OptimizerChanges,
        parameters: &Parameters,
        factor: &dyn Fn(&str) -> f64,
    ) -> Result<()> {
        let optimizer = self.optimizer.with(changes)?;
        let spared = OptimizerChanges { weight_decay: Some(0.0), ..*changes };
        let place = |parameter: &Tensor| parameter.data_ptr() as usize;
        let mut known: BTreeSet<usize> = self.parameters().map(place).collect();
        // Empty tensors have no memory address of their own to compare.
        let fresh: Vec<(&str, &Tensor)> = (parameters.without_buffers())
            .filter(|(_, parameter)| parameter.requires_grad())
            .filter(|(_, parameter)| parameter.numel() == 0 || known.insert(place(parameter)))
            .collect();
        for decays in [true, false] {
            let mut found: Vec<(f64, Vec<(&str, &Tensor)>)> = Vec::new();
            for &(name, parameter) in &fresh {
                // Biases and norms are vectors; every matrix decays.
                let decaying = self.semantics == Semantics::TextBrewer
                    || parameter.dim() > 1
                    || optimizer.weight_decay() == 0.0;
                if decaying != decays {
                    continue;
                }
                let factor = factor(name);
                match found.iter_mut().find(|(other, _)| *other == factor) {
                    Some((_, group)) => group.push((name, parameter)),
                    None => found.push((factor, vec![(name, parameter)])),
                }
            }
            for (factor, members) in found {
                let optimizer = self.optimizer.with(if decays { changes } else { &spared })?;
                self.groups.push(Group::new(optimizer, factor, &members)?);
            }
        }
        Ok(())
    }

    /// Number of parameter tensors.
    pub(crate) fn count(&self) -> usize {
        self.groups.iter().map(|group| group.parameters.len()).sum()
    }

    /// The parameters it updates.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = &Tensor> {
        self.groups.iter().flat_map(|group| &group.parameters)
    }

    /// Removes all gradients: a parameter that then gets none is not updated, as in PyTorch.
    pub(crate) fn clear_gradients(&mut self) -> Result<()> {
        self.groups.iter_mut().flat_map(|group| group.rows.values_mut()).for_each(GradientRows::forget);
        let parameters: Vec<&Tensor> = self.parameters().collect();
        ffi::clear_gradients(&parameters)
    }

    /// The gradients accumulated since they were cleared, to read or change in place before the step; for a
    /// sparse gradient, the values of its rows.
    pub(crate) fn gradients(&mut self) -> Result<Vec<Tensor>> {
        let mut all = Vec::new();
        for group in &mut self.groups {
            for (index, parameter) in group.parameters.iter().enumerate() {
                let gradient = parameter.grad();
                if !gradient.defined() {
                    continue;
                }
                all.push(match gradient.is_sparse() {
                    true => group.rows.entry(index).or_default().in_use(&gradient)?.gradients(),
                    false => gradient,
                });
            }
        }
        Ok(all)
    }

    /// One step with the learning rates multiplied by this; a parameter without a gradient is not updated.
    pub(crate) fn step(&mut self, multiplier: f64) -> Result<()> {
        let _guard = tch::no_grad_guard();
        self.step += 1;
        for group in &mut self.groups {
            group.step(multiplier, self.sparse)?;
        }
        Ok(())
    }

    /// All slots by parameter and slot, `encoder.layer.0.….weight/first_moment`, sharing storage with the
    /// originals; and under `….weight/step` the number of updates each parameter has had.
    pub(crate) fn state(&self) -> BTreeMap<String, Tensor> {
        let named = |group: &Group| {
            let slots = group.slots.iter();
            slots
                .flat_map(|(slot, tensors)| {
                    let names = group.names.iter().zip(tensors);
                    names.map(move |(name, tensor)| (format!("{name}/{slot}"), tensor.shallow_clone()))
                })
                .chain(group.names.iter().zip(&group.steps).map(|(name, step)| {
                    (format!("{name}/{STEP}"), Tensor::from(i64::try_from(*step).unwrap_or(i64::MAX)))
                }))
                .collect::<Vec<_>>()
        };
        self.groups.iter().flat_map(named).collect()
    }

    /// Steps completed.
    pub(crate) fn steps_done(&self) -> u64 {
        self.step
    }

    /// Resumes from a state that [`Groups::state`] returned after this many steps.
    ///
    /// # Errors
    /// Names every slot that is missing, unknown or of the wrong shape, and changes nothing.
    pub(crate) fn restore(&mut self, state: &BTreeMap<String, Tensor>, steps_done: u64) -> Result<()> {
        let title = format!("{} cannot resume from this state", self.optimizer.name());
        Parameters::new(self.state()).take(state, &title)?;
        for group in &mut self.groups {
            for (name, step) in group.names.iter().zip(&mut group.steps) {
                if let Some(kept) = state.get(&format!("{name}/{STEP}")) {
                    *step = u64::try_from(kept.f_int64_value(&[]).in_stage(name)?).unwrap_or(0);
                }
            }
        }
        self.step = steps_done;
        Ok(())
    }
}
