//! Matches: pairs of teacher and student layers, and the loss between them.
//!
//! ```
//! use brew_core::prelude::*;
//! use brew_core::distill::{student_layer, teacher, teacher_layer};
//! use brew_core::plan::Projection;
//!
//! let match_ = hidden(teacher_layer(4), student_layer(2))
//!     .by(loss::HiddenMse)
//!     .project(Projection::linear(312, 768))
//!     .weight(0.5);
//! assert_eq!(match_.name(), "hidden_mse_t4_s2");
//!
//! // Of several teachers, the second.
//! let match_ = hidden(teacher(1).layer(-1), student_layer(-1)).by(loss::Cos);
//! assert_eq!(match_.name(), "cos_teacher1_t-1_s-1");
//! ```

use std::marker::PhantomData;

use super::layers::{LayerChoice, MatchedLayers, OneOfThem, StudentLayer, TeacherLayer, TheTeacher};
use super::{Declared, MayGive, Reads};
use crate::adaptor::Gives;
use crate::loss::{Loss, MatchLoss};
use crate::plan::Projection;
use crate::role::{Attention, Hidden, Role};
use crate::schedule::Weight;

/// A pair of layer choices, not yet with a loss.
#[must_use = "finish it with `.by(loss)`"]
#[derive(Debug)]
pub struct Pair<R, Shape, Whose = TheTeacher> {
    layers: MatchedLayers,
    kind: PhantomData<fn() -> (R, Shape)>,
    whose: PhantomData<fn() -> Whose>,
}

/// A match: layers of both sides, and the loss between them.
#[must_use = "pass it to `.matching(…)`"]
#[derive(Debug)]
pub struct Match<R, Whose = TheTeacher> {
    name: String,
    layers: MatchedLayers,
    loss: Box<dyn Loss>,
    weight: Weight,
    projection: Option<Projection>,
    kind: PhantomData<fn() -> (R, Whose)>,
}

/// Pairs layers of hidden states.
pub fn hidden<L: LayerChoice>(
    teacher: TeacherLayer<L>,
    student: StudentLayer<L::Student>,
) -> Pair<Hidden, L::Shape, L::Whose> {
    features(teacher, student)
}

/// Pairs layers of attention maps.
pub fn attention<L: LayerChoice>(
    teacher: TeacherLayer<L>,
    student: StudentLayer<L::Student>,
) -> Pair<Attention, L::Shape, L::Whose> {
    features(teacher, student)
}

/// Pairs layers of any role, such as your own: `features::<my::Queries, _>(…)`.
pub fn features<R: Role, L: LayerChoice>(
    teacher: TeacherLayer<L>,
    student: StudentLayer<L::Student>,
) -> Pair<R, L::Shape, L::Whose> {
    let layers = MatchedLayers::of(&teacher, &student);
    Pair { layers, kind: PhantomData, whose: PhantomData }
}

impl<R: Role, Shape, Whose> Pair<R, Shape, Whose> {
    /// Compares them with this loss.
    pub fn by<L: MatchLoss<R, Shape>>(self, loss: L) -> Match<R, Whose> {
        Match {
            name: self.layers.name(loss.name()),
            layers: self.layers,
            loss: Box::new(loss),
            weight: 1.0.into(),
            projection: None,
            kind: PhantomData,
        }
    }
}

impl<R: Role, Whose> Match<R, Whose> {
    /// The name in plans and metrics: by default the loss and the layers; see [`Match::named`].
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sets its name; needed if two matches would otherwise have the same name.
    pub fn named(self, name: impl Into<String>) -> Self {
        Match { name: name.into(), ..self }
    }

    /// Its weight in the sum; default 1. It may change over the run: `.weight(Weight::growing(0.5))`.
    /// Repeated calls multiply, schedules included.
    pub fn weight(self, weight: impl Into<Weight>) -> Self {
        Match { weight: weight.into().times(&self.weight), ..self }
    }

    /// First applies a learned projection to the student's features: this match's own, or one that it
    /// [shares](Projection::shared) with others, `.project(&body)`.
    pub fn project(self, projection: impl Into<Projection>) -> Self {
        Match { projection: Some(projection.into()), ..self }
    }

    fn declared(self) -> Declared {
        let Match { name, layers, loss, weight, projection, .. } = self;
        let projection = projection.map(Box::new);
        let reads = Reads::Layers { role: R::NAME.to_owned(), layers, projection };
        Declared { name, weight, loss, reads }
    }
}

/// The argument of `.matching`: one match, an array or a `Vec` of matches.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a match",
    label = "not a match yet",
    note = "finish it with `.by(loss)`: `hidden(teacher_layer(4), student_layer(2)).by(loss::HiddenMse)`"
)]
#[expect(private_interfaces, reason = "only the builder collects declared losses")]
pub trait Matches<T, S> {
    /// The losses in order.
    #[doc(hidden)]
    fn into_declared(self) -> Vec<Declared>;
}

macro_rules! matches_of {
    ($($whose:ty, $gives:ident;)*) => {$(
        #[expect(private_interfaces, reason = "only the builder collects declared losses")]
        impl<R: Role, T: $gives<R>, S: Gives<R>> Matches<T, S> for Match<R, $whose> {
            fn into_declared(self) -> Vec<Declared> {
                vec![self.declared()]
            }
        }

        #[expect(private_interfaces, reason = "only the builder collects declared losses")]
        impl<R: Role, T: $gives<R>, S: Gives<R>> Matches<T, S> for Vec<Match<R, $whose>> {
            fn into_declared(self) -> Vec<Declared> {
                self.into_iter().map(Match::declared).collect()
            }
        }

        #[expect(private_interfaces, reason = "only the builder collects declared losses")]
        impl<R: Role, T: $gives<R>, S: Gives<R>, const N: usize> Matches<T, S> for [Match<R, $whose>; N] {
            fn into_declared(self) -> Vec<Declared> {
                self.into_iter().map(Match::declared).collect()
            }
        }
    )*};
}

matches_of! {
    TheTeacher, Gives;
    OneOfThem, MayGive;
}
