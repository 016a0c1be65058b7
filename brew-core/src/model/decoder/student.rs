//! Students built from a teacher's layers.
//!
//! A student starts from copies: training it never changes its teacher.

use super::DecoderForCausalLm;
use crate::error::Result;
use crate::model::Keep;
use crate::model::lora::merged_parameters;
use crate::model::subset::copies_of_layers;
use crate::model::weights::Weights;

impl DecoderForCausalLm {
    /// A model with some of the teacher's layers and float32 copies of its embeddings, final norm and head, on the
    /// same device. Each layer keeps its rotation and its window. See [`Keep`] for how the layers and hidden states of
    /// both correspond. Adapters of the teacher are merged.
    ///
    /// A decoder that keeps only its first layers predicts worse than chance: keep its most influential ones, with
    /// [`Keep::by_influence`].
    ///
    /// # Errors
    /// If the teacher lacks a layer to keep, if there are none, and if a layer would compute something else at its new
    /// index.
    pub fn from_layers_of(teacher: &Self, keep: Keep) -> Result<Self> {
        let kept = keep.of(teacher.config.num_hidden_layers)?;
        let config = teacher.config.of_layers(&kept)?;
        let parameters = merged_parameters(teacher)?;
        let stored = copies_of_layers(&parameters, config.model_type.switches().names.layers, &kept)?;
        let weights = Weights::new("the teacher", parameters.device(), stored);
        Self::build(config, weights, teacher.companions.clone())
    }
}
