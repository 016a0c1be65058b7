//! The parameters that an optimizer moves, in groups of one setting each, with their slots.
//!
//! In the exact semantics biases and norms (vectors) do not decay, and with a layer decay the layers
//! nearer to the input learn slower: each is a group of its own, so that a fused kernel takes it whole.

use std::collections::{BTreeMap, BTreeSet};

use tch::Tensor;

use super::{Optimizer, Slots, Step};
use crate::error::{InStage, Result};
use crate::model::Parameters;
use crate::plan::{OptimizerChanges, Semantics};

/// Everything that one optimizer moves.
#[derive(Debug)]
pub(crate) struct Groups {
    optimizer: Box<dyn Optimizer>,
    semantics: Semantics,
    step: u64,
    groups: Vec<Group>,
}

#[derive(Debug)]
struct Group {
    optimizer: Box<dyn Optimizer>,
    /// The factor of the learning rate that is this group's own.
    factor: f64,
    names: Vec<String>,
    parameters: Vec<Tensor>,
    slots: Slots,
}

impl Groups {
    /// No parameters yet.
    pub(crate) fn new(optimizer: Box<dyn Optimizer>, semantics: Semantics) -> Self {
        Groups { optimizer, semantics, step: 0, groups: Vec::new() }
    }

    /// Adds parameters with what they have of their own: slots for every one that requires a gradient. A
    /// tensor that is here already, under whatever name, is not added again.
    /// `factor` gives the factor of a parameter's learning rate by its name.
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
        // Tensors without elements have no place of their own in memory.
        let fresh: Vec<(&str, &Tensor)> = (parameters.iter())
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

    /// The parameters it moves.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = &Tensor> {
        self.groups.iter().flat_map(|group| &group.parameters)
    }

    /// Clears the gradients.
    pub(crate) fn zero_gradients(&mut self) {
        for parameter in self.groups.iter_mut().flat_map(|group| &mut group.parameters) {
            parameter.zero_grad();
        }
    }

    /// One step with the learning rates multiplied by this; a parameter without a gradient stays.
    pub(crate) fn step(&mut self, multiplier: f64) -> Result<()> {
        let _guard = tch::no_grad_guard();
        self.step += 1;
        for group in &mut self.groups {
            group.step(self.step, multiplier)?;
        }
        Ok(())
    }

    /// All slots by parameter and slot, `encoder.layer.0.….weight/first_moment`; handles of the tensors
    /// themselves.
    pub(crate) fn state(&self) -> BTreeMap<String, Tensor> {
        let named = |group: &Group| {
            let slots = group.slots.iter();
            slots
                .flat_map(|(slot, tensors)| {
                    let names = group.names.iter().zip(tensors);
                    names.map(move |(name, tensor)| (format!("{name}/{slot}"), tensor.shallow_clone()))
                })
                .collect::<Vec<_>>()
        };
        self.groups.iter().flat_map(named).collect()
    }

    /// Steps done.
    pub(crate) fn steps_done(&self) -> u64 {
        self.step
    }

    /// Goes on from a state that [`Groups::state`] gave after so many steps.
    ///
    /// # Errors
    /// Names every slot that is missing, unknown or of another shape; nothing is changed then.
    pub(crate) fn restore(&mut self, state: &BTreeMap<String, Tensor>, steps_done: u64) -> Result<()> {
        let title = format!("{} cannot go on from this state", self.optimizer.name());
        Parameters::new(self.state()).take(state, &title)?;
        self.step = steps_done;
        Ok(())
    }
}

impl Group {
    fn new(optimizer: Box<dyn Optimizer>, factor: f64, members: &[(&str, &Tensor)]) -> Result<Self> {
        let mut slots = Slots::new();
        for (name, parameter) in members {
            for (slot, tensor) in optimizer.slots(parameter).in_stage(name)? {
                slots.entry(slot).or_default().push(tensor);
            }
        }
        let names = members.iter().map(|(name, _)| (*name).to_owned()).collect();
        let parameters = members.iter().map(|(_, parameter)| parameter.shallow_clone()).collect();
        Ok(Group { optimizer, factor, names, parameters, slots })
    }

    fn step(&mut self, number: u64, multiplier: f64) -> Result<()> {
        let gradients: Vec<Tensor> = self.parameters.iter().map(Tensor::grad).collect();
        let with_gradient: Vec<usize> =
            (0..gradients.len()).filter(|&index| gradients[index].defined()).collect();
        if with_gradient.is_empty() {
            return Ok(());
        }
        let pick = |tensors: &[Tensor]| -> Vec<Tensor> {
            with_gradient.iter().map(|&index| tensors[index].shallow_clone()).collect()
        };
        let learning_rate = self.optimizer.learning_rate() * multiplier * self.factor;
        let gradients = (pick(&gradients).iter().map(Tensor::f_contiguous)).collect::<Result<Vec<_>, _>>()?;
        // Handles of the same tensors: what moves in them moves here.
        let mut slots = self.slots.iter().map(|(slot, tensors)| (*slot, pick(tensors))).collect();
        let step = Step { number, learning_rate };
        self.optimizer
            .step(&step, &mut pick(&self.parameters), &gradients, &mut slots)
            .in_stage(self.optimizer.name())
    }
}
