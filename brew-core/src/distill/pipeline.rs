//! A pipeline: the plan together with its models and losses, as assembled by the builder.

use std::any::Any;
use std::cell::{Ref, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::layout::Layout;
use super::on_policy::TextsOf;
use super::{Declared, Reads, Sides};
use crate::adaptor::Adaptor;
use crate::error::{Error, Problem, Result};
use crate::loss::{Learns, Loss};
use crate::model::Seen;
use crate::pass::PassArgument;
use crate::plan::{Balance, Plan, Projection, StageId};
use crate::schedule::Weight;
use crate::semantics::Semantics;
use crate::side::Side;

/// A plan with the models and losses of its stages.
///
/// Its teachers read `T`, its student is seen by `A`.
///
/// A pipeline is `Send`: it can be built on one thread and trained on another, so that the program stays
/// responsive.
pub struct Pipeline<T, A: Adaptor> {
    pub(crate) plan: Plan,
    pub(crate) teachers: Sides<T>,
    pub(crate) student: Seen<A>,
    pub(crate) losses: BTreeMap<StageId, Weighed>,
    pub(crate) warnings: Vec<String>,
    pub(crate) argument: Option<PassArgument>,
    /// What a rollout of the plan reads and makes of a batch.
    pub(crate) texts: Option<TextsOf<A::Batch>>,
}

/// A loss with its weight in the sum.
pub(crate) struct Weighed {
    /// In a `RefCell` because steps update a loss's state while pipeline and executor are shared; borrowed
    /// for one call at a time.
    loss: RefCell<Box<dyn Loss>>,
    pub(crate) weight: Weight,
}

impl Weighed {
    pub(super) fn new(loss: Box<dyn Loss>, weight: Weight) -> Self {
        Weighed { loss: RefCell::new(loss), weight }
    }

    /// The loss. Release the borrow before calling [`Weighed::learns`].
    pub(crate) fn loss(&self) -> Ref<'_, dyn Loss> {
        Ref::map(self.loss.borrow(), |loss| &**loss)
    }

    /// Applies a function to the loss's learned or carried state, if it has any.
    pub(crate) fn learns<R>(&self, work: impl FnOnce(&mut dyn Learns) -> R) -> Option<R> {
        self.loss.borrow_mut().learns().map(work)
    }
}

impl<T, A: Adaptor> fmt::Debug for Pipeline<T, A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pipeline").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl<T: 'static, A: Adaptor> Pipeline<T, A> {
    /// The plan as plain data, to print, draw, compare or write.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The declared stages as a table; works before anything has run. What several ranks would hold and send depends on
    /// the optimizer, too: [`Trainer::explain_on`](crate::train::Trainer::explain_on).
    pub fn explain(&self) -> String {
        self.plan.explain()
    }

    /// Hands a value to every forward pass of training, of the teachers and of the student:
    /// `pass.argument::<V>()` (the extra arguments of TextBrewer's `train`).
    ///
    /// ```no_run
    /// # use brew_core::prelude::*;
    /// /// Which head answers.
    /// struct Head(usize);
    /// # fn example<A: Adaptor>(pipeline: Pipeline<A::Batch, A>, pass: &Pass) {
    /// let pipeline = pipeline.forward_argument(Head(1));
    /// // In `forward`:
    /// let head = pass.argument::<Head>().map_or(0, |head| head.0);
    /// # }
    /// ```
    ///
    /// A resumed run can compare it only through the models' outputs for two rows.
    #[must_use]
    pub fn forward_argument(self, value: impl Any + Send + Sync) -> Self {
        Pipeline { argument: Some(Arc::new(value)), ..self }
    }

    /// The current student.
    pub fn student(&self) -> &Seen<A> {
        &self.student
    }

    /// Notes to the user before the first step of a run with this accumulation.
    pub(crate) fn warnings_of_window(&self, accumulation: usize) -> Vec<String> {
        let mut warnings = self.warnings.clone();
        if accumulation > 1 && self.plan.semantics() == Semantics::Exact {
            warnings.extend(self.whole_batch_losses().map(|name| {
                format!("`{name}` depends on all rows of a batch: {accumulation} accumulated batches do not give the same loss as one large batch")
            }));
        }
        warnings
    }

    /// The names of the losses whose rows depend on one another.
    fn whole_batch_losses(&self) -> impl Iterator<Item = &str> {
        let whole = |id: &StageId| self.losses.get(id).is_some_and(|part| part.loss().reads_whole_batch());
        self.plan.stages().filter(move |(id, _)| whole(id)).map(|(_, stage)| stage.name.as_str())
    }

    /// The same pipeline with a different balance of its losses.
    pub(crate) fn balanced(mut self, balance: Balance) -> Result<Self> {
        self.plan.set_balance(balance);
        self.plan.check()?;
        Ok(self)
    }

    pub(crate) fn into_student(self) -> Seen<A> {
        self.student
    }

    /// Builds the plan and checks it; `problems` are those found earlier.
    pub(crate) fn lay(
        teachers: Sides<T>,
        student: Seen<A>,
        losses: Vec<Declared>,
        semantics: Semantics,
        mut problems: Vec<Problem>,
    ) -> Result<Self> {
        let mut layout = Layout::new(semantics, &teachers, &student);
        let (mut parts, mut shared) = (BTreeMap::new(), BTreeMap::new());
        for declared in losses {
            problems.extend(
                declared
                    .loss
                    .problems()
                    .into_iter()
                    .map(|message| Problem::Unfit { stage: declared.name.clone(), message }),
            );
            let unfit = unfit(&declared, teachers.len(), &mut shared);
            if !unfit.is_empty() {
                let stage = || declared.name.clone();
                problems.extend(unfit.into_iter().map(|message| Problem::Unfit { stage: stage(), message }));
                continue;
            }
            let (id, loss) = layout.loss(declared);
            parts.insert(id, loss);
        }
        let plan = layout.finish();
        match plan.check() {
            Ok(()) if problems.is_empty() => Ok(Pipeline {
                plan,
                teachers,
                student,
                losses: parts,
                warnings: Vec::new(),
                argument: None,
                texts: None,
            }),
            Ok(()) => Err(Error::Plan(problems)),
            Err(Error::Plan(found)) => {
                // If a loss was refused, do not also report that it or its term is missing.
                let refused = !problems.is_empty();
                let follows = |problem: &Problem| {
                    matches!(problem, Problem::NoLoss)
                        || matches!(problem, Problem::Inputs { stage, given: 0, .. } if stage == "sum")
                };
                problems.extend(found.into_iter().filter(|problem| !(refused && follows(problem))));
                Err(Error::Plan(problems))
            }
            Err(other) => Err(other),
        }
    }
}

/// The problems that keep a loss out of the plan, each with its fix; `shared` are the shared projections of
/// earlier matches.
fn unfit(declared: &Declared, teachers: usize, shared: &mut BTreeMap<String, Projection>) -> Vec<String> {
    let mut problems = Vec::new();
    match &declared.reads {
        Reads::Losses => {}
        Reads::Logits { combine, .. } => {
            problems.extend(combine.problems(teachers, declared.loss.temperature()));
            let of_teacher = declared.loss.also_reads().iter().find(|also| also.side == Side::Teacher);
            if let Some(also) = of_teacher.filter(|_| teachers > 1) {
                problems.push(format!(
                    "it reads `{}` of one teacher, but the pipeline has {teachers}: use it with a single teacher",
                    also.role
                ));
            }
        }
        Reads::LastHidden { probability_shift, .. } => {
            if teachers > 1 {
                problems.push(format!(
                    "it compares the last hidden states of one teacher, and the pipeline has {teachers}: use it with a single teacher"
                ));
            }
            if *probability_shift {
                problems.push(
                    "it makes its logits of hidden states, some rows at a time, and a probability shift exchanges scores of logits: leave out `.with_probability_shift()`, or take a loss that reads the logits".to_owned(),
                );
            }
        }
        Reads::Layers { layers, projection, .. } => {
            problems.extend(match layers.of {
                None if teachers > 1 => Some(format!(
                    "it reads layers of one teacher, but the pipeline has {teachers}: say which, `teacher(0).layer({})` in place of `teacher_layer`, or `\"teacher\": 0` in a config",
                    layers.teacher.first().copied().unwrap_or(0)
                )),
                Some(index) if index >= teachers => Some(format!(
                    "it reads layers of teacher {index}, but the pipeline has {teachers}, counted from 0"
                )),
                _ => None,
            });
            let Some((name, projection)) =
                projection.as_ref().and_then(|found| Some((found.shared.clone()?, found)))
            else {
                return problems;
            };
            let first = shared.entry(name).or_insert_with(|| (**projection).clone());
            if *first != **projection {
                problems.push(format!(
                    "it shares the projection {projection:?}, but another match declared {first:?} under this name: declare the same projection, or use another name"
                ));
            }
        }
    }
    problems
}
