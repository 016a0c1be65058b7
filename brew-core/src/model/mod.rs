//! Models: anything that can run a batch and list its parameters.
//!
//! `#[distill(batch = …)]` on the `impl` with `fn forward` implements [`Forward`]; the user implements
//! [`Model`], which lists the model's tensors and saves it. [`SeenBy::seen_by`] then combines a model with an
//! adaptor; from there on the model's own type is erased and the adaptor's remains.

mod activation;
pub mod bert;
mod causal_lm;
mod class_order;
mod cross_entropy;
pub mod decoder;
mod documents;
mod erased;
mod folder;
mod forward;
mod given;
pub mod gru;
mod influence;
mod keep;
mod layer_outputs;
mod lora;
mod mapping;
mod normal;
mod parts;
pub(crate) mod problem;
mod scores;
mod seen;
pub(crate) mod shapes;
mod shared;
mod subset;
mod told;
mod torchscript;
mod weights;

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::{Error, Result};
use crate::parameters::Parameters;
use crate::vocabulary::Vocabulary;

pub use activation::Activation;
pub use bert::{
    Architecture, BertConfig, BertForMaskedLm, BertForQuestionAnswering, BertForSequenceClassification,
    BertForTokenClassification, BertModel, ClassifierOutput, ClassifierOutputAdaptor, EncoderOutput,
    EncoderOutputAdaptor, FloatLabelClassifierAdaptor, FloatLabelTextBatch, MaskedLmBatch, MaskedLmOutput,
    MaskedLmOutputAdaptor, SpanBatch, SpanOutput, SpanOutputAdaptor, TextBatch, TokenBatch,
    TokenClassifierOutput, TokenClassifierOutputAdaptor,
};
pub use causal_lm::{CausalLm, Continuation, Prefill};
pub(crate) use class_order::{Agreement, agreement, listed, order_of};
pub use decoder::{
    CausalLmAnswersAdaptor, CausalLmBatch, CausalLmOutput, CausalLmOutputAdaptor, DecoderArchitecture,
    DecoderConfig, DecoderForCausalLm,
};
pub use erased::ErasedModel;
pub(crate) use erased::labelled;
pub use folder::ModelFiles;
pub use forward::Forward;
pub use gru::{BiGruConfig, BiGruForSequenceClassification, BiGruForTokenClassification};
pub use influence::BlockInfluence;
pub use keep::Keep;
pub use lora::{Lora, Targets};
pub use mapping::LayerMap;
pub use problem::ProblemType;
pub use scores::Scores;
pub use seen::{Seen, SeenBy};
pub use torchscript::{Part, ScriptOutput, ScriptOutputAdaptor, TorchScript};

/// The tensors of a model, its identity, and how it is saved.
///
/// With `tch::nn` variables in a `VarStore` it takes one line:
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
    /// ([`Parameters::with_buffers`]), such as the running statistics of a batch norm. In a student, the
    /// parameters that require a gradient are trained; all parameters of a teacher are frozen.
    ///
    /// A tensor that is missing here is missing from checkpoints and from the identity of a cached teacher. A
    /// resumed run detects this by the student's outputs for two rows, and refuses to continue.
    fn parameters(&self) -> Parameters;

    /// The weights that it holds, never learns and does not list in [`parameters`](Self::parameters): the base of an
    /// adapter. [`Trainer::explain_on`](crate::train::Trainer::explain_on) counts them. The default is those of the
    /// [`inner`](Self::inner) model.
    fn unlisted(&self) -> Parameters {
        self.inner().map(Model::unlisted).unwrap_or_default()
    }

    /// The model that this one wraps: `Some(&self.0)` for a struct around one of brew's. Whatever the wrapper
    /// does not state itself (identity, problem type, class names, vocabulary, whether it reads packed rows and takes its dropout from the pass) is then
    /// taken from that model, so that training can check it. [`parameters`](Self::parameters) and [`save`](Self::save) are the
    /// wrapper's own.
    fn inner(&self) -> Option<&dyn Model> {
        None
    }

    /// Everything else that its output depends on, as named values: the config, the file that its code is in.
    /// A teacher cache with different values is refused, and so is resuming a run with a different teacher.
    /// The default is the name of the type, with the identity of the [`inner`](Self::inner) model.
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

    /// The problem type, which decides what its labels are and how its logits are read, if it states one.
    fn problem_type(&self) -> Option<ProblemType> {
        self.inner().and_then(Model::problem_type)
    }

    /// The names of its classes in order, if they have names (`LABEL_0` does not count). Training compares
    /// them with those of the other models and of the data.
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

    /// Whether it tells the documents of packed rows apart, which its inputs mask numbers 1, 2, 3 and so on. A mask
    /// with such numbers is refused for other models, which would mix the documents.
    fn reads_documents(&self) -> bool {
        self.inner().is_some_and(Model::reads_documents)
    }

    /// Whether all of its dropout has the probability that the pass gives it ([`Pass::dropout`](crate::pass::Pass::dropout)),
    /// so that [`Trainer::student_dropout`](crate::train::Trainer::student_dropout) can set it. brew's own models do;
    /// so does a wrapper around one of them, unless it adds dropout of its own without asking the pass and says
    /// `false` here.
    fn takes_dropout(&self) -> bool {
        self.inner().is_some_and(Model::takes_dropout)
    }

    /// The same model as one that continues texts, if it can. A student needs it to learn on policy, from texts that it
    /// writes itself: see [`rollout`](crate::rollout).
    ///
    /// Unlike the other methods, this one does not follow [`inner`](Self::inner), since a wrapper that changes what its
    /// model computes would write with another model than the one that learns. A wrapper that changes nothing returns
    /// `Some(&self.0)`.
    fn causal_lm(&self) -> Option<&dyn CausalLm> {
        None
    }

    /// Called on a student before training if it does not state a problem type or class names, with those of
    /// the teachers whose logits it learns from, or else of the data. A saved model then contains them.
    fn learn_task(&self, problem: Option<ProblemType>, names: Option<&[String]>) {
        if let Some(inner) = self.inner() {
            inner.learn_task(problem, names);
        }
    }

    /// Writes the model to a folder; by default with [`Parameters::save`].
    ///
    /// # Errors
    /// A file that cannot be written.
    fn save(&self, folder: &Path) -> Result<()> {
        self.parameters().save(folder)
    }
}

/// The identity of a model that is defined by its config: each of its keys, and the type.
pub(crate) fn identity_of<M>(config: &impl serde::Serialize) -> Result<BTreeMap<String, String>> {
    let mut identity = BTreeMap::from([("type".to_owned(), std::any::type_name::<M>().to_owned())]);
    if let serde_json::Value::Object(config) = serde_json::to_value(config).map_err(Error::other)? {
        identity.extend(config.into_iter().map(|(key, value)| (key, value.to_string())));
    }
    Ok(identity)
}
