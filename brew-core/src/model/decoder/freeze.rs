//! Parts of a student that training leaves as they are.

use super::DecoderForCausalLm;
use crate::error::{Error, Result};
use crate::model::subset::freeze;

impl DecoderForCausalLm {
    /// The same model with frozen embeddings, and with a frozen head if that uses the same matrix.
    ///
    /// In a model made from this one with [`from_layers_of`](Self::from_layers_of), everything learns again.
    ///
    /// # Errors
    /// If libtorch refuses.
    pub fn freeze_embeddings(self) -> Result<Self> {
        freeze(self.embeddings.parameters())?;
        Ok(self)
    }

    /// The same model with the `layers` layers next to the embeddings frozen.
    ///
    /// The embeddings still learn, unless they are frozen too.
    ///
    /// # Errors
    /// If the model has fewer layers.
    pub fn freeze_layers(self, layers: usize) -> Result<Self> {
        let there_are = self.config.num_hidden_layers;
        if layers > there_are {
            return Err(Error::invalid(format!(
                "{layers} layers cannot be frozen: the model has {there_are}"
            )));
        }
        freeze(self.stack.parameters_of_first(layers))?;
        Ok(self)
    }
}
