//! GOLD's hybrid loss: compares shared tokens by name and all others by size, over pieces of text that both
//! sides cover.

use serde_json::{Value, json};
use tch::Tensor;

use super::super::catalogue::{Entry, Range, boxed, number, temperature};
use super::super::logits::{BETA, Divergence, Jsd, SQUARED, TEACHER, weight_problems};
use super::super::temperature::Softened;
use super::super::uses::{Gives, SoftTargets};
use super::super::{AlsoReads, Average, Features, Loss, Masks, Term};
use super::pairs::IdPairs;
use super::pairs::PAIRS;
use super::sorted::sorted_distance;
use super::texts::MERGE;
use super::texts::{Merge, TEXTS, merged, text_mismatches};
use super::uld::{own_term, unscheduled};
use crate::error::Result;
use crate::role::{ByteEnds, Logits, TokenIds};

/// `gold`: mean_g( a JSD_beta(P, Q) over the shared tokens + b sum_i |Q_(i) - P_(i)| over all others ), over
/// groups g of tokens of both sides that cover the same bytes of the text.
///
/// P and Q are the teacher's and the student's merged distributions of a group ([`Merge`]), at T, as in
/// [`AlignedUld`](crate::loss::AlignedUld), whose groups, roles and denominator it shares. `(student's id,
/// teacher's id)` pairs define which tokens are the same. Over them it is the generalised Jensen-Shannon
/// divergence ([`Jsd`]) of the unnormalised probabilities, which sum to less than 1. The others are sorted by
/// size, Q_(1) >= Q_(2) >= …, and the shorter side is padded with 0. By default a is the share of the
/// teacher's tokens that are shared, and b = 1 - a. T squared is optional.
///
/// Source: Patiño et al., "Unlocking On-Policy Distillation for Any Model Family" (GOLD, 2025); TRL's
/// `gold_trainer.py`, which differs as described in [`AlignedUld`](crate::loss::AlignedUld), clamps the
/// probability of a shared token at 1e-8, and gives 0 for the others if one side has none.
///
/// ```
/// use brew_core::loss::{Gold, Jsd, Loss, Features};
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
/// // The student's token 3 is the teacher's 4, and so on.
/// let loss = Gold::of([(3, 4), (1, 0), (7, 2)], Jsd::between(0.5));
/// assert!(loss.term(&student, &teacher)?.mean()?.double_value(&[]) > 0.0);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Gold {
    pairs: IdPairs,
    jsd: Jsd,
    merge: Merge,
    weights: Option<(f64, f64)>,
}

impl Gold {
    /// For these pairs of the student's id and the teacher's, each id once; merges by [`Merge::Observed`].
    /// The loss takes temperature and T squared from the divergence.
    pub fn of(pairs: impl IntoIterator<Item = (i64, i64)>, jsd: Jsd) -> Self {
        Gold { pairs: IdPairs::of(pairs), jsd, merge: Merge::Observed, weights: None }
    }

    /// Merges by [`Merge::Bayesian`].
    #[must_use]
    pub fn bayesian(self) -> Self {
        Gold { merge: Merge::Bayesian, ..self }
    }

    /// The weights of the shared tokens and of all others, in [0, inf).
    #[must_use]
    pub fn weights(self, shared: f64, others: f64) -> Self {
        Gold { weights: Some((shared, others)), ..self }
    }
}

impl Loss for Gold {
    fn name(&self) -> &'static str {
        "gold"
    }

    fn options(&self) -> Value {
        let mut options = self.jsd.softening().options();
        options.extend(Divergence::options(&self.jsd));
        options.insert("tokens".to_owned(), json!(self.pairs.student.len()));
        options.insert("merge".to_owned(), json!(self.merge.name()));
        if let Some((shared, others)) = self.weights {
            options.insert("shared_weight".to_owned(), json!(shared));
            options.insert("others_weight".to_owned(), json!(others));
        }
        Value::Object(options)
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = unscheduled(self.jsd.softening());
        problems.extend(Divergence::problems(&self.jsd));
        problems.extend(self.pairs.problems());
        if let Some((shared, others)) = self.weights {
            let named = [("the shared tokens' weight", shared), ("the others' weight", others)];
            problems.extend(weight_problems(&named));
        }
        problems
    }

    fn masks(&self) -> Masks {
        Masks::Own
    }

    fn temperature(&self) -> Option<f64> {
        self.jsd.softening().of_teacher()
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
        let mut problems = text_mismatches(student, teacher);
        if problems.is_empty() {
            problems.extend(self.pairs.mismatches((&student.shape(), &teacher.shape())));
        }
        problems
    }

    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        let tokens = teacher.shape().last().copied().unwrap_or(1).max(1);
        let share = self.pairs.teacher.len() as f64 / tokens as f64;
        let (shared_weight, others_weight) = self.weights.unwrap_or((share, 1.0 - share));
        let softening = self.jsd.softening();
        let Softened { student, teacher, squared } = merged(student, teacher, softening, self.merge)?;
        let (of_student, others_of_student) = split(&student, &self.pairs.student)?;
        let (of_teacher, others_of_teacher) = split(&teacher, &self.pairs.teacher)?;
        let shared = self.jsd.between(&of_student, &of_teacher)?.f_mul_scalar(shared_weight)?;
        let others = sorted_distance(&others_of_student.f_exp()?, &others_of_teacher.f_exp()?)?;
        let per_group = shared.f_add(&others.f_mul_scalar(others_weight)?)?;
        own_term(&softening.scale(&per_group, &squared)?)
    }
}

/// The columns of these tokens, in this order, and all other columns.
fn split(log: &Tensor, ids: &[i64]) -> Result<(Tensor, Tensor)> {
    let tokens = log.size().last().copied().unwrap_or(0);
    let mut is_other = vec![true; usize::try_from(tokens).unwrap_or(0)];
    for id in ids {
        if let Some(place) = usize::try_from(*id).ok().and_then(|id| is_other.get_mut(id)) {
            *place = false;
        }
    }
    let others: Vec<i64> = (0..).zip(is_other).filter(|(_, is_other)| *is_other).map(|(id, _)| id).collect();
    let columns = |ids: &[i64]| -> Result<Tensor> {
        Ok(log.f_index_select(-1, &Tensor::f_from_slice(ids)?.f_to_device(log.device())?)?)
    };
    Ok((columns(ids)?, columns(&others)?))
}

impl<T, S> SoftTargets<T, S> for Gold
where
    T: Gives<Logits> + Gives<TokenIds> + Gives<ByteEnds>,
    S: Gives<Logits> + Gives<TokenIds> + Gives<ByteEnds>,
{
}

/// Its row in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[Entry {
    name: "gold",
    summary: "of tokens that cover the same bytes: divergence of the shared ones, the others in order of size",
    source: "Patiño et al. 2025 (GOLD)",
    roles: &["logits"],
    options: &[
        PAIRS,
        BETA,
        MERGE,
        number("shared_weight", Range::NotNegative, 0.0, "of the shared tokens; see `others_weight`"),
        number(
            "others_weight",
            Range::NotNegative,
            0.0,
            "of all others; both 0: the share of the teacher's tokens that are shared, and 1 less it",
        ),
        temperature(1.0),
        TEACHER,
        SQUARED,
    ],
    make: |options| {
        let jsd = Jsd::between(options.number("beta")).at(options.temperature());
        let loss = Gold::of(options.pairs("pairs"), jsd.softened(options));
        let loss = if options.choice("merge") == "bayesian" { loss.bayesian() } else { loss };
        let weights = (options.number("shared_weight"), options.number("others_weight"));
        boxed(if weights == (0.0, 0.0) { loss } else { loss.weights(weights.0, weights.1) })
    },
    ..Entry::EMPTY
}];
