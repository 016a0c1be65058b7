//! Universal logit distillation for positions that cover the same bytes of a text.

use serde_json::{Value, json};

use super::super::catalogue::{Entry, boxed, temperature};
use super::super::logits::{SQUARED, Softening, TEACHER, softened};
use super::super::temperature::Softened;
use super::super::uses::{Gives, SoftTargets};
use super::super::{AlsoReads, Average, Features, Loss, Masks, Term};
use super::sorted::sorted_distance;
use super::texts::MERGE;
use super::texts::{Merge, TEXTS, merged, text_mismatches};
use super::uld::{own_term, unscheduled};
use crate::error::Result;
use crate::role::{ByteEnds, Logits, TokenIds};

/// `aligned_uld`: mean_g( sum_i |Q_(i) - P_(i)| ) over groups g of tokens of both sides that cover the same
/// bytes of the text, Q and P being each side's merged distribution ([`Merge`]) in order of size, the smaller
/// vocabulary padded with 0; at T.
///
/// A group closes where a token of the student and one of the teacher end at the same byte. Tokens after the
/// last such byte are ignored. Logits are `(batch, length, tokens)` of each side's own length and vocabulary.
/// Both sides provide [`TokenIds`](crate::role::TokenIds), the token that the logits of a position belong to,
/// and [`ByteEnds`](crate::role::ByteEnds), where it ends in the text that both read, `(batch, length)`
/// int64; a position with a mask of 0 or an end of -1 is not part of it. For a model whose position i
/// predicts token i + 1, wrap the loss in [`next_token`](crate::loss::next_token). The merged distributions
/// need not sum to
/// 1. The denominator is the number of groups, batch by batch. T squared is optional.
///
/// Source: Patiño et al., "Unlocking On-Policy Distillation for Any Model Family" (GOLD, 2025); TRL's
/// `gold_trainer.py`, which also treats the remainder at the end as a group, clamps a token's probability at
/// 1e-8, and averages each example's mean.
///
/// ```
/// use brew_core::loss::{AlignedUld, Loss, Features};
/// use brew_core::role::{ByteEnds, TokenIds};
/// use brew_core::tch::{Device, Kind, Tensor};
///
/// let side = |tokens: i64, ids: &[i64], ends: &[i64]| {
///     let length = ids.len() as i64;
///     Features::one(Tensor::randn([1, length, tokens], (Kind::Float, Device::Cpu)))
///         .with::<TokenIds>(Tensor::from_slice(ids).view([1, length]))
///         .with::<ByteEnds>(Tensor::from_slice(ends).view([1, length]))
/// };
/// let (student, teacher) = (side(11, &[3, 1, 7], &[1, 4, 5]), side(9, &[4, 0], &[4, 5]));
/// let term = AlignedUld::observed().term(&student, &teacher)?;
/// assert_eq!(term.count.double_value(&[]), 2.0); // bytes 0 to 4, and 4 to 5
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct AlignedUld {
    softening: Softening,
    merge: Merge,
}

impl AlignedUld {
    /// Merging by [`Merge::Observed`], at temperature 1.
    pub fn observed() -> Self {
        AlignedUld { softening: Softening::at(1.0), merge: Merge::Observed }
    }

    /// Merging by [`Merge::Bayesian`], at temperature 1.
    pub fn bayesian() -> Self {
        AlignedUld { softening: Softening::at(1.0), merge: Merge::Bayesian }
    }

    /// At a temperature in (0, inf).
    #[must_use]
    pub fn at(self, temperature: f64) -> Self {
        AlignedUld { softening: Softening::at(temperature), ..self }
    }
}

softened!(AlignedUld);

impl Loss for AlignedUld {
    fn name(&self) -> &'static str {
        "aligned_uld"
    }

    fn options(&self) -> Value {
        let mut options = self.softening.options();
        options.insert("merge".to_owned(), json!(self.merge.name()));
        Value::Object(options)
    }

    fn problems(&self) -> Vec<String> {
        unscheduled(&self.softening)
    }

    fn masks(&self) -> Masks {
        Masks::Own
    }

    fn temperature(&self) -> Option<f64> {
        self.softening.of_teacher()
    }

    fn spans_vocabularies(&self) -> bool {
        true
    }

    fn average(&self, _: bool) -> Average {
        Average::Own
    }

    fn also_reads(&self) -> &'static [AlsoReads] {
        &TEXTS
    }

    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        text_mismatches(student, teacher)
    }

    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        let Softened { student, teacher, squared } = merged(student, teacher, &self.softening, self.merge)?;
        let distance = sorted_distance(&student.f_exp()?, &teacher.f_exp()?)?;
        own_term(&self.softening.scale(&distance, &squared)?)
    }
}

impl<T, S> SoftTargets<T, S> for AlignedUld
where
    T: Gives<Logits> + Gives<TokenIds> + Gives<ByteEnds>,
    S: Gives<Logits> + Gives<TokenIds> + Gives<ByteEnds>,
{
}

/// Its row in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[Entry {
    name: "aligned_uld",
    summary: "the same of tokens that cover the same bytes of the text",
    source: "Patiño et al. 2025 (GOLD)",
    roles: &["logits"],
    options: &[MERGE, temperature(1.0), TEACHER, SQUARED],
    make: |options| {
        let loss = match options.choice("merge") {
            "bayesian" => AlignedUld::bayesian(),
            _ => AlignedUld::observed(),
        };
        boxed(loss.at(options.temperature()).softened(options))
    },
    ..Entry::EMPTY
}];
