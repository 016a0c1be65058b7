//! Matches: which layer of the teacher a layer of the student learns from, and by which loss.
//!
//! ```
//! use brew_core::prelude::*;
//!
//! let match_ = hidden(teacher_layer(4), student_layer(2))
//!     .by(HiddenMse)
//!     .project(Projection::linear(312, 768))
//!     .weight(0.5);
//! assert_eq!(match_.name(), "hidden_mse_t4_s2");
//! ```

use std::marker::PhantomData;

use super::{Declared, Gives, Reads};
use crate::loss::{
    AtMse, AtNorm, AttentionCe, AttentionCeMean, AttentionMse, AttentionMseSum, Cka, Cos, Crd, Cwd,
    EmdAttention, EmdHidden, Fsp, HiddenMse, Ickd, Loss, MiniLmAttention, MiniLmRelation, Nst, NstPoly,
    PearsonKd, Pkd, Pkt, RkdAngle, RkdDistance, Sp, Vid,
};
use crate::plan::Projection;
use crate::role::{Attention, Embedding, Hidden, Key, Query, Role, Value};
use crate::schedule::Weight;

/// A layer of the teacher, or two of them: an index of its adaptor's list, from the end if negative.
#[derive(Debug, Clone, Copy)]
pub struct TeacherLayer<L>(L);
/// A layer of the student, or two of them.
#[derive(Debug, Clone, Copy)]
pub struct StudentLayer<L>(L);

/// A layer of the teacher: `teacher_layer(4)`, or two for losses that compare pairs:
/// `teacher_layer([0, 4])`. Hidden states count from the embeddings, which are layer 0.
pub fn teacher_layer<L: LayerChoice>(layer: L) -> TeacherLayer<L> {
    TeacherLayer(layer)
}

/// A layer of the student, or two of them.
pub fn student_layer<L: LayerChoice>(layer: L) -> StudentLayer<L> {
    StudentLayer(layer)
}

/// The shape of a choice of one layer.
#[derive(Debug)]
pub struct OneLayer;
/// The shape of a choice of two layers.
#[derive(Debug)]
pub struct TwoLayers;
/// The shape of a choice of any number of layers.
#[derive(Debug)]
pub struct ManyLayers;

/// One layer, two, or any number.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not choose layers",
    label = "not a layer",
    note = "a layer is an `i64`, such as `4`, or an array of two, such as `[0, 4]`, or a `Vec` of any number"
)]
pub trait LayerChoice {
    /// [`OneLayer`], [`TwoLayers`] or [`ManyLayers`].
    type Shape;
    /// The indices.
    fn indices(&self) -> Vec<i64>;
}

impl LayerChoice for i64 {
    type Shape = OneLayer;
    fn indices(&self) -> Vec<i64> {
        vec![*self]
    }
}

impl LayerChoice for [i64; 2] {
    type Shape = TwoLayers;
    fn indices(&self) -> Vec<i64> {
        self.to_vec()
    }
}

impl LayerChoice for Vec<i64> {
    type Shape = ManyLayers;
    fn indices(&self) -> Vec<i64> {
        self.clone()
    }
}

/// A loss that compares features of a role over this shape of layers.
///
/// A role of your own takes the losses that you say fit it:
///
/// ```
/// use brew_core::distill::{MatchLoss, OneLayer};
/// use brew_core::prelude::*;
/// use brew_core::role::Role;
///
/// /// `(batch, width)`.
/// struct SentenceEmbedding;
/// impl Role for SentenceEmbedding {
///     const NAME: &'static str = "sentence_embedding";
/// }
/// impl MatchLoss<SentenceEmbedding, OneLayer> for Pkd {}
///
/// let match_ = features::<SentenceEmbedding, _>(teacher_layer(0), student_layer(0)).by(Pkd);
/// assert_eq!(match_.name(), "pkd_t0_s0");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot compare `{R}` features over this choice of layers",
    label = "this loss does not take it",
    note = "one layer of hidden states, `hidden(teacher_layer(4), student_layer(2))`, takes `HiddenMse`, `Cos` and `Pkd`",
    note = "two layers of hidden states, `hidden(teacher_layer([0, 4]), student_layer([0, 2]))`, take `Fsp` and `Nst`",
    note = "one layer of attention maps takes `AttentionMse`, `AttentionMseSum`, `AttentionCe` and `AttentionCeMean`"
)]
pub trait MatchLoss<R: Role, Shape>: Loss {}

/// Says which losses compare layers of which roles, over how many of them.
macro_rules! match_losses {
    ($($role:ty, $shape:ty: $($loss:ty),+;)*) => {
        $($(impl MatchLoss<$role, $shape> for $loss {})+)*
    };
}

match_losses! {
    Hidden, OneLayer: HiddenMse, Cos, Pkd, RkdDistance, RkdAngle, Pkt, Sp, Cka, AtMse, AtNorm, Vid, Ickd,
        NstPoly, Cwd, PearsonKd, Crd;
    Hidden, TwoLayers: Fsp, Nst;
    Hidden, ManyLayers: EmdHidden;
    Attention, OneLayer: AttentionMse, AttentionMseSum, AttentionCe, AttentionCeMean, MiniLmAttention;
    Attention, ManyLayers: EmdAttention;
    Embedding, OneLayer: HiddenMse, Cos, Pkd, RkdDistance, RkdAngle, Pkt, Sp, Cka, Crd;
    Query, OneLayer: MiniLmRelation;
    Key, OneLayer: MiniLmRelation;
    Value, OneLayer: MiniLmRelation;
}

/// Layers of both sides, without a loss yet.
#[must_use = "finish it with `.by(loss)`"]
#[derive(Debug)]
pub struct Pair<R, Shape> {
    teacher: Vec<i64>,
    student: Vec<i64>,
    kind: PhantomData<fn() -> (R, Shape)>,
}

/// A match: layers of both sides and the loss between them.
#[must_use = "pass it to `.matching(…)`"]
#[derive(Debug)]
pub struct Match<R> {
    name: String,
    teacher: Vec<i64>,
    student: Vec<i64>,
    loss: Box<dyn Loss>,
    weight: Weight,
    projection: Option<Projection>,
    role: PhantomData<fn() -> R>,
}

/// Layers of hidden states.
pub fn hidden<L: LayerChoice>(teacher: TeacherLayer<L>, student: StudentLayer<L>) -> Pair<Hidden, L::Shape> {
    features(teacher, student)
}

/// Layers of attention maps.
pub fn attention<L: LayerChoice>(
    teacher: TeacherLayer<L>,
    student: StudentLayer<L>,
) -> Pair<Attention, L::Shape> {
    features(teacher, student)
}

/// Layers of any role, such as a user's own: `features::<my::Queries, _>(…)`.
pub fn features<R: Role, L: LayerChoice>(
    teacher: TeacherLayer<L>,
    student: StudentLayer<L>,
) -> Pair<R, L::Shape> {
    Pair { teacher: teacher.0.indices(), student: student.0.indices(), kind: PhantomData }
}

impl<R: Role, Shape> Pair<R, Shape> {
    /// Compares them with this loss.
    pub fn by<L: MatchLoss<R, Shape>>(self, loss: L) -> Match<R> {
        let name = match_name(loss.name(), &self.teacher, &self.student);
        Match {
            name,
            teacher: self.teacher,
            student: self.student,
            loss: Box::new(loss),
            weight: 1.0.into(),
            projection: None,
            role: PhantomData,
        }
    }
}

impl<R: Role> Match<R> {
    /// The name in plans and metrics: the loss and the layers, unless [`Match::named`] otherwise.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives it a name, where two matches would have the same.
    pub fn named(self, name: impl Into<String>) -> Self {
        Match { name: name.into(), ..self }
    }

    /// Its factor in the sum; 1 unless said otherwise. It may change over the run:
    /// `.weight(Weight::growing(0.5))`.
    pub fn weight(self, weight: impl Into<Weight>) -> Self {
        Match { weight: weight.into(), ..self }
    }

    /// Sends the student's features through a learned projection first.
    pub fn project(self, projection: Projection) -> Self {
        Match { projection: Some(projection), ..self }
    }

    fn declared(self) -> Declared {
        let Match { name, teacher, student, loss, weight, projection, .. } = self;
        Declared {
            name,
            weight,
            loss,
            reads: Reads::Layers { role: R::NAME.to_owned(), teacher, student, projection },
        }
    }
}

/// What `.matching` takes: one match, an array or a `Vec` of them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a match",
    label = "not a match yet",
    note = "finish it with `.by(loss)`: `hidden(teacher_layer(4), student_layer(2)).by(HiddenMse)`"
)]
#[expect(private_interfaces, reason = "only the builder collects declared losses")]
pub trait Matches<T, S> {
    /// The losses in order.
    #[doc(hidden)]
    fn into_declared(self) -> Vec<Declared>;
}

#[expect(private_interfaces, reason = "only the builder collects declared losses")]
impl<R: Role, T: Gives<R>, S: Gives<R>> Matches<T, S> for Match<R> {
    fn into_declared(self) -> Vec<Declared> {
        vec![self.declared()]
    }
}

#[expect(private_interfaces, reason = "only the builder collects declared losses")]
impl<R: Role, T: Gives<R>, S: Gives<R>> Matches<T, S> for Vec<Match<R>> {
    fn into_declared(self) -> Vec<Declared> {
        self.into_iter().map(Match::declared).collect()
    }
}

#[expect(private_interfaces, reason = "only the builder collects declared losses")]
impl<R: Role, T: Gives<R>, S: Gives<R>, const N: usize> Matches<T, S> for [Match<R>; N] {
    fn into_declared(self) -> Vec<Declared> {
        self.into_iter().map(Match::declared).collect()
    }
}

/// The name of a match that was given none.
pub(crate) fn match_name(loss: &str, teacher: &[i64], student: &[i64]) -> String {
    format!("{loss}_t{}_s{}", joined(teacher), joined(student))
}

fn joined(layers: &[i64]) -> String {
    layers.iter().map(i64::to_string).collect::<Vec<_>>().join("-")
}
