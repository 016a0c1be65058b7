//! New models of any size, with weights initialized as in transformers.
//!
//! Weights of linear layers and embeddings are N(0, `initializer_range`²), biases 0, layer norms 1 and 0, and
//! the embedding of padding is 0. Each tensor has its own random numbers, which depend only on the seed and
//! its name.

use std::path::Path;

use tch::{Device, Kind, Tensor};

use super::config::DEFAULT_CLASSES;
use super::head::checked_classes;
use super::span_head::SCORES;
use super::{Bert, BertConfig, BertForMaskedLm, BertForQuestionAnswering, BertModel, ClassHead, Head};
use crate::error::{Error, Result};
use crate::model::class_order::default_names;
use crate::model::folder::companions;
use crate::model::normal::{normal, of_name, problem_of};
use crate::model::weights::Weights;
use crate::words::numbered;

impl<H: ClassHead> Bert<H> {
    /// A model with this config, this many classes and new weights, the same for the same seed; distributed
    /// like those of transformers' `from_config`.
    ///
    /// ```
    /// use brew_core::prelude::*;
    /// use brew_core::model::{Architecture, BertConfig};
    /// use brew_core::pass::Wants;
    ///
    /// # fn main() -> Result<()> {
    /// let config = BertConfig {
    ///     vocab_size: 100,
    ///     hidden_size: 24,
    ///     num_hidden_layers: 4,
    ///     num_attention_heads: 4,
    ///     intermediate_size: 96,
    ///     ..BertConfig::base(Architecture::DistilBert)
    /// };
    /// let student = BertForSequenceClassification::new(config, 2, 7, Device::Cpu)?;
    /// let input_ids = Tensor::from_slice(&[2_i64, 20, 30, 3]).unsqueeze(0);
    /// let pass = Pass::evaluation(Wants::nothing());
    /// let output = student.forward(&input_ids, &input_ids.ones_like(), None, None, &pass)?;
    /// assert_eq!(output.logits.size(), [1, 2]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Lists every invalid value of the config; refuses fewer than one class, and a number of classes that
    /// differs from the config's number of names.
    pub fn new(config: BertConfig, classes: usize, seed: u64, device: Device) -> Result<Self> {
        Self::with_new_weights(config, Some(checked_classes(classes)?), seed, device)
    }
}

impl BertForQuestionAnswering {
    /// A model with this config and new weights, the same for the same seed.
    ///
    /// # Errors
    /// Lists every invalid value of the config.
    pub fn new(config: BertConfig, seed: u64, device: Device) -> Result<Self> {
        Self::with_new_weights(config, Some(SCORES), seed, device)
    }
}

impl BertForMaskedLm {
    /// A model with this config and new weights, the same for the same seed.
    ///
    /// # Errors
    /// Lists every invalid value of the config.
    pub fn new(config: BertConfig, seed: u64, device: Device) -> Result<Self> {
        Self::with_new_weights(config, None, seed, device)
    }
}

impl BertModel {
    /// An encoder with this config and new weights, the same for the same seed. A BERT or RoBERTa has a new
    /// pooler, too, as in transformers.
    ///
    /// # Errors
    /// Lists every invalid value of the config.
    pub fn new(config: BertConfig, seed: u64, device: Device) -> Result<Self> {
        Self::with_new_weights(config, None, seed, device)
    }
}

impl<H: Head> Bert<H> {
    /// `classes` is `None` for a head without classes, whatever the config says of them.
    fn with_new_weights(
        mut config: BertConfig,
        classes: Option<i64>,
        seed: u64,
        device: Device,
    ) -> Result<Self> {
        if config.id2label.is_empty() {
            config.name_classes(default_names(classes.unwrap_or(DEFAULT_CLASSES)));
        }
        let mut problems = config.problems();
        problems.extend(problem_of(config.initializer_range));
        if let Some(classes) = classes.filter(|classes| *classes != config.classes()) {
            problems.push(format!("id2label names {} classes, but the head has {classes}", config.classes()));
        }
        if let (Some(problem), Some(classes)) = (config.problem_type, classes) {
            problems.extend(problem.check_classes(classes).err().map(|error| error.to_string()));
        }
        if !problems.is_empty() {
            return Err(Error::invalid(numbered("invalid model config", &problems)));
        }
        let drawn = config.clone();
        let weights = Weights::drawn(device, move |name, shape| draw(&drawn, seed, name, shape));
        Self::build(config, weights, Vec::new())
    }

    /// The same model, which also saves the tokenizer files of this folder when it is saved.
    #[must_use]
    pub fn with_tokenizer_of(self, folder: impl AsRef<Path>) -> Self {
        Bert { companions: companions(folder.as_ref()), ..self }
    }
}

/// A new parameter of this name, float32.
fn draw(config: &BertConfig, seed: u64, name: &str, shape: &[i64]) -> Result<Tensor> {
    let cpu = (Kind::Float, Device::Cpu);
    if name.ends_with(".bias") {
        return Ok(Tensor::f_zeros(shape, cpu)?);
    }
    if name.contains("LayerNorm") || name.contains("layer_norm") {
        return Ok(Tensor::f_ones(shape, cpu)?);
    }
    let count = usize::try_from(shape.iter().product::<i64>()).unwrap_or(0);
    let values = normal(of_name(seed, name), count, config.initializer_range);
    let drawn = Tensor::f_from_slice(&values)?.f_reshape(shape)?;
    let padded = name.ends_with("word_embeddings.weight")
        || (name.ends_with("position_embeddings.weight") && config.first_position() > 0);
    if let Some(pad) = config.pad_token_id.filter(|pad| padded && (0..shape[0]).contains(pad)) {
        let _ = drawn.f_narrow(0, pad, 1)?.f_zero_()?;
    }
    Ok(drawn)
}
