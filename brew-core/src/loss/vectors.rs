//! Shared code of the losses that compare examples with each other, by one vector per example.
//!
//! Features of `(batch, width)` are such vectors. For hidden states, `(batch, length, width)`, the
//! constructor chooses: the mean over the positions whose mask is not 0, or the first position (BERT's `[CLS]`).
//! Each side has its own mask, length and width; a teacher without a mask uses the student's.

use serde_json::json;
use tch::Tensor;

use super::catalogue::{OptionRow, Options, choice};
use super::examples::Examples;
use super::term::positions;
use super::{Features, Term, states};
use crate::error::{Error, Result};
use crate::words::shape;

/// The option for the vector that represents an example.
pub(super) const POOL: OptionRow =
    choice("pool", &["mean", "first"], "mean", "of hidden states: the mean, or the first position");

/// The vector that represents an example if its features are hidden states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pool {
    /// The mean over its positions.
    Mean,
    /// Its first position.
    First,
}

/// Declares a loss over vectors of examples with its two constructors.
macro_rules! pooled_loss {
    ($(#[$doc:meta])* $loss:ident, $name:literal, $compare:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $loss {
            pool: $crate::loss::vectors::Pool,
        }

        impl $loss {
            /// Of embeddings, or of the mean of an example's hidden states over its positions.
            pub fn of_means() -> Self {
                $loss { pool: $crate::loss::vectors::Pool::Mean }
            }

            /// Of embeddings, or of an example's first hidden state.
            pub fn of_first_positions() -> Self {
                $loss { pool: $crate::loss::vectors::Pool::First }
            }
        }

        impl $crate::loss::Loss for $loss {
            fn name(&self) -> &'static str {
                $name
            }
            fn options(&self) -> serde_json::Value {
                self.pool.options()
            }
            fn masks(&self) -> $crate::loss::Masks {
                $crate::loss::Masks::Own
            }
            fn average(&self, masked: bool) -> $crate::loss::Average {
                if masked { $crate::loss::Average::RowsWithTokens } else { $crate::loss::Average::Rows }
            }
            fn reads_whole_batch(&self) -> bool {
                true
            }
            fn mismatches(&self, student: &$crate::loss::Features, teacher: &$crate::loss::Features) -> Vec<String> {
                $crate::loss::vectors::mismatches(student, teacher)
            }
            fn term(
                &self,
                student: &$crate::loss::Features,
                teacher: &$crate::loss::Features,
            ) -> $crate::error::Result<$crate::loss::Term> {
                self.pool.compared(student, teacher, $compare)
            }
        }
    };
}
pub(super) use pooled_loss;

impl Pool {
    /// As chosen in the options.
    pub(super) fn chosen(options: &Options) -> Self {
        match options.choice(POOL.name) {
            "first" => Pool::First,
            _ => Pool::Mean,
        }
    }

    /// As stored in a plan.
    pub(super) fn options(self) -> serde_json::Value {
        json!({ "pool": self.word() })
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Pool::Mean => "mean",
            Pool::First => "first",
        }
    }

    /// Both sides' vectors, the student's first, in float32 or wider.
    pub(super) fn both(self, student: &Features, teacher: &Features) -> Result<(Tensor, Tensor)> {
        let teachers_mask = teacher.mask.as_ref().or(student.mask.as_ref());
        Ok((self.of(student, student.mask.as_ref())?, self.of(teacher, teachers_mask)?))
    }

    /// One value of the whole batch, from the vectors of the examples that count; 0 if none does.
    pub(super) fn compared(
        self,
        student: &Features,
        teacher: &Features,
        compare: impl Fn(&Tensor, &Tensor) -> Result<Tensor>,
    ) -> Result<Term> {
        let examples = Examples::of(student, teacher)?;
        let (student, teacher) = self.both(student, teacher)?;
        let rows = student.size().first().copied().unwrap_or(0);
        let (student, teacher) = (examples.select(&student)?, examples.select(&teacher)?);
        let value = match student.size().first() {
            Some(0) => student.f_sum(student.kind())?,
            _ => compare(&student, &teacher)?,
        };
        examples.batch_term(&value, rows)
    }

    fn of(self, read: &Features, mask: Option<&Tensor>) -> Result<Tensor> {
        let features = read.first()?;
        match (features.dim(), self, mask) {
            (2, ..) => Ok(features),
            (3, Pool::First, _) => Ok(features.f_select(1, 0)?),
            (3, Pool::Mean, None) => Ok(features.f_mean_dim(1, false, None)?),
            (3, Pool::Mean, Some(mask)) => {
                let sum = states::kept(&features, Some(mask))?.f_sum_dim_intlist(1, false, None)?;
                let count = positions(mask)?.f_sum_dim_intlist(1, true, sum.kind())?;
                Ok(sum.f_div(&count.f_clamp_min(1.0)?)?)
            }
            _ => Err(Error::invalid(format!("features of {} are not vectors", shape(&features.size())))),
        }
    }
}

/// The mismatches of both sides' features.
pub(super) fn mismatches(student: &Features, teacher: &Features) -> Vec<String> {
    let (of_student, of_teacher) = (student.shape(), teacher.shape());
    if !matches!(of_student.len(), 2 | 3) || !matches!(of_teacher.len(), 2 | 3) {
        return vec![format!(
            "features must be (batch, width) or (batch, length, width); the student's are {}, the teacher's {}",
            shape(&of_student),
            shape(&of_teacher)
        )];
    }
    let mut problems = Vec::new();
    if of_student[0] != of_teacher[0] {
        problems.push(format!(
            "the student's features have {} rows, the teacher's {}: both sides must read the same rows",
            of_student[0], of_teacher[0]
        ));
    }
    problems.extend(states::mask_problem("student", student));
    problems.extend(states::mask_problem("teacher", teacher));
    problems
}

/// Scales the vectors along a dimension to length 1; zero vectors stay zero.
pub(super) fn unit(tensor: &Tensor, dimension: i64) -> Result<Tensor> {
    let length = tensor.f_norm_scalaropt_dim(2, [dimension].as_slice(), true)?;
    Ok(tensor.f_div(&length.f_clamp_min(1e-12)?)?)
}
