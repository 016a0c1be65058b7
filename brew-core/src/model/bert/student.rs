//! Students built from a teacher's layers.
//!
//! A student starts from copies: training it never changes its teacher.

use super::head::checked_classes;
use super::{Bert, ClassHead, Head};
use crate::error::Result;
use crate::model::Keep;
use crate::model::lora::merged_parameters;
use crate::model::subset::copies_of_layers;
use crate::model::weights::{Stored, Weights};
use crate::parameters::Parameters;

impl<H: Head> Bert<H> {
    /// A model with copies of some of the teacher's layers, its embeddings and its head, on the same device.
    /// [`Keep`] explains how the layers and hidden states of both correspond. Adapters of the teacher are merged.
    ///
    /// # Errors
    /// A layer that the teacher does not have, or no layer at all.
    pub fn from_layers_of(teacher: &Self, keep: Keep) -> Result<Self> {
        let kept = keep.of(teacher.config.num_hidden_layers)?;
        let layers = teacher.config.model_type.layers();
        let parameters = merged_parameters(teacher)?;
        let stored = copies_of_layers(&parameters, layers, &kept)?;
        let mut config = teacher.told_config();
        config.num_hidden_layers = kept.len();
        Self::build(config, weights(&parameters, stored), teacher.companions.clone())
    }

    /// The same encoder with a new head for this many classes.
    pub(super) fn with_new_head_of(self, classes: i64, seed: u64) -> Result<Self> {
        let parameters = merged_parameters(&self)?;
        let stored: Vec<_> =
            parameters.iter().map(|(name, tensor)| (name.to_owned(), Ok(tensor.shallow_clone()))).collect();
        let mut weights = weights(&parameters, stored);
        let mut config = self.config;
        config.begin_task(classes);
        H::renew(&mut weights, &config, seed)?;
        Self::build(config, weights, self.companions)
    }
}

impl<H: ClassHead> Bert<H> {
    /// The same model with a new classifier: weights from N(0, `initializer_range`²), bias 0, and nothing frozen.
    ///
    /// This begins a new task, like [`from_encoder`](Self::from_encoder).
    ///
    /// # Errors
    /// Fewer than one class.
    pub fn with_new_head(self, classes: usize, seed: u64) -> Result<Self> {
        self.with_new_head_of(checked_classes(classes)?, seed)
    }
}

fn weights(parameters: &Parameters, stored: Vec<(String, Stored)>) -> Weights {
    Weights::new("the teacher", parameters.device(), stored)
}
