//! The builder: combines teachers, a student and losses into a pipeline, checked at compile time.
//!
//! Every trait bound is on a method or its argument, so that a missing role is reported at the loss that
//! reads it. Whatever types cannot express (layers, widths, classes) is checked with two rows before the
//! first step: see [`crate::execute::Probe`].

mod layers;
mod layout;
mod matching;
mod on_policy;
mod on_policy_recipes;
mod pipeline;
mod recipes;
mod supervised;
mod targets;
mod teachers;

use std::marker::PhantomData;

use crate::adaptor::{Adaptor, Gives};
use crate::error::Result;
use crate::loss::{HardLabels, Loss, SoftTargets, TargetsRead};
use crate::model::{ErasedModel, Seen};
use crate::plan::{Balance, Combine, Projection};
use crate::role::Losses;
use crate::schedule::Weight;
use crate::semantics::Semantics;

pub(crate) use layers::MatchedLayers;
pub use layers::{
    LayerChoice, Of, OneOfThem, OneTeacher, StudentLayer, TeacherLayer, TheTeacher, student_layer, teacher,
    teacher_layer,
};
pub use matching::{Match, Matches, Pair, attention, features, hidden};
pub(crate) use on_policy::TextsOf;
pub use on_policy_recipes::{Objective, OnPolicy};
pub use pipeline::Pipeline;
pub(crate) use pipeline::Weighed;
pub use recipes::{MatchesOf, minilm_v2, tiny_bert};
pub use supervised::Supervised;
pub use targets::{
    Combined, GivenBy, NothingElse, Shifted, SoftTarget, StudentLabels, Targets, Weighted, WithWeight,
};
pub use teachers::{And, AndMore, MayGive, Teachers};

/// The state of a builder without a loss.
#[derive(Debug)]
pub struct NoLoss;
/// The state of a builder with a loss.
#[derive(Debug)]
pub struct SomeLoss;

/// Marks a builder that has a loss.
#[diagnostic::on_unimplemented(
    message = "the pipeline has no loss",
    label = "add one of `.soft_targets(…)`, `.matching(…)`, `.hard_labels(…)` before this"
)]
pub trait HasLoss {}
impl HasLoss for SomeLoss {}

/// Builds a pipeline: teachers `T`, a student `S`, and whether it has a loss yet.
///
/// ```no_run
/// # use brew_core::prelude::*;
/// # use brew_core::adaptor::Provides;
/// # fn example<A: Adaptor + Provides<role::Logits> + Provides<role::Losses>>(teacher: Seen<A>, student: Seen<A>) -> Result<()> {
/// let pipeline = Distill::new(teacher, student)
///     .soft_targets(loss::KdCe::at(8.0))
///     .hard_labels(1.0)
///     .plan()?;
/// println!("{}", pipeline.explain());
/// # Ok(())
/// # }
/// ```
#[must_use = "a pipeline does nothing until `.plan()`"]
#[derive(Debug)]
pub struct Distill<T, S, L = NoLoss> {
    teachers: T,
    student: S,
    losses: Vec<Declared>,
    semantics: Semantics,
    balance: Balance,
    state: PhantomData<fn() -> L>,
}

/// A loss as the builder collects it.
#[derive(Debug)]
pub(crate) struct Declared {
    pub(crate) name: String,
    pub(crate) weight: Weight,
    pub(crate) loss: Box<dyn Loss>,
    pub(crate) reads: Reads,
}

/// Where a loss reads its features from.
#[derive(Debug)]
pub(crate) enum Reads {
    /// The logits of every teacher and of the student; with a probability shift also the student's labels.
    Logits { probability_shift: bool, combine: Combine },
    /// The student's own losses.
    Losses,
    /// The last hidden states, of which a loss makes the logits itself.
    LastHidden { layers: MatchedLayers, probability_shift: bool },
    /// Layers of a role of one teacher and of the student.
    Layers { role: String, layers: MatchedLayers, projection: Option<Box<Projection>> },
}

impl Reads {
    /// The last hidden states of the teacher and of the student.
    fn last_hidden(probability_shift: bool) -> Self {
        let layers = MatchedLayers { of: None, teacher: vec![-1], student: vec![-1] };
        Reads::LastHidden { layers, probability_shift }
    }
}

impl<T: Teachers, A: Adaptor> Distill<T, Seen<A>> {
    /// Distils these teachers (one, a `Vec` of the same type, or `a.and(b)`) into this student.
    pub fn new(teachers: T, student: Seen<A>) -> Self {
        let (semantics, balance) = (Semantics::default(), Balance::default());
        Distill { teachers, student, losses: Vec::new(), semantics, balance, state: PhantomData }
    }
}

impl<T, S, L> Distill<T, S, L> {
    fn with(mut self, losses: impl IntoIterator<Item = Declared>) -> Distill<T, S, SomeLoss> {
        self.losses.extend(losses);
        let Distill { teachers, student, losses, semantics, balance, .. } = self;
        Distill { teachers, student, losses, semantics, balance, state: PhantomData }
    }

    /// Adds a loss on logits. Several teachers' logits are first averaged, as in TextBrewer, or combined by
    /// the policy given to [`combining`](WithWeight::combining).
    pub fn soft_targets<K: Targets>(self, loss: K) -> Distill<T, S, SomeLoss>
    where
        K::Loss: SoftTargets<T, S>,
        K::Also: GivenBy<S>,
    {
        let SoftTarget { loss, weight, probability_shift, combine } = loss.into_target();
        let name = loss.name().to_owned();
        let reads = match <K::Loss as SoftTargets<T, S>>::READ {
            TargetsRead::Logits => Reads::Logits { probability_shift, combine },
            TargetsRead::LastHidden => Reads::last_hidden(probability_shift),
        };
        self.with([Declared { name, weight, loss, reads }])
    }

    /// Adds losses between layers: one match, an array or a `Vec` of matches.
    pub fn matching<M: Matches<T, S>>(self, matches: M) -> Distill<T, S, SomeLoss> {
        self.with(matches.into_declared())
    }

    /// Adds the student's own loss against the labels, with this weight: `1.0`, or one that changes,
    /// such as `Weight::decaying(1.0)`.
    pub fn hard_labels(self, weight: impl Into<Weight>) -> Distill<T, S, SomeLoss>
    where
        S: Gives<Losses>,
    {
        self.with([Declared::hard_labels(weight.into())])
    }

    /// The numeric rules to run with; default [`Semantics::Exact`].
    pub fn semantics(self, semantics: Semantics) -> Self {
        Distill { semantics, ..self }
    }

    /// How the losses are balanced, beyond their weights: `Balance::Uncertainty`, or
    /// `Balance::magnitude_of("hard_labels")`.
    pub fn balanced(self, balance: Balance) -> Self {
        Distill { balance, ..self }
    }
}

impl<T: Teachers, A: Adaptor, L> Distill<T, Seen<A>, L> {
    /// Builds the plan and checks it.
    ///
    /// # Errors
    /// [`crate::Error::Plan`] with every problem of the plan and of the losses' options.
    pub fn plan(self) -> Result<Pipeline<T::Batch, A>>
    where
        L: HasLoss,
    {
        Pipeline::lay(self.teachers.into_sides(), self.student, self.losses, self.semantics, Vec::new())?
            .balanced(self.balance)
    }
}

impl Declared {
    pub(crate) fn hard_labels(weight: Weight) -> Self {
        let name = HardLabels.name().to_owned();
        Declared { name, weight, loss: Box::new(HardLabels), reads: Reads::Losses }
    }
}

/// A pipeline's teachers, type-erased, in order.
pub(crate) type Sides<B> = Vec<Box<dyn ErasedModel<B>>>;
