//! Universal logit distillation: probabilities in order of size, position by position.

use serde_json::Value;
use tch::Tensor;

use super::super::catalogue::{Entry, boxed, temperature};
use super::super::logit_shapes::one_logit;
use super::super::logits::{SQUARED, Softening, TEACHER, log_softmax, softened};
use super::super::temperature::Softened;
use super::super::term::wide;
use super::super::uses::{Gives, SoftTargets};
use super::super::{Average, Features, Loss, Masks, Term};
use super::alignment::valid;
use super::sorted::sorted_distance;
use crate::error::Result;
use crate::role::Logits;
use crate::words::shape;

/// `uld`: mean_r( sum_i |q_(i) - p_(i)| ), where q_(1) >= q_(2) >= … are the student's probabilities in order
/// of size, p_(i) the teacher's, and the smaller vocabulary is padded with 0; both at T.
///
/// For any two vocabularies: it compares how confident the sides are and over how many tokens, but not which
/// tokens. Logits are `(batch, length, tokens)` of each side's own length and vocabulary, or `(batch,
/// tokens)`. The n-th position of an example that counts, by each side's own mask, is paired with the other's
/// n-th; surplus positions are ignored: see [`AlignedUld`](crate::loss::AlignedUld) for aligned positions.
/// The denominator is the number of pairs, batch by batch. T squared is optional.
///
/// Source: Boizard et al., "Towards Cross-Tokenizer Distillation: the Universal Logit Distillation Loss
/// for LLMs" (2024, arXiv:2402.12030), the logits' part.
///
/// ```
/// use brew_core::loss::{Loss, Features, Uld};
/// use brew_core::tch::Tensor;
///
/// let student = Features::one(Tensor::from_slice(&[0.0, 2.0]).view([1, 2]));
/// let teacher = Features::one(Tensor::from_slice(&[2.0, -1e4, 0.0]).view([1, 3]));
/// assert_eq!(Uld::at(1.0).term(&student, &teacher)?.mean()?.double_value(&[]), 0.0);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Uld {
    softening: Softening,
}

impl Uld {
    /// At a temperature in (0, inf).
    pub fn at(temperature: f64) -> Self {
        Uld { softening: Softening::at(temperature) }
    }
}

softened!(Uld);

impl Loss for Uld {
    fn name(&self) -> &'static str {
        "uld"
    }

    fn options(&self) -> Value {
        Value::Object(self.softening.options())
    }

    fn problems(&self) -> Vec<String> {
        unscheduled(&self.softening)
    }

    fn masks(&self) -> Masks {
        Masks::Own
    }

    fn temperature(&self) -> Option<f64> {
        self.softening.of_teacher()
    }

    fn spans_vocabularies(&self) -> bool {
        true
    }

    fn average(&self, _: bool) -> Average {
        Average::Own
    }

    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        two_vocabularies(student, teacher)
    }

    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        let (of_student, of_teacher) = (valid(student)?, valid(teacher)?);
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for (row, (student_at, teacher_at)) in of_student.iter().zip(&of_teacher).enumerate() {
            for (one, other) in student_at.iter().zip(teacher_at) {
                left.push(flat(student, row, *one));
                right.push(flat(teacher, row, *other));
            }
        }
        let (student, teacher) = (rows_at(student, &left)?, rows_at(teacher, &right)?);
        let Softened { student, teacher, squared } = soften_apart(&self.softening, &student, &teacher)?;
        let per_row = sorted_distance(&student.f_exp()?, &teacher.f_exp()?)?;
        own_term(&self.softening.scale(&per_row, &squared)?)
    }
}

/// The options' problems for losses that cannot have a schedule, since rows of two vocabularies have no
/// common logits.
pub(super) fn unscheduled(softening: &Softening) -> Vec<String> {
    let mut problems = softening.problems();
    if softening.is_scheduled() {
        problems.push("a temperature schedule needs logits of one vocabulary: remove it".to_owned());
    }
    problems
}

/// The index of a position among all positions of a side.
pub(super) fn flat(read: &Features, row: usize, position: i64) -> i64 {
    let sizes = read.shape();
    let length = if sizes.len() == 3 { sizes[1] } else { 1 };
    i64::try_from(row).unwrap_or(0) * length + position
}

/// The logits of these positions, `(positions, tokens)`, in float32 or wider.
pub(super) fn rows_at(read: &Features, at: &[i64]) -> Result<Tensor> {
    let logits = read.feature()?;
    let tokens = logits.size().last().copied().unwrap_or(1);
    let index = Tensor::f_from_slice(at)?.f_to_device(logits.device())?;
    wide(&logits.f_reshape([-1, tokens])?.f_index_select(0, &index)?)
}

/// The log-probabilities of both sides, each over its own vocabulary.
pub(super) fn soften_apart(softening: &Softening, student: &Tensor, teacher: &Tensor) -> Result<Softened> {
    let of_student = softening.divide(student, student)?;
    let of_teacher = softening.divide(teacher, teacher)?;
    Ok(Softened {
        student: log_softmax(&of_student.student)?,
        teacher: log_softmax(&of_teacher.teacher)?.f_to_kind(of_student.student.kind())?,
        squared: of_student.squared,
    })
}

/// The mean of one value per pair.
pub(super) fn own_term(per_row: &Tensor) -> Result<Term> {
    let pairs = per_row.size().first().copied().unwrap_or(0) as f64;
    let count = Tensor::f_full([], pairs, (per_row.kind(), per_row.device()))?;
    Ok(Term::new(per_row.f_sum(per_row.kind())?, count, Average::Own))
}

/// The mismatches of logits with different numbers of rows, or of masks.
pub(super) fn two_vocabularies(student: &Features, teacher: &Features) -> Vec<String> {
    let sizes = (student.shape(), teacher.shape());
    if !matches!(sizes.0.len(), 2 | 3) || sizes.0.len() != sizes.1.len() || sizes.0[0] != sizes.1[0] {
        return vec![format!(
            "the student's logits are {}, the teacher's {}: both must be (batch, length, tokens), or (batch, tokens), of the same rows",
            shape(&sizes.0),
            shape(&sizes.1)
        )];
    }
    let sides = [("student", student, &sizes.0), ("teacher", teacher, &sizes.1)];
    let problem = |(side, read, sizes): (&str, &Features, &Vec<i64>)| match &read.mask {
        Some(mask) if sizes.len() == 3 && mask.size() != sizes[..2] => Some(format!(
            "the {side}'s logits_mask is {}; it must be (batch, length), here {}",
            shape(&mask.size()),
            shape(&sizes[..2])
        )),
        _ => None,
    };
    let one = one_logit("the student's logits", &sizes.0);
    sides.into_iter().filter_map(problem).chain(one).collect()
}

impl<T: Gives<Logits>, S: Gives<Logits>> SoftTargets<T, S> for Uld {}

/// Its row in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[Entry {
    name: "uld",
    summary: "difference of probabilities in order of size, for any two vocabularies",
    source: "Boizard et al. 2024 (ULD), arXiv 2402.12030",
    roles: &["logits"],
    options: &[temperature(1.0), TEACHER, SQUARED],
    make: |options| boxed(Uld::at(options.temperature()).softened(options)),
    ..Entry::EMPTY
}];
