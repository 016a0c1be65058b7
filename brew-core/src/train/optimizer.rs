//! AdamW with its moments in the open (Loshchilov and Hutter, "Decoupled Weight Decay
//! Regularization", 2019), in the order of PyTorch's operations.

use tch::Tensor;

use crate::error::{InStage, Result};
use crate::model::Parameters;
use crate::plan::Semantics;

/// The settings of AdamW.
///
/// ```
/// use brew_core::train::AdamW;
///
/// let optimizer = AdamW::with_lr(1e-4).weight_decay(0.01);
/// ```
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct AdamW {
    /// The learning rate before the schedule.
    pub(crate) learning_rate: f64,
    betas: (f64, f64),
    epsilon: f64,
    weight_decay: f64,
}

impl AdamW {
    /// This learning rate; betas 0.9 and 0.999, epsilon 1e-8, weight decay 0.01.
    pub fn with_lr(learning_rate: f64) -> Self {
        AdamW { learning_rate, betas: (0.9, 0.999), epsilon: 1e-8, weight_decay: 0.01 }
    }

    /// The decay rates of the two moments, in [0, 1).
    pub fn betas(self, first: f64, second: f64) -> Self {
        AdamW { betas: (first, second), ..self }
    }

    /// What is added to the root of the second moment.
    pub fn epsilon(self, epsilon: f64) -> Self {
        AdamW { epsilon, ..self }
    }

    /// The decoupled weight decay: each step shrinks a weight by learning rate times this.
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        AdamW { weight_decay, ..self }
    }

    /// What is wrong with the settings, each with its mend.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !(self.learning_rate.is_finite() && self.learning_rate >= 0.0) {
            problems.push(format!(
                "the learning rate is {}; it must be finite and not negative",
                self.learning_rate
            ));
        }
        for beta in [self.betas.0, self.betas.1] {
            if !(0.0..1.0).contains(&beta) {
                problems.push(format!("a beta of AdamW is {beta}; both must lie in [0, 1)"));
            }
        }
        if !(self.weight_decay.is_finite() && self.weight_decay >= 0.0) {
            problems.push(format!(
                "the weight decay is {}; it must be finite and not negative",
                self.weight_decay
            ));
        }
        problems
    }
}

/// AdamW at work: parameters with their moments.
#[derive(Debug)]
pub(crate) struct Optimizer {
    settings: AdamW,
    step: i32,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    name: String,
    parameter: Tensor,
    decays: bool,
    first_moment: Tensor,
    second_moment: Tensor,
}

impl Optimizer {
    /// Moments of zero for every parameter that requires a gradient.
    pub(crate) fn new(settings: AdamW, semantics: Semantics, parameters: &Parameters) -> Result<Self> {
        let mut entries = Vec::new();
        for (name, parameter) in parameters.iter().filter(|(_, parameter)| parameter.requires_grad()) {
            entries.push(Entry {
                name: name.to_owned(),
                parameter: parameter.shallow_clone(),
                // Biases and norms are vectors; every matrix decays.
                decays: semantics == Semantics::TextBrewer || parameter.dim() > 1,
                first_moment: parameter.f_zeros_like().in_stage(name)?.f_detach()?,
                second_moment: parameter.f_zeros_like().in_stage(name)?.f_detach()?,
            });
        }
        Ok(Optimizer { settings, step: 0, entries })
    }

    /// Number of parameter tensors.
    pub(crate) fn count(&self) -> usize {
        self.entries.len()
    }

    /// The parameters it moves.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = &Tensor> {
        self.entries.iter().map(|entry| &entry.parameter)
    }

    /// Clears the gradients.
    pub(crate) fn zero_gradients(&mut self) {
        for entry in &mut self.entries {
            entry.parameter.zero_grad();
        }
    }

    /// One step at this learning rate; a parameter without a gradient stays.
    pub(crate) fn step(&mut self, learning_rate: f64) -> Result<()> {
        let _guard = tch::no_grad_guard();
        self.step = self.step.saturating_add(1);
        for entry in &mut self.entries {
            entry.step(&self.settings, self.step, learning_rate).in_stage(&entry.name)?;
        }
        Ok(())
    }
}

impl Entry {
    fn step(&mut self, settings: &AdamW, step: i32, learning_rate: f64) -> Result<()> {
        let gradient = self.parameter.f_grad()?;
        if !gradient.defined() {
            return Ok(());
        }
        let (beta1, beta2) = settings.betas;
        if self.decays && settings.weight_decay > 0.0 {
            let _ = self.parameter.f_mul_scalar_(1.0 - learning_rate * settings.weight_decay)?;
        }
        let _ = self.first_moment.f_lerp_(&gradient, 1.0 - beta1)?;
        let _ = self.second_moment.f_lerp_(&gradient.f_square()?, 1.0 - beta2)?;
        let (correction1, correction2) = (1.0 - beta1.powi(step), 1.0 - beta2.powi(step));
        let mut root = self.second_moment.f_sqrt()?;
        let _ = root.f_div_scalar_(correction2.sqrt())?.f_add_scalar_(settings.epsilon)?;
        let mut update = self.first_moment.f_div(&root)?;
        let _ = update.f_mul_scalar_(learning_rate / correction1)?;
        let _ = self.parameter.f_sub_(&update)?;
        Ok(())
    }
}
