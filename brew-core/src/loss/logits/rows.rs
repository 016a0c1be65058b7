//! The rows that count: flattened logits of both sides with their labels, and what to average over.

use tch::Tensor;

use super::super::term::{positions, wide};
use super::super::{Average, Features, Term};
use crate::error::Result;
use crate::words::shape;

/// The logits that count, row by row.
///
/// Rows that do not count are removed rather than set to 0: nothing is computed for padding, and its values
/// reach neither the loss nor the gradient.
pub(crate) struct Rows {
    /// `(rows, classes)`, float32 or float64.
    pub(in crate::loss) student: Tensor,
    /// The teacher's logits, in the student's dtype.
    pub(in crate::loss) teacher: Tensor,
    /// `(rows,)`, int64, if the loss reads labels.
    pub(in crate::loss) labels: Option<Tensor>,
    counted: CountedRows,
}

/// Which rows of `(batch, …)` or `(batch, length, …)` count, and what they are averaged over.
pub(in crate::loss) struct CountedRows {
    /// The indices of the rows that count, in the flattened tensor; `None` if all count.
    index: Option<Tensor>,
    /// The number of all rows, whether they count or not.
    all: i64,
    average: Average,
    /// How many rows are one unit of the average: the length if positions have no mask.
    share: f64,
}

impl CountedRows {
    /// Determines what counts in features of these sizes, with a side's mask and labels.
    pub(in crate::loss) fn of(sizes: &[i64], mask: Option<&Tensor>, labels: Option<&Tensor>) -> Result<Self> {
        let mask = mask.filter(|_| sizes.len() == 3).map(positions).transpose()?;
        let labelled = labels.map(|labels| labels.f_ge(0)).transpose()?;
        let (average, share) = match (&labelled, &mask, sizes) {
            (Some(_), ..) => (Average::Labels, 1.0),
            (None, Some(_), _) => (Average::Tokens, 1.0),
            (None, None, [_, length, _]) => (Average::Rows, (*length).max(1) as f64),
            _ => (Average::Rows, 1.0),
        };
        let counts = match (labelled, mask) {
            (Some(labelled), Some(mask)) => Some(labelled.f_logical_and(&mask)?),
            (labelled, mask) => labelled.or(mask),
        };
        let index = counts.map(|counts| counts.f_reshape([-1])?.f_nonzero()?.f_squeeze_dim(1)).transpose()?;
        let all = sizes.iter().rev().skip(1).product();
        Ok(CountedRows { index, all, average, share })
    }

    /// The rows that count of features `(…, width)`, as `(rows, width)`.
    pub(in crate::loss) fn select(&self, features: &Tensor) -> Result<Tensor> {
        let width = features.size().last().copied().unwrap_or(1);
        self.select_flat(&features.f_reshape([-1, width])?)
    }

    /// The rows that count of values already flat, `(all rows, …)`.
    pub(in crate::loss) fn select_flat(&self, flat: &Tensor) -> Result<Tensor> {
        match &self.index {
            Some(index) => Ok(flat.f_index_select(0, index)?),
            None => Ok(flat.shallow_clone()),
        }
    }

    /// A sum over this many rows that count, as a term.
    pub(in crate::loss) fn term(&self, sum: Tensor, rows: i64) -> Result<Term> {
        let count = Tensor::f_full([], rows as f64 / self.share, (sum.kind(), sum.device()))?;
        Ok(Term::new(sum.f_div_scalar(self.share)?, count, self.average))
    }
}

impl Rows {
    /// The rows that count by the student's mask and, if the loss reads them, its labels.
    pub(in crate::loss) fn of(student: &Features, teacher: &Features, reads_labels: bool) -> Result<Self> {
        let labels = reads_labels.then(|| student.labels()).transpose()?;
        let counted = CountedRows::of(&student.shape(), student.mask.as_ref(), labels)?;
        // Selected before conversion to a wider dtype, so that rows that do not count are not converted.
        let rows = |read: &Features| {
            let feature = read.feature()?;
            // One number per row is one column.
            let feature = if feature.dim() == 1 { &feature.f_unsqueeze(-1)? } else { feature };
            wide(&counted.select(feature)?)
        };
        let (student, teacher) = (rows(student)?, rows(teacher)?);
        let teacher = teacher.f_to_kind(student.kind())?;
        let labels = labels.map(|labels| counted.select_flat(&labels.f_reshape([-1])?)).transpose()?;
        Ok(Rows { student, teacher, labels, counted })
    }

    /// The labels of the rows.
    pub(in crate::loss) fn labels(&self) -> Result<&Tensor> {
        let absent = || crate::error::Error::invalid("a loss reads labels that it did not ask for");
        self.labels.as_ref().ok_or_else(absent)
    }

    /// How many rows count.
    pub(in crate::loss) fn count(&self) -> i64 {
        self.student.size().first().copied().unwrap_or(0)
    }

    /// The mean of one value per row.
    pub(in crate::loss) fn term(&self, per_row: &Tensor) -> Result<Term> {
        self.counted.term(per_row.f_sum(per_row.kind())?, self.count())
    }

    /// The same value, summed in the order of all rows, or example by example without a mask.
    pub(in crate::loss) fn term_in_place(&self, per_row: &Tensor) -> Result<Term> {
        let CountedRows { index, all, share, .. } = &self.counted;
        match index {
            Some(index) => {
                let zeros = Tensor::f_zeros([*all], (per_row.kind(), per_row.device()))?;
                let placed = zeros.f_index_copy(0, index, per_row)?;
                self.counted.term(placed.f_sum(placed.kind())?, self.count())
            }
            None if *share > 1.0 => {
                Term::rows(&per_row.f_view([-1, *share as i64])?.f_mean_dim(1, false, per_row.kind())?)
            }
            None => self.term(per_row),
        }
    }
}

/// The problem of labels whose shape does not match the logits' rows.
pub(in crate::loss) fn labels_problem(student: &Features) -> Option<String> {
    let sizes = student.shape();
    let rows = &sizes[..sizes.len().saturating_sub(1)];
    match student.labels() {
        Ok(labels) if labels.size() == rows => None,
        Ok(labels) => Some(format!(
            "the labels are {}, the student's features {}: there must be one label per row, here {}",
            shape(&labels.size()),
            shape(&sizes),
            shape(rows)
        )),
        Err(error) => Some(error.to_string()),
    }
}
