//! Shared implementation of losses that have one value per row of logits.

use std::fmt;

use serde_json::{Map, Value};
use tch::Tensor;

use super::super::logit_shapes::softmax_mismatches;
use super::super::{AlsoReads, Average, Features, Loss, Term};
use super::rows::{Rows, labels_problem};
use super::softening::Softening;
use crate::error::Result;
use crate::role::{Labels, Role as _};
use crate::side::Side;

/// The declaration of a loss that reads the student's labels.
pub(in crate::loss) const STUDENT_LABELS: &[AlsoReads] =
    &[AlsoReads { side: Side::Student, role: Labels::NAME }];

/// A loss on logits that is the mean of one value per row.
pub(crate) trait PerRow: fmt::Debug + Send + 'static {
    /// The name in plans, metrics and configs.
    fn name(&self) -> &'static str;

    /// Its own options, without those of its temperature.
    fn options(&self) -> Map<String, Value> {
        Map::new()
    }

    /// The problems of its own options.
    fn problems(&self) -> Vec<String> {
        Vec::new()
    }

    /// Its temperature, if it has one.
    fn softening(&self) -> Option<&Softening> {
        None
    }

    /// Whether it reads the student's labels.
    fn reads_labels(&self) -> bool {
        false
    }

    /// Whether the values are added up in the order of all rows, with 0 for those that do not count: the sum
    /// is then bit-identical to TextBrewer's.
    fn sums_in_place(&self) -> bool {
        false
    }

    /// The mismatches of the features.
    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        softmax_mismatches(student, teacher)
    }

    /// One value per row, `(rows,)`, times T squared if requested.
    fn per_row(&self, rows: &Rows) -> Result<Tensor>;
}

impl<L: PerRow> Loss for L {
    fn name(&self) -> &'static str {
        PerRow::name(self)
    }

    fn options(&self) -> Value {
        let mut options = self.softening().map(Softening::options).unwrap_or_default();
        options.extend(PerRow::options(self));
        if options.is_empty() { Value::Null } else { Value::Object(options) }
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = self.softening().map(Softening::problems).unwrap_or_default();
        problems.extend(PerRow::problems(self));
        problems
    }

    fn temperature(&self) -> Option<f64> {
        self.softening().map_or(Some(1.0), Softening::of_teacher)
    }

    fn average(&self, masked: bool) -> Average {
        match (self.reads_labels(), masked) {
            (true, _) => Average::Labels,
            (false, true) => Average::Tokens,
            (false, false) => Average::Rows,
        }
    }

    fn reads_whole_batch(&self) -> bool {
        self.softening().is_some_and(Softening::is_scheduled)
    }

    fn also_reads(&self) -> &'static [AlsoReads] {
        if self.reads_labels() { STUDENT_LABELS } else { &[] }
    }

    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        let mut problems = PerRow::mismatches(self, student, teacher);
        if self.reads_labels() && problems.is_empty() {
            problems.extend(labels_problem(student));
        }
        problems
    }

    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        let rows = Rows::of(student, teacher, self.reads_labels())?;
        let per_row = self.per_row(&rows)?;
        if self.sums_in_place() { rows.term_in_place(&per_row) } else { rows.term(&per_row) }
    }
}
