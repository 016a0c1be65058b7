//! A pipeline: the plan with its parts, laid from what the builder collected.

use std::collections::BTreeMap;
use std::fmt;

use super::layout::Layout;
use super::{Declared, Reads, Sides};
use crate::adaptor::Adaptor;
use crate::error::{Error, Result};
use crate::loss::Loss;
use crate::model::Seen;
use crate::plan::{Plan, Problem, Semantics, StageId};
use crate::schedule::Weight;

/// A plan with the models and losses that its stages stand for.
///
/// Its teachers read `T`, its student is seen by `A`.
pub struct Pipeline<T, A: Adaptor> {
    pub(crate) plan: Plan,
    pub(crate) teachers: Sides<T>,
    pub(crate) student: Seen<A>,
    pub(crate) losses: BTreeMap<StageId, Weighed>,
    pub(crate) warnings: Vec<String>,
}

/// A loss with its factor in the sum.
pub(crate) struct Weighed {
    pub(crate) loss: Box<dyn Loss>,
    pub(crate) weight: Weight,
}

impl<T, A: Adaptor> fmt::Debug for Pipeline<T, A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pipeline").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl<T: 'static, A: Adaptor> Pipeline<T, A> {
    /// The plan: plain data, to print, draw, compare and write.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What is declared, as a table; nothing has run yet.
    pub fn explain(&self) -> String {
        self.plan.explain()
    }

    /// The student, as it stands.
    pub fn student(&self) -> &Seen<A> {
        &self.student
    }

    /// What a person should know before the first step of a run that accumulates so many batches.
    pub(crate) fn warnings_of_window(&self, accumulation: usize) -> Vec<String> {
        let mut warnings = self.warnings.clone();
        if accumulation > 1 && self.plan.semantics() == Semantics::Exact {
            warnings.extend(self.whole_batch_losses().map(|name| {
                format!("`{name}` depends on all rows of a batch: {accumulation} accumulated batches are not one batch of as many rows")
            }));
        }
        warnings
    }

    /// The names of the losses whose rows depend on one another.
    fn whole_batch_losses(&self) -> impl Iterator<Item = &str> {
        let whole = |id: &StageId| self.losses.get(id).is_some_and(|part| part.loss.reads_whole_batch());
        self.plan.stages().filter(move |(id, _)| whole(id)).map(|(_, stage)| stage.name.as_str())
    }

    pub(crate) fn into_student(self) -> Seen<A> {
        self.student
    }

    /// Lays the plan and checks it; `problems` are those that were found before.
    pub(crate) fn lay(
        teachers: Sides<T>,
        student: Seen<A>,
        losses: Vec<Declared>,
        semantics: Semantics,
        mut problems: Vec<Problem>,
    ) -> Result<Self> {
        let mut layout = Layout::new(semantics, &teachers, &student);
        let mut parts = BTreeMap::new();
        for declared in losses {
            problems.extend(
                declared
                    .loss
                    .problems()
                    .into_iter()
                    .map(|message| Problem::Unfit { stage: declared.name.clone(), message }),
            );
            if matches!(declared.reads, Reads::Layers { .. }) && teachers.len() > 1 {
                problems.push(Problem::Unfit {
                    stage: declared.name.clone(),
                    message: format!(
                        "it reads layers of one teacher, and the pipeline has {}: match layers with a single teacher",
                        teachers.len()
                    ),
                });
                continue;
            }
            let (id, loss) = layout.loss(declared);
            parts.insert(id, loss);
        }
        let plan = layout.finish();
        match plan.check() {
            Ok(()) if problems.is_empty() => {
                Ok(Pipeline { plan, teachers, student, losses: parts, warnings: Vec::new() })
            }
            Ok(()) => Err(Error::Plan(problems)),
            Err(Error::Plan(found)) => {
                // Where a loss was refused its absence is not another problem.
                let refused = !problems.is_empty();
                problems
                    .extend(found.into_iter().filter(|problem| !(refused && *problem == Problem::NoLoss)));
                Err(Error::Plan(problems))
            }
            Err(other) => Err(other),
        }
    }
}
