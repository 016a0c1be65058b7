//! Optimizers: their settings, their update rules, and parameter groups whose state is fully accessible.
//!
//! An [`Optimizer`] consists of settings and an update rule; it holds no tensors. Everything that changes
//! (parameters, moments, step counts) is in `groups.rs`, in lists that fused kernels take directly, under the
//! names that checkpoints use.
//!
//! | optimizer | one step, with gradient g, learning rate r, weight decay d | source | |---|---|---|
//! | [`AdamW`] | w ← w (1 - r d) - r m̂ / (√v̂ + ε) | Loshchilov and Hutter, 2019 |
//! | [`Adam`] | the same with d w added to g instead | Kingma and Ba, 2015 |
//! | [`Sgd`] | b ← μ b + g + d w; w ← w - r b | Sutskever et al., 2013 |
//! | [`Lion`] | w ← w (1 - r d) - r sign(β₁ m + (1 - β₁) g); m ← β₂ m + (1 - β₂) g | Chen et al., 2023 |
//! | [`Adafactor`] | second moments by row and column | Shazeer and Stern, 2018 |

mod adafactor;
mod adam;
mod group;
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

/// An optimizer's settings and update rule.
///
/// Your own optimizer keeps its state in slots, one tensor per parameter each:
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

    /// The settings, as `config.json` stores them.
    fn settings(&self) -> serde_json::Value;

    /// The learning rate before the schedule.
    fn learning_rate(&self) -> f64;

    /// The weight decay; 0 for none.
    fn weight_decay(&self) -> f64;

    /// The problems of the settings, each with its fix.
    fn problems(&self) -> Vec<String> {
        Vec::new()
    }

    /// A copy with these changes, such as those of a parameter group.
    ///
    /// # Errors
    /// A change to a setting that the optimizer does not have.
    fn with(&self, changes: &OptimizerChanges) -> Result<Box<dyn Optimizer>>;

    /// The initial state of a parameter, by slot.
    fn slots(&self, parameter: &Tensor) -> Result<Vec<(&'static str, Tensor)>>;

    /// Updates the parameters in place. Every slot has one tensor per parameter, in the same order; gradient
    /// mode is off.
    fn step(
        &self,
        step: &Step,
        parameters: &mut [Tensor],
        gradients: &[Tensor],
        slots: &mut Slots,
    ) -> Result<()>;
}

/// The slots by name, each with one tensor per parameter.
pub type Slots = BTreeMap<&'static str, Vec<Tensor>>;

/// The context of one step.
#[derive(Debug)]
pub struct Step {
    /// For each parameter the number of its updates, including this one: from 1. A parameter is updated only
    /// in steps that give it a gradient, so the head of a rarely drawn task has a lower number.
    pub numbers: Vec<u64>,
    /// The learning rate after applying the schedule and the group's factor.
    pub learning_rate: f64,
}

/// A slot that an optimizer has declared.
fn slot<'s>(slots: &'s mut Slots, name: &'static str) -> &'s mut [Tensor] {
    slots.get_mut(name).map_or(&mut [], Vec::as_mut_slice)
}

/// The problem with a number that must be finite and not negative, if there is one.
fn negative(name: &str, value: f64) -> Option<String> {
    let fine = value.is_finite() && value >= 0.0;
    (!fine).then(|| format!("the {name} is {value}; it must be finite and not negative"))
}

/// The problem with a decay rate outside [0, 1).
fn not_a_rate(name: &str, value: f64) -> Option<String> {
    let fine = (0.0..1.0).contains(&value);
    (!fine).then(|| format!("{name} is {value}; it must lie in [0, 1)"))
}

/// The error for a change to a setting that the optimizer lacks.
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
