//! Stochastic gradient descent, by libtorch's fused kernel.
//!
//! g ← g + d w; b ← μ b + g (b = g at the first step); w ← w - r b, or with Nesterov's look ahead
//! w ← w - r (g + μ b). PyTorch's `SGD` without dampening.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::{Optimizer, Slots, Step, negative, no_such_setting, not_a_rate};
use crate::error::Result;
use crate::native::ffi::{self, SgdNumbers};
use crate::plan::OptimizerChanges;

/// Gradient descent with momentum (Sutskever et al., "On the Importance of Initialization and Momentum
/// in Deep Learning", 2013).
///
/// ```
/// use brew_core::train::Sgd;
///
/// let optimizer = Sgd::with_lr(0.1).momentum(0.9).nesterov();
/// ```
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sgd {
    learning_rate: f64,
    momentum: f64,
    nesterov: bool,
    weight_decay: f64,
}

impl Sgd {
    /// An SGD with this learning rate, without momentum or weight decay.
    pub fn with_lr(learning_rate: f64) -> Self {
        Sgd { learning_rate, momentum: 0.0, nesterov: false, weight_decay: 0.0 }
    }

    /// How much of the last update goes into the next, in [0, 1).
    pub fn momentum(self, momentum: f64) -> Self {
        Sgd { momentum, ..self }
    }

    /// Looks ahead along the momentum; it needs one.
    pub fn nesterov(self) -> Self {
        Sgd { nesterov: true, ..self }
    }

    /// The coupled weight decay: this times the weight is added to its gradient.
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        Sgd { weight_decay, ..self }
    }
}

const MOMENTUM: &str = "momentum";

impl Optimizer for Sgd {
    fn name(&self) -> &'static str {
        "sgd"
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
        let bare = (self.nesterov && self.momentum == 0.0)
            .then(|| "Nesterov's look ahead needs a momentum: add `.momentum(0.9)`".to_owned());
        let numbers = [
            negative("learning rate", self.learning_rate),
            not_a_rate("the momentum", self.momentum),
            negative("weight decay", self.weight_decay),
            bare,
        ];
        numbers.into_iter().flatten().collect()
    }

    fn with(&self, changes: &OptimizerChanges) -> Result<Box<dyn Optimizer>> {
        no_such_setting("SGD", "betas", changes.betas.is_some())?;
        no_such_setting("SGD", "eps", changes.epsilon.is_some())?;
        Ok(Box::new(Sgd {
            learning_rate: changes.learning_rate.unwrap_or(self.learning_rate),
            weight_decay: changes.weight_decay.unwrap_or(self.weight_decay),
            ..*self
        }))
    }

    fn slots(&self, parameter: &Tensor) -> Result<Vec<(&'static str, Tensor)>> {
        if self.momentum == 0.0 {
            return Ok(Vec::new());
        }
        Ok(vec![(MOMENTUM, parameter.f_zeros_like()?.f_contiguous()?.f_detach()?)])
    }

    fn step(
        &self,
        step: &Step,
        parameters: &mut [Tensor],
        gradients: &[Tensor],
        slots: &mut Slots,
    ) -> Result<()> {
        let numbers = SgdNumbers {
            learning_rate: step.learning_rate,
            momentum: self.momentum,
            nesterov: self.nesterov,
            weight_decay: self.weight_decay,
        };
        ffi::fused_sgd(parameters, gradients, super::slot(slots, MOMENTUM), numbers)
    }
}
