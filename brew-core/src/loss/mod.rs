//! Losses: one file per loss, each with its formula, shapes, source and golden value.
//!
//! A loss returns a [`Term`], a sum together with its denominator, never the quotient, so that a window of
//! several batches can divide by the count of the whole window. All of them are computed in float32 or wider,
//! whatever the precision of the models, and an all-zero mask gives 0.

mod at;
mod attention;
mod attention_ce;
mod attention_mse;
mod boxed;
mod candidates;
pub mod catalogue;
mod channels;
pub mod chunked;
mod cka;
mod cos;
mod crd;
mod cwd;
mod emd;
mod examples;
mod features;
mod fsp;
mod hard;
mod hcl;
mod hidden_mse;
mod ickd;
mod learns;
mod logit_shapes;
pub mod logits;
mod minilm;
mod nst;
mod nst_poly;
mod pearson_kd;
mod pkd;
mod pkt;
mod rkd;
mod sp;
pub mod sparse;
mod states;
mod temperature;
mod term;
mod uses;
mod vectors;
mod vid;
pub mod vocabularies;

use std::fmt;

use crate::error::Result;
use crate::side::Side;

pub use at::{AtMse, AtNorm};
pub use attention_ce::{AttentionCe, AttentionCeMean};
pub use attention_mse::{AttentionMse, AttentionMseSum};
pub use candidates::{CandidatesKl, MarginMse};
pub use chunked::{Chunked, ChunkedWithLabels};
pub use cka::Cka;
pub use cos::Cos;
pub use crd::Crd;
pub use cwd::Cwd;
pub use emd::{EmdAttention, EmdHidden};
pub use features::Features;
pub use fsp::Fsp;
pub use hard::HardLabels;
pub use hcl::Hcl;
pub use hidden_mse::HiddenMse;
pub use ickd::Ickd;
pub use learns::{Learns, Place};
pub use logits::{
    AdaptiveKl, BinaryKl, Dist, Divergence, Dkd, Jsd, KdCe, KdMse, Kl, Mft, MultiLabelKl, Nkd, RegressionMse,
    ReverseKl, SkewKl, SkewReverseKl, Softening, Taid, TotalVariation, Transformed, Wsld, next_token,
    standardised, within_vocabulary,
};
pub use minilm::{MiniLmAttention, MiniLmRelation};
pub use nst::Nst;
pub use nst_poly::NstPoly;
pub use pearson_kd::PearsonKd;
pub use pkd::Pkd;
pub use pkt::Pkt;
pub use rkd::{RkdAngle, RkdDistance};
pub use sp::Sp;
pub use sparse::{SampledKl, TopK, TopKSemantics};
pub use term::{Average, Term};
pub use uses::{Gives, ManyLayers, MatchLoss, OneLayer, SoftTargets, TargetsRead, TwoLayers};
pub use vid::Vid;
pub use vocabularies::{AlignedUld, Gold, Merge, SharedTokens, Uld};

pub(crate) use chunked::logits_of;
pub(crate) use cka::aligned;
pub(crate) use term::{check_mask, has_documents, pair_count, row_count, token_count, wide};

/// The rows of the catalogue, file by file; the folders have their own.
const ROWS: &[&[catalogue::Entry]] = &[
    hidden_mse::ROWS,
    cos::ROWS,
    pkd::ROWS,
    fsp::ROWS,
    nst::ROWS,
    attention_mse::ROWS,
    attention_ce::ROWS,
    cka::ROWS,
    at::ROWS,
    vid::ROWS,
    ickd::ROWS,
    nst_poly::ROWS,
    cwd::ROWS,
    pearson_kd::ROWS,
    hcl::ROWS,
    crd::ROWS,
    emd::ROWS,
    candidates::ROWS,
    rkd::ROWS,
    pkt::ROWS,
    sp::ROWS,
    minilm::ROWS,
];

/// A loss between features of a teacher and of the student.
///
/// A loss declares where it may be used by implementing [`SoftTargets`] or [`MatchLoss`], which the compiler
/// checks.
#[brew_macros::forwarded]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a loss",
    label = "not a loss",
    note = "write `impl Loss for {Self}` with `name`, `mismatches` and `term` (`brew_core::loss` has `Loss`, `Features` and `Term`), and derive `Debug`"
)]
pub trait Loss: fmt::Debug + Send + 'static {
    /// The name in plans, metrics and configs.
    fn name(&self) -> &'static str;

    /// The options, as stored in a plan on disk.
    fn options(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    /// The problems of the options themselves, each with its fix.
    fn problems(&self) -> Vec<String> {
        Vec::new()
    }

    /// What it does with the masks of the two sides.
    fn masks(&self) -> Masks {
        Masks::Same
    }

    /// What it averages over, with and without a mask of the student.
    fn average(&self, masked: bool) -> Average {
        if masked { Average::Tokens } else { Average::Rows }
    }

    /// Whether a teacher's values at padded positions affect it even with a mask. If so, a teacher cache
    /// stores them; otherwise it cuts them off.
    fn reads_padding(&self) -> bool {
        false
    }

    /// Whether a row's value depends on the other rows of its batch. Accumulated batches of such a loss do
    /// not give the same value as one batch with all rows.
    fn reads_whole_batch(&self) -> bool {
        false
    }

    /// Whether a position's value depends on the other positions of its row beyond those of its document, which
    /// would mix the documents of packed rows: such rows are refused. By default, a loss that averages
    /// over tokens, pairs or labels ([`average`](Self::average)) does not mix, unless it
    /// [reads padding](Self::reads_padding): what reads positions that do not count reads other documents, too.
    fn reads_whole_row(&self) -> bool {
        let average = self.average(self.masks() != Masks::Ignored);
        self.reads_padding() || !matches!(average, Average::Tokens | Average::Pairs | Average::Labels)
    }

    /// Whether it compares logits of two vocabularies. Other losses need the same tokenizer on both sides, if the
    /// classes are tokens.
    fn spans_vocabularies(&self) -> bool {
        false
    }

    /// Whether it pairs the features of each position with the mask, label and token of the next, as
    /// [`next_token`] does: windows then count these, and [`Features::documents`] is given where an adaptor provides
    /// `inputs_mask`.
    fn pairs_next_token(&self) -> bool {
        false
    }

    /// The temperature that divides the logits of every row; 1 if it has none, `None` if rows have their own.
    fn temperature(&self) -> Option<f64> {
        Some(1.0)
    }

    /// The roles that it reads in addition to the compared features, such as the student's labels. Each is in
    /// its side's [`Features::also`].
    fn also_reads(&self) -> &'static [AlsoReads] {
        &[]
    }

    /// Whether it accepts only the top k of a teacher's logits, as a teacher cache may store them: three
    /// tensors, see [`Features::tensors`].
    fn reads_top_logits(&self) -> bool {
        false
    }

    /// Whether it accepts classes drawn from the teacher: the same three tensors, where the classes are draws
    /// with replacement, at temperature 1.
    fn reads_drawn_logits(&self) -> bool {
        false
    }

    /// Its parameters, or the state it carries from step to step; most losses have neither.
    fn learns(&mut self) -> Option<&mut dyn Learns> {
        None
    }

    /// The mismatches of these features, each with its fix: their shapes, and values that contradict the
    /// loss's settings. Called before the loss is computed.
    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String>;

    /// The loss, with gradients to the student's features only. It has no side effects: anything that a later
    /// step needs from this one goes into [`Term::noted`].
    ///
    /// A loss that relates the positions of a row to each other must keep to pairs of one document (equal, nonzero
    /// numbers in the mask), or return true from [`reads_whole_row`](Self::reads_whole_row).
    fn term(&self, student: &Features, teacher: &Features) -> Result<Term>;
}

pub(in crate::loss) use forward_loss;

/// What a loss does with the masks of its two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Masks {
    /// It compares the student's positions with the teacher's, pairwise: both masks must be equal.
    Same,
    /// It compares sums over positions: each side has its own mask, and may have its own length.
    Own,
    /// It reads no mask.
    Ignored,
}

/// A role that a loss reads in addition to the one it compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlsoReads {
    /// The side whose adaptor provides it.
    pub side: Side,
    /// The role's name.
    pub role: &'static str,
}
