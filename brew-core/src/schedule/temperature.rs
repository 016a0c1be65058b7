//! Temperature schedules: temperatures that differ from row to row, by the student's distance from the
//! teacher or its confidence.
//!
//! With the logits s and t of a row, the base temperature T, and means over all rows that count in
//! the batch:
//!
//! - `flsw(beta, gamma)`: v = s / (|s| + eps), u = t / (|t| + eps), w = (1 - <v, u>)^gamma, tau = T + beta
//!   (mean(w) - w); eps is 1e-4. Rows that agree less with the teacher get a lower temperature.
//! - `cwsm(beta)`: w = 1 / (max_c softmax(s)_c + 1e-3), tau = T + beta (mean(w) - w). Rows on which the
//!   student is less sure get a lower temperature.
//!
//! No gradient passes through a temperature. 1 - <v, u> is clamped at 0, since round-off can make it negative
//! and a fractional gamma would then give NaN. Source: Wen, Lai and Qian, "Preparing Lessons: Improve
//! Knowledge Distillation with Better Supervision" (2019); TextBrewer's schedulers of these names.

use std::fmt;
use std::sync::Arc;

use serde_json::json;
use tch::Tensor;

use crate::error::Result;

/// A temperature for every row, from the logits of both sides.
pub trait TemperatureSchedule: fmt::Debug + Send + Sync + 'static {
    /// The name in plans and configs.
    fn name(&self) -> &'static str;

    /// The options, as stored in a plan on disk.
    fn options(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    /// The problems of the options themselves, each with its fix.
    fn problems(&self) -> Vec<String> {
        Vec::new()
    }

    /// The temperatures, `(rows,)`, or a scalar for all rows.
    ///
    /// `student` and `teacher` are the logits of the rows that count, `(rows, classes)`, in float32 or
    /// float64; `base` is the loss's own temperature. A loss refuses temperatures outside (0, inf).
    fn temperatures(&self, student: &Tensor, teacher: &Tensor, base: f64) -> Result<Tensor>;
}

impl TemperatureSchedule for Arc<dyn TemperatureSchedule> {
    fn name(&self) -> &'static str {
        (**self).name()
    }
    fn options(&self) -> serde_json::Value {
        (**self).options()
    }
    fn problems(&self) -> Vec<String> {
        (**self).problems()
    }
    fn temperatures(&self, student: &Tensor, teacher: &Tensor, base: f64) -> Result<Tensor> {
        (**self).temperatures(student, teacher, base)
    }
}

/// `flsw`: by the angle between the student's logits and the teacher's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Flsw {
    beta: f64,
    gamma: f64,
    epsilon: f64,
}

impl Flsw {
    /// `beta` is the strength of the effect, `gamma` the power of the distance; both must be finite.
    pub fn new(beta: f64, gamma: f64) -> Self {
        Flsw { beta, gamma, epsilon: 1e-4 }
    }

    /// Added to the norms of the logits; default 1e-4.
    #[must_use]
    pub fn epsilon(self, epsilon: f64) -> Self {
        Flsw { epsilon, ..self }
    }
}

/// `cwsm`: by the student's confidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cwsm {
    beta: f64,
}

impl Cwsm {
    /// `beta` is the strength of the effect; it must be finite.
    pub fn new(beta: f64) -> Self {
        Cwsm { beta }
    }
}

impl TemperatureSchedule for Flsw {
    fn name(&self) -> &'static str {
        "flsw"
    }

    fn options(&self) -> serde_json::Value {
        json!({ "beta": self.beta, "gamma": self.gamma, "eps": self.epsilon })
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = not_finite(&[("beta", self.beta), ("gamma", self.gamma)]);
        if !(self.epsilon.is_finite() && self.epsilon > 0.0) {
            problems.push(format!("eps of `flsw` is {}; it must be finite and above 0", self.epsilon));
        }
        problems
    }

    fn temperatures(&self, student: &Tensor, teacher: &Tensor, base: f64) -> Result<Tensor> {
        let direction = |logits: &Tensor| -> Result<Tensor> {
            let length = logits.f_square()?.f_sum_dim_intlist(-1, true, None)?.f_sqrt()?;
            Ok(logits.f_div(&length.f_add_scalar(self.epsilon)?)?)
        };
        let cosine = direction(student)?.f_mul(&direction(teacher)?)?.f_sum_dim_intlist(-1, false, None)?;
        let distance = cosine.f_neg()?.f_add_scalar(1.0)?.f_clamp_min(0.0)?;
        around(&distance.f_pow_tensor_scalar(self.gamma)?, self.beta, base)
    }
}

impl TemperatureSchedule for Cwsm {
    fn name(&self) -> &'static str {
        "cwsm"
    }

    fn options(&self) -> serde_json::Value {
        json!({ "beta": self.beta })
    }

    fn problems(&self) -> Vec<String> {
        not_finite(&[("beta", self.beta)])
    }

    fn temperatures(&self, student: &Tensor, _: &Tensor, base: f64) -> Result<Tensor> {
        let surest = student.f_softmax(-1, None)?.f_amax(-1, false)?;
        around(&surest.f_add_scalar(1e-3)?.f_reciprocal()?, self.beta, base)
    }
}

/// T + beta (mean(w) - w).
fn around(weights: &Tensor, beta: f64, base: f64) -> Result<Tensor> {
    let change = weights.f_mean(None)?.f_sub(weights)?;
    Ok(change.f_mul_scalar(beta)?.f_add_scalar(base)?)
}

fn not_finite(options: &[(&str, f64)]) -> Vec<String> {
    (options.iter().filter(|(_, value)| !value.is_finite()))
        .map(|(name, value)| format!("{name} of the temperature schedule is {value}; it must be finite"))
        .collect()
}
