//! The encoder: runs the layers one after another, and keeps the wanted results.

use tch::Tensor;

use super::attended::Attended;
use super::config::BertConfig;
use super::layer::Layer;
use crate::error::Result;
use crate::model::documents::one_document_per_row;
use crate::model::layer_outputs::LayerOutputs;
use crate::model::weights::Weights;
use crate::native::recomputed;
use crate::pass::Pass;

/// The layers of an encoder.
#[derive(Debug)]
pub(crate) struct Encoder {
    layers: Vec<Layer>,
}

impl Encoder {
    pub(crate) fn take(weights: &mut Weights, config: &BertConfig) -> Self {
        let names = config.model_type.layers();
        let layers = (0..config.num_hidden_layers)
            .map(|layer| Layer::take(weights, &format!("{names}{layer}"), config))
            .collect();
        Encoder { layers }
    }

    /// Runs embeddings `(batch, length, width)` through all layers.
    pub(crate) fn forward(
        &self,
        embedded: Tensor,
        attention_mask: &Tensor,
        pass: &Pass,
    ) -> Result<LayerOutputs> {
        let count = self.layers.len();
        one_document_per_row(attention_mask)?;
        let attended = Attended::by(attention_mask, &embedded)?;
        let mut outputs = LayerOutputs::before(embedded, count);
        outputs.keep_last(count, pass);
        for (index, layer) in self.layers.iter().enumerate() {
            outputs.add(if pass.recomputes() {
                let (layer, input, attended) =
                    (layer.shallow_clone(), outputs.last.shallow_clone(), attended.shallow_clone());
                let pass = pass.clone();
                recomputed(input.device(), move || layer.forward(&input, &attended, (index, count), &pass))?
            } else {
                layer.forward(&outputs.last, &attended, (index, count), pass)?
            });
            outputs.keep_last(count, pass);
        }
        Ok(outputs)
    }

    /// The parameters of the first `layers` layers, next to the embeddings.
    pub(crate) fn parameters_of_first(&self, layers: usize) -> impl Iterator<Item = (String, Tensor)> + '_ {
        self.layers.iter().take(layers).flat_map(Layer::parameters)
    }

    pub(crate) fn parameters(&self) -> impl Iterator<Item = (String, Tensor)> + '_ {
        self.layers.iter().flat_map(Layer::parameters)
    }
}
