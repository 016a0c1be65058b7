//! MiniLM: compares how positions relate to one another, by queries, keys and values, or by attention.
//!
//! - `minilm_relation`: with X the queries (or keys, or values) of an example, regrouped into A heads
//!   of width d, R = softmax(X X^T / sqrt(d)) over the positions that count; the mean over heads and
//!   queries of sum_j R_t log(R_t / R_s), example by example, and over the examples
//! - `minilm_attention`: the same with attention maps instead of R
//!
//! A need not be the number of heads of either model, and the widths may differ. Each example's mean is over
//! its own positions; an example without any is not counted. Source: Wang et al., "MiniLM" (2020): attention
//! and the values' relation of the last layer; Wang et al., "MiniLMv2" (2021): the relations of queries, keys
//! and values of the student's last layer and one of the teacher's, with 48 or 64 relation heads.

use serde_json::json;
use tch::Tensor;

use super::attention::{Heads, Maps, maps};
use super::attention_ce::{kept, logarithm, without_padding};
use super::catalogue::{Entry, boxed, choice, whole};
use super::examples::Examples;
use super::term::{NO_SCORE, pairs, positions};
use super::uses::{MatchLoss, OneLayer};
use super::{Average, Features, Loss, Term, states};
use crate::error::Result;
use crate::role::{Attention, Key, Query, Value};
use crate::words::shape;

/// Divergence of the relations between positions.
///
/// Features are `(batch, length, width)`; A must divide both widths.
///
/// ```
/// use brew_core::loss::{Loss, MiniLmRelation, Features};
/// use brew_core::tch::{Device, Kind, Tensor};
///
/// let states = Tensor::ones([2, 3, 8], (Kind::Float, Device::Cpu));
/// let loss = MiniLmRelation::heads(4);
/// let term = loss.term(&Features::one(states.shallow_clone()), &Features::one(states * 2.0))?;
/// // All positions are equal, so every relation is uniform.
/// assert!(term.mean()?.double_value(&[]).abs() < 1e-6);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MiniLmRelation {
    heads: i64,
}

/// Divergence of attention maps, each example over its own queries.
///
/// Features are `(batch, heads, length, length)`, or `(batch, length, length)` for one head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MiniLmAttention {
    maps: Maps,
}

impl MiniLmRelation {
    /// With this many relation heads.
    pub fn heads(heads: i64) -> Self {
        MiniLmRelation { heads }
    }

    /// log R, `(batch, heads, length, length)`.
    fn relations(&self, read: &Features, mask: Option<&Tensor>) -> Result<Tensor> {
        let states = states::kept(&read.first()?, mask)?;
        let width = states.size3()?.2 / self.heads.max(1);
        let heads = states.f_unflatten(2, [self.heads, width])?.f_transpose(1, 2)?;
        let scores = heads.f_matmul(&heads.f_transpose(2, 3)?)?.f_div_scalar((width as f64).sqrt())?;
        let scores = match mask {
            Some(mask) => scores.f_masked_fill(&pairs(mask)?.f_unsqueeze(1)?.f_logical_not()?, NO_SCORE)?,
            None => scores,
        };
        Ok(scores.f_log_softmax(-1, None)?)
    }
}

impl MiniLmAttention {
    /// For maps of probabilities, such as Hugging Face's models and brew's return.
    pub fn probabilities() -> Self {
        MiniLmAttention { maps: Maps::Probabilities }
    }

    /// For maps of scores, before the softmax.
    pub fn scores() -> Self {
        MiniLmAttention { maps: Maps::Scores }
    }
}

impl Loss for MiniLmRelation {
    fn name(&self) -> &'static str {
        "minilm_relation"
    }
    fn options(&self) -> serde_json::Value {
        json!({ "heads": self.heads })
    }
    fn problems(&self) -> Vec<String> {
        let wrong = self.heads < 1;
        wrong
            .then(|| format!("it has {} relation heads; there must be at least 1", self.heads))
            .into_iter()
            .collect()
    }
    fn average(&self, masked: bool) -> Average {
        if masked { Average::RowsWithTokens } else { Average::Rows }
    }
    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        let (of_student, of_teacher) = (student.shape(), teacher.shape());
        let ([batch, length, width], [teacher_batch, teacher_length, teacher_width]) =
            (of_student.as_slice(), of_teacher.as_slice())
        else {
            return vec![format!(
                "queries, keys and values must be (batch, length, width); the student's are {}, the teacher's {}",
                shape(&of_student),
                shape(&of_teacher)
            )];
        };
        let mut problems = Vec::new();
        if (batch, length) != (teacher_batch, teacher_length) {
            problems.push(states::rows_problem(&of_student, &of_teacher));
        }
        for (side, width) in [("student", width), ("teacher", teacher_width)] {
            if self.heads > 0 && width % self.heads != 0 {
                problems.push(format!(
                    "the {side} is {width} wide, which is not divisible by {} relation heads: choose a number that divides both widths",
                    self.heads
                ));
            }
        }
        problems.extend(states::mask_problem("student", student));
        problems
    }
    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        let mask = student.mask.as_ref();
        let teacher = self.relations(teacher, mask)?;
        divergence(&teacher.f_exp()?, &teacher, &self.relations(student, mask)?, mask)
    }
}

impl Loss for MiniLmAttention {
    fn name(&self) -> &'static str {
        "minilm_attention"
    }
    fn options(&self) -> serde_json::Value {
        self.maps.options()
    }
    fn average(&self, masked: bool) -> Average {
        if masked { Average::RowsWithTokens } else { Average::Rows }
    }
    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        self.maps.mismatches(student, teacher, Heads::Equal { or: "MiniLmRelation" })
    }
    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        let mask = student.mask.as_ref();
        let (student, teacher) = (maps(student)?, maps(teacher)?);
        if self.maps == Maps::Probabilities {
            let log = |maps: &Tensor| logarithm(maps, mask);
            return divergence(&kept(&teacher, mask)?, &log(&teacher)?, &log(&student)?, mask);
        }
        let log =
            |maps: &Tensor| -> Result<Tensor> { Ok(without_padding(maps, mask)?.f_log_softmax(-1, None)?) };
        let teacher = log(&teacher)?;
        divergence(&teacher.f_exp()?, &teacher, &log(&student)?, mask)
    }
}

/// The mean over an example's heads and queries of the divergences of its distributions over keys.
fn divergence(
    teacher: &Tensor,
    log_teacher: &Tensor,
    log_student: &Tensor,
    mask: Option<&Tensor>,
) -> Result<Term> {
    let per_key = kept(&teacher.f_mul(&log_teacher.f_sub(log_student)?)?, mask)?;
    let per_query = per_key.f_sum_dim_intlist(-1, false, None)?.f_mean_dim(1, false, None)?;
    let Some(mask) = mask else { return Term::rows(&per_query.f_mean_dim(1, false, None)?) };
    let queries = positions(mask)?.f_sum_dim_intlist(1, false, per_query.kind())?.f_clamp_min(1.0)?;
    Examples::under(Some(mask))?.term(&per_query.f_sum_dim_intlist(1, false, None)?.f_div(&queries)?)
}

impl MatchLoss<Attention, OneLayer> for MiniLmAttention {}
impl MatchLoss<Query, OneLayer> for MiniLmRelation {}
impl MatchLoss<Key, OneLayer> for MiniLmRelation {}
impl MatchLoss<Value, OneLayer> for MiniLmRelation {}

/// Their rows in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[
    Entry {
        name: "minilm_relation",
        summary: "divergence of the relations between positions, by queries, keys or values",
        source: "Wang et al. 2021 (MiniLMv2), arXiv 2012.15828; values: MiniLM, 2002.10957",
        roles: &["query", "key", "value"],
        options: &[whole("heads", 1, 12, "relation heads, which divide both widths")],
        make: |options| boxed(MiniLmRelation::heads(options.whole("heads"))),
        ..Entry::EMPTY
    },
    Entry {
        name: "minilm_attention",
        summary: "divergence of attention maps, each example over its own queries",
        source: "Wang et al. 2020 (MiniLM), arXiv 2002.10957",
        roles: &["attention"],
        options: &[choice("maps", &["probabilities", "scores"], "probabilities", "what the maps hold")],
        make: |options| {
            boxed(match options.choice("maps") {
                "scores" => MiniLmAttention::scores(),
                _ => MiniLmAttention::probabilities(),
            })
        },
        ..Entry::EMPTY
    },
];
