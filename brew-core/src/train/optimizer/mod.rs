//! Optimizers: their settings, their rules, and the parameters they move with all state in the open.
//!
//! An [`Optimizer`] is a value with settings and a rule; it holds no tensors. What moves (parameters,
//! moments, counts of steps) is in `groups.rs`, in lists that a fused kernel takes whole, under names
//! that a checkpoint keeps.
//!
//! | optimizer | a step, with gradient g, learning rate r, weight decay d | source |
//! |---|---|---|
//! | [`AdamW`] | w ← w (1 - r d) - r m̂ / (√v̂ + ε) | Loshchilov and Hutter, 2019 |
//! | [`Adam`] | the same with d w added to g instead | Kingma and Ba, 2015 |
//! | [`Sgd`] | b ← μ b + g + d w; w ← w - r b | Sutskever et al., 2013 |
//! | [`Lion`] | w ← w (1 - r d) - r sign(β₁ m + (1 - β₁) g); m ← β₂ m + (1 - β₂) g | Chen et al., 2023 |
//! | [`Adafactor`] | second moments by row and column | Shazeer and Stern, 2018 |

mod adafactor;
mod adam;
mod groups;
mod lion;
mod rows;
mod sgd;

use std::collections::BTreeMap;
use std::fmt;

use tch::Tensor;

use crate::error::Result;
use crate::plan::OptimizerChanges;

pub use adafactor::Adafactor;
pub use adam::{Adam, AdamW};
pub(crate) use groups::Groups;
pub use lion::Lion;
pub(crate) use rows::SparseUpdates;
pub use sgd::Sgd;

/// The settings of an optimizer and its rule.
///
/// One of one's own keeps what it needs in slots, one tensor a parameter each:
///
/// ```
/// use brew_core::prelude::*;
/// use brew_core::plan::OptimizerChanges;
/// use brew_core::train::{Optimizer, Slots, Step};
///
/// /// Gradient descent by the sign alone.
/// #[derive(Debug, Clone)]
/// struct SignDescent(f64);
///
/// impl Optimizer for SignDescent {
///     fn name(&self) -> &'static str { "sign_descent" }
///     fn settings(&self) -> serde_json::Value { serde_json::json!({ "lr": self.0 }) }
///     fn learning_rate(&self) -> f64 { self.0 }
///     fn weight_decay(&self) -> f64 { 0.0 }
///     fn with(&self, changes: &OptimizerChanges) -> Result<Box<dyn Optimizer>> {
///         Ok(Box::new(SignDescent(changes.learning_rate.unwrap_or(self.0))))
///     }
///     fn slots(&self, _: &Tensor) -> Result<Vec<(&'static str, Tensor)>> { Ok(Vec::new()) }
///     fn step(&self, _: &Step, parameters: &mut [Tensor], gradients: &[Tensor], _: &mut Slots) -> Result<()> {
///         for (parameter, gradient) in parameters.iter_mut().zip(gradients) {
///             let _ = parameter.f_sub_(&gradient.f_sign()?.f_mul_scalar(self.0)?)?;
///         }
///         Ok(())
///     }
/// }
/// ```
pub trait Optimizer: fmt::Debug + 'static {
    /// The name in `config.json` and in checkpoints.
    fn name(&self) -> &'static str;

    /// The settings, as `config.json` holds them.
    fn settings(&self) -> serde_json::Value;

    /// The learning rate before the schedule.
    fn learning_rate(&self) -> f64;

    /// How fast weights decay; 0 for not at all.
    fn weight_decay(&self) -> f64;

    /// What is wrong with the settings, each with its mend.
    fn problems(&self) -> Vec<String> {
        Vec::new()
    }

    /// The same optimizer with these changes, such as those of a group of parameters.
    ///
    /// # Errors
    /// Where a change is of something that the optimizer does not have.
    fn with(&self, changes: &OptimizerChanges) -> Result<Box<dyn Optimizer>>;

    /// What is kept for a parameter from step to step, as it is before the first.
    fn slots(&self, parameter: &Tensor) -> Result<Vec<(&'static str, Tensor)>>;

    /// Moves the parameters in place. Every slot has one tensor a parameter, in their order; gradient
    /// mode is off.
    fn step(
        &self,
        step: &Step,
        parameters: &mut [Tensor],
        gradients: &[Tensor],
        slots: &mut Slots,
    ) -> Result<()>;
}

/// What a slot of each parameter holds, by the slot's name.
pub type Slots = BTreeMap<&'static str, Vec<Tensor>>;

/// The circumstances of one step.
#[derive(Debug)]
pub struct Step {
    /// Of each parameter how often it has moved, this step included: from 1. A parameter moves in the steps
    /// that give it a gradient, so that the head of a task that is rarely drawn has made fewer.
    pub numbers: Vec<u64>,
    /// The learning rate after the schedule and the group's own factor.
    pub learning_rate: f64,
}

/// A slot that an optimizer has declared.
fn slot<'s>(slots: &'s mut Slots, name: &'static str) -> &'s mut [Tensor] {
    slots.get_mut(name).map_or(&mut [], Vec::as_mut_slice)
}

/// The problem of a number that must be finite and not negative.
fn negative(name: &str, value: f64) -> Option<String> {
    let fine = value.is_finite() && value >= 0.0;
    (!fine).then(|| format!("the {name} is {value}; it must be finite and not negative"))
}

/// The problem of a decay rate outside [0, 1).
fn not_a_rate(name: &str, value: f64) -> Option<String> {
    let fine = (0.0..1.0).contains(&value);
    (!fine).then(|| format!("{name} is {value}; it must lie in [0, 1)"))
}

/// The error of a change that an optimizer has no setting for.
fn no_such_setting(optimizer: &str, setting: &str, given: bool) -> Result<()> {
    if given {
        return Err(crate::error::Error::invalid(format!(
            "`{setting}` was given, which {optimizer} does not have"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
