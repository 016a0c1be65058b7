//! Adam and AdamW, by libtorch's fused kernel: one call per group, in the order of PyTorch's operations.
//!
//! With gradient g, moments m ← β₁ m + (1 - β₁) g and v ← β₂ v + (1 - β₂) g², at the parameter's own step s:
//! w ← w - r (m / (1 - β₁ˢ)) / (√(v / (1 - β₂ˢ)) + ε). Weight decay d shrinks w by r d first (AdamW), or adds
//! d w to g (Adam).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::{Optimizer, Slots, Step, negative, not_a_rate};
use crate::error::Result;
use crate::native::ffi::{self, AdamNumbers};
use crate::plan::OptimizerChanges;

macro_rules! adam {
    ($(#[doc = $doc:literal])* $name:ident, $id:literal, $decay:literal, decoupled: $decoupled:literal, $what:literal) => {
        $(#[doc = $doc])*
        #[must_use]
        #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
        pub struct $name {
            learning_rate: f64,
            betas: (f64, f64),
            epsilon: f64,
            weight_decay: f64,
        }

        impl $name {
            #[doc = concat!("This learning rate; betas 0.9 and 0.999, epsilon 1e-8, weight decay ", $decay, ".")]
            pub fn with_lr(learning_rate: f64) -> Self {
                $name { learning_rate, betas: (0.9, 0.999), epsilon: 1e-8, weight_decay: $decay }
            }

            /// The decay rates of the two moments, in [0, 1).
            pub fn betas(self, first: f64, second: f64) -> Self {
                $name { betas: (first, second), ..self }
            }

            /// What is added to the root of the second moment.
            pub fn epsilon(self, epsilon: f64) -> Self {
                $name { epsilon, ..self }
            }

            #[doc = $what]
            pub fn weight_decay(self, weight_decay: f64) -> Self {
                $name { weight_decay, ..self }
            }

            /// A copy with these changes, such as those of a parameter group.
            pub fn changed(self, changes: &OptimizerChanges) -> Self {
                $name {
                    learning_rate: changes.learning_rate.unwrap_or(self.learning_rate),
                    betas: changes.betas.unwrap_or(self.betas),
                    epsilon: changes.epsilon.unwrap_or(self.epsilon),
                    weight_decay: changes.weight_decay.unwrap_or(self.weight_decay),
                }
            }
        }

        impl Optimizer for $name {
            fn name(&self) -> &'static str {
                $id
            }

            fn settings(&self) -> serde_json::Value {
                serde_json::json!(self)
            }

            fn learning_rate(&self) -> f64 {
                self.learning_rate
            }

            fn weight_decay(&self) -> f64 {
                self.weight_decay
            }

            fn problems(&self) -> Vec<String> {
                let numbers = [
                    negative("learning rate", self.learning_rate),
                    not_a_rate(concat!("a beta of ", stringify!($name)), self.betas.0),
                    not_a_rate(concat!("a beta of ", stringify!($name)), self.betas.1),
                    negative("epsilon", self.epsilon),
                    negative("weight decay", self.weight_decay),
                ];
                numbers.into_iter().flatten().collect()
            }

            fn with(&self, changes: &OptimizerChanges) -> Result<Box<dyn Optimizer>> {
                Ok(Box::new(self.changed(changes)))
            }

            fn slots(&self, parameter: &Tensor) -> Result<Vec<(&'static str, Tensor)>> {
                moments(parameter)
            }

            fn step(
                &self,
                step: &Step,
                parameters: &mut [Tensor],
                gradients: &[Tensor],
                slots: &mut Slots,
            ) -> Result<()> {
                let numbers = AdamNumbers {
                    learning_rate: step.learning_rate,
                    betas: self.betas,
                    weight_decay: self.weight_decay,
                    epsilon: self.epsilon,
                    decoupled: $decoupled,
                };
                fused(step, parameters, gradients, slots, numbers)
            }
        }
    };
}

adam!(
    /// Adam with decoupled weight decay (Loshchilov and Hutter, "Decoupled Weight Decay Regularization",
    /// 2019); PyTorch's `AdamW`.
    ///
    /// ```
    /// use brew_core::train::AdamW;
    ///
    /// let optimizer = AdamW::with_lr(1e-4).weight_decay(0.01);
    /// ```
    AdamW,
    "adamw",
    0.01,
    decoupled: true,
    "The decoupled weight decay: each step shrinks a weight by learning rate times this."
);

adam!(
    /// Adam (Kingma and Ba, 2015); PyTorch's `Adam`.
    ///
    /// ```
    /// use brew_core::train::Adam;
    ///
    /// let optimizer = Adam::with_lr(1e-3).betas(0.9, 0.98);
    /// ```
    Adam,
    "adam",
    0.0,
    decoupled: false,
    "The coupled weight decay: this times the weight is added to its gradient."
);

const FIRST: &str = "first_moment";
const SECOND: &str = "second_moment";

fn moments(parameter: &Tensor) -> Result<Vec<(&'static str, Tensor)>> {
    let zeros = || Ok::<_, crate::error::Error>(parameter.f_zeros_like()?.f_contiguous()?.f_detach()?);
    Ok(vec![(FIRST, zeros()?), (SECOND, zeros()?)])
}

fn fused(
    step: &Step,
    parameters: &mut [Tensor],
    gradients: &[Tensor],
    slots: &mut Slots,
    numbers: AdamNumbers,
) -> Result<()> {
    // The kernel reads the step from the device, one scalar per parameter; parameters at the same step share
    // it.
    let device = parameters.first().map_or(Device::Cpu, Tensor::device);
    let mut scalars: BTreeMap<u64, Tensor> = BTreeMap::new();
    let mut steps = Vec::with_capacity(parameters.len());
    for number in &step.numbers {
        let scalar = match scalars.entry(*number) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Tensor::f_full([], *number as f64, (Kind::Float, device))?),
        };
        steps.push(scalar.shallow_clone());
    }
    let empty: &[Tensor] = &[];
    let lists = ffi::Adam {
        parameters,
        gradients,
        first_moments: slots.get(FIRST).map_or(empty, Vec::as_slice),
        second_moments: slots.get(SECOND).map_or(empty, Vec::as_slice),
        steps: &steps,
    };
    ffi::fused_adam(&lists, numbers)
}
