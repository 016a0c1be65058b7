//! A BERT from a Hugging Face folder, and back into one.

use std::path::Path;

use tch::Device;

use super::encoder::LAYERS;
use super::{BertConfig, BertForSequenceClassification, Head};
use crate::error::{Error, Result};
use crate::model::folder::{
    CONFIG, WEIGHTS, companions, copy_companions, read_config, read_weights, write_weights,
};
use crate::model::weights::Weights;
use crate::model::{Model, Parameters};

/// The parts that a checkpoint of the encoder alone has without the prefix `bert.`.
const ROOTS: [&str; 3] = ["embeddings", "encoder", "pooler"];

impl BertForSequenceClassification {
    /// Loads a model that has been trained for classification.
    ///
    /// Weights may be float16, bfloat16, float32 or float64, in one safetensors file or in shards,
    /// named with or without the prefix `bert.`; in memory they are float32 and require gradients.
    ///
    /// # Errors
    /// Names the file, and every tensor that is missing or has another shape than the config says.
    pub fn from_pretrained(folder: impl AsRef<Path>, device: Device) -> Result<Self> {
        let folder = folder.as_ref();
        let (config, weights) = read(folder, device)?;
        if !Head::is_in(&weights) {
            return Err(Error::file(
                folder,
                "this is an encoder without a classifier: start a new one with \
                 BertForSequenceClassification::from_encoder, or load a model trained for classification",
            ));
        }
        Self::build(config, weights, companions(folder))
    }

    /// Loads a pretrained encoder with its pooler and puts a new classifier on it, with weights
    /// from N(0, 0.02) and bias 0; the same for the same seed.
    ///
    /// For a student of some of its layers, pass the result to
    /// [`from_layers_of`](Self::from_layers_of).
    ///
    /// # Errors
    /// As [`from_pretrained`](Self::from_pretrained), and for less than one class.
    pub fn from_encoder(folder: impl AsRef<Path>, classes: usize, seed: u64, device: Device) -> Result<Self> {
        let folder = folder.as_ref();
        let (mut config, mut weights) = read(folder, device)?;
        config.set_classes(checked_classes(classes)?);
        Head::renew(&mut weights, &config, seed)?;
        Self::build(config, weights, companions(folder))
    }
}

/// A number of classes that a classifier can have.
pub(super) fn checked_classes(classes: usize) -> Result<i64> {
    match i64::try_from(classes) {
        Ok(classes) if classes > 0 => Ok(classes),
        _ => Err(Error::invalid(format!("a classifier cannot have {classes} classes: it needs at least 1"))),
    }
}

fn read(folder: &Path, device: Device) -> Result<(BertConfig, Weights)> {
    let config = BertConfig::understand(folder, read_config(folder)?)?;
    let mut weights = read_weights(folder, "bert", &ROOTS, device)?;
    let layers = layers_in(&weights);
    if layers > config.num_hidden_layers {
        weights.problem(format!(
            "the checkpoint has {layers} layers, but num_hidden_layers is {}: to use some of them, load all and pass \
             the model to from_layers_of",
            config.num_hidden_layers
        ));
    }
    Ok((config, weights))
}

/// One more than the highest number of a layer.
fn layers_in(weights: &Weights) -> usize {
    let numbers =
        weights.left().filter_map(|name| name.strip_prefix(LAYERS)?.split('.').next()?.parse().ok());
    numbers.max().map_or(0, |last: usize| last + 1)
}

impl Model for BertForSequenceClassification {
    fn parameters(&self) -> Parameters {
        self.named_parameters()
    }

    /// Writes a Hugging Face folder that Python's transformers loads as it is: `model.safetensors`
    /// in float32, `config.json`, and the tokenizer files of the folder that the model came from.
    fn save(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder).map_err(|error| Error::file(folder, error))?;
        write_weights(&folder.join(WEIGHTS), &self.parameters())?;
        let config = serde_json::to_vec_pretty(&self.config.to_file()?).map_err(Error::other)?;
        crate::disk::write(&folder.join(CONFIG), &config)?;
        copy_companions(&self.companions, folder)
    }
}
