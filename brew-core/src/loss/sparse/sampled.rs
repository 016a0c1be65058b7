//! Forward divergence estimated on classes drawn from the teacher.

use serde_json::{Value, json};
use tch::Tensor;

use super::super::catalogue::{Entry, Range, boxed, number, temperature, whole};
use super::super::logits::{CountedRows, SQUARED, Softening, TEACHER, log_softmax, softened};
use super::super::term::wide;
use super::super::uses::{Gives, SoftTargets};
use super::super::{Average, Features, Loss, Term};
use super::known::{KnownLogits, mismatches};
use crate::error::{Error, Result};
use crate::role::Logits;

/// `sampled_kl`: mean_r( sum_j w_j (log p_{c_j} - log q_{c_j}) ) over classes c_1 … c_n drawn with
/// replacement from r_c proportional to p_c^power, with the importance weights w_j = p_{c_j} / (n r_{c_j});
/// p = softmax(t/T), q = softmax(s/T).
///
/// Its expectation is [`Kl`](crate::loss::Kl), in value and in gradient, whereas a top k of the same size is
/// biased. At power 1 every weight is 1/n; a power below 1 draws rare classes more often. The teacher's side
/// is dense logits, from which classes are drawn each time with libtorch's generator, or three tensors that
/// the batch brings ([`WithTeacherOutput`](crate::batch::WithTeacherOutput)): draws of power 1 at temperature
/// 1, their logits and the logsumexp of all. A teacher cache of top logits does not hold draws, and is
/// refused. Mask, temperature, T squared and reduction: see [`logits`](crate::loss::logits).
///
/// Source: Anshumann et al., "Sparse Logit Sampling: Accelerating Knowledge Distillation in LLMs" (RS-KD,
/// 2025, arXiv:2503.16870), minus the teacher's entropy, which has no gradient.
///
/// ```
/// use brew_core::loss::{Loss, Features, SampledKl};
/// use brew_core::tch::Tensor;
///
/// brew_core::tch::manual_seed(0);
/// let student = Features::one(Tensor::from_slice(&[1.0, 2.0, 0.5]).view([1, 3]));
/// let teacher = Features::one(Tensor::from_slice(&[2.0, 1.0, 0.0]).view([1, 3]));
/// let loss = SampledKl::draws(10_000).term(&student, &teacher)?.mean()?;
/// assert!((loss.double_value(&[]) - 0.418).abs() < 0.05);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct SampledKl {
    softening: Softening,
    draws: i64,
    power: f64,
}

impl SampledKl {
    /// With this many draws per row, at least 1, at temperature 1 and power 1; from a store all draws are
    /// used.
    pub fn draws(draws: i64) -> Self {
        SampledKl { softening: Softening::at(1.0), draws, power: 1.0 }
    }

    /// At a temperature in (0, inf).
    #[must_use]
    pub fn at(self, temperature: f64) -> Self {
        SampledKl { softening: Softening::at(temperature), ..self }
    }

    /// The power of the teacher's probabilities used for drawing, 0 or above.
    #[must_use]
    pub fn power(self, power: f64) -> Self {
        SampledKl { power, ..self }
    }

    /// The drawn classes, their teacher log-probabilities and their weights, `(rows, draws)` each.
    fn drawn(&self, teacher: &KnownLogits) -> Result<(Tensor, Tensor, Tensor)> {
        let _guard = tch::no_grad_guard();
        match teacher {
            KnownLogits::Dense(logits) => {
                let log = log_softmax(&self.softening.divide(logits, logits)?.teacher)?;
                let proposal = log_softmax(&log.f_mul_scalar(self.power)?)?;
                let rows = log.size().first().copied().unwrap_or(0);
                let ids = match rows {
                    0 => Tensor::f_zeros([0, self.draws], (tch::Kind::Int64, log.device()))?,
                    _ => proposal.f_exp()?.f_multinomial(self.draws, true)?,
                };
                let (of_teacher, of_proposal) =
                    (log.f_gather(-1, &ids, false)?, proposal.f_gather(-1, &ids, false)?);
                let weights = of_teacher.f_sub(&of_proposal)?.f_exp()?.f_div_scalar(self.draws as f64)?;
                Ok((ids, of_teacher, weights))
            }
            KnownLogits::Stored { ids, logits, normaliser } => {
                if let Some(problem) = self.store_problem() {
                    return Err(Error::invalid(problem));
                }
                let log = logits.f_sub(&normaliser.f_unsqueeze(-1)?)?;
                let draws = ids.size().last().copied().unwrap_or(1).max(1);
                let weights = log.f_full_like(1.0 / draws as f64)?;
                Ok((ids.shallow_clone(), log, weights))
            }
        }
    }

    fn store_problem(&self) -> Option<String> {
        (self.power != 1.0 || !self.softening.is_one()).then(|| {
            "the teacher's draws come from a store, which drew them with power 1 at temperature 1: use these here too"
                .to_owned()
        })
    }
}

softened!(SampledKl);

impl Loss for SampledKl {
    fn name(&self) -> &'static str {
        "sampled_kl"
    }

    fn options(&self) -> Value {
        let mut options = self.softening.options();
        options.insert("draws".to_owned(), json!(self.draws));
        options.insert("power".to_owned(), json!(self.power));
        Value::Object(options)
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = self.softening.problems();
        if self.draws < 1 {
            problems.push(format!("the number of draws is {}; it must be at least 1", self.draws));
        }
        if self.softening.is_scheduled() {
            problems.push(
                "a temperature schedule needs all of the logits: remove it, or use the dense loss".to_owned(),
            );
        }
        problems.extend(super::super::logits::weight_problems(&[("the power", self.power)]));
        problems
    }

    fn temperature(&self) -> Option<f64> {
        self.softening.of_teacher()
    }

    fn average(&self, masked: bool) -> Average {
        if masked { Average::Tokens } else { Average::Rows }
    }

    fn reads_drawn_logits(&self) -> bool {
        true
    }

    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        let mut problems = mismatches(student, teacher);
        if teacher.tensors.len() > 1 {
            problems.extend(self.store_problem());
        }
        problems
    }

    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        let counted = CountedRows::of(&student.shape(), student.mask.as_ref(), None)?;
        let rows = wide(&counted.select(student.feature()?)?)?;
        let (ids, of_teacher, weights) = self.drawn(&KnownLogits::of(teacher, &counted, rows.kind())?)?;
        let softened = self.softening.divide(&rows, &rows)?;
        let of_student = log_softmax(&softened.student)?.f_gather(-1, &ids, false)?;
        let per_row = of_teacher.f_sub(&of_student)?.f_mul(&weights)?;
        let per_row = per_row.f_sum_dim_intlist(-1, false, per_row.kind())?;
        let per_row = self.softening.scale(&per_row, &softened.squared)?;
        counted.term(per_row.f_sum(per_row.kind())?, rows.size().first().copied().unwrap_or(0))
    }
}

impl<T: Gives<Logits>, S: Gives<Logits>> SoftTargets<T, S> for SampledKl {}

/// Its row in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[Entry {
    name: "sampled_kl",
    summary: "forward divergence estimated on classes drawn from the teacher",
    source: "Anshumann et al. 2025 (RS-KD), arXiv 2503.16870",
    roles: &["logits"],
    options: &[
        whole("draws", 1, 64, "how many draws a row"),
        number("power", Range::NotNegative, 1.0, "of the probabilities that are drawn from"),
        temperature(1.0),
        TEACHER,
        SQUARED,
    ],
    make: |options| {
        let loss = SampledKl::draws(options.whole("draws")).at(options.temperature());
        boxed(loss.power(options.number("power")).softened(options))
    },
    ..Entry::EMPTY
}];
