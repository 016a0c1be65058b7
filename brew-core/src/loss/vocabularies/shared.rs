//! A divergence over the tokens that two vocabularies share.

use serde_json::{Value, json};
use tch::Tensor;

use super::super::catalogue::{Entry, boxed, temperature};
use super::super::logit_shapes::one_logit;
use super::super::logits::{
    ALPHA, BETA, CountedRows, DETACHED, DIVERGENCE, Divergence, HEAD, LOG_ZERO, SQUARED, TEACHER, divergence,
};
use super::super::term::wide;
use super::super::uses::{Gives, SoftTargets};
use super::super::{Average, Features, Loss, Term};
use super::pairs::IdPairs;
use super::pairs::PAIRS;
use super::uld::unscheduled;
use crate::error::Result;
use crate::role::Logits;
use crate::words::shape;

/// `shared_tokens`: a divergence over the tokens that both vocabularies have, with each side's remaining
/// probability as one more class.
///
/// Both sides read the same positions, so it is for tokenizers that split the text in the same way, for
/// example one that extends the other. `(student's id, teacher's id)` pairs define which tokens are the same.
/// Logits are `(batch, length, tokens)` or `(batch, tokens)` of each side's own vocabulary. The class of the
/// others keeps the divergence a lower bound of what it would be if all tokens were known on both sides.
/// Mask, temperature, T squared, reduction and denominator are the divergence's own.
///
/// Source: the shared-vocabulary part of GOLD (TRL) and of NeMo-RL's cross-tokenizer distillation, with a
/// class for the others instead of ignoring them.
///
/// ```
/// use brew_core::loss::{Kl, Loss, Features, SharedTokens};
/// use brew_core::tch::Tensor;
///
/// let student = Features::one(Tensor::from_slice(&[1.0, 2.0, 0.5]).view([1, 3]));
/// let teacher = Features::one(Tensor::from_slice(&[0.5, 1.0, 2.0]).view([1, 3]));
/// let loss = SharedTokens::of([(0, 1), (1, 2)], Kl::at(1.0));
/// assert!(loss.term(&student, &teacher)?.mean()?.double_value(&[]).abs() < 1e-12);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct SharedTokens<D> {
    pairs: IdPairs,
    divergence: D,
}

impl<D: Divergence> SharedTokens<D> {
    /// For these pairs of the student's id and the teacher's, each id once.
    pub fn of(pairs: impl IntoIterator<Item = (i64, i64)>, divergence: D) -> Self {
        SharedTokens { pairs: IdPairs::of(pairs), divergence }
    }
}

impl<D: Divergence> Loss for SharedTokens<D> {
    fn name(&self) -> &'static str {
        "shared_tokens"
    }

    fn options(&self) -> Value {
        let mut options = self.divergence.softening().options();
        options.extend(self.divergence.options());
        // Not the pairs themselves, of which there may be as many as tokens.
        json!({ "tokens": self.pairs.student.len(), "divergence": [self.divergence.name(), options] })
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = unscheduled(self.divergence.softening());
        problems.extend(self.divergence.problems());
        problems.extend(self.pairs.problems());
        problems
    }

    fn temperature(&self) -> Option<f64> {
        self.divergence.softening().of_teacher()
    }

    fn spans_vocabularies(&self) -> bool {
        true
    }

    fn average(&self, masked: bool) -> Average {
        if masked { Average::Tokens } else { Average::Rows }
    }

    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        let sizes = (student.shape(), teacher.shape());
        let rows = |sizes: &[i64]| sizes[..sizes.len().saturating_sub(1)].to_vec();
        if !matches!(sizes.0.len(), 2 | 3) || rows(&sizes.0) != rows(&sizes.1) {
            return vec![format!(
                "the student's logits are {}, the teacher's {}: both must have the same rows at the same length",
                shape(&sizes.0),
                shape(&sizes.1)
            )];
        }
        let mut problems = self.pairs.mismatches((&sizes.0, &sizes.1));
        problems.extend(one_logit("the student's logits", &sizes.0));
        problems
    }

    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        let counted = CountedRows::of(&student.shape(), student.mask.as_ref(), None)?;
        let rows = |read: &Features| wide(&counted.select(read.feature()?)?);
        let (student, teacher) = (rows(student)?, rows(teacher)?);
        let softening = self.divergence.softening();
        let of_student = softening.divide(&student, &student)?;
        let of_teacher =
            softening.divide(&teacher, &teacher)?.teacher.f_to_kind(of_student.student.kind())?;
        let (one, other) =
            (known(&of_student.student, &self.pairs.student)?, known(&of_teacher, &self.pairs.teacher)?);
        // If one side has no other token, those of the other side still count.
        let no_rest = |partly: &Tensor| partly.f_narrow(-1, 0, 1)?.f_full_like(LOG_ZERO);
        let (one, other) = match (one, other) {
            ((one, None), (other, None)) => (one, other),
            ((one, rest), (other, other_rest)) => {
                let rest = rest.map_or_else(|| no_rest(&one), Ok)?;
                let other_rest = other_rest.map_or_else(|| no_rest(&other), Ok)?;
                (Tensor::f_cat(&[one, rest], -1)?, Tensor::f_cat(&[other, other_rest], -1)?)
            }
        };
        let per_row = softening.scale(&self.divergence.between(&one, &other)?, &of_student.squared)?;
        counted.term(per_row.f_sum(per_row.kind())?, student.size().first().copied().unwrap_or(0))
    }
}

/// The log-probabilities of some tokens, `(rows, tokens)`, and of the total of all others, `(rows, 1)`.
fn known(logits: &Tensor, ids: &[i64]) -> Result<(Tensor, Option<Tensor>)> {
    let index = Tensor::f_from_slice(ids)?.f_to_device(logits.device())?;
    let all = logits.f_logsumexp([-1], true)?;
    let at = logits.f_index_select(-1, &index)?.f_sub(&all)?.f_clamp_min(LOG_ZERO)?;
    if index.size().first() >= logits.size().last() {
        return Ok((at, None));
    }
    let others = logits.f_index_fill(-1, &index, LOG_ZERO)?;
    Ok((at, Some(others.f_logsumexp([-1], true)?.f_sub(&all)?.f_clamp_min(LOG_ZERO)?)))
}

impl<T: Gives<Logits>, S: Gives<Logits>, D: Divergence> SoftTargets<T, S> for SharedTokens<D> {}

/// Its row in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[Entry {
    name: "shared_tokens",
    summary: "a divergence over the tokens of both vocabularies, and all others as one",
    source: "GOLD (TRL); NeMo-RL",
    roles: &["logits"],
    options: &[PAIRS, DIVERGENCE, BETA, ALPHA, DETACHED, HEAD, temperature(1.0), TEACHER, SQUARED],
    make: |options| boxed(SharedTokens::of(options.pairs("pairs"), divergence(options))),
    ..Entry::EMPTY
}];
