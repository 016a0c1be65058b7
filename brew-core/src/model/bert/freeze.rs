//! Freezing parts of a student.
//!
//! A frozen parameter requires no gradient: the backward pass skips it and the optimizer keeps no state for
//! it.

use super::{Bert, Head};
use crate::error::{Error, Result};
use crate::model::subset::freeze;

impl<H: Head> Bert<H> {
    /// The same model with frozen embeddings and their norm.
    ///
    /// In a model made from this one, by [`from_layers_of`](Self::from_layers_of) or with a new head, nothing
    /// is frozen.
    ///
    /// # Errors
    /// Those of libtorch.
    pub fn freeze_embeddings(self) -> Result<Self> {
        freeze(self.embeddings.parameters())?;
        Ok(self)
    }

    /// The same model with the first `layers` layers, next to the embeddings, frozen.
    ///
    /// The embeddings are still trained, unless they are frozen too.
    ///
    /// # Errors
    /// A model with fewer layers.
    pub fn freeze_layers(self, layers: usize) -> Result<Self> {
        let there_are = self.config.num_hidden_layers;
        if layers > there_are {
            return Err(Error::invalid(format!("cannot freeze {layers} layers: the model has {there_are}")));
        }
        freeze(self.encoder.parameters_of_first(layers))?;
        Ok(self)
    }
}
