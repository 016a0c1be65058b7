//! Contrastive representation distillation: contrasts a student's vector with the teacher's vectors of the
//! same row of the data and of other rows, which come from memory banks.
//!
//! With e = a learned linear map of a side's vector, divided by its norm; banks M_s and M_t of `(rows,
//! width)` with one vector per row of the data; for each example its own row and K drawn rows, x = exp(M[row]
//! . e / T) / Z; and c = K / rows:
//!
//! - minus the mean over the examples of log( x_own / (x_own + c + 1e-7) ) + sum over the drawn rows of
//!   log( c / (x + c + 1e-7) ), for the student's e against M_t, plus the same for the teacher's e
//!   against M_s
//!
//! Each side's Z is the mean of its exp(…) over the first batch times the number of rows, and stays fixed.
//! After a step the rows of its batches are updated: M <- m M + (1 - m) e, divided by its norm. Banks and Z
//! are the loss's state. Source: Tian, Krishnan and Isola, "Contrastive Representation Distillation" (2020).

mod bank;
mod memory;
mod mismatches;

use serde_json::json;
use tch::Tensor;

use self::bank::drawn;
use self::memory::Memory;
use self::mismatches::mismatches;
use super::catalogue::{Entry, Kept, Range, boxed, number, required, whole};
use super::examples::Examples;
use super::uses::{MatchLoss, OneLayer};
use super::vectors::Pool;
use super::{AlsoReads, Average, Features, Learns, Loss, Masks, Term};
use crate::error::{Error, Result};
use crate::role::{Embedding, Hidden, Index, Role as _};
use crate::side::Side;

/// The key in the student's [`Features::also`] for rows given in place of drawn ones: `(batch, negatives)`,
/// int64.
const NEGATIVES: &str = "negatives";

/// Noise-contrastive loss between teacher and student over the rows of the data.
///
/// Features are `(batch, width)`, or hidden states of `(batch, length, width)`, which are averaged over the
/// positions; the student's adaptor must also provide the row of each example, `index`.
///
/// ```
/// use brew_core::loss::{Crd, Loss};
///
/// // 9,511 rows of data; a student of width 312, a teacher of 768.
/// let loss = Crd::over(9_511).between(312, 768).negatives(4_096);
/// assert_eq!(loss.options()["width"], 128);
/// ```
#[derive(Debug)]
pub struct Crd {
    rows: i64,
    student: i64,
    teacher: i64,
    width: i64,
    negatives: i64,
    temperature: f64,
    momentum: f64,
    /// Created when the run starts.
    memory: Option<Memory>,
}

impl Crd {
    /// For data with this many rows; vectors of width 128, 16,384 drawn rows, temperature 0.07, momentum 0.5.
    pub fn over(rows: i64) -> Self {
        Crd {
            rows,
            student: 0,
            teacher: 0,
            width: 128,
            negatives: 16_384,
            temperature: 0.07,
            momentum: 0.5,
            memory: None,
        }
    }

    /// Sets the widths of the student's and the teacher's features.
    #[must_use]
    pub fn between(self, student: i64, teacher: i64) -> Self {
        Crd { student, teacher, ..self }
    }

    /// Sets the width of the compared vectors.
    #[must_use]
    pub fn width(self, width: i64) -> Self {
        Crd { width, ..self }
    }

    /// Sets the number of drawn rows per example.
    #[must_use]
    pub fn negatives(self, negatives: i64) -> Self {
        Crd { negatives, ..self }
    }

    /// Sets the temperature, in (0, inf).
    #[must_use]
    pub fn at(self, temperature: f64) -> Self {
        Crd { temperature, ..self }
    }

    /// Sets the share of a bank's old vector in the new one, in [0, 1].
    #[must_use]
    pub fn momentum(self, momentum: f64) -> Self {
        Crd { momentum, ..self }
    }
}

fn unprepared() -> Error {
    Error::invalid("`crd` was not prepared")
}

impl Loss for Crd {
    fn name(&self) -> &'static str {
        "crd"
    }
    fn options(&self) -> serde_json::Value {
        json!({
            "rows": self.rows, "student": self.student, "teacher": self.teacher, "width": self.width,
            "negatives": self.negatives, "temperature": self.temperature, "momentum": self.momentum,
        })
    }
    fn problems(&self) -> Vec<String> {
        let counts = [
            ("rows", self.rows),
            ("student", self.student),
            ("teacher", self.teacher),
            ("width", self.width),
            ("negatives", self.negatives),
        ];
        let mut problems: Vec<String> = (counts.iter().filter(|(_, count)| *count < 1))
            .map(|(name, count)| format!("`{name}` is {count}; it must be at least 1"))
            .collect();
        problems.extend(super::temperature::range_problem("the temperature", self.temperature));
        if !(0.0..=1.0).contains(&self.momentum) {
            problems.push(format!("`momentum` is {}; it must be in [0, 1]", self.momentum));
        }
        problems
    }
    fn masks(&self) -> Masks {
        Masks::Own
    }
    fn average(&self, masked: bool) -> Average {
        if masked { Average::RowsWithTokens } else { Average::Rows }
    }
    fn also_reads(&self) -> &'static [AlsoReads] {
        &[AlsoReads { side: Side::Student, role: Index::NAME }]
    }
    fn learns(&mut self) -> Option<&mut dyn Learns> {
        Some(self)
    }
    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        mismatches(self, student, teacher)
    }
    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        let Memory { student: of_students, teacher: of_teachers, .. } =
            self.memory.as_ref().ok_or_else(unprepared)?;
        let examples = Examples::of(student, teacher)?;
        let (of_student, of_teacher) = Pool::Mean.both(student, teacher)?;
        let (of_student, of_teacher) = (examples.select(&of_student)?, examples.select(&of_teacher)?);
        if of_student.size().first() == Some(&0) {
            let rows = student.shape().first().copied().unwrap_or(0);
            return examples.batch_term(&of_student.f_sum(of_student.kind())?, rows);
        }
        let (of_student, of_teacher) = (of_students.embed(&of_student)?, of_teachers.embed(&of_teacher)?);
        let index = examples.select(student.index()?)?;
        let others = match student.also.get(NEGATIVES) {
            Some(given) => examples.select(given)?,
            None => drawn(self.rows, [index.size1()?, self.negatives], index.device())?,
        };
        let rows = Tensor::f_cat(&[index.f_unsqueeze(1)?, others], 1)?;
        let (of_student_value, student_constant) =
            of_teachers.contrast(&of_students.constant, &of_student, &rows, self.temperature)?;
        let (of_teacher_value, teacher_constant) =
            of_students.contrast(&of_teachers.constant, &of_teacher, &rows, self.temperature)?;
        let term = examples.selected_term(&of_student_value.f_add(&of_teacher_value)?)?;
        let vectors = [of_student.f_detach()?, of_teacher.f_detach()?];
        Ok(Memory::note(term, index, vectors, [student_constant, teacher_constant]))
    }
}

impl MatchLoss<Hidden, OneLayer> for Crd {}
impl MatchLoss<Embedding, OneLayer> for Crd {}

/// Its row in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[Entry {
    name: "crd",
    summary: "noise contrast with the teacher's vectors of the same row of the data and of others",
    source: "Tian, Krishnan and Isola 2020, arXiv 1910.10699",
    roles: &["embedding", "hidden"],
    options: &[
        required("rows", 10_000, "the rows of the data"),
        required("student", 312, "the width of the student's features"),
        required("teacher", 768, "the width of the teacher's features"),
        whole("width", 1, 128, "the width of the vectors that are compared"),
        whole("negatives", 1, 16_384, "how many other rows are drawn for each example"),
        number("temperature", Range::Positive, 0.07, "divides the cosines"),
        number("momentum", Range::Share, 0.5, "the share of the old vector when a bank moves"),
    ],
    keeps: &[
        Kept::learned("student.weight", "(width, student)"),
        Kept::learned("student.bias", "(width,)"),
        Kept::learned("teacher.weight", "(width, teacher)"),
        Kept::learned("teacher.bias", "(width,)"),
        Kept::state("student_bank", "(rows, width), what the teacher's vectors are compared with"),
        Kept::state("teacher_bank", "(rows, width), what the student's vectors are compared with"),
        Kept::state("student_constant", "(1,), Z of the student's vectors; 0 until the first batch"),
        Kept::state("teacher_constant", "(1,), Z of the teacher's vectors; 0 until the first batch"),
        Kept::draw("negatives", "(batch, negatives), rows of the data"),
    ],
    make: |options| {
        let loss = Crd::over(options.whole("rows"))
            .between(options.whole("student"), options.whole("teacher"))
            .width(options.whole("width"))
            .negatives(options.whole("negatives"))
            .at(options.temperature())
            .momentum(options.number("momentum"));
        boxed(loss)
    },
    ..Entry::EMPTY
}];
