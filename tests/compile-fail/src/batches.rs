//! Batches by position, other batches for teacher and student, every dtype, generic models.

use brew_core::batch::{Feeds, FromColumns};
use brew_core::prelude::*;
use brew_core::batch::Both;

use crate::page::{PredictionAdaptor, Review};

/// Every dtype, pads of every kind, a column whose name is a keyword.
#[derive(Debug, Batch)]
pub struct Dtypes {
    #[column(i64, pad = -100)]
    a: Tensor,
    #[column(i32)]
    b: Tensor,
    #[column(i16)]
    c: Tensor,
    #[column(i8, pad = -128)]
    d: Tensor,
    #[column(u8, pad = 255)]
    e: Tensor,
    #[column(f64, pad = 1e300)]
    f: Tensor,
    #[column(f32, pad = 0.5)]
    g: Tensor,
    #[column(f16)]
    h: Tensor,
    #[column(bf16, pad = -1)]
    i: Option<Tensor>,
    #[column(bool, pad = false)]
    r#type: Option<brew_core::tch::Tensor>,
}

/// What a model over a tuple returns: a role of a batch's position.
#[distill(batch = (Tensor, Tensor, Option<Tensor>), inputs_mask = 1, labels = 2)]
#[derive(Debug)]
pub struct Scores {
    #[role(logits)]
    logits: Tensor,
}

/// A model over some trunk, fed by position.
#[derive(Debug)]
pub struct Head<T> {
    trunk: T,
}

#[distill(batch = (Tensor, Tensor, Option<Tensor>))]
impl<T> Head<T>
where
    T: Fn(&Tensor) -> Tensor,
{
    /// The names are free; the last position is not read.
    fn forward(&self, pass: &Pass, ids: &Tensor, _mask: &Tensor) -> Result<Scores, brew_core::tch::TchError> {
        let _ = pass.step();
        Ok(Scores { logits: (self.trunk)(ids).f_softmax(-1, Kind::Float)? })
    }
}

impl<T: Send + 'static> Model for Head<T> {
    fn parameters(&self) -> Parameters {
        Parameters::default()
    }
}

/// An adaptor over a tuple.
#[derive(Debug)]
pub struct ScoresView;

#[adaptor(batch = (Tensor, Tensor, Option<Tensor>), output = Scores)]
impl ScoresView {
    fn logits(scores: &Scores) -> &Tensor {
        &scores.logits
    }
    fn labels(columns: &(Tensor, Tensor, Option<Tensor>)) -> Option<&Tensor> {
        columns.2.as_ref()
    }
}

/// Model and adaptors fit.
pub fn seen() -> (Seen<ScoresAdaptor>, Seen<ScoresView>) {
    let head = || Head { trunk: Tensor::shallow_clone };
    (head().seen_by(ScoresAdaptor), head().seen_by(ScoresView))
}

/// A teacher that reads a struct beside a student that reads a tuple.
pub fn fed<T: Adaptor, S: Adaptor>(_teacher: Seen<T>, _student: Seen<S>)
where
    Both<T::Batch, S::Batch>: Feeds<T::Batch, S::Batch>,
{
}

/// Both kinds of batch in one pipeline.
pub fn both(teacher: Seen<PredictionAdaptor>, student: Seen<ScoresAdaptor>) {
    fed(teacher, student);
}

/// The columns of a derived batch are known before any data is.
pub const COLUMNS: usize = Review::COLUMNS.len() + Dtypes::COLUMNS.len();
