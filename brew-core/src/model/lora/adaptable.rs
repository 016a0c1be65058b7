//! What all models with adapters have in common: attaching adapters, taking them off, and merging them.

use std::path::PathBuf;

use super::attach::{REFUSED, Source, ends_with, saves};
use super::attached::{Attached, Base};
use super::{Attach, Lora};
use crate::error::{Error, Result};
use crate::model::weights::Weights;
use crate::parameters::Parameters;
use crate::words::numbered;

/// A model whose linear layers may have adapters.
pub(crate) trait Adaptable: Sized {
    /// The same model from other weights of the same names and shapes; `folder` is where the base is stored, if it is.
    fn rebuilt(&self, weights: Weights, folder: Option<PathBuf>) -> Result<Self>;
    /// All that it computes with, adapters among it.
    fn all_parameters(&self) -> Parameters;
    /// Its adapters.
    fn attached(&self) -> Option<&Attached>;
    /// What its architecture and task mean for adapters.
    fn facts(&self) -> Facts;
}

/// What an architecture and a task mean for adapters.
#[derive(Debug)]
pub(crate) struct Facts {
    /// The suffixes of [`Targets::Usual`](super::Targets::Usual).
    pub(crate) usual: &'static [&'static str],
    /// What peft calls the task, if it has a name for it.
    pub(crate) task_type: Option<&'static str>,
    /// The modules that peft saves for this task, by the ends of their names.
    pub(crate) head: &'static [&'static str],
    /// The modules that share one matrix.
    pub(crate) tied: Vec<String>,
    /// Whether linear layers are stored `(inputs, outputs)`.
    pub(crate) inputs_first: bool,
    /// The prefix of all names that peft leaves out, because the model is an encoder alone; or nothing.
    pub(crate) prefix: String,
    /// The folder, or the GGUF file, of the base.
    pub(crate) folder: Option<PathBuf>,
}

/// The model with new adapters, its other parameters frozen.
pub(crate) fn with_lora<M: Adaptable>(model: &M, mut lora: Lora, seed: u64) -> Result<M> {
    refuse_second(model)?;
    let facts = model.facts();
    let base = model.all_parameters();
    let mut problems = lora.problems();
    problems.extend(of_tied(&lora, &facts));
    let saved = lora.modules_to_save.iter();
    let unknown =
        saved.filter(|suffix| !base.iter().any(|(name, _)| saves(std::slice::from_ref(*suffix), name)));
    problems.extend(unknown.map(|suffix| format!("no module's name ends with `{suffix}`, to be saved")));
    if !problems.is_empty() {
        return Err(Error::invalid(numbered(REFUSED, &problems)));
    }
    for module in facts.head {
        if !lora.modules_to_save.iter().any(|known| known == module) {
            lora.modules_to_save.push((*module).to_owned());
        }
    }
    attach(model, Attach::new(lora, facts.usual, Source::Seed(seed), Base::freeze(base)?), "the base")
}

/// Builds the model again, with adapters; `origin` is where their values come from.
pub(super) fn attach<M: Adaptable>(model: &M, attach: Attach, origin: impl Into<PathBuf>) -> Result<M> {
    let parameters = model.all_parameters();
    let stored = parameters.iter().map(|(name, tensor)| (name.to_owned(), Ok(tensor.shallow_clone())));
    let weights = Weights::shared(origin, parameters.device(), stored).with_adapters(attach);
    model.rebuilt(weights, model.facts().folder)
}

/// Refuses a model that has adapters already.
pub(super) fn refuse_second<M: Adaptable>(model: &M) -> Result<()> {
    if model.attached().is_some() {
        return Err(Error::invalid(
            "the model has adapters already: merge them with `merge_lora`, or leave them with `lora_off`, before it gets others",
        ));
    }
    Ok(())
}

/// What is wrong with the use of a matrix that two modules share: an adapter of one of them could not be merged, and
/// training one whole would part them.
pub(super) fn of_tied(lora: &Lora, facts: &Facts) -> Vec<String> {
    let shared = |module: &str| {
        format!(
            "`{module}` cannot be adapted or learn whole: the head of this model is its matrix of embeddings, so leave it out"
        )
    };
    let targets = lora.targets.suffixes().iter();
    let targets = targets.filter(|suffix| facts.tied.iter().any(|module| ends_with(module, suffix)));
    let saved = lora.modules_to_save.iter();
    let saved = saved.filter(|suffix| facts.tied.iter().any(|module| module.ends_with(suffix.as_str())));
    targets.chain(saved).map(|suffix| shared(suffix)).collect()
}

/// The base of a model with adapters: another model that shares its weights in memory.
pub(crate) fn lora_off<M: Adaptable>(model: &M) -> Result<M> {
    let base = &required(model)?.base;
    let stored = base.handles()?.into_iter().map(|(name, tensor)| (name, Ok(tensor)));
    model.rebuilt(Weights::shared("the base", base.device(), stored), model.facts().folder)
}

/// The model without adapters that computes the same.
pub(crate) fn merge_lora<M: Adaptable>(model: &M) -> Result<M> {
    let attached = required(model)?;
    let merged = attached.merged(model.facts().inputs_first)?;
    let stored = merged.into_iter().map(|(name, tensor)| (name, Ok(tensor)));
    // No folder holds merged weights yet.
    model.rebuilt(Weights::shared("the merged model", attached.base.device(), stored), None)
}

/// The parameters of the model without adapters that computes the same; the model's own if it has no adapters.
pub(crate) fn merged_parameters<M: Adaptable>(model: &M) -> Result<Parameters> {
    match model.attached() {
        Some(attached) => Ok(Parameters::new(attached.merged(model.facts().inputs_first)?)),
        None => Ok(model.all_parameters()),
    }
}

/// The adapters of a model that must have some.
pub(super) fn required<M: Adaptable>(model: &M) -> Result<&Attached> {
    model.attached().ok_or_else(|| {
        Error::invalid(
            "the model has no adapters: add new ones with `with_lora`, or load some with `load_adapter`",
        )
    })
}
