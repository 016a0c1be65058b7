//! Logit standardisation: scales each row's logits to mean 0 and deviation 1 before the loss reads them.

use tch::Tensor;

use super::super::catalogue::{Entry, OptionRow, boxed};
use super::super::logit_shapes::ONE_LOGIT_MEND;
use super::super::states::kept;
use super::super::term::wide;
use super::super::{Features, Loss};
use super::next_token::mask_ahead;
use super::transform::{Transform, Transformed};
use crate::error::Result;
use crate::role::{OutputWeight, Role as _};

/// z' = (z - mean_c z) / (std_c z + 1e-7), of every row of both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standardisation;

/// A loss on the standardised logits of both sides, z' = (z - mean_c z) / (std_c z + 1e-7) with the unbiased
/// deviation over the classes: so that the student need not match the scale of the teacher's logits.
///
/// It wraps any loss on logits, and applies before the loss's temperature. A row of equal logits becomes
/// zeros. Shapes, mask and reduction are the loss's own.
///
/// Source: Sun et al., "Logit Standardization in Knowledge Distillation" (2024, arXiv:2403.01427),
/// which then takes the Kullback-Leibler divergence at T = 2, times T squared and a weight of 9:
///
/// ```
/// use brew_core::loss::{Kl, Loss, Features, standardised};
/// use brew_core::tch::Tensor;
///
/// let teacher = Features::one(Tensor::from_slice(&[2.0, 1.0, 0.0]).view([1, 3]));
/// let student = Features::one(Tensor::from_slice(&[20.0, 10.0, 0.0]).view([1, 3]));
/// let loss = standardised(Kl::at(2.0).times_temperature_squared());
/// assert!(loss.term(&student, &teacher)?.mean()?.double_value(&[]).abs() < 1e-9);
/// # Ok::<(), brew_core::Error>(())
/// ```
pub fn standardised<K: Loss>(loss: K) -> Transformed<Standardisation, K> {
    Transformed { transform: Standardisation, loss }
}

/// The error for a loss that computes the logits itself.
pub(super) const NO_LOGITS: &str =
    "a chunked loss computes its logits itself, some at a time: use the dense loss, on `logits`";

/// Added to the deviation, as in the paper's code.
const EPSILON: f64 = 1e-7;

impl Transform for Standardisation {
    fn name(&self) -> &'static str {
        "standardised"
    }

    fn changes_some_logits(&self) -> bool {
        false
    }

    fn mismatch(&self, side: &str, read: &Features) -> Option<String> {
        match read.tensors.as_slice() {
            _ if read.also.contains_key(OutputWeight::NAME) => Some(NO_LOGITS.to_owned()),
            [logits] if logits.dim() >= 2 && logits.size().last().is_some_and(|classes| *classes > 1) => None,
            [logits] => Some(format!(
                "the {side}'s logits are {}: standardising takes two classes or more; {ONE_LOGIT_MEND}",
                crate::words::shape(&logits.size())
            )),
            _ => Some(format!("the {side}'s logits are not all known: standardising needs all of them")),
        }
    }

    fn apply(&self, read: &Features, shifted_later: bool) -> Result<Features> {
        let of_rows = |mask: &&Tensor| mask.dim() == 2;
        let mask = match shifted_later {
            // A position counts by what follows it.
            true => mask_ahead(read.mask.as_ref().filter(of_rows), read.documents.as_ref().filter(of_rows))?,
            false => read.mask.as_ref().map(Tensor::shallow_clone),
        };
        read.changed(|logits| {
            // Padding may hold anything: the loss ignores it, but in the gradient of a deviation 0 times NaN
            // would remain.
            let logits = kept(&wide(logits)?, mask.as_ref().filter(|_| logits.dim() == 3))?;
            let centred = logits.f_sub(&logits.f_mean_dim(-1, true, logits.kind())?)?;
            let classes = logits.size().last().copied().unwrap_or(1);
            let length = centred.f_norm_scalaropt_dim(2.0, [-1_i64].as_slice(), true)?;
            let deviation = length.f_div_scalar(((classes - 1).max(1) as f64).sqrt())?;
            Ok::<Tensor, crate::error::Error>(centred.f_div(&deviation.f_add_scalar(EPSILON)?)?)
        })
    }
}

/// Its row in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[Entry {
    name: "standardised",
    summary: "a loss on logits of mean 0 and deviation 1",
    source: "Sun et al. 2024 (logit standardisation), arXiv 2403.01427",
    roles: &["logits"],
    options: &[OptionRow::INNER],
    make: |options| boxed(standardised(options.loss("loss")?)),
    ..Entry::EMPTY
}];
