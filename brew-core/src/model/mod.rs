//! Models: anything that can run a batch and list its parameters.
//!
//! `#[distill(batch = …)]` on the `impl` with `fn forward` writes [`Forward`]; the user adds
//! [`Model`], which says what is trained and how it is saved. [`SeenBy::seen_by`] then joins a model
//! to an adaptor; from there on the model's own type is erased and the adaptor's stays.

mod activation;
pub mod bert;
mod class_order;
mod cross_entropy;
mod folder;
mod given;
pub mod gru;
mod keep;
mod mapping;
mod normal;
mod parts;
pub(crate) mod problem;
mod told;
mod torchscript;
mod weights;

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tch::{Kind, Tensor};

use crate::adaptor::{Adapted, Adaptor};
use crate::batch::Batch;
use crate::error::{Error, InStage as _, Result};
use crate::feature::Feature;
use crate::parameters::Parameters;
use crate::pass::Pass;
use crate::role::{Labels, Role as _, counts};
use crate::row_key::RowKeys;
use crate::vocabulary::Vocabulary;

pub use activation::Activation;
pub use bert::{
    Architecture, BertConfig, BertForQuestionAnswering, BertForSequenceClassification,
    BertForTokenClassification, ClassifierOutput, ClassifierOutputAdaptor, FloatLabelClassifierAdaptor,
    FloatLabelTextBatch, SpanBatch, SpanOutput, SpanOutputAdaptor, TextBatch, TokenBatch,
    TokenClassifierOutput, TokenClassifierOutputAdaptor,
};
pub(crate) use class_order::{Agreement, agreement, listed, order_of};
pub use gru::{BiGruConfig, BiGruForSequenceClassification, BiGruForTokenClassification};
pub use keep::Keep;
pub use mapping::LayerMap;
pub use problem::{ProblemType, Scores};
pub use torchscript::{Part, ScriptOutput, ScriptOutputAdaptor, TorchScript};

/// The tensors of a model and how it is written to disk.
///
/// With the variables of `tch::nn` in a `VarStore` it is one line:
///
/// ```
/// use brew_core::prelude::*;
/// use brew_core::tch::nn;
///
/// struct Net {
///     variables: nn::VarStore,
///     norm: nn::BatchNorm,
/// }
///
/// impl Model for Net {
///     fn parameters(&self) -> Parameters {
///         Parameters::of(&self.variables)
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say what its parameters are",
    label = "not a model yet",
    note = "add `impl Model for {Self}`: `parameters` lists what is trained or frozen, `save` writes it"
)]
pub trait Model: Send + 'static {
    /// Every tensor that the model's output depends on, by name: its parameters, and its buffers
    /// ([`Parameters::with_buffers`]), such as the running statistics of a batch norm. A student trains
    /// the parameters that require a gradient; all of a teacher's are frozen.
    ///
    /// What is missing here is missing from checkpoints and from the identity of a cached teacher. A run
    /// notices it as it resumes, by the student's outputs for two rows, and refuses to go on.
    fn parameters(&self) -> Parameters;

    /// The model that this one wraps: `Some(&self.0)` for a struct around one of brew's. What the wrapper does
    /// not state itself (identity, problem type, class names, vocabulary) is then that model's, so that
    /// training can check it. [`parameters`](Self::parameters) and [`save`](Self::save) are the wrapper's own.
    fn inner(&self) -> Option<&dyn Model> {
        None
    }

    /// What its output depends on beside its tensors, as values by name: the config, the file that its code
    /// is in. A teacher cache with other values is refused, and so is resuming a run of another teacher.
    /// The default is the name of the type, with what identifies the [`inner`](Self::inner) model.
    ///
    /// # Errors
    /// A config that cannot be written.
    fn identity(&self) -> Result<BTreeMap<String, String>> {
        let mut identity = BTreeMap::from([("type".to_owned(), std::any::type_name::<Self>().to_owned())]);
        if let Some(inner) = self.inner() {
            identity
                .extend(inner.identity()?.into_iter().map(|(key, value)| (format!("inner.{key}"), value)));
        }
        Ok(identity)
    }

    /// What its labels are and how its logits are read, if it says so.
    fn problem_type(&self) -> Option<ProblemType> {
        self.inner().and_then(Model::problem_type)
    }

    /// The names of its classes in their order, if they have any (`LABEL_0` is none). Training compares them
    /// with those of the other models and of the data.
    fn class_names(&self) -> Option<Vec<String>> {
        self.inner().and_then(Model::class_names)
    }

    /// The vocabulary that its token ids belong to, if it is known. Training compares it with those of the
    /// other models that read the same ids, and with that of the data.
    ///
    /// # Errors
    /// A tokenizer file that cannot be read.
    fn vocabulary(&self) -> Result<Option<Vocabulary>> {
        self.inner().map_or(Ok(None), Model::vocabulary)
    }

    /// Told to a student before training, where it states no problem type or no names itself: those of the
    /// teachers whose logits it learns from, or else of the data, which a saved model then carries.
    fn learn_task(&self, problem: Option<ProblemType>, names: Option<&[String]>) {
        if let Some(inner) = self.inner() {
            inner.learn_task(problem, names);
        }
    }

    /// Writes the model to a folder; unless said otherwise as [`Parameters::save`] does.
    ///
    /// # Errors
    /// A file that cannot be written.
    fn save(&self, folder: &Path) -> Result<()> {
        self.parameters().save(folder)
    }
}

/// The identity of a model that its config makes: each key of it, and the type.
pub(crate) fn identity_of<M>(config: &impl serde::Serialize) -> Result<BTreeMap<String, String>> {
    let mut identity = BTreeMap::from([("type".to_owned(), std::any::type_name::<M>().to_owned())]);
    if let serde_json::Value::Object(config) = serde_json::to_value(config).map_err(Error::other)? {
        identity.extend(config.into_iter().map(|(key, value)| (key, value.to_string())));
    }
    Ok(identity)
}

/// Runs a model on a batch. Written by `#[distill(batch = …)]` on an `impl` with `fn forward`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no `forward` for the batch this adaptor reads",
    label = "this adaptor belongs to another model or another batch",
    note = "write `#[distill(batch = …)]`, with the adaptor's batch, on the `impl` of `{Self}` that holds `fn forward`"
)]
pub trait Forward<B>: 'static {
    /// What the model returns.
    type Output;
    /// One forward pass.
    fn run(&self, batch: &B, pass: &Pass) -> Result<Self::Output>;
    /// The columns of the batch that it reads; `None` where it may read any. What a teacher cache finds a
    /// row by.
    fn reads(&self) -> Option<Vec<String>> {
        None
    }

    /// What each of the model's own losses ([`Losses`](crate::role::Losses)) counts in their mean, known
    /// before any forward pass: for each of them a tensor of its shape, or of the shape of what a scalar
    /// loss is the mean of; 0 or above, and 0 for what is left out.
    ///
    /// The default, `None`, leaves it to the labels: one of -100 does not count.
    fn losses_count(&self, batch: &B) -> Result<Option<Vec<Tensor>>> {
        let _ = batch;
        Ok(None)
    }
}

// One model in several hands: the student of several tasks, or one that its owner keeps. A tensor may be sent
// to another thread, and not be used by two at once: so a lock, which costs nothing where nobody waits for it.
// What a panic elsewhere left behind are still the model's tensors.
impl<M: Model> Model for Arc<Mutex<M>> {
    fn parameters(&self) -> Parameters {
        self.lock().unwrap_or_else(PoisonError::into_inner).parameters()
    }
    fn identity(&self) -> Result<BTreeMap<String, String>> {
        self.lock().unwrap_or_else(PoisonError::into_inner).identity()
    }

    fn problem_type(&self) -> Option<ProblemType> {
        self.lock().unwrap_or_else(PoisonError::into_inner).problem_type()
    }
    fn class_names(&self) -> Option<Vec<String>> {
        self.lock().unwrap_or_else(PoisonError::into_inner).class_names()
    }
    fn vocabulary(&self) -> Result<Option<Vocabulary>> {
        self.lock().unwrap_or_else(PoisonError::into_inner).vocabulary()
    }
    fn learn_task(&self, problem: Option<ProblemType>, names: Option<&[String]>) {
        self.lock().unwrap_or_else(PoisonError::into_inner).learn_task(problem, names);
    }
    fn save(&self, folder: &Path) -> Result<()> {
        self.lock().unwrap_or_else(PoisonError::into_inner).save(folder)
    }
}

impl<B, M: Forward<B> + Send> Forward<B> for Arc<Mutex<M>> {
    type Output = M::Output;
    fn run(&self, batch: &B, pass: &Pass) -> Result<M::Output> {
        self.lock().unwrap_or_else(PoisonError::into_inner).run(batch, pass)
    }
    fn reads(&self) -> Option<Vec<String>> {
        self.lock().unwrap_or_else(PoisonError::into_inner).reads()
    }

    fn losses_count(&self, batch: &B) -> Result<Option<Vec<Tensor>>> {
        self.lock().unwrap_or_else(PoisonError::into_inner).losses_count(batch)
    }
}

/// Joins a model to the adaptor that reads its outputs.
pub trait SeenBy: Sized + 'static {
    /// The model as distillation sees it through this adaptor.
    fn seen_by<A: Adaptor>(self, adaptor: A) -> Seen<A>
    where
        Self: Forward<A::Batch, Output = A::Output> + Model,
    {
        let _ = adaptor;
        Seen { model: Box::new(self), by_name: false }
    }

    /// The model as distillation sees it through the adaptor of what it returns, the one that `#[distill]` made.
    ///
    /// A model that runs batches of several types, or whose output is read by another adaptor, names it:
    /// [`seen_by`](SeenBy::seen_by).
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

/// A model, erased, with its adaptor in the type.
pub struct Seen<A: Adaptor> {
    model: Box<dyn Runs<A>>,
    /// Whether the classes of a teacher are put in the student's order.
    by_name: bool,
}

impl<A: Adaptor> fmt::Debug for Seen<A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Seen<{}>", std::any::type_name::<A>())
    }
}

impl<A: Adaptor> Seen<A> {
    /// As a teacher: its logits are put in the order of the student's classes, which are found by their
    /// names, without regard to case. Both must name the same classes. Without this a teacher whose classes
    /// stand in another order is refused.
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
    fn learn_task(&self, problem: Option<ProblemType>, names: Option<&[String]>) {
        self.model.learn_task(problem, names);
    }
    fn save(&self, folder: &Path) -> Result<()> {
        self.model.save(folder)
    }
}

/// A model that runs the adaptor's batch into the adaptor's output.
trait Runs<A: Adaptor>: Model {
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

/// One side of a pipeline with the adaptor erased as well: what the executor drives.
pub trait Side<B>: Model {
    /// The roles its adaptor provides.
    fn roles(&self) -> &'static [&'static str];
    /// One forward pass; the output is opaque to all but [`Side::read`].
    fn forward(&self, batch: &B, pass: &Pass) -> Result<Box<dyn Any>>;
    /// The value of a role, of an output that this side made.
    fn read(&self, role: &str, batch: &B, output: &dyn Any) -> Result<Option<Feature>>;
    /// The value of a role that needs no forward pass.
    fn read_batch(&self, role: &str, batch: &B) -> Result<Option<Feature>>;
    /// Whether its classes are put in the student's order: [`Seen::classes_by_name`].
    fn takes_classes_by_name(&self) -> bool;
    /// What each of the model's own losses counts, as far as that is known before a forward pass: what
    /// [`Forward::losses_count`] says, or else 1 for each integer label and 0 for one of -100. `None`
    /// where there are no such labels.
    fn losses_count(&self, batch: &B) -> Result<Option<Vec<Tensor>>>;
    /// The name of its adaptor.
    fn adaptor_name(&self) -> &'static str;
    /// The columns of a batch that the model reads; `None` if it may read any.
    fn columns_read(&self) -> Option<Vec<String>>;
    /// What a teacher cache finds the rows of a batch by.
    fn row_keys(&self, batch: &B) -> Result<RowKeys>;
    /// These rows of a batch.
    fn rows_of(&self, batch: &B, rows: &[i64]) -> Result<B>;
    /// The batch with these columns cut to a length, and then padded to another.
    fn padded(&self, batch: &B, columns: &[&str], cut: usize, length: usize) -> Result<B>;
}

/// 1 for each label that counts, 0 for one of -100; `None` where labels are no integers.
pub(crate) fn labelled(labels: &[Tensor]) -> Option<Result<Vec<Tensor>>> {
    let whole = |labels: &Tensor| {
        matches!(labels.kind(), Kind::Int64 | Kind::Int | Kind::Int16 | Kind::Int8 | Kind::Uint8)
    };
    let one = |labels: &Tensor| Ok(counts(labels)?.f_to_kind(Kind::Float)?);
    labels.iter().all(whole).then(|| labels.iter().map(one).collect())
}

impl<B: Batch, A: Adaptor<Batch = B>> Side<B> for Seen<A> {
    fn roles(&self) -> &'static [&'static str] {
        A::ROLES
    }

    fn forward(&self, batch: &B, pass: &Pass) -> Result<Box<dyn Any>> {
        Ok(Box::new(self.run(batch, pass)?))
    }

    fn read(&self, role: &str, batch: &B, output: &dyn Any) -> Result<Option<Feature>> {
        let output = output.downcast_ref::<A::Output>().ok_or_else(|| {
            Error::invalid(format!(
                "an output reached the adaptor of another model: `{}` reads `{}`",
                std::any::type_name::<A>(),
                std::any::type_name::<A::Output>()
            ))
        })?;
        A::read(role, batch, output)
    }

    fn read_batch(&self, role: &str, batch: &B) -> Result<Option<Feature>> {
        A::read_batch(role, batch)
    }

    fn takes_classes_by_name(&self) -> bool {
        self.by_name
    }

    fn losses_count(&self, batch: &B) -> Result<Option<Vec<Tensor>>> {
        if let Some(counts) = self.model.count_losses(batch)? {
            return Ok(Some(counts));
        }
        let labels = A::read_batch(Labels::NAME, batch)?.map(Feature::into_tensors);
        labels.and_then(|labels| labelled(&labels)).transpose()
    }

    fn adaptor_name(&self) -> &'static str {
        std::any::type_name::<A>()
    }

    fn columns_read(&self) -> Option<Vec<String>> {
        self.model.columns_read()
    }

    fn row_keys(&self, batch: &B) -> Result<RowKeys> {
        RowKeys::of::<A>(batch, self.model.columns_read().as_deref())
    }

    fn rows_of(&self, batch: &B, rows: &[i64]) -> Result<B> {
        let count = i64::try_from(batch.rows()).unwrap_or(i64::MAX);
        batch.map(&mut |name, tensor| {
            // What belongs to all rows stays whole.
            if tensor.size().first() != Some(&count) {
                return Ok(tensor.shallow_clone());
            }
            let rows = Tensor::f_from_slice(rows)?.f_to_device(tensor.device())?;
            tensor.f_index_select(0, &rows).in_stage(name)
        })
    }

    fn padded(&self, batch: &B, columns: &[&str], cut: usize, length: usize) -> Result<B> {
        let size = |size| i64::try_from(size).unwrap_or(i64::MAX);
        batch.map(&mut |name, tensor| {
            if !columns.contains(&name) {
                return Ok(tensor.shallow_clone());
            }
            let mut sides = vec![0; 2 * tensor.dim().saturating_sub(2)];
            sides.extend([0, size(length) - size(cut)]);
            let padding = B::pad(name).unwrap_or(0.0);
            let cut = tensor.f_narrow(1, 0, size(cut));
            cut.and_then(|cut| cut.f_pad(sides, "constant", padding)).in_stage(name)
        })
    }
}
