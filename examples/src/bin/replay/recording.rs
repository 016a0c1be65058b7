//! The files of a recorded run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use brew_core::plan::OptimizerChanges;
use brew_core::prelude::{Error, Result, Tensor};
use brew_core::textbrewer::config::{DistillationConfig, TrainingConfig};
use brew_core::train::AdamW;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Everything but the models.
pub(crate) struct Recording {
    pub(crate) folder: PathBuf,
    pub(crate) distill: DistillationConfig,
    pub(crate) train: TrainingConfig,
    pub(crate) expected: Expected,
    pub(crate) optimizer: AdamW,
    /// Columns, `(batches, rows, …)` each.
    pub(crate) columns: BTreeMap<String, Tensor>,
}

/// `expected.json`.
#[derive(Deserialize)]
pub(crate) struct Expected {
    optimizer: BTreeMap<String, OptimizerChanges>,
    /// The factor of the learning rate at each optimizer step.
    pub(crate) lr_multiplier: Vec<f64>,
    /// Not above 0, or absent, for no clipping.
    #[serde(default)]
    pub(crate) max_grad_norm: Option<f64>,
    /// One row per batch, before the division by the accumulated batches.
    #[serde(default)]
    pub(crate) losses: Option<Vec<BTreeMap<String, f64>>>,
}

impl Recording {
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("expected.json");
        let expected: Expected = read_python(&path)?;
        let optimizer = adamw(&expected.optimizer).map_err(|message| Error::file(&path, message))?;
        Ok(Recording {
            folder: folder.to_owned(),
            distill: DistillationConfig::from_json_file(folder.join("distill.json"))?,
            train: TrainingConfig::from_json_file(folder.join("train.json"))?,
            expected,
            optimizer,
            columns: read_tensors(&folder.join("batches.safetensors"))?,
        })
    }

    /// How many batches the recorded run used for steps. TextBrewer discards the incomplete rest of an epoch.
    pub(crate) fn batches(&self) -> Result<usize> {
        let recorded = self.columns.values().filter_map(|column| column.size().first().copied()).min();
        let recorded = recorded.and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
        let accumulation = usize::try_from(self.train.gradient_accumulation_steps).unwrap_or(usize::MAX);
        let steps = self.expected.lr_multiplier.len();
        if steps > recorded.div_ceil(accumulation) {
            return Err(Error::file(
                self.folder.join("expected.json"),
                format!("`lr_multiplier` has {steps} steps, for which {recorded} batches are too few"),
            ));
        }
        Ok(recorded.min(steps.saturating_mul(accumulation)))
    }
}

fn adamw(optimizer: &BTreeMap<String, OptimizerChanges>) -> Result<AdamW, String> {
    let Some(settings) = optimizer.get("AdamW") else {
        let names: Vec<&str> = optimizer.keys().map(String::as_str).collect();
        return Err(format!("the optimizer is {names:?}; it must be `AdamW`"));
    };
    let rate = settings.learning_rate.ok_or("`AdamW` has no `lr`")?;
    Ok(AdamW::with_lr(rate).changed(settings))
}

pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read(path).map_err(|error| Error::file(path, error))?;
    serde_json::from_slice(&text).map_err(|error| Error::file(path, error))
}

/// Reads JSON as Python's `json` writes it: a loss may be `NaN` or `Infinity`, which JSON5 has but JSON does not.
fn read_python<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::file(path, error))?;
    json5::from_str(&text).map_err(|error| Error::file(path, error))
}

/// The tensors of a safetensors file by name.
pub(crate) fn read_tensors(path: &Path) -> Result<BTreeMap<String, Tensor>> {
    let tensors = Tensor::read_safetensors(path).map_err(|error| Error::file(path, Error::from(error)))?;
    Ok(tensors.into_iter().collect())
}
