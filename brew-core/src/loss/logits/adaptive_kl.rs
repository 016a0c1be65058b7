//! Adaptive Kullback-Leibler divergence: more forward if the head differs, more reverse if the tail does.

use serde_json::{Map, Value, json};
use tch::Tensor;

use super::super::catalogue::{Entry, OptionRow, Options, Range, boxed, number, temperature};
use super::super::uses::{Gives, SoftTargets};
use super::divergence::Divergence;
use super::log_space::{kl, share_problem};
use super::named::NamedDivergence;
use super::softening::{SQUARED, Softening, TEACHER, softened};
use crate::error::Result;
use crate::role::Logits;

/// `adaptive_kl`: mean_r( (g_h KL(p, q) + g_t KL(q, p)) / (g_h + g_t) ), where the head is the
/// smallest set of classes that holds at least mu of the teacher's probability, the tail is the rest,
/// and g_h and g_t are sum_c |p_c - q_c| over each; mu in (0, 1), 0.5 in the paper.
///
/// Classes as likely as the last one in the head belong to it too, so that the order of the classes does not
/// matter. No gradient passes through the weights. Shapes, mask, temperature, T squared and reduction: see
/// [`logits`](crate::loss::logits).
///
/// Source: Wu et al., "Rethinking Kullback-Leibler Divergence in Knowledge Distillation for Large
/// Language Models" (2024, arXiv:2404.02657). In TAID's code the head's mask stays sorted while the
/// probabilities are not, so that its value depends on the order of the vocabulary.
///
/// ```
/// use brew_core::loss::{AdaptiveKl, Loss, Features};
/// use brew_core::tch::Tensor;
///
/// let student = Features::one(Tensor::from_slice(&[1.0, 2.0, 0.5]).view([1, 3]));
/// let teacher = Features::one(Tensor::from_slice(&[2.0, 1.0, 0.0]).view([1, 3]));
/// assert!(AdaptiveKl::with_head(0.5).term(&student, &teacher)?.mean()?.double_value(&[]) > 0.0);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct AdaptiveKl {
    softening: Softening,
    mu: f64,
}

impl AdaptiveKl {
    /// With a head of this much of the teacher's probability, at temperature 1.
    pub fn with_head(mu: f64) -> Self {
        AdaptiveKl { softening: Softening::at(1.0), mu }
    }

    /// At a temperature in (0, inf).
    #[must_use]
    pub fn at(self, temperature: f64) -> Self {
        AdaptiveKl { softening: Softening::at(temperature), ..self }
    }

    /// The weight of the forward divergence, `(rows,)` in [0, 1].
    fn share_of_head(&self, student: &Tensor, teacher: &Tensor) -> Result<Tensor> {
        let _guard = tch::no_grad_guard();
        let (student, teacher) = (student.f_exp()?, teacher.f_exp()?);
        let (sorted, _) = teacher.f_sort(-1, true)?;
        // The number of classes before the mass is reached is the index of the head's last class; if
        // round-off keeps the total below mu, it is the last class.
        let before = sorted.f_cumsum(-1, sorted.kind())?.f_lt(self.mu)?;
        let last = before.f_sum_dim_intlist(-1, true, tch::Kind::Int64)?;
        let last = last.f_clamp_max(sorted.size().last().copied().unwrap_or(1) - 1)?;
        let head = teacher.f_ge_tensor(&sorted.f_gather(-1, &last, false)?)?;
        let gap = student.f_sub(&teacher)?.f_abs()?;
        let total = gap.f_sum_dim_intlist(-1, false, gap.kind())?;
        let of_head = gap.f_mul(&head)?.f_sum_dim_intlist(-1, false, gap.kind())?;
        Ok(of_head.f_div(&total.f_clamp_min(f64::from(f32::MIN_POSITIVE))?)?)
    }
}

softened!(AdaptiveKl);

impl Divergence for AdaptiveKl {
    fn name(&self) -> &'static str {
        "adaptive_kl"
    }

    fn options(&self) -> Map<String, Value> {
        Map::from_iter([("mu".to_owned(), json!(self.mu))])
    }

    fn problems(&self) -> Vec<String> {
        let mend = "it is the share of the teacher's probability in the head, such as 0.5";
        share_problem("mu of the adaptive divergence", self.mu, mend).into_iter().collect()
    }

    fn softening(&self) -> &Softening {
        &self.softening
    }

    fn needs_teacher_everywhere(&self) -> bool {
        true
    }

    fn between(&self, student: &Tensor, teacher: &Tensor) -> Result<Tensor> {
        let share = self.share_of_head(student, teacher)?;
        let (forward, reverse) = (kl(teacher, student)?, kl(student, teacher)?);
        Ok(reverse.f_add(&share.f_mul(&forward.f_sub(&reverse)?)?)?)
    }
}

impl<T: Gives<Logits>, S: Gives<Logits>> SoftTargets<T, S> for AdaptiveKl {}

/// The option for the head's probability.
pub(in crate::loss) const HEAD: OptionRow =
    number("mu", Range::Inside, 0.5, "the teacher's probability in the head");

fn made(options: &Options) -> AdaptiveKl {
    AdaptiveKl::with_head(options.number("mu")).at(options.temperature()).softened(options)
}

/// For losses that are made of a divergence.
pub(super) const NAMED: NamedDivergence =
    NamedDivergence { name: "adaptive_kl", make: |options| Box::new(made(options)) };

/// Its row in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[Entry {
    name: "adaptive_kl",
    summary: "forward divergence where the head is off, reverse where the tail is",
    source: "Wu et al. 2024, arXiv 2404.02657",
    roles: &["logits"],
    options: &[HEAD, temperature(1.0), TEACHER, SQUARED],
    scheduled: true,
    make: |options| boxed(made(options)),
    ..Entry::EMPTY
}];
