//! Checks of a contrast's features and row numbers.

use tch::Kind;

use super::super::{Features, vectors};
use super::Crd;
use crate::error::Result;

pub(super) fn mismatches(loss: &Crd, student: &Features, teacher: &Features) -> Vec<String> {
    let mut problems = vectors::mismatches(student, teacher);
    for (side, read, declared) in [("student", student, loss.student), ("teacher", teacher, loss.teacher)] {
        let found = read.shape().last().copied().unwrap_or_default();
        if found != declared {
            problems.push(format!(
                "the {side}'s features are {found} wide, but the loss was declared for {declared}: write `.between(…)` with both widths"
            ));
        }
    }
    problems.extend(loss.index_problem(student));
    problems
}

impl Crd {
    /// The problem of row numbers outside of the banks.
    fn index_problem(&self, student: &Features) -> Option<String> {
        let index = student.index().ok()?;
        let rows = student.shape().first().copied();
        if index.kind() != Kind::Int64 || Some(index.size()) != rows.map(|rows| vec![rows]) {
            return Some(format!(
                "`index` is {:?} of {:?}; it must be (batch,) of int64: the row of the data of each example",
                index.kind(),
                index.size()
            ));
        }
        let ends = (|| -> Result<_> {
            Ok((index.f_min()?.f_int64_value(&[])?, index.f_max()?.f_int64_value(&[])?))
        })();
        match ends {
            Ok((low, high)) if low < 0 || high >= self.rows => Some(format!(
                "`index` goes from {low} to {high}, but the loss was declared for {} rows: write `Crd::over(…)` with the rows of the data",
                self.rows
            )),
            _ => None,
        }
    }
}
