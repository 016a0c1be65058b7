//! Generalised Jensen-Shannon divergence, strictly between the two Kullback-Leibler divergences.

use serde_json::{Map, Value, json};
use tch::Tensor;

use super::super::catalogue::{Entry, OptionRow, Options, Range, boxed, number, temperature};
use super::super::uses::{Gives, SoftTargets};
use super::divergence::Divergence;
use super::log_space::{kl, log_mixture, share_problem};
use super::named::NamedDivergence;
use super::softening::{SQUARED, Softening, TEACHER, softened};
use crate::error::Result;
use crate::role::Logits;

/// `jsd`: mean_r( beta KL(p, m) + (1 - beta) KL(q, m) ), with m = beta p + (1 - beta) q,
/// p = softmax(t/T), q = softmax(s/T), and beta in (0, 1).
///
/// Near 0 and 1 it behaves like beta KL(p, q) and (1 - beta) KL(q, p), which vanish: the limits
/// [`Kl`](crate::loss::Kl) and [`ReverseKl`](crate::loss::ReverseKl) are separate losses, and no value of
/// beta gives them. Shapes, mask, temperature, T squared and reduction: see [`logits`](crate::loss::logits).
///
/// Source: Agarwal et al., "On-Policy Distillation of Language Models" (GKD, 2023, arXiv:2306.13649). TRL's
/// and Liger's `beta` of 0 and 1 switch to the full divergences; DistiLLM's lambda is 1 - beta. The mixture
/// is computed in log space; leaving it would turn two probabilities below float32's smallest number into
/// NaN.
///
/// ```
/// use brew_core::loss::{Jsd, Loss, Features};
/// use brew_core::tch::Tensor;
///
/// let student = Features::one(Tensor::from_slice(&[1.0, 2.0, 0.5]).view([1, 3]));
/// let teacher = Features::one(Tensor::from_slice(&[2.0, 1.0, 0.0]).view([1, 3]));
/// let loss = Jsd::between(0.5).term(&student, &teacher)?.mean()?;
/// assert!(loss.double_value(&[]) > 0.0);
/// assert_eq!(Jsd::between(1.0).problems().len(), 1);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Jsd {
    softening: Softening,
    beta: f64,
}

impl Jsd {
    /// The divergence at temperature 1, where beta in (0, 1) is the teacher's share of the mixture. A plan
    /// refuses 0 and 1.
    pub fn between(beta: f64) -> Self {
        Jsd { softening: Softening::at(1.0), beta }
    }

    /// At a temperature in (0, inf).
    #[must_use]
    pub fn at(self, temperature: f64) -> Self {
        Jsd { softening: Softening::at(temperature), ..self }
    }
}

softened!(Jsd);

impl Divergence for Jsd {
    fn name(&self) -> &'static str {
        "jsd"
    }

    fn options(&self) -> Map<String, Value> {
        Map::from_iter([("beta".to_owned(), json!(self.beta))])
    }

    fn problems(&self) -> Vec<String> {
        let mend = "forward Kullback-Leibler is `Kl::at(…)`, reverse `ReverseKl::at(…)`";
        share_problem("beta of the Jensen-Shannon divergence", self.beta, mend).into_iter().collect()
    }

    fn softening(&self) -> &Softening {
        &self.softening
    }

    fn between(&self, student: &Tensor, teacher: &Tensor) -> Result<Tensor> {
        let mixture = log_mixture(teacher, student, self.beta)?;
        let of_teacher = kl(teacher, &mixture)?.f_mul_scalar(self.beta)?;
        Ok(of_teacher.f_add(&kl(student, &mixture)?.f_mul_scalar(1.0 - self.beta)?)?)
    }
}

impl<T: Gives<Logits>, S: Gives<Logits>> SoftTargets<T, S> for Jsd {}

/// The teacher's share.
pub(in crate::loss) const BETA: OptionRow =
    number("beta", Range::Inside, 0.5, "the teacher's share of the mixture");

fn made(options: &Options) -> Jsd {
    Jsd::between(options.number("beta")).at(options.temperature()).softened(options)
}

/// For losses that are made of a divergence.
pub(super) const NAMED: NamedDivergence =
    NamedDivergence { name: "jsd", make: |options| Box::new(made(options)) };

/// Its row in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[Entry {
    name: "jsd",
    summary: "generalised Jensen-Shannon divergence, strictly between the two",
    source: "Agarwal et al. 2023 (GKD), arXiv 2306.13649",
    roles: &["logits"],
    options: &[BETA, temperature(1.0), TEACHER, SQUARED],
    scheduled: true,
    make: |options| boxed(made(options)),
    ..Entry::EMPTY
}];
