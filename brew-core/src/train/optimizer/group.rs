//! One parameter group, which one call of the optimizer updates.

use std::collections::BTreeMap;

use tch::Tensor;

use super::rows::{GradientRows, SparseUpdates, fit};
use super::{Optimizer, Slots, Step};
use crate::error::{InStage, Result};

/// Parameters with the same settings, and the state of each.
#[derive(Debug)]
pub(super) struct Group {
    optimizer: Box<dyn Optimizer>,
    /// This group's learning rate factor.
    factor: f64,
    pub(super) names: Vec<String>,
    pub(super) parameters: Vec<Tensor>,
    /// How many updates each parameter has had.
    pub(super) steps: Vec<u64>,
    pub(super) slots: Slots,
    /// The parameters with sparse gradients, which cover only some rows, by index.
    pub(super) rows: BTreeMap<usize, GradientRows>,
}

impl Group {
    pub(super) fn new(
        optimizer: Box<dyn Optimizer>,
        factor: f64,
        members: &[(&str, &Tensor)],
    ) -> Result<Self> {
        let mut slots = Slots::new();
        for (name, parameter) in members {
            for (slot, tensor) in optimizer.slots(parameter).in_stage(name)? {
                slots.entry(slot).or_default().push(tensor);
            }
        }
        let names = members.iter().map(|(name, _)| (*name).to_owned()).collect();
        let parameters = members.iter().map(|(_, parameter)| parameter.shallow_clone()).collect();
        let steps = vec![0; members.len()];
        Ok(Group { optimizer, factor, names, parameters, steps, slots, rows: BTreeMap::new() })
    }

    /// One step of this group.
    pub(super) fn step(&mut self, multiplier: f64, sparse: SparseUpdates) -> Result<()> {
        let learning_rate = self.optimizer.learning_rate() * multiplier * self.factor;
        let mut step = Step { numbers: Vec::new(), learning_rate };
        let mut moving = Moving::default();
        let mut some_rows = Vec::new();
        for (index, parameter) in self.parameters.iter().enumerate() {
            let gradient = parameter.grad();
            if !gradient.defined() {
                continue;
            }
            self.steps[index] += 1;
            step.numbers.push(self.steps[index]);
            // These share storage with the slots, so in-place updates reach the slots.
            let slots = self.slots.iter().map(|(slot, tensors)| (*slot, tensors[index].shallow_clone()));
            if !gradient.is_sparse() {
                moving.add(parameter.shallow_clone(), gradient.f_contiguous()?, slots);
                continue;
            }
            let rows = self.rows.entry(index).or_default();
            let slots: Vec<_> = slots.collect();
            if sparse == SparseUpdates::EveryRow || !fit(parameter, &slots) {
                moving.add(parameter.shallow_clone(), rows.dense(parameter, &gradient)?, slots);
                continue;
            }
            let place = moving.parameters.len();
            let in_use = rows.in_use(&gradient)?;
            let slots = slots.into_iter().map(|(slot, tensor)| Ok((slot, in_use.of(&tensor)?)));
            let slots = slots.collect::<Result<Vec<_>>>()?;
            moving.add(in_use.of(parameter)?, in_use.gradients(), slots);
            some_rows.push((index, place, gradient));
        }
        if moving.parameters.is_empty() {
            return Ok(());
        }
        let Moving { parameters, gradients, slots } = &mut moving;
        self.optimizer.step(&step, parameters, gradients, slots).in_stage(self.optimizer.name())?;
        for (index, place, gradient) in some_rows {
            let in_use = self.rows.entry(index).or_default().in_use(&gradient)?;
            in_use.put(&self.parameters[index], &moving.parameters[place])?;
            for (slot, kept) in &self.slots {
                if let Some(moved) = moving.slots.get(slot) {
                    in_use.put(&kept[index], &moved[place])?;
                }
            }
        }
        Ok(())
    }
}

/// The inputs of an optimizer for one step.
#[derive(Debug, Default)]
struct Moving {
    parameters: Vec<Tensor>,
    gradients: Vec<Tensor>,
    slots: Slots,
}

impl Moving {
    fn add(
        &mut self,
        parameter: Tensor,
        gradient: Tensor,
        slots: impl IntoIterator<Item = (&'static str, Tensor)>,
    ) {
        self.parameters.push(parameter);
        self.gradients.push(gradient);
        for (slot, tensor) in slots {
            self.slots.entry(slot).or_default().push(tensor);
        }
    }
}
