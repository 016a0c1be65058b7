//! Students made of a teacher's layers.
//!
//! A student starts from copies: training it never moves its teacher.

use super::DecoderForCausalLm;
use crate::error::Result;
use crate::model::Keep;
use crate::model::subset::copies_of_layers;
use crate::model::weights::Weights;

impl DecoderForCausalLm {
    /// A model of some of the teacher's layers, with float32 copies of its embeddings, last norm and head, on the
    /// same device. Each layer keeps its rotation and its window. [`Keep`] says how the layers and hidden states
    /// of both correspond.
    ///
    /// A decoder without its last layers says less than chance: keep the first two, the last, and some between.
    ///
    /// # Errors
    /// When the teacher lacks a layer that is asked for, or when none is; and where a layer would compute
    /// something else in its new place.
    pub fn from_layers_of(teacher: &Self, keep: Keep) -> Result<Self> {
        let kept = keep.of(teacher.config.num_hidden_layers)?;
        let config = teacher.config.of_layers(&kept)?;
        let parameters = teacher.named_parameters();
        let stored = copies_of_layers(&parameters, config.model_type.switches().names.layers, &kept)?;
        let weights = Weights::new("the teacher", parameters.device(), stored);
        Self::build(config, weights, teacher.companions.clone())
    }
}
