//! Losses on candidate scores, for ranking models: one row per query, one column per candidate.
//!
//! - `margin_mse`: column 0 is the positive; the mean over rows and other columns c of
//!   ( (s_0 - s_c) - (t_0 - t_c) )^2
//! - `candidates_kl`: with one temperature per side, Ts^2 times the mean over rows of sum_c p_c log(p_c /
//!   q_c), where p = softmax(t / Tt) and q = softmax(s / Ts)
//!
//! Source: Hofstätter et al., "Improving Efficient Neural Ranking Models with Cross-Architecture
//! Knowledge Distillation" (2020); Reimers and Gurevych, sentence-transformers' `DistillKLDivLoss`.

use serde_json::json;

use super::catalogue::{Entry, Range, boxed, number};
use super::uses::{Gives, SoftTargets};
use super::{Average, Features, Loss, Masks, Term, temperature};
use crate::error::Result;
use crate::role::Logits;
use crate::words::shape;

/// Squared difference of the margins between a positive and its negatives.
///
/// Logits are `(batch, candidates)`, the positive first.
///
/// ```
/// use brew_core::loss::{Loss, MarginMse, Features};
/// use brew_core::tch::Tensor;
///
/// let student = Features::one(Tensor::from_slice2(&[[5.0, 4.0]]));
/// let teacher = Features::one(Tensor::from_slice2(&[[0.9, -2.1]]));
/// assert_eq!(MarginMse.term(&student, &teacher)?.mean()?.double_value(&[]), 4.0);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarginMse;

/// Divergence of the distributions over candidates, each side at its own temperature.
///
/// Logits are `(batch, candidates)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CandidatesKl {
    student: f64,
    teacher: f64,
}

impl CandidatesKl {
    /// With the student's and the teacher's temperature, both in (0, inf).
    pub fn at(student: f64, teacher: f64) -> Self {
        CandidatesKl { student, teacher }
    }
}

impl Loss for MarginMse {
    fn name(&self) -> &'static str {
        "margin_mse"
    }
    fn masks(&self) -> Masks {
        Masks::Ignored
    }
    fn average(&self, _: bool) -> Average {
        Average::Rows
    }
    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        mismatches(student, teacher)
    }
    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        let difference = student.first()?.f_sub(&teacher.first()?)?;
        let others = difference.f_slice(1, 1, None, 1)?;
        let margins = difference.f_slice(1, 0, 1, 1)?.f_sub(&others)?;
        Term::rows(&margins.f_square()?.f_mean_dim(1, false, None)?)
    }
}

impl Loss for CandidatesKl {
    fn name(&self) -> &'static str {
        "candidates_kl"
    }
    fn options(&self) -> serde_json::Value {
        json!({ "student_temperature": self.student, "teacher_temperature": self.teacher })
    }
    fn problems(&self) -> Vec<String> {
        let sides = [("student_temperature", self.student), ("teacher_temperature", self.teacher)];
        sides.iter().filter_map(|(name, value)| temperature::range_problem(name, *value)).collect()
    }
    fn masks(&self) -> Masks {
        Masks::Ignored
    }
    fn average(&self, _: bool) -> Average {
        Average::Rows
    }
    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        mismatches(student, teacher)
    }
    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        let log = |read: &Features, temperature: f64| -> Result<_> {
            Ok(read.first()?.f_div_scalar(temperature)?.f_log_softmax(-1, None)?)
        };
        let (student, teacher) = (log(student, self.student)?, log(teacher, self.teacher)?);
        let divergence = teacher.f_exp()?.f_mul(&teacher.f_sub(&student)?)?;
        Term::rows(&divergence.f_sum_dim_intlist(-1, false, None)?)?.times(self.student * self.student)
    }
}

fn mismatches(student: &Features, teacher: &Features) -> Vec<String> {
    match (student.shape().as_slice(), teacher.shape().as_slice()) {
        (of_student @ [_, candidates], of_teacher) if *candidates >= 2 && of_student == of_teacher => {
            Vec::new()
        }
        (of_student, of_teacher) => vec![format!(
            "the student's scores are {}, the teacher's {}; both must be (batch, candidates) of the same at least two candidates",
            shape(of_student),
            shape(of_teacher)
        )],
    }
}

impl<T: Gives<Logits>, S: Gives<Logits>> SoftTargets<T, S> for CandidatesKl {}
impl<T: Gives<Logits>, S: Gives<Logits>> SoftTargets<T, S> for MarginMse {}

/// Their rows in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[
    Entry {
        name: "margin_mse",
        summary: "squared difference of the margins between candidate 0 and the others",
        source: "Hofstaetter et al. 2020, arXiv 2010.02666",
        roles: &["logits"],
        make: |_| boxed(MarginMse),
        ..Entry::EMPTY
    },
    Entry {
        name: "candidates_kl",
        summary: "divergence over candidates, each side at its own temperature, times the student's squared",
        source: "sentence-transformers, DistillKLDivLoss; arXiv 2010.11386",
        roles: &["logits"],
        options: &[
            number("student_temperature", Range::Positive, 1.0, "divides the student's scores"),
            number("teacher_temperature", Range::Positive, 1.0, "divides the teacher's scores"),
        ],
        make: |options| {
            let temperatures = [options.number("student_temperature"), options.number("teacher_temperature")];
            boxed(CandidatesKl::at(temperatures[0], temperatures[1]))
        },
        ..Entry::EMPTY
    },
];
