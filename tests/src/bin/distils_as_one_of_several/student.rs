//! The student, with what may go wrong inside a model.

use std::path::Path;

use brew_core::prelude::*;
use tests::{Sentence, Toy, ToyOutput};

use super::has;

/// A toy whose logits are not numbers for one batch, that counts its passes in a buffer if asked to, and that adds a
/// hidden number to its logits, which may follow the batches that it trains on.
pub(crate) struct Student {
    pub(crate) toy: Toy,
    pub(crate) odd: Option<Tensor>,
    /// A buffer.
    pub(crate) seen: Tensor,
    /// What its outputs depend on and `parameters` does not list.
    pub(crate) hidden: Tensor,
}

#[distill(batch = Sentence)]
impl Student {
    fn forward(
        &self,
        tokens: &Tensor,
        mask: &Tensor,
        labels: Option<&Tensor>,
        pass: &Pass,
    ) -> Result<ToyOutput> {
        let mut output = self.toy.forward(tokens, mask, labels, pass)?;
        if pass.is_training() && has("buffer") {
            let _ = self.seen.shallow_clone().f_add_scalar_(1)?;
        }
        if pass.is_training() && pass.step() == 3 && self.odd.as_ref().is_some_and(|odd| odd == tokens) {
            output.logits = output.logits.f_mul_scalar(f64::NAN)?;
        }
        if pass.is_training() && has("statistics") {
            let mean = output.logits.f_detach()?.f_mean(Kind::Float)?;
            self.hidden.shallow_clone().f_copy_(&(&self.hidden * 0.9 + mean * 0.1))?;
        }
        output.logits = output.logits.f_add(&self.hidden)?;
        Ok(output)
    }
}

impl Model for Student {
    fn parameters(&self) -> Parameters {
        let parameters = Model::parameters(&self.toy);
        if !has("buffer") {
            return parameters;
        }
        let named: Vec<(String, Tensor)> =
            parameters.iter().map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone())).collect();
        Parameters::new(named).with_buffers([("seen".to_owned(), self.seen.shallow_clone())])
    }

    fn save(&self, folder: &Path) -> Result<()> {
        self.toy.save(folder)
    }
}

/// All that the toy gives, with the first token as the row of the data.
pub(crate) struct WithRows;

#[adaptor(batch = Sentence, output = ToyOutput)]
impl WithRows {
    fn logits(output: &ToyOutput) -> &Tensor {
        &output.logits
    }
    fn hidden(output: &ToyOutput) -> &Vec<Tensor> {
        &output.hidden
    }
    fn losses(output: &ToyOutput) -> &Option<Tensor> {
        &output.loss
    }
    fn inputs_mask(batch: &Sentence) -> &Tensor {
        &batch.mask
    }
    fn labels(batch: &Sentence) -> &Option<Tensor> {
        &batch.labels
    }
    fn index(batch: &Sentence) -> Tensor {
        batch.tokens.select(1, 0)
    }
}
