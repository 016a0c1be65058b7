//! Evaluating the student on some batches with a metric, and checking that model, batches and metric fit
//! together.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::communicator::Communicator;
use super::label_names::label_names;
use crate::adaptor::{Adaptor, Provides};
use crate::batch::{Batch, Batches, Extreme, Walk, Wanted};
use crate::error::{Error, Problem, Result};
use crate::execute::vocabularies::same_vocabulary;
use crate::model::{Agreement, Model as _, Seen, agreement, listed};
use crate::observe::{Metric, Parts, Predictions, labels_within_classes};
use crate::role::{Logits, Role};

/// A metric's name, and how to compute the metric for what is trained.
pub(super) struct Evaluation<'o, S> {
    /// The metric's name; with several tasks `task/metric`.
    pub(super) metric: String,
    pub(super) of: Box<dyn Evaluates<S> + 'o>,
}

/// A type-erased evaluation: the types of its batches and its metric are hidden.
pub(super) trait Evaluates<S> {
    /// The value of the metric for the current student, on all ranks; for errors, what they do.
    fn value(&self, trained: &S, over: (&Communicator, &str)) -> Result<f64>;
    /// Whether a smaller value is better.
    fn less_is_better(&self) -> bool;
    /// All problems found with the first two rows and with the rows that hold the data's extremes.
    fn problems(&self, trained: &S) -> Vec<String>;
    /// The metric's options; compared when a run resumes.
    fn options(&self) -> serde_json::Value;
    /// What its batches depend on; compared when a run resumes.
    fn settings(&self) -> Result<BTreeMap<String, String>>;
}

/// The model whose predictions are judged.
pub(super) trait Judged<S> {
    type Adaptor: Adaptor;
    fn student<'s>(&'s self, trained: &'s S) -> &'s Seen<Self::Adaptor>;
}

/// The student itself is what is trained.
pub(super) struct StudentItself;

impl<A: Adaptor> Judged<Seen<A>> for StudentItself {
    type Adaptor = A;
    fn student<'s>(&'s self, trained: &'s Seen<A>) -> &'s Seen<A> {
        trained
    }
}

/// The student of one task among several.
impl<A: Adaptor, S> Judged<S> for Seen<A> {
    type Adaptor = A;
    fn student<'s>(&'s self, _: &'s S) -> &'s Seen<A> {
        self
    }
}

/// Batches, and the metric that judges the predictions for them.
pub(super) struct EvaluationSet<J, D, M, R> {
    pub(super) judged: J,
    pub(super) data: D,
    pub(super) metric: M,
    pub(super) role: PhantomData<fn() -> R>,
}

impl<S, J, D, M, R> Evaluates<S> for EvaluationSet<J, D, M, R>
where
    J: Judged<S>,
    J::Adaptor: Provides<R>,
    D: Batches<Batch = <J::Adaptor as Adaptor>::Batch>,
    M: Metric<R>,
    R: Role,
{
    fn value(&self, trained: &S, (ranks, doing): (&Communicator, &str)) -> Result<f64> {
        let student = self.judged.student(trained);
        // Data that does not say what it depends on is not known to be the same on all ranks.
        let divided = match ranks.shares() {
            Some(share) if !ranks.agree(doing, self.data.settings())?.is_empty() => Some(share),
            _ => None,
        };
        let messages = match divided {
            Some(share) => {
                ranks.collect(doing, self.part(student, share).and_then(|part| part.to_bytes()))?
            }
            None => Vec::new(),
        };
        let Value(value) = ranks.lead(doing, || {
            let predictions = match divided {
                // In the order of the batches, so that the metric is that of a single process, whatever its formula.
                Some(_) => Predictions::of_ranks(&messages, student.problem_type())?,
                None => Predictions::kept_by(&self.metric, student, self.data.epoch(0)?)?,
            };
            self.metric.value(&predictions).map(Value)
        })?;
        Ok(value)
    }

    fn less_is_better(&self) -> bool {
        self.metric.less_is_better()
    }

    fn problems(&self, trained: &S) -> Vec<String> {
        let student = self.judged.student(trained);
        if self.metric.reads_order() && self.data.reorders() {
            return vec![
                "it finds the answer to an example by its place in the data, and these batches are shuffled or bucketed: evaluate them without `.shuffled(…)` and `.bucketed()`".to_owned(),
            ];
        }
        if let Err(error) = two_rows(student, &self.data, &self.metric) {
            // The other rows would only repeat it.
            return vec![error.to_string()];
        }
        let extremes = match self.data.extremes() {
            Ok(extremes) => extremes,
            Err(error) => return vec![error.to_string()],
        };
        let problem = |Extreme { row, batch }| {
            let checked = Predictions::kept_by(&self.metric, student, [Ok(batch)])
                .and_then(|predictions| labels_within_classes(&predictions, false));
            checked.err().map(|error| format!("{row}: {error}"))
        };
        extremes.into_iter().filter_map(problem).collect()
    }

    fn options(&self) -> serde_json::Value {
        self.metric.options()
    }

    fn settings(&self) -> Result<BTreeMap<String, String>> {
        self.data.settings()
    }
}

/// A value in a message, also one that is not finite.
#[derive(Serialize, Deserialize)]
struct Value(#[serde(with = "crate::json::float")] f64);

impl<J, D: Batches, M, R: Role> EvaluationSet<J, D, M, R> {
    /// The predictions for every w-th batch, from this rank's.
    fn part<A>(&self, student: &Seen<A>, (rank, world_size): (usize, usize)) -> Result<Parts<R>>
    where
        A: Adaptor<Batch = D::Batch> + Provides<R>,
        M: Metric<R>,
    {
        let wanted: Wanted = Arc::new(move |number| number % world_size == rank);
        let batches: Walk<'_, Option<D::Batch>> = match self.data.epoch_part(0, 0, &wanted)? {
            Some(part) => part,
            None => {
                let all = self.data.epoch(0)?.enumerate();
                Box::new(all.map(move |(number, batch)| batch.map(|batch| wanted(number).then_some(batch))))
            }
        };
        Predictions::part_kept_by(&self.metric, student, batches)
    }
}

/// Runs the first two rows all the way to the metric.
fn two_rows<A, R>(
    student: &Seen<A>,
    data: &impl Batches<Batch = A::Batch>,
    metric: &impl Metric<R>,
) -> Result<()>
where
    A: Adaptor + Provides<R>,
    R: Role,
{
    let first = data.epoch(0)?.next();
    let first = first.ok_or_else(|| Error::invalid("nothing to evaluate: the data has no rows"))??;
    if R::NAME == Logits::NAME {
        same_classes(student, data, &first)?;
    }
    same_vocabulary(student, &first, &|column| data.vocabulary(column))?;
    let predictions = Predictions::kept_by(metric, student, [first.first_rows(2)])?;
    labels_within_classes(&predictions, true)?;
    metric.check(&predictions)
}

/// Checks that student and data give each class the same name, if both name their classes.
fn same_classes<A: Adaptor>(student: &Seen<A>, data: &impl Batches, batch: &A::Batch) -> Result<()> {
    let (Some(own), Some(names)) = (student.class_names(), label_names::<A>(data, batch)?) else {
        return Ok(());
    };
    match agreement(&own, &names) {
        Agreement::Same | Agreement::OtherNames => Ok(()),
        Agreement::OtherOrder => Err(Error::invalid(format!(
            "the classes of the student are {}, those of the data are {}: the same name stands for different classes; number the labels in the student's order",
            listed(&own),
            listed(&names)
        ))),
    }
}

/// The problems of the evaluations, each with its metric's name.
pub(super) fn problems<S>(evaluations: &[Evaluation<'_, S>], trained: &S) -> Vec<Problem> {
    let of = |evaluation: &Evaluation<'_, S>| {
        let metric = &evaluation.metric;
        let problems = evaluation.of.problems(trained).into_iter();
        problems.map(|message| Problem::Evaluation { metric: metric.clone(), message }).collect::<Vec<_>>()
    };
    evaluations.iter().flat_map(of).collect()
}
