//! Losses on logits: soft targets, divergences, and losses that read the labels.
//!
//! Conventions that all of them share:
//!
//! - **Shapes.** Both sides are `(batch, classes)`, or `(batch, length, classes)` with a `(batch,
//!   length)` mask or without, of one shape. Labels are `(batch,)` or `(batch, length)`, int64. Any
//!   floating-point dtype; the loss is computed in float32, or in float64 where the student is that.
//! - **Mask.** Positions whose `logits_mask` is 0 do not count and get no gradient, whatever their values; if
//!   a loss reads labels, neither do rows with a negative label, such as -100. There is no shift: the logits
//!   of a position are compared with the label of the same position; wrap a causal model's loss in
//!   [`next_token`].
//! - **Temperature.** T divides the logits of both sides, inside the softmax. `teacher_at` sets a separate
//!   temperature for the teacher, and `scheduled` one per row.
//! - **T squared.** Losses are not multiplied by it unless requested with `times_temperature_squared`, which
//!   multiplies everything computed at T by the square of the student's T.
//! - **Reduction.** The sum over classes, and the mean over rows: examples, or positions whose mask is not 0;
//!   of positions without a mask the mean over the length and then over examples, which is the same
//!   number; where labels are read, rows whose label counts. Nothing divides by the number of classes.
//! - **Log space.** Probabilities are kept as logarithms, so that logits of +-1e4 give finite values and
//!   gradients. A class whose logit is minus infinity on both sides does not count.

mod adaptive_kl;
mod binary;
mod dist;
mod divergence;
mod dkd;
mod jsd;
mod kd;
mod kl;
mod log_space;
mod mft;
mod multi_label;
mod named;
mod next_token;
mod nkd;
mod per_row;
mod regression;
mod reverse_kl;
mod rows;
mod skew;
mod softening;
mod standardised;
mod taid;
mod target;
mod total_variation;
mod transform;
mod vocabulary;
mod wsld;

pub use adaptive_kl::AdaptiveKl;
pub use binary::BinaryKl;
pub use dist::Dist;
pub use divergence::Divergence;
pub use dkd::Dkd;
pub use jsd::Jsd;
pub use kd::{KdCe, KdMse};
pub use kl::Kl;
pub use mft::Mft;
pub use multi_label::MultiLabelKl;
pub use next_token::{NextTokenShift, next_token};
pub(crate) use next_token::{Targets, but_first, labels_ahead};
pub use nkd::Nkd;
pub use regression::RegressionMse;
pub use reverse_kl::ReverseKl;
pub use skew::{SkewKl, SkewReverseKl};
pub use softening::Softening;
pub use standardised::{Standardisation, standardised};
pub use taid::Taid;
pub use total_variation::TotalVariation;
pub use transform::{Transform, Transformed};
pub use vocabulary::{RealTokens, within_vocabulary};
pub use wsld::Wsld;

pub(in crate::loss) use adaptive_kl::HEAD;
pub(in crate::loss) use divergence::of_logits;
pub(in crate::loss) use dkd::weight_problems;
pub(in crate::loss) use jsd::BETA;
pub(in crate::loss) use log_space::{LOG_ZERO, log_softmax};
pub(in crate::loss) use named::{DIVERGENCE, NamedDivergence, divergence};
pub(in crate::loss) use rows::{CountedRows, labels_problem};
pub(in crate::loss) use skew::{ALPHA, DETACHED};
pub(in crate::loss) use softening::{SQUARED, TEACHER, softened};

use super::catalogue::Entry;

/// The rows of the catalogue, file by file.
pub(super) const ROWS: &[&[Entry]] = &[
    kd::ROWS,
    kl::ROWS,
    reverse_kl::ROWS,
    jsd::ROWS,
    skew::ROWS,
    total_variation::ROWS,
    adaptive_kl::ROWS,
    taid::ROWS,
    dkd::ROWS,
    nkd::ROWS,
    dist::ROWS,
    wsld::ROWS,
    mft::ROWS,
    multi_label::ROWS,
    binary::ROWS,
    regression::ROWS,
    standardised::ROWS,
    next_token::ROWS,
    vocabulary::ROWS,
];

/// The divergences that other losses can be built from.
const DIVERGENCES: &[NamedDivergence] = &[
    kl::NAMED,
    reverse_kl::NAMED,
    jsd::NAMED,
    skew::FORWARD,
    skew::REVERSE,
    total_variation::NAMED,
    adaptive_kl::NAMED,
];
