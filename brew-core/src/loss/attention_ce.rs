//! Cross-entropy of attention maps as distributions over keys (TextBrewer's `attention_ce`,
//! `attention_ce_mean`).
//!
//! With P the teacher's probabilities and Q the student's, `(batch, heads, length, length)`, and the
//! mask m of `(batch, length)`:
//!
//! - `attention_ce` without a mask: - mean_{b,k,i}( sum_j P_bkij log Q_bkij )
//! - with a mask: - sum_{b,k,i} m_bi sum_j P_bkij log Q_bkij m_bj / ( heads * sum_b sum_i m_bi )
//! - `attention_ce_mean`: each side's maps are first averaged over its heads, and the formulas are those of
//!   one head; so the sides may have different numbers of heads
//!
//! The constructor declares where P and Q come from:
//!
//! - `probabilities()`: they are the maps. log Q of less than the smallest normal float32 number is
//!   taken as the log of that number (-87.3), so that a key the student has dropped has a finite loss.
//! - `scores()`: the softmax of the maps over the keys of the same document whose mask is not 0.
//! - `textbrewer()`: the softmax of the maps over all keys including padding, which is excluded only
//!   afterwards; without a mask P is 0 wherever the teacher's score is -0.001 or less. Where the scores of
//!   padding are -10000, the first makes no difference to `scores()`.
//!
//! As in `kd_ce` the minimum is the entropy of P and not 0. Source: TextBrewer's `att_ce_loss` and
//! `att_ce_mean_loss`, which always take a softmax, of probabilities too.

use tch::Tensor;

use super::attention::MAPS;
use super::attention::{Heads, Maps, attention_loss, maps};
use super::catalogue::{Entry, TEXTBREWER, boxed};
use super::term::{NO_SCORE, keep, pairs, positions};
use super::uses::{MatchLoss, OneLayer};
use super::{Features, Loss, Term};
use crate::error::Result;
use crate::role::Attention;

attention_loss! {
    /// Cross-entropy of the student's attention with the teacher's, head by head.
    ///
    /// ```
    /// use brew_core::loss::{AttentionCe, Loss, Features};
    /// use brew_core::tch::Tensor;
    ///
    /// let map = |values: &[f64]| Features::one(Tensor::from_slice(values).view([1, 1, 2, 2]));
    /// let (student, teacher) = (map(&[0.5, 0.5, 0.5, 0.5]), map(&[1.0, 0.0, 0.25, 0.75]));
    /// let loss = AttentionCe::probabilities().term(&student, &teacher)?.mean()?;
    /// assert!((loss.double_value(&[]) - 2.0_f64.ln()).abs() < 1e-12);
    /// # Ok::<(), brew_core::Error>(())
    /// ```
    AttentionCe
}

attention_loss! {
    /// Cross-entropy of the student's attention with the teacher's, each averaged over its heads.
    AttentionCeMean
}

impl Loss for AttentionCe {
    fn name(&self) -> &'static str {
        "attention_ce"
    }

    fn options(&self) -> serde_json::Value {
        self.maps.options()
    }

    fn reads_padding(&self) -> bool {
        self.maps == Maps::TextBrewer
    }

    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        self.maps.mismatches(student, teacher, Heads::Equal { or: "AttentionCeMean" })
    }

    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        compare(self.maps, &maps(student)?, &maps(teacher)?, student.mask.as_ref())
    }
}

impl Loss for AttentionCeMean {
    fn name(&self) -> &'static str {
        "attention_ce_mean"
    }

    fn options(&self) -> serde_json::Value {
        self.maps.options()
    }

    fn reads_padding(&self) -> bool {
        self.maps == Maps::TextBrewer
    }

    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        self.maps.mismatches(student, teacher, Heads::Any)
    }

    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        let averaged = |read| -> Result<Tensor> { Ok(maps(read)?.f_mean_dim(1, true, None)?) };
        compare(self.maps, &averaged(student)?, &averaged(teacher)?, student.mask.as_ref())
    }
}

fn compare(maps: Maps, student: &Tensor, teacher: &Tensor, mask: Option<&Tensor>) -> Result<Term> {
    let (log_student, teacher) = match maps {
        Maps::Probabilities => (logarithm(student, mask)?, teacher.shallow_clone()),
        Maps::Scores => {
            let (student, teacher) = (without_padding(student, mask)?, without_padding(teacher, mask)?);
            (student.f_log_softmax(-1, None)?, teacher.f_softmax(-1, None)?)
        }
        Maps::TextBrewer => {
            let probabilities = teacher.f_softmax(-1, None)?;
            let probabilities = match maps.taken_for_padding(teacher, mask)? {
                Some(padding) => probabilities.f_masked_fill(&padding, 0.0)?,
                None => probabilities,
            };
            (without_padded_queries(student, mask)?.f_log_softmax(-1, None)?, probabilities)
        }
    };
    let (log_student, teacher) = (kept(&log_student, mask)?, kept(&teacher, mask)?);
    let per_query = teacher.f_mul(&log_student)?.f_sum_dim_intlist(-1, false, None)?.f_neg()?;
    Term::positions(&per_query.f_mean_dim(1, false, None)?, mask)
}

/// The values of the pairs that count, 0 elsewhere.
pub(super) fn kept(maps: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
    match mask {
        Some(mask) => keep(maps, &pairs(mask)?.f_unsqueeze(1)?),
        None => Ok(maps.shallow_clone()),
    }
}

/// The log of probabilities. Values that do not count are replaced before the log, whose gradient at 0 is
/// infinite.
pub(super) fn logarithm(probabilities: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
    Ok(kept(probabilities, mask)?.f_clamp_min(f64::from(f32::MIN_POSITIVE))?.f_log()?)
}

/// Scores in which padded keys have no share in the softmax.
pub(super) fn without_padding(scores: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
    match mask {
        Some(mask) => {
            let padding = pairs(mask)?.f_unsqueeze(1)?.f_logical_not()?;
            Ok(scores.f_masked_fill(&padding, NO_SCORE)?)
        }
        None => Ok(scores.shallow_clone()),
    }
}

/// Scores with 0 in the rows of padded queries, whatever the model's values there.
fn without_padded_queries(scores: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
    match mask {
        Some(mask) => keep(scores, &positions(mask)?.f_unsqueeze(-1)?.f_unsqueeze(1)?),
        None => Ok(scores.shallow_clone()),
    }
}

impl MatchLoss<Attention, OneLayer> for AttentionCe {}
impl MatchLoss<Attention, OneLayer> for AttentionCeMean {}

/// Their rows in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[
    Entry {
        name: "attention_ce",
        summary: "cross-entropy of the student's attention with the teacher's, head by head",
        source: TEXTBREWER,
        roles: &["attention"],
        options: &[MAPS],
        make: |options| boxed(AttentionCe::chosen(options)),
        ..Entry::EMPTY
    },
    Entry {
        name: "attention_ce_mean",
        summary: "cross-entropy of attention, each averaged over its heads",
        source: TEXTBREWER,
        roles: &["attention"],
        options: &[MAPS],
        make: |options| boxed(AttentionCeMean::chosen(options)),
        ..Entry::EMPTY
    },
];
