//! Mean squared difference of attention maps (TextBrewer's `attention_mse`, `attention_mse_sum`).
//!
//! With maps S and T of `(batch, heads, length, length)` and the mask m of `(batch, length)`:
//!
//! - `attention_mse` without a mask: mean( (S - T)^2 )
//! - with a mask: sum_{b,k,i,j} (S - T)^2_bkij m_bi m_bj / ( heads * sum_b (sum_i m_bi)^2 )
//! - `attention_mse_sum`: S and T are first summed over their heads, and the formulas are those of one head;
//!   so the sides may have different numbers of heads
//!
//! Probabilities and scores are compared by the same formula. Without a mask, TextBrewer's own form
//! (`textbrewer()`) first sets values of -0.001 or less to 0 (after the sum over heads), to remove the -10000
//! that scores of padding have; this affects every negative score. The other forms do not do this. Source:
//! Jiao et al., "TinyBERT" (2020); TextBrewer's `att_mse_loss` and `att_mse_sum_loss`.

use tch::Tensor;

use super::attention::MAPS;
use super::attention::{Heads, Maps, attention_loss, maps};
use super::catalogue::{Entry, TEXTBREWER, boxed};
use super::term::{keep, pairs};
use super::uses::{MatchLoss, OneLayer};
use super::{Average, Features, Loss, Term};
use crate::error::Result;
use crate::role::Attention;

attention_loss! {
    /// Mean squared difference of two layers' attention maps, head by head.
    ///
    /// ```
    /// use brew_core::loss::{AttentionMse, Loss, Features};
    /// use brew_core::tch::Tensor;
    ///
    /// let map = |values: &[f64]| Features::one(Tensor::from_slice(values).view([1, 1, 2, 2]));
    /// let (student, teacher) = (map(&[1.0, 0.0, 0.0, 1.0]), map(&[0.5, 0.5, 0.5, 0.5]));
    /// let loss = AttentionMse::probabilities();
    /// assert_eq!(loss.term(&student, &teacher)?.mean()?.double_value(&[]), 0.25);
    /// # Ok::<(), brew_core::Error>(())
    /// ```
    AttentionMse
}

attention_loss! {
    /// Mean squared difference of two layers' attention maps, each summed over its heads.
    AttentionMseSum
}

impl Loss for AttentionMse {
    fn name(&self) -> &'static str {
        "attention_mse"
    }

    fn options(&self) -> serde_json::Value {
        self.maps.options()
    }

    fn average(&self, masked: bool) -> Average {
        if masked { Average::Pairs } else { Average::Rows }
    }

    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        self.maps.mismatches(student, teacher, Heads::Equal { or: "AttentionMseSum" })
    }

    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        compare(self.maps, &maps(student)?, &maps(teacher)?, student.mask.as_ref())
    }
}

impl Loss for AttentionMseSum {
    fn name(&self) -> &'static str {
        "attention_mse_sum"
    }

    fn options(&self) -> serde_json::Value {
        self.maps.options()
    }

    fn average(&self, masked: bool) -> Average {
        if masked { Average::Pairs } else { Average::Rows }
    }

    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        self.maps.mismatches(student, teacher, Heads::Any)
    }

    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        let summed = |read| -> Result<Tensor> { Ok(maps(read)?.f_sum_dim_intlist(1, true, None)?) };
        compare(self.maps, &summed(student)?, &summed(teacher)?, student.mask.as_ref())
    }
}

fn compare(maps: Maps, student: &Tensor, teacher: &Tensor, mask: Option<&Tensor>) -> Result<Term> {
    let without_padding = |map: &Tensor| -> Result<Tensor> {
        Ok(match maps.taken_for_padding(map, mask)? {
            Some(padding) => map.f_masked_fill(&padding, 0.0)?,
            None => map.shallow_clone(),
        })
    };
    let difference = without_padding(student)?.f_sub(&without_padding(teacher)?)?;
    let difference = match mask {
        Some(mask) => keep(&difference, &pairs(mask)?.f_unsqueeze(1)?)?,
        None => difference,
    };
    Term::pairs(&difference.f_square()?.f_mean_dim(1, false, None)?, mask)
}

impl MatchLoss<Attention, OneLayer> for AttentionMse {}
impl MatchLoss<Attention, OneLayer> for AttentionMseSum {}

/// Their rows in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[
    Entry {
        name: "attention_mse",
        summary: "squared difference of attention maps, head by head",
        source: "Jiao et al. 2020 (TinyBERT), arXiv 1909.10351",
        roles: &["attention"],
        options: &[MAPS],
        make: |options| boxed(AttentionMse::chosen(options)),
        ..Entry::EMPTY
    },
    Entry {
        name: "attention_mse_sum",
        summary: "squared difference of attention maps, each summed over its heads",
        source: TEXTBREWER,
        roles: &["attention"],
        options: &[MAPS],
        make: |options| boxed(AttentionMseSum::chosen(options)),
        ..Entry::EMPTY
    },
];
