//! Parts of a student that training leaves as they are.
//!
//! A frozen parameter requires no gradient: backward skips it and the optimizer keeps no state for it.

use tch::Tensor;

use super::{Bert, Head};
use crate::error::{Error, InStage, Result};

impl<H: Head> Bert<H> {
    /// The same model with frozen embeddings and their norm.
    ///
    /// A model that is made of this one, by [`from_layers_of`](Self::from_layers_of) or with a new
    /// head, learns in all its parts again.
    ///
    /// # Errors
    /// Where libtorch refuses.
    pub fn freeze_embeddings(self) -> Result<Self> {
        freeze(self.embeddings.parameters())?;
        Ok(self)
    }

    /// The same model with the `layers` layers next to the embeddings frozen.
    ///
    /// The embeddings still learn, unless they are frozen too.
    ///
    /// # Errors
    /// When the model has fewer layers.
    pub fn freeze_layers(self, layers: usize) -> Result<Self> {
        let there_are = self.config.num_hidden_layers;
        if layers > there_are {
            return Err(Error::invalid(format!(
                "{layers} layers cannot be frozen: the model has {there_are}"
            )));
        }
        freeze(self.encoder.parameters_of_first(layers))?;
        Ok(self)
    }
}

fn freeze(parameters: impl Iterator<Item = (String, Tensor)>) -> Result<()> {
    for (name, tensor) in parameters {
        let _ = tensor.f_set_requires_grad(false).in_stage(&name)?;
    }
    Ok(())
}
