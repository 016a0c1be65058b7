//! Balancing the terms of a sum: see [`Balance`] for the formulas.

use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result};
use crate::plan::{Balance, OptimizerChanges, Plan, StageKind};

/// A term to add to the sum.
pub(super) struct WeighedTerm {
    /// The name of the loss's stage.
    pub(super) name: String,
    /// Its value, a scalar with the gradient.
    pub(super) value: Tensor,
    /// Its weight at this step.
    pub(super) weight: f64,
}

/// The log variances of a plan's terms, if they are learned.
#[derive(Debug, Default)]
pub(super) struct Variances(Vec<(String, Tensor)>);

/// Log variances are not decayed: weight decay would draw every variance to 1.
pub(super) const NO_DECAY: OptimizerChanges =
    OptimizerChanges { learning_rate: None, betas: None, epsilon: None, weight_decay: Some(0.0) };

impl Variances {
    /// Starts every loss at variance 1, if the plan learns variances.
    pub(super) fn new(plan: &Plan, (kind, device): (Kind, Device)) -> Result<Self> {
        if *plan.balance() != Balance::Uncertainty {
            return Ok(Variances::default());
        }
        let losses = plan.stages().filter(|(_, stage)| matches!(stage.kind, StageKind::Loss(_)));
        let made = losses.map(|(_, stage)| {
            let variance = Tensor::f_zeros([1], (kind, device))?.f_set_requires_grad(true)?;
            Ok((stage.name.clone(), variance))
        });
        Ok(Variances(made.collect::<Result<_>>()?))
    }

    /// Each is named `balance.` followed by its loss's name.
    pub(super) fn parameters(&self) -> Vec<(String, Tensor)> {
        let named = |(name, variance): &(String, Tensor)| {
            (format!("balance.{name}.log_variance"), variance.shallow_clone())
        };
        self.0.iter().map(named).collect()
    }

    fn of(&self, name: &str) -> Result<Tensor> {
        let found = self.0.iter().find(|(known, _)| known == name);
        let (_, variance) =
            found.ok_or_else(|| Error::invalid(format!("`{name}` has no learned variance")))?;
        Ok(variance.f_view([0_i64; 0])?)
    }
}

/// The balanced sum. `share` is this batch's share of the optimizer step.
pub(super) fn sum(
    balance: &Balance,
    variances: &Variances,
    terms: &[WeighedTerm],
    share: f64,
) -> Result<Tensor> {
    let mut parts = Vec::with_capacity(terms.len());
    let reference = match balance {
        Balance::MagnitudeOf(name) => {
            let found = terms.iter().find(|term| term.name == *name);
            let term = found.ok_or_else(|| Error::invalid(format!("no loss `{name}` to scale to")))?;
            Some(term.value.f_detach()?.f_abs()?)
        }
        Balance::Weights | Balance::Uncertainty => None,
    };
    for term in terms {
        let part = match (balance, &reference) {
            (Balance::MagnitudeOf(name), Some(size)) if *name != term.name => {
                let factor = size.f_div(&term.value.f_detach()?.f_abs()?)?.f_nan_to_num(0.0, 0.0, 0.0)?;
                term.value.f_mul(&factor)?
            }
            (Balance::Uncertainty, _) => {
                let log_variance = variances.of(&term.name)?.f_to_kind(term.value.kind())?;
                let scaled = log_variance.f_neg()?.f_exp()?.f_mul(&term.value)?;
                scaled.f_add(&log_variance.f_mul_scalar(share)?)?.f_mul_scalar(0.5)?
            }
            _ => term.value.shallow_clone(),
        };
        parts.push(part.f_mul_scalar(term.weight)?);
    }
    Ok(Tensor::f_stack(&parts, 0)?.f_sum(None)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms() -> Vec<WeighedTerm> {
        let term = |name: &str, value: f64, weight| WeighedTerm {
            name: name.to_owned(),
            value: Tensor::from(value).set_requires_grad(true),
            weight,
        };
        vec![term("labels", 0.5, 1.0), term("soft", 8.0, 0.25), term("nothing", 0.0, 3.0)]
    }

    fn gradients(terms: &[WeighedTerm]) -> Vec<f64> {
        terms.iter().map(|term| term.value.grad().double_value(&[])).collect()
    }

    // PyTorch 2.11: L = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (.5, 8., 0.)]
    // c = L[0].detach().abs() / L[1].detach().abs(); (L[0] + .25 * c * L[1]).backward()
    #[test]
    fn every_term_takes_the_size_of_the_chosen_one() {
        let terms = terms();
        let total = sum(&Balance::magnitude_of("labels"), &Variances::default(), &terms, 1.0).unwrap();
        assert_eq!(total.double_value(&[]), 0.625);
        total.backward();
        assert_eq!(gradients(&terms), [1.0, 0.015625, 0.0]);
    }

    // PyTorch 2.11: w = [1, .25, 3]; s = torch.tensor([.3, -.2, 1.1], dtype=torch.float64, requires_grad=True)
    // t = sum(w[i] * ((-s[i]).exp() * L[i] + s[i]) / 2 for i in range(3)); t.backward()
    // print(t.item(), [x.grad.item() for x in L], s.grad.tolist())
    #[test]
    fn uncertainties_are_learned_as_kendall_has_it() {
        let terms = terms();
        let logs = [0.3, -0.2, 1.1].map(|log| Tensor::from_slice(&[log]).set_requires_grad(true));
        let names = ["labels", "soft", "nothing"].map(str::to_owned);
        let variances = Variances(names.into_iter().zip(logs).collect());
        let total = sum(&Balance::Uncertainty, &variances, &terms, 1.0).unwrap();
        total.backward();
        let close =
            |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        close(total.double_value(&[]), TOTAL);
        for (found, expected) in gradients(&terms).into_iter().zip(OF_VALUES) {
            close(found, expected);
        }
        for ((_, log), expected) in variances.0.iter().zip(OF_LOGS) {
            close(log.grad().double_value(&[0]), expected);
        }
    }

    const TOTAL: f64 = 3.1816073133305993;
    const OF_VALUES: [f64; 3] = [0.37040911034085894, 0.15267534477002123, 0.49930662554711935];
    const OF_LOGS: [f64; 3] = [0.31479544482957056, -1.0964027581601699, 1.5];
}
