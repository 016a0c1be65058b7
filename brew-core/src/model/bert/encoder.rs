//! The layers one after another, and which of their results are kept.

use tch::Tensor;

use super::attention::additive_mask;
use super::config::BertConfig;
use super::layer::Layer;
use crate::error::Result;
use crate::model::weights::Weights;
use crate::pass::Pass;
use crate::role;

/// The layers of an encoder.
#[derive(Debug)]
pub(crate) struct Encoder {
    layers: Vec<Layer>,
}

/// What the encoder made of a batch.
pub(crate) struct Encoded {
    /// The last hidden state.
    pub(crate) last: Tensor,
    /// Hidden states, embeddings first; undefined where nobody reads them.
    pub(crate) hidden_states: Vec<Tensor>,
    /// Attention maps; undefined where nobody reads them.
    pub(crate) attentions: Vec<Tensor>,
}

impl Encoder {
    pub(crate) fn take(weights: &mut Weights, config: &BertConfig) -> Self {
        let names = config.model_type.layers();
        let layers = (0..config.num_hidden_layers)
            .map(|layer| Layer::take(weights, &format!("{names}{layer}"), config))
            .collect();
        Encoder { layers }
    }

    /// Embeddings `(batch, length, width)` through all layers.
    pub(crate) fn forward(&self, embedded: Tensor, attention_mask: &Tensor, pass: &Pass) -> Result<Encoded> {
        let count = self.layers.len();
        let keep = |state: usize, hidden: &Tensor| {
            let wanted = pass.wants().layer::<role::Hidden>(state, count + 1);
            if wanted { hidden.shallow_clone() } else { Tensor::new() }
        };
        let mask = additive_mask(attention_mask, &embedded)?;
        let mut hidden_states = vec![keep(0, &embedded)];
        let mut attentions = Vec::with_capacity(count);
        let mut last = embedded;
        for (index, layer) in self.layers.iter().enumerate() {
            let map_wanted = pass.wants().layer::<role::Attention>(index, count);
            let (hidden, map) = layer.forward(&last, &mask, map_wanted, pass)?;
            hidden_states.push(keep(index + 1, &hidden));
            attentions.push(map.unwrap_or_else(Tensor::new));
            last = hidden;
        }
        Ok(Encoded { last, hidden_states, attentions })
    }

    /// The parameters of the `layers` layers next to the embeddings.
    pub(crate) fn parameters_of_first(&self, layers: usize) -> impl Iterator<Item = (String, Tensor)> + '_ {
        self.layers.iter().take(layers).flat_map(Layer::parameters)
    }

    pub(crate) fn parameters(&self) -> impl Iterator<Item = (String, Tensor)> + '_ {
        self.layers.iter().flat_map(Layer::parameters)
    }
}
