//! A model as distillation sees it: combined with the adaptor that reads its outputs, its own type erased.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use tch::Tensor;

use super::{CausalLm, Forward, Model, ProblemType};
use crate::adaptor::{Adapted, Adaptor};
use crate::error::Result;
use crate::feature::Feature;
use crate::parameters::Parameters;
use crate::pass::Pass;
use crate::vocabulary::Vocabulary;

/// Combines a model with the adaptor that reads its outputs.
pub trait SeenBy: Sized + 'static {
    /// The model as distillation sees it through this adaptor.
    fn seen_by<A: Adaptor>(self, adaptor: A) -> Seen<A>
    where
        Self: Forward<A::Batch, Output = A::Output> + Model,
    {
        let _ = adaptor;
        Seen { model: Box::new(self), by_name: false }
    }

    /// The model as distillation sees it through the adaptor that `#[distill]` generated for its output type.
    ///
    /// If a model runs batches of several types, or its output is read by a different adaptor, name the
    /// adaptor with [`seen_by`](SeenBy::seen_by).
    ///
    /// ```no_run
    /// # use brew_core::prelude::*;
    /// # use brew_core::model::{BertForTokenClassification, TokenClassifierOutputAdaptor};
    /// # fn example(model: BertForTokenClassification) {
    /// // The same as `model.seen_by(TokenClassifierOutputAdaptor)`.
    /// let seen = model.seen();
    /// # }
    /// ```
    fn seen<B, O>(self) -> Seen<O::Adaptor>
    where
        Self: Forward<B, Output = O> + Model,
        O: Adapted,
        O::Adaptor: Adaptor<Batch = B, Output = O>,
    {
        Seen { model: Box::new(self), by_name: false }
    }
}

impl<M: 'static> SeenBy for M {}

/// A type-erased model, with its adaptor in the type.
pub struct Seen<A: Adaptor> {
    pub(super) model: Box<dyn Runs<A>>,
    /// Whether a teacher's classes are reordered to the student's.
    pub(super) by_name: bool,
}

impl<A: Adaptor> fmt::Debug for Seen<A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Seen<{}>", std::any::type_name::<A>())
    }
}

impl<A: Adaptor> Seen<A> {
    /// For a teacher: reorders its logits to the student's classes, matched by name, ignoring case. Both must
    /// name the same classes. Without this, a teacher with a different class order is refused.
    ///
    /// ```no_run
    /// # use brew_core::prelude::*;
    /// # use brew_core::model::ClassifierOutputAdaptor;
    /// # fn example(teacher: BertForSequenceClassification, student: BertForSequenceClassification) -> Result<()> {
    /// let teacher = teacher.seen_by(ClassifierOutputAdaptor).classes_by_name();
    /// let pipeline = Distill::new(teacher, student.seen_by(ClassifierOutputAdaptor))
    ///     .soft_targets(loss::KdCe::at(8.0))
    ///     .plan()?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn classes_by_name(self) -> Self {
        Seen { by_name: true, ..self }
    }

    /// One forward pass.
    pub fn run(&self, batch: &A::Batch, pass: &Pass) -> Result<A::Output> {
        self.model.run_model(batch, pass)
    }

    /// The value of a role after a forward pass.
    pub fn read(&self, role: &str, batch: &A::Batch, output: &A::Output) -> Result<Option<Feature>> {
        A::read(role, batch, output)
    }
}

impl<A: Adaptor> Model for Seen<A> {
    fn parameters(&self) -> Parameters {
        self.model.parameters()
    }
    fn unlisted(&self) -> Parameters {
        self.model.unlisted()
    }
    fn identity(&self) -> Result<BTreeMap<String, String>> {
        self.model.identity()
    }

    fn problem_type(&self) -> Option<ProblemType> {
        self.model.problem_type()
    }
    fn class_names(&self) -> Option<Vec<String>> {
        self.model.class_names()
    }
    fn vocabulary(&self) -> Result<Option<Vocabulary>> {
        self.model.vocabulary()
    }
    fn reads_documents(&self) -> bool {
        self.model.reads_documents()
    }
    fn takes_dropout(&self) -> bool {
        self.model.takes_dropout()
    }
    fn causal_lm(&self) -> Option<&dyn CausalLm> {
        self.model.causal_lm()
    }
    fn learn_task(&self, problem: Option<ProblemType>, names: Option<&[String]>) {
        self.model.learn_task(problem, names);
    }
    fn save(&self, folder: &Path) -> Result<()> {
        self.model.save(folder)
    }
}

/// A model that runs the adaptor's batch into the adaptor's output.
pub(super) trait Runs<A: Adaptor>: Model {
    fn run_model(&self, batch: &A::Batch, pass: &Pass) -> Result<A::Output>;
    fn columns_read(&self) -> Option<Vec<String>>;
    fn count_losses(&self, batch: &A::Batch) -> Result<Option<Vec<Tensor>>>;
}

impl<A: Adaptor, M: Forward<A::Batch, Output = A::Output> + Model> Runs<A> for M {
    fn run_model(&self, batch: &A::Batch, pass: &Pass) -> Result<A::Output> {
        self.run(batch, pass)
    }
    fn columns_read(&self) -> Option<Vec<String>> {
        self.reads()
    }

    fn count_losses(&self, batch: &A::Batch) -> Result<Option<Vec<Tensor>>> {
        self.losses_count(batch)
    }
}
