//! AdamW with its moments in the open (Loshchilov and Hutter, "Decoupled Weight Decay
//! Regularization", 2019), in the order of PyTorch's operations.

use std::collections::BTreeSet;

use tch::Tensor;

use crate::error::{InStage, Result};
use crate::model::Parameters;
use crate::plan::{OptimizerChanges, Semantics};

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

    /// The same settings with these changes, such as those of a group of parameters.
    pub fn with(self, changes: OptimizerChanges) -> Self {
        AdamW {
            learning_rate: changes.learning_rate.unwrap_or(self.learning_rate),
            betas: changes.betas.unwrap_or(self.betas),
            epsilon: changes.epsilon.unwrap_or(self.epsilon),
            weight_decay: changes.weight_decay.unwrap_or(self.weight_decay),
        }
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
    semantics: Semantics,
    step: i32,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    name: String,
    settings: AdamW,
    parameter: Tensor,
    decays: bool,
    first_moment: Tensor,
    second_moment: Tensor,
}

impl Optimizer {
    /// An optimizer without parameters.
    pub(crate) fn new(settings: AdamW, semantics: Semantics) -> Self {
        Optimizer { settings, semantics, step: 0, entries: Vec::new() }
    }

    /// Adds a group of parameters with what it has of its own: moments of zero for every parameter
    /// that requires a gradient. A tensor that is here already, under whatever name, is not added again.
    pub(crate) fn add(&mut self, changes: OptimizerChanges, parameters: &Parameters) -> Result<()> {
        let place = |parameter: &Tensor| parameter.data_ptr() as usize;
        let mut known: BTreeSet<usize> = self.parameters().map(place).collect();
        for (name, parameter) in parameters.iter().filter(|(_, parameter)| parameter.requires_grad()) {
            // Tensors without elements have no place of their own in memory.
            if parameter.numel() > 0 && !known.insert(place(parameter)) {
                continue;
            }
            self.entries.push(Entry {
                name: name.to_owned(),
                settings: self.settings.with(changes),
                parameter: parameter.shallow_clone(),
                // Biases and norms are vectors; every matrix decays.
                decays: self.semantics == Semantics::TextBrewer || parameter.dim() > 1,
                first_moment: parameter.f_zeros_like().in_stage(name)?.f_detach()?,
                second_moment: parameter.f_zeros_like().in_stage(name)?.f_detach()?,
            });
        }
        Ok(())
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

    /// One step with the learning rates multiplied by this; a parameter without a gradient stays.
    pub(crate) fn step(&mut self, multiplier: f64) -> Result<()> {
        let _guard = tch::no_grad_guard();
        self.step = self.step.saturating_add(1);
        for entry in &mut self.entries {
            entry.step(self.step, multiplier).in_stage(&entry.name)?;
        }
        Ok(())
    }
}

impl Entry {
    fn step(&mut self, step: i32, multiplier: f64) -> Result<()> {
        let settings = self.settings;
        let learning_rate = settings.learning_rate * multiplier;
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

#[cfg(test)]
mod tests {
    use tch::Tensor;

    use super::super::clip::clip;
    use super::*;

    // The script (PyTorch 2.11, float64), with weight_decay=0 for b's group in the exact semantics:
    //
    //   w = Parameter([[1, -2], [.5, 3]]); b = Parameter([.1, -.2])
    //   o = torch.optim.AdamW([w, b], lr=.1, weight_decay=.01); x = tensor([[1, 2], [3, -1]])
    //   for s in range(3):
    //       o.zero_grad(); ((x @ w.T + b) ** 2).mean().backward()
    //       torch.nn.utils.clip_grad_norm_([w, b], 1.0)
    //       for g in o.param_groups: g["lr"] = .1 * (1 - s / 3)
    //       o.step()
    fn three_steps(semantics: Semantics) -> (Vec<f64>, Vec<f64>) {
        let weight = Tensor::from_slice(&[1.0, -2.0, 0.5, 3.0]).view([2, 2]).set_requires_grad(true);
        let bias = Tensor::from_slice(&[0.1, -0.2]).set_requires_grad(true);
        let input = Tensor::from_slice(&[1.0, 2.0, 3.0, -1.0]).view([2, 2]);
        let named = [("w".to_owned(), weight.shallow_clone()), ("b".to_owned(), bias.shallow_clone())];
        let settings = AdamW::with_lr(0.1).weight_decay(0.01);
        let mut optimizer = Optimizer::new(settings, semantics);
        optimizer.add(OptimizerChanges::default(), &Parameters::new(named)).unwrap();
        for step in 0..3 {
            optimizer.zero_gradients();
            let output = input.matmul(&weight.tr()) + &bias;
            output.square().mean(tch::Kind::Double).backward();
            clip(optimizer.parameters(), 1.0).unwrap();
            optimizer.step(1.0 - f64::from(step) / 3.0).unwrap();
        }
        let values = |tensor: &Tensor| Vec::<f64>::try_from(tensor.detach().view([-1])).unwrap();
        (values(&weight), values(&bias))
    }

    #[track_caller]
    fn assert_close(found: &[f64], expected: &[f64]) {
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "found {found}, expected {expected}");
        }
    }

    #[test]
    fn decay_on_everything_equals_pytorchs_adamw_with_clipping() {
        let (weight, bias) = three_steps(Semantics::TextBrewer);
        assert_close(
            &weight,
            &[0.7983931710402676, -1.7960402147530452, 0.3579197715370632, 2.7940127605077696],
        );
        assert_close(&bias, &[-0.09873534737646414, -0.39903106094354307]);
    }

    #[test]
    fn exact_semantics_spare_the_bias() {
        let (weight, bias) = three_steps(Semantics::Exact);
        assert_close(
            &weight,
            &[0.7983929820607305, -1.7960402241998712, 0.35799048430156044, 2.7940127930108085],
        );
        assert_close(&bias, &[-0.09865851562493518, -0.3995522723416938]);
    }

    #[test]
    fn settings_out_of_range_are_all_reported() {
        let problems = AdamW::with_lr(f64::NAN).betas(1.0, 0.999).weight_decay(-1.0).problems();
        assert_eq!(problems.len(), 3, "{problems:?}");
    }
}
