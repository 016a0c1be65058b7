//! Mean squared difference of hidden states (TextBrewer's `hidden_mse`, `hid_mse_loss`).
//!
//! With hidden states S and T of `(batch, length, width)` and the mask m of `(batch, length)`:
//!
//! - without a mask, and for one vector per example, `(batch, width)`: mean( (S - T)^2 )
//! - with a mask: sum_{b,i} m_bi * sum_h (S - T)^2_bih / ( width * sum_{b,i} m_bi )
//!
//! If the widths differ, the student's side goes through a projection first. Source: Romero et al., "FitNets"
//! (2015); Jiao et al., "TinyBERT" (2020).

use super::catalogue::{Entry, boxed};
use super::uses::{MatchLoss, OneLayer};
use super::{Features, Loss, Term, states};
use crate::error::Result;
use crate::role::{Embedding, Hidden};

/// Mean squared difference of two layers' hidden states, or of two embeddings.
///
/// ```
/// use brew_core::loss::{HiddenMse, Loss, Features};
/// use brew_core::tch::{Kind, Device, Tensor};
///
/// let student = Features::one(Tensor::zeros([1, 2, 4], (Kind::Float, Device::Cpu)));
/// let teacher = Features::one(Tensor::ones([1, 2, 4], (Kind::Float, Device::Cpu)) * 3.0);
/// assert_eq!(HiddenMse.term(&student, &teacher)?.mean()?.double_value(&[]), 9.0);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HiddenMse;

impl Loss for HiddenMse {
    fn name(&self) -> &'static str {
        "hidden_mse"
    }

    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        states::mismatches(student, teacher)
    }

    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        let difference = student.first()?.f_sub(&teacher.first()?)?;
        if difference.dim() == 2 {
            return Term::rows(&difference.f_square()?.f_mean_dim(-1, false, None)?);
        }
        let difference = states::kept(&difference, student.mask.as_ref())?;
        let per_position = difference.f_square()?.f_mean_dim(-1, false, difference.kind())?;
        Term::positions(&per_position, student.mask.as_ref())
    }
}

impl MatchLoss<Hidden, OneLayer> for HiddenMse {}
impl MatchLoss<Embedding, OneLayer> for HiddenMse {}

/// Its row in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[Entry {
    name: "hidden_mse",
    aliases: &["embedding_mse"],
    summary: "squared difference of hidden states",
    source: "Jiao et al. 2020 (TinyBERT), arXiv 1909.10351",
    roles: &["hidden", "embedding"],
    make: |_| boxed(HiddenMse),
    ..Entry::EMPTY
}];
