//! TorchScript teachers: models traced or scripted in Python.
//!
//! Such a model is frozen and cannot be a student, because brew cannot save it. Its output (a tensor, a tuple
//! or a dict) becomes logits and hidden states by position or by key.
//!
//! In Python, for a model of transformers:
//!
//! ```python
//! model = AutoModelForSequenceClassification.from_pretrained(folder, torchscript=True).eval()
//! torch.jit.trace(model, (input_ids, attention_mask)).save("teacher.pt")
//! ```

mod part;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use brew_macros::distill;
use tch::{CModule, Device, IValue, Tensor};

pub use part::Part;
use part::tensors;

use super::{Forward, Model, TextBatch};
use crate::batch::Batch;
use crate::error::{Error, InStage, Result};
use crate::parameters::Parameters;
use crate::pass::Pass;
use crate::words::suggest;

/// A TorchScript module in evaluation mode.
///
/// ```no_run
/// use brew_core::model::{Part, ScriptOutputAdaptor, TorchScript};
/// use brew_core::prelude::*;
///
/// # fn main() -> Result<()> {
/// let teacher = TorchScript::load("teacher.pt", Device::Cpu)?
///     .inputs(["input_ids", "attention_mask"])
///     .logits(Part::At(0))
///     .hidden(Part::At(1));
/// let teacher: Seen<ScriptOutputAdaptor> = teacher.seen_by(ScriptOutputAdaptor);
/// # Ok(())
/// # }
/// ```
pub struct TorchScript {
    path: PathBuf,
    /// The hash of the file: it covers code, constants, parameters and buffers, some of which libtorch does
    /// not list.
    file: String,
    module: CModule,
    inputs: Vec<String>,
    logits: Part,
    hidden: Option<Part>,
    /// Whether two passes over the same batch have been compared.
    compared: Cell<bool>,
}

/// The output of a TorchScript module.
///
/// Its adaptor reads [`TextBatch`]; for another batch type write your own `#[adaptor(batch = …, output =
/// ScriptOutput)]`.
#[distill(batch = TextBatch, inputs_mask = attention_mask, labels = labels)]
#[derive(Debug)]
pub struct ScriptOutput {
    /// Scores before the softmax, `(batch, classes)` or `(batch, length, classes)`.
    #[role(logits)]
    pub logits: Tensor,
    /// The module's hidden states, in its own order; empty if none are read.
    #[role(hidden)]
    pub hidden_states: Vec<Tensor>,
}

impl fmt::Debug for TorchScript {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TorchScript")
            .field("path", &self.path)
            .field("inputs", &self.inputs)
            .field("logits", &self.logits)
            .field("hidden", &self.hidden)
            .finish_non_exhaustive()
    }
}

impl TorchScript {
    /// Loads a module in evaluation mode, with all parameters frozen.
    ///
    /// By default it is called with the columns `input_ids` and `attention_mask`, the logits are at position
    /// 0, and no hidden states are read.
    ///
    /// # Errors
    /// A file that is missing or not a TorchScript module.
    pub fn load(path: impl AsRef<Path>, device: Device) -> Result<Self> {
        let path = path.as_ref();
        if !path.is_file() {
            return Err(Error::file(
                path,
                "the file does not exist: save one with torch.jit.trace(…).save(…)",
            ));
        }
        let refused = |error: tch::TchError| {
            let message =
                format!("not a TorchScript module (torch.jit.save writes them): {}", Error::from(error));
            Error::file(path, message)
        };
        let mut module = CModule::load_on_device(path, device).map_err(refused)?;
        module.f_set_eval().map_err(refused)?;
        for (_, parameter) in module.named_parameters().map_err(refused)? {
            let _ = parameter.f_set_requires_grad(false)?;
        }
        let mut hasher = blake3::Hasher::new();
        let file = std::fs::File::open(path).and_then(|file| Ok(hasher.update_reader(file)?.finalize()));
        let file = file.map_err(|error| Error::file(path, error))?.to_hex().to_string();
        Ok(TorchScript {
            path: path.to_owned(),
            file,
            module,
            inputs: vec!["input_ids".to_owned(), "attention_mask".to_owned()],
            logits: Part::At(0),
            hidden: None,
            compared: Cell::new(false),
        })
    }

    /// The columns of the batch that the module's `forward` takes, in the order of its arguments.
    #[must_use]
    pub fn inputs(self, columns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        TorchScript { inputs: columns.into_iter().map(Into::into).collect(), ..self }
    }

    /// Where the logits are.
    #[must_use]
    pub fn logits(self, part: Part) -> Self {
        TorchScript { logits: part, ..self }
    }

    /// Where the hidden states are: a tuple or list of tensors, embeddings first.
    #[must_use]
    pub fn hidden(self, part: Part) -> Self {
        TorchScript { hidden: Some(part), ..self }
    }

    fn call(&self, inputs: &[IValue]) -> Result<ScriptOutput> {
        let returned = self.module.forward_is(inputs).in_stage("torchscript forward")?;
        let logits = match self.logits.of(&returned, &self.path, "logits")? {
            IValue::Tensor(logits) => logits.shallow_clone(),
            other => return Err(self.logits.misfit(&self.path, "logits", "a tensor", other)),
        };
        let hidden_states = match &self.hidden {
            None => Vec::new(),
            Some(part) => {
                let found = part.of(&returned, &self.path, "hidden states")?;
                tensors(found).ok_or_else(|| {
                    part.misfit(&self.path, "hidden states", "a tuple or list of tensors", found)
                })?
            }
        };
        Ok(ScriptOutput { logits, hidden_states })
    }
}

impl<B: Batch> Forward<B> for TorchScript {
    type Output = ScriptOutput;

    fn run(&self, batch: &B, _: &Pass) -> Result<ScriptOutput> {
        let inputs = self.inputs.iter().map(|name| {
            batch.column(name).map(|tensor| IValue::Tensor(tensor.shallow_clone())).ok_or_else(|| {
                let near = suggest(name, batch.tensors().into_iter().map(|(column, _)| column));
                Error::invalid(format!(
                    "the TorchScript module takes `{name}`, which is not a column of the batch{near}"
                ))
            })
        });
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        let output = self.call(&inputs)?;
        if !self.compared.replace(true) && !output.logits.f_equal(&self.call(&inputs)?.logits)? {
            let message = "two passes over the same batch differ, as with dropout left on: call `model.eval()` in Python before tracing it";
            return Err(Error::file(&self.path, message));
        }
        Ok(output)
    }

    fn reads(&self) -> Option<Vec<String>> {
        Some(self.inputs.clone())
    }
}

impl Model for TorchScript {
    fn parameters(&self) -> Parameters {
        Parameters::new(self.module.named_parameters().unwrap_or_default())
    }

    fn save(&self, _: &Path) -> Result<()> {
        Err(Error::file(&self.path, "a TorchScript module cannot be saved: copy its file instead"))
    }

    fn identity(&self) -> Result<BTreeMap<String, String>> {
        let hidden = self.hidden.as_ref().map_or_else(|| "none".to_owned(), Part::to_string);
        Ok(BTreeMap::from([
            ("type".to_owned(), "TorchScript".to_owned()),
            ("file (hash)".to_owned(), self.file.clone()),
            ("inputs".to_owned(), self.inputs.join(", ")),
            ("logits".to_owned(), self.logits.to_string()),
            ("hidden states".to_owned(), hidden),
        ]))
    }
}
