//! Adafactor: keeps a matrix's second moments only per row and per column, so its state is tiny.
//!
//! At the parameter's own step s, with β = s^decay (decay -0.8), ρ = min(r, 1/√s), α = max(ε₂, RMS(w)) ρ: a
//! matrix keeps R ← R + β (mean_columns g² - R) and C ← C + β (mean_rows g² - C), and v = R C / mean(R); a
//! vector keeps v ← v + β (g² - v). u = g / √max(v, ε₁²); w ← w (1 - r d) - α u / max(1, RMS(u) / c), c = 1.
//! Same as PyTorch's `Adafactor`, but without reading from the device.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::{Optimizer, Slots, Step, negative, no_such_setting, slot};
use crate::error::Result;
use crate::plan::OptimizerChanges;

/// Adafactor (Shazeer and Stern, "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost", 2018).
///
/// ```
/// use brew_core::train::Adafactor;
///
/// let optimizer = Adafactor::with_lr(1e-2);
/// ```
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Adafactor {
    learning_rate: f64,
    decay: f64,
    epsilon: f64,
    clipping: f64,
    weight_decay: f64,
}

impl Adafactor {
    /// An Adafactor with at most this learning rate, relative to each parameter's own size; decay -0.8, ε₂
    /// 1e-3, clipping 1, no weight decay.
    pub fn with_lr(learning_rate: f64) -> Self {
        Adafactor { learning_rate, decay: -0.8, epsilon: 1e-3, clipping: 1.0, weight_decay: 0.0 }
    }

    /// The exponent of the step in the second moment's decay, below 0.
    pub fn decay(self, decay: f64) -> Self {
        Adafactor { decay, ..self }
    }

    /// The decoupled weight decay: each step shrinks a weight by learning rate times this.
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        Adafactor { weight_decay, ..self }
    }
}

const ROWS: &str = "row_moment";
const COLUMNS: &str = "column_moment";
const VARIANCE: &str = "second_moment";

impl Optimizer for Adafactor {
    fn name(&self) -> &'static str {
        "adafactor"
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
        let fine = self.decay.is_finite() && self.decay < 0.0;
        let decay = (!fine).then(|| format!("the decay of Adafactor is {}; it must be below 0", self.decay));
        let numbers = [
            negative("learning rate", self.learning_rate),
            negative("weight decay", self.weight_decay),
            decay,
        ];
        numbers.into_iter().flatten().collect()
    }

    fn with(&self, changes: &OptimizerChanges) -> Result<Box<dyn Optimizer>> {
        no_such_setting("Adafactor", "betas", changes.betas.is_some())?;
        Ok(Box::new(Adafactor {
            learning_rate: changes.learning_rate.unwrap_or(self.learning_rate),
            epsilon: changes.epsilon.unwrap_or(self.epsilon),
            weight_decay: changes.weight_decay.unwrap_or(self.weight_decay),
            ..*self
        }))
    }

    fn slots(&self, parameter: &Tensor) -> Result<Vec<(&'static str, Tensor)>> {
        let zeros = |shape: &[i64]| Tensor::f_zeros(shape, (parameter.kind(), parameter.device()));
        let mut shape = parameter.size();
        let empty = zeros(&[0])?;
        if shape.len() < 2 {
            return Ok(vec![(ROWS, empty.shallow_clone()), (COLUMNS, empty), (VARIANCE, zeros(&shape)?)]);
        }
        let last = shape.len() - 1;
        let columns = std::mem::replace(&mut shape[last], 1);
        let rows = zeros(&shape)?;
        shape[last] = columns;
        shape[last - 1] = 1;
        Ok(vec![(ROWS, rows), (COLUMNS, zeros(&shape)?), (VARIANCE, empty)])
    }

    fn step(
        &self,
        step: &Step,
        parameters: &mut [Tensor],
        gradients: &[Tensor],
        slots: &mut Slots,
    ) -> Result<()> {
        let moving = parameters.iter_mut().zip(gradients).zip(&step.numbers);
        for (index, ((parameter, gradient), number)) in moving.enumerate() {
            let number = *number as f64;
            let (share, rate) = (number.powf(self.decay), step.learning_rate.min(1.0 / number.sqrt()));
            let size = root_mean_square(parameter)?.f_clamp_min(self.epsilon)?.f_mul_scalar(rate)?;
            if self.weight_decay > 0.0 {
                let _ = parameter.f_mul_scalar_(1.0 - step.learning_rate * self.weight_decay)?;
            }
            let smallest = match parameter.kind() {
                Kind::Double => f64::EPSILON,
                _ => f64::from(f32::EPSILON),
            };
            let square = gradient.f_square()?;
            let variance = if parameter.dim() < 2 {
                let kept = &mut slot(slots, VARIANCE)[index];
                kept.f_lerp_(&square, share)?.shallow_clone()
            } else {
                let rows = &mut slot(slots, ROWS)[index];
                let _ = rows.f_lerp_(&square.f_mean_dim(-1, true, None)?, share)?;
                let (rows, mean) = (rows.shallow_clone(), rows.f_mean_dim(-2, true, None)?);
                let columns = &mut slot(slots, COLUMNS)[index];
                let _ = columns.f_lerp_(&square.f_mean_dim(-2, true, None)?, share)?;
                rows.f_matmul(columns)?.f_div(&mean.f_clamp_min(smallest)?)?
            };
            let update = variance.f_clamp_min(smallest * smallest)?.f_rsqrt()?.f_mul(gradient)?;
            let clip = root_mean_square(&update)?.f_div_scalar(self.clipping)?.f_clamp_min(1.0)?;
            let _ = parameter.f_sub_(&update.f_mul(&size.f_div(&clip)?)?)?;
        }
        Ok(())
    }
}

fn root_mean_square(tensor: &Tensor) -> Result<Tensor> {
    Ok(tensor.f_square()?.f_mean(None)?.f_sqrt()?)
}
