//! The trait for divergences between the teacher's and the student's probabilities: one formula serves the
//! dense loss, its sparse form and its chunked form.

use std::fmt;

use serde_json::{Map, Value};
use tch::Tensor;

use super::super::temperature::Softened;
use super::per_row::PerRow;
use super::rows::Rows;
use super::softening::Softening;
use crate::error::Result;

/// A divergence between two distributions over classes.
///
/// Each is itself a [`Loss`](crate::loss::Loss) on dense logits. Wrapped, it becomes a loss on the top k of
/// the teacher's logits ([`TopK`](crate::loss::TopK)), on the tokens that two vocabularies share
/// ([`SharedTokens`](crate::loss::SharedTokens)), or on hidden states and output matrices without ever
/// holding the logits ([`Chunked`](crate::loss::Chunked)).
#[brew_macros::forwarded]
pub trait Divergence: fmt::Debug + Send + 'static {
    /// The name in plans, metrics and configs.
    fn name(&self) -> &'static str;

    /// Its own options, without those of its temperature, as stored in a plan on disk.
    fn options(&self) -> Map<String, Value> {
        Map::new()
    }

    /// The problems of its own options, each with its fix.
    fn problems(&self) -> Vec<String> {
        Vec::new()
    }

    /// Its temperature.
    fn softening(&self) -> &Softening;

    /// Whether it is infinite if the teacher's probability of a class is 0 and the student's is not.
    fn needs_teacher_everywhere(&self) -> bool {
        false
    }

    /// The divergence of each row: maps `(rows, classes)` log-probabilities of both sides to `(rows,)`, with
    /// a gradient only to the student's. The logarithm of a probability of 0 is finite, -1e30.
    fn between(&self, student: &Tensor, teacher: &Tensor) -> Result<Tensor>;
}

impl<D: Divergence> PerRow for D {
    fn name(&self) -> &'static str {
        Divergence::name(self)
    }

    fn options(&self) -> Map<String, Value> {
        Divergence::options(self)
    }

    fn problems(&self) -> Vec<String> {
        Divergence::problems(self)
    }

    fn softening(&self) -> Option<&Softening> {
        Some(Divergence::softening(self))
    }

    fn per_row(&self, rows: &Rows) -> Result<Tensor> {
        of_logits(self, &rows.student, &rows.teacher)
    }
}

/// The divergence of each row of dense logits, times T squared if requested.
pub(in crate::loss) fn of_logits<D: Divergence + ?Sized>(
    divergence: &D,
    student: &Tensor,
    teacher: &Tensor,
) -> Result<Tensor> {
    let softening = divergence.softening();
    let Softened { student, teacher, squared } = softening.soften(student, teacher)?;
    softening.scale(&divergence.between(&student, &teacher)?, &squared)
}

#[brew_macros::forwards(|this| **this)]
impl Divergence for Box<dyn Divergence> {}
