//! Lion: the sign of an interpolated momentum.
//!
//! w ← w (1 - r d) - r sign(β₁ m + (1 - β₁) g); then m ← β₂ m + (1 - β₂) g.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::{Optimizer, Slots, Step, negative, no_such_setting, not_a_rate, slot};
use crate::error::Result;
use crate::plan::OptimizerChanges;

/// Lion (Chen et al., "Symbolic Discovery of Optimization Algorithms", 2023, program 1). It keeps one moment.
/// Compared with AdamW, use a learning rate three to ten times smaller, and a weight decay larger by the same
/// factor.
///
/// ```
/// use brew_core::train::Lion;
///
/// let optimizer = Lion::with_lr(1e-5).weight_decay(0.1);
/// ```
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Lion {
    learning_rate: f64,
    betas: (f64, f64),
    weight_decay: f64,
}

impl Lion {
    /// A Lion with this learning rate; betas 0.9 and 0.99, no weight decay.
    pub fn with_lr(learning_rate: f64) -> Self {
        Lion { learning_rate, betas: (0.9, 0.99), weight_decay: 0.0 }
    }

    /// The shares of the moment in the update and in the next moment, in [0, 1).
    pub fn betas(self, update: f64, moment: f64) -> Self {
        Lion { betas: (update, moment), ..self }
    }

    /// The decoupled weight decay: each step shrinks a weight by learning rate times this.
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        Lion { weight_decay, ..self }
    }
}

const MOMENT: &str = "moment";

impl Optimizer for Lion {
    fn name(&self) -> &'static str {
        "lion"
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
            not_a_rate("a beta of Lion", self.betas.0),
            not_a_rate("a beta of Lion", self.betas.1),
            negative("weight decay", self.weight_decay),
        ];
        numbers.into_iter().flatten().collect()
    }

    fn with(&self, changes: &OptimizerChanges) -> Result<Box<dyn Optimizer>> {
        no_such_setting("Lion", "eps", changes.epsilon.is_some())?;
        Ok(Box::new(Lion {
            learning_rate: changes.learning_rate.unwrap_or(self.learning_rate),
            betas: changes.betas.unwrap_or(self.betas),
            weight_decay: changes.weight_decay.unwrap_or(self.weight_decay),
        }))
    }

    fn slots(&self, parameter: &Tensor) -> Result<Vec<(&'static str, Tensor)>> {
        Ok(vec![(MOMENT, parameter.f_zeros_like()?.f_detach()?)])
    }

    fn step(
        &self,
        step: &Step,
        parameters: &mut [Tensor],
        gradients: &[Tensor],
        slots: &mut Slots,
    ) -> Result<()> {
        let (rate, (beta1, beta2)) = (step.learning_rate, self.betas);
        let moments = slot(slots, MOMENT).iter_mut();
        for ((parameter, gradient), moment) in parameters.iter_mut().zip(gradients).zip(moments) {
            if self.weight_decay > 0.0 {
                let _ = parameter.f_mul_scalar_(1.0 - rate * self.weight_decay)?;
            }
            let mut update = moment.f_lerp(gradient, 1.0 - beta1)?.f_sign()?;
            let _ = parameter.f_sub_(&update.f_mul_scalar_(rate)?)?;
            let _ = moment.f_lerp_(gradient, 1.0 - beta2)?;
        }
        Ok(())
    }
}
