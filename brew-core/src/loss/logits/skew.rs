//! Skewed Kullback-Leibler divergences: against a mixture of both sides, so that no class has an unbounded
//! cost.

use serde_json::{Map, Value, json};
use tch::Tensor;

use super::super::catalogue::Options;
use super::super::catalogue::{Entry, OptionRow, Range, boxed, number, switch, temperature};
use super::super::uses::{Gives, SoftTargets};
use super::divergence::Divergence;
use super::log_space::{kl, log_mixture, share_problem};
use super::named::NamedDivergence;
use super::softening::{SQUARED, Softening, TEACHER, softened};
use crate::error::Result;
use crate::role::Logits;

/// `skew_kl`: mean_r( KL(p, alpha p + (1 - alpha) q) ), with p = softmax(t/T), q = softmax(s/T) and
/// alpha in (0, 1); 0.1 in the paper.
///
/// The student only appears in the mixture, so the gradient passes through it. Shapes, mask, temperature, T
/// squared and reduction: see [`logits`](crate::loss::logits).
///
/// Source: Ko et al., "DistiLLM: Towards Streamlined Distillation for Large Language Models" (2024,
/// arXiv:2402.03898). Its code reports the cross-entropy instead of the divergence: the same gradient, and a
/// value larger by the teacher's entropy.
///
/// ```
/// use brew_core::loss::{Loss, Features, SkewKl};
/// use brew_core::tch::Tensor;
///
/// let student = Features::one(Tensor::from_slice(&[1.0, 2.0, 0.5]).view([1, 3]));
/// let teacher = Features::one(Tensor::from_slice(&[2.0, 1.0, 0.0]).view([1, 3]));
/// assert!(SkewKl::by(0.1).term(&student, &teacher)?.mean()?.double_value(&[]) > 0.0);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct SkewKl {
    softening: Softening,
    alpha: f64,
}

/// `skew_reverse_kl`: mean_r( KL(q, (1 - alpha) p + alpha q) ), with p = softmax(t/T),
/// q = softmax(s/T) and alpha in (0, 1); 0.1 in the paper.
///
/// The gradient also passes through the mixture, as in DistiLLM, unless
/// [`SkewReverseKl::with_detached_mixture`] is used, as in DistiLLM-2: the same value but a different
/// objective. Shapes, mask, temperature, T squared and reduction: see [`logits`](crate::loss::logits).
///
/// Source: Ko et al., "DistiLLM" (2024, arXiv:2402.03898) and "DistiLLM-2" (2025, arXiv:2503.07067).
///
/// ```
/// use brew_core::loss::{Loss, Features, SkewReverseKl};
/// use brew_core::tch::Tensor;
///
/// let student = Features::one(Tensor::from_slice(&[1.0, 2.0, 0.5]).view([1, 3]));
/// let teacher = Features::one(Tensor::from_slice(&[2.0, 1.0, 0.0]).view([1, 3]));
/// let value = |loss: SkewReverseKl| loss.term(&student, &teacher)?.mean();
/// let (one, other) = (SkewReverseKl::by(0.1), SkewReverseKl::by(0.1).with_detached_mixture());
/// assert_eq!(value(one)?.double_value(&[]), value(other)?.double_value(&[]));
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct SkewReverseKl {
    softening: Softening,
    alpha: f64,
    detached: bool,
}

impl SkewKl {
    /// With this share of the teacher in the mixture, at temperature 1.
    pub fn by(alpha: f64) -> Self {
        SkewKl { softening: Softening::at(1.0), alpha }
    }

    /// At a temperature in (0, inf).
    #[must_use]
    pub fn at(self, temperature: f64) -> Self {
        SkewKl { softening: Softening::at(temperature), ..self }
    }
}

impl SkewReverseKl {
    /// With this share of the student in the mixture, at temperature 1.
    pub fn by(alpha: f64) -> Self {
        SkewReverseKl { softening: Softening::at(1.0), alpha, detached: false }
    }

    /// At a temperature in (0, inf).
    #[must_use]
    pub fn at(self, temperature: f64) -> Self {
        SkewReverseKl { softening: Softening::at(temperature), ..self }
    }

    /// Detaches the mixture: no gradient passes through its student part.
    #[must_use]
    pub fn with_detached_mixture(self) -> Self {
        SkewReverseKl { detached: true, ..self }
    }
}

softened!(SkewKl, SkewReverseKl);

fn alpha_problems(alpha: f64) -> Vec<String> {
    let mend = "without a mixture it is `Kl::at(…)` or `ReverseKl::at(…)`";
    share_problem("alpha of the skewed divergence", alpha, mend).into_iter().collect()
}

impl Divergence for SkewKl {
    fn name(&self) -> &'static str {
        "skew_kl"
    }

    fn options(&self) -> Map<String, Value> {
        Map::from_iter([("alpha".to_owned(), json!(self.alpha))])
    }

    fn problems(&self) -> Vec<String> {
        alpha_problems(self.alpha)
    }

    fn softening(&self) -> &Softening {
        &self.softening
    }

    fn between(&self, student: &Tensor, teacher: &Tensor) -> Result<Tensor> {
        kl(teacher, &log_mixture(teacher, student, self.alpha)?)
    }
}

impl Divergence for SkewReverseKl {
    fn name(&self) -> &'static str {
        "skew_reverse_kl"
    }

    fn options(&self) -> Map<String, Value> {
        Map::from_iter([
            ("alpha".to_owned(), json!(self.alpha)),
            ("detached_mixture".to_owned(), json!(self.detached)),
        ])
    }

    fn problems(&self) -> Vec<String> {
        alpha_problems(self.alpha)
    }

    fn softening(&self) -> &Softening {
        &self.softening
    }

    fn between(&self, student: &Tensor, teacher: &Tensor) -> Result<Tensor> {
        let mixed = if self.detached { student.f_detach()? } else { student.shallow_clone() };
        kl(student, &log_mixture(&mixed, teacher, self.alpha)?)
    }
}

impl<T: Gives<Logits>, S: Gives<Logits>> SoftTargets<T, S> for SkewKl {}
impl<T: Gives<Logits>, S: Gives<Logits>> SoftTargets<T, S> for SkewReverseKl {}

/// The other side's share.
pub(in crate::loss) const ALPHA: OptionRow =
    number("alpha", Range::Inside, 0.1, "the other side's share of the mixture");
/// Whether the mixture lets a gradient through.
pub(in crate::loss) const DETACHED: OptionRow =
    switch("detached_mixture", false, "lets no gradient through the mixture");

fn forward(options: &Options) -> SkewKl {
    SkewKl::by(options.number(ALPHA.name)).at(options.temperature()).softened(options)
}

fn reverse(options: &Options) -> SkewReverseKl {
    let loss = SkewReverseKl::by(options.number(ALPHA.name)).at(options.temperature()).softened(options);
    if options.is_on(DETACHED.name) { loss.with_detached_mixture() } else { loss }
}

/// For losses that are made of a divergence.
pub(super) const FORWARD: NamedDivergence =
    NamedDivergence { name: "skew_kl", make: |options| Box::new(forward(options)) };
/// The same of the reverse one.
pub(super) const REVERSE: NamedDivergence =
    NamedDivergence { name: "skew_reverse_kl", make: |options| Box::new(reverse(options)) };

/// Their rows in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[
    Entry {
        name: "skew_kl",
        summary: "forward divergence from a mixture of the teacher and the student",
        source: "Ko et al. 2024 (DistiLLM), arXiv 2402.03898",
        roles: &["logits"],
        options: &[ALPHA, temperature(1.0), TEACHER, SQUARED],
        scheduled: true,
        make: |options| boxed(forward(options)),
        ..Entry::EMPTY
    },
    Entry {
        name: "skew_reverse_kl",
        summary: "reverse divergence from a mixture of the student and the teacher",
        source: "Ko et al. 2024 (DistiLLM), arXiv 2402.03898; 2025 (DistiLLM-2, detached), arXiv 2503.07067",
        roles: &["logits"],
        options: &[ALPHA, DETACHED, temperature(1.0), TEACHER, SQUARED],
        scheduled: true,
        make: |options| boxed(reverse(options)),
        ..Entry::EMPTY
    },
];
