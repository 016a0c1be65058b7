//! Models: anything that can run a batch and list its parameters.
//!
//! `#[distill(batch = …)]` on the `impl` with `fn forward` writes [`Forward`]; the user adds
//! [`Model`], which says what is trained and how it is saved. [`SeenBy::seen_by`] then joins a model
//! to an adaptor; from there on the model's own type is erased and the adaptor's stays.

pub mod bert;
mod folder;
mod given;
pub mod gru;
mod keep;
mod mapping;
mod normal;
mod parameter_table;
mod parts;
mod torchscript;
mod weights;

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tch::{Device, Tensor};

use crate::adaptor::Adaptor;
use crate::batch::Batch;
use crate::cache::RowKeys;
use crate::error::{Error, InStage as _, Result, numbered, suggest};
use crate::feature::Feature;
use crate::pass::Pass;

pub use bert::{
    BertConfig, BertForQuestionAnswering, BertForSequenceClassification, BertForTokenClassification,
    ClassifierOutput, ClassifierOutputAdaptor, FloatLabelClassifierAdaptor, FloatLabelTextBatch, SpanBatch,
    SpanOutput, SpanOutputAdaptor, TextBatch, TokenBatch, TokenClassifierOutput,
    TokenClassifierOutputAdaptor,
};
pub(crate) use folder::{read_tensors, tensors_as_bytes, write_tensors, write_weights};
pub use gru::{BiGruConfig, BiGruForSequenceClassification, BiGruForTokenClassification};
pub use keep::Keep;
pub use mapping::LayerMap;
pub use parts::Activation;
pub use torchscript::{Part, ScriptOutput, ScriptOutputAdaptor, TorchScript};

/// The parameters of a model and how it is written to disk.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say what its parameters are",
    label = "not a model yet",
    note = "add `impl Model for {Self}`: `parameters` lists what is trained or frozen, `save` writes it"
)]
pub trait Model: Send + 'static {
    /// Every parameter by name. A student trains those that require a gradient; all of a teacher's
    /// are frozen.
    fn parameters(&self) -> Parameters;

    /// Writes the model to a folder.
    ///
    /// # Errors
    /// The default refuses, and names the mend.
    fn save(&self, folder: &Path) -> Result<()> {
        Err(Error::file(folder, "this model does not say how it is saved: implement `Model::save`"))
    }
}

/// Named parameters, sorted by name.
#[derive(Debug, Default)]
pub struct Parameters(Vec<(String, Tensor)>);

impl Parameters {
    /// Sorts the parameters by name.
    pub fn new(named: impl IntoIterator<Item = (String, Tensor)>) -> Self {
        let mut named: Vec<_> = named.into_iter().collect();
        named.sort_by(|(left, _), (right, _)| left.cmp(right));
        Parameters(named)
    }

    /// Name and tensor of each.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.0.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Number of scalars, each shared tensor counted once.
    pub fn scalars(&self) -> usize {
        let mut seen = BTreeSet::new();
        self.0
            .iter()
            .filter(|(_, tensor)| seen.insert(tensor.data_ptr() as usize))
            .map(|(_, tensor)| tensor.numel())
            .sum()
    }

    /// The parameters of several lists, each tensor once, under the first name it has. A name that
    /// another tensor has already is put behind the name of its list: `products/head.weight`.
    pub(crate) fn union<'n>(lists: impl IntoIterator<Item = (&'n str, Parameters)>) -> Self {
        let mut named: BTreeMap<String, Tensor> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for (list, parameters) in lists {
            for (name, tensor) in parameters.0 {
                // Tensors without elements have no place of their own in memory.
                if tensor.numel() > 0 && !seen.insert(tensor.data_ptr() as usize) {
                    continue;
                }
                let name = if named.contains_key(&name) { format!("{list}/{name}") } else { name };
                named.insert(name, tensor);
            }
        }
        Parameters(named.into_iter().collect())
    }

    /// Copies these values into the tensors of the same names.
    ///
    /// # Errors
    /// `title` with every value that is missing, unknown or of another shape; nothing is changed then.
    pub(crate) fn take(&self, given: &BTreeMap<String, Tensor>, title: &str) -> Result<()> {
        let names = || self.iter().map(|(name, _)| name);
        let mut problems: Vec<String> = (given.keys())
            .filter(|name| !names().any(|known| known == *name))
            .map(|name| format!("`{name}` has no place there{}", suggest(name, names())))
            .collect();
        problems.extend(self.iter().filter_map(|(name, tensor)| match given.get(name) {
            None => Some(format!("`{name}` is missing")),
            Some(value) if value.size() != tensor.size() => {
                Some(format!("`{name}` is {:?}, it must be {:?}", value.size(), tensor.size()))
            }
            Some(_) => None,
        }));
        if !problems.is_empty() {
            return Err(Error::invalid(numbered(title, &problems)));
        }
        let _guard = tch::no_grad_guard();
        for (name, tensor) in self.iter() {
            if let Some(value) = given.get(name) {
                tensor.shallow_clone().f_copy_(value).in_stage(name)?;
            }
        }
        Ok(())
    }

    /// Where the first parameter lives; the CPU where there is none.
    pub fn device(&self) -> Device {
        self.0.first().map_or(Device::Cpu, |(_, tensor)| tensor.device())
    }

    /// Switches gradients on or off for all of them.
    pub(crate) fn require_gradients(&self, required: bool) {
        for (_, tensor) in &self.0 {
            let _ = tensor.set_requires_grad(required);
        }
    }
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
}

// One model in several hands: the student of several tasks, or one that its owner keeps. A tensor may be sent
// to another thread, and not be used by two at once: so a lock, which costs nothing where nobody waits for it.
// What a panic elsewhere left behind are still the model's tensors.
impl<M: Model> Model for Arc<Mutex<M>> {
    fn parameters(&self) -> Parameters {
        self.lock().unwrap_or_else(PoisonError::into_inner).parameters()
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
}

/// Joins a model to the adaptor that reads its outputs.
pub trait SeenBy: Sized + 'static {
    /// The model as distillation sees it through this adaptor.
    fn seen_by<A: Adaptor>(self, adaptor: A) -> Seen<A>
    where
        Self: Forward<A::Batch, Output = A::Output> + Model,
    {
        let _ = adaptor;
        Seen { model: Box::new(self) }
    }
}

impl<M: 'static> SeenBy for M {}

/// A model, erased, with its adaptor in the type.
pub struct Seen<A: Adaptor> {
    model: Box<dyn Runs<A>>,
}

impl<A: Adaptor> fmt::Debug for Seen<A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Seen<{}>", std::any::type_name::<A>())
    }
}

impl<A: Adaptor> Seen<A> {
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
    fn save(&self, folder: &Path) -> Result<()> {
        self.model.save(folder)
    }
}

/// A model that runs the adaptor's batch into the adaptor's output.
trait Runs<A: Adaptor>: Model {
    fn run_model(&self, batch: &A::Batch, pass: &Pass) -> Result<A::Output>;
}

impl<A: Adaptor, M: Forward<A::Batch, Output = A::Output> + Model> Runs<A> for M {
    fn run_model(&self, batch: &A::Batch, pass: &Pass) -> Result<A::Output> {
        self.run(batch, pass)
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
    /// The name of its adaptor.
    fn adaptor_name(&self) -> &'static str;
    /// What a teacher cache finds the rows of a batch by.
    fn row_keys(&self, batch: &B) -> Result<RowKeys>;
    /// These rows of a batch, with these columns cut to a length.
    fn rows_of(&self, batch: &B, rows: &[i64], columns: &[&str], length: i64) -> Result<B>;
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

    fn adaptor_name(&self) -> &'static str {
        std::any::type_name::<A>()
    }

    fn row_keys(&self, batch: &B) -> Result<RowKeys> {
        RowKeys::of::<A>(batch)
    }

    fn rows_of(&self, batch: &B, rows: &[i64], columns: &[&str], length: i64) -> Result<B> {
        batch.map(&mut |name, tensor| {
            let rows =
                tensor.f_index_select(0, &Tensor::f_from_slice(rows)?.f_to_device(tensor.device())?)?;
            Ok(if columns.contains(&name) { rows.f_narrow(1, 0, length)? } else { rows })
        })
    }
}
