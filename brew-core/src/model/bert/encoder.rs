//! The encoder: runs the layers one after another, and keeps the wanted results.

use tch::Tensor;

use super::attended::Attended;
use super::attention::Inside;
use super::config::BertConfig;
use super::layer::Layer;
use crate::error::Result;
use crate::model::weights::Weights;
use crate::native::recomputed;
use crate::pass::Pass;
use crate::role;

/// The layers of an encoder.
#[derive(Debug)]
pub(crate) struct Encoder {
    layers: Vec<Layer>,
}

/// The encoder's output for a batch.
pub(crate) struct Encoded {
    /// The last hidden state.
    pub(crate) last: Tensor,
    /// Hidden states, embeddings first; undefined if not wanted.
    pub(crate) hidden_states: Vec<Tensor>,
    /// Attention maps; undefined if not wanted.
    pub(crate) attentions: Vec<Tensor>,
    /// Queries, keys and values; undefined if not wanted.
    pub(crate) queries: Vec<Tensor>,
    pub(crate) keys: Vec<Tensor>,
    pub(crate) values: Vec<Tensor>,
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
    pub(crate) fn forward(&self, embedded: Tensor, attention_mask: &Tensor, pass: &Pass) -> Result<Encoded> {
        let count = self.layers.len();
        let keep = |state: usize, hidden: &Tensor| {
            let wanted = pass.wants().layer::<role::Hidden>(state, count + 1);
            if wanted { hidden.shallow_clone() } else { Tensor::new() }
        };
        let attended = Attended::by(attention_mask, &embedded)?;
        let mut encoded = Encoded {
            hidden_states: vec![keep(0, &embedded)],
            last: embedded,
            attentions: Vec::with_capacity(count),
            queries: Vec::with_capacity(count),
            keys: Vec::with_capacity(count),
            values: Vec::with_capacity(count),
        };
        for (index, layer) in self.layers.iter().enumerate() {
            let (hidden, inside) = if pass.recomputes() {
                let (layer, input, attended) =
                    (layer.shallow_clone(), encoded.last.shallow_clone(), attended.shallow_clone());
                let pass = pass.clone();
                recomputed(input.device(), move || layer.forward(&input, &attended, (index, count), &pass))?
            } else {
                layer.forward(&encoded.last, &attended, (index, count), pass)?
            };
            let Inside { map, query, key, value } = inside;
            encoded.hidden_states.push(keep(index + 1, &hidden));
            encoded.attentions.push(map);
            encoded.queries.push(query);
            encoded.keys.push(key);
            encoded.values.push(value);
            encoded.last = hidden;
        }
        Ok(encoded)
    }

    /// The parameters of the first `layers` layers, next to the embeddings.
    pub(crate) fn parameters_of_first(&self, layers: usize) -> impl Iterator<Item = (String, Tensor)> + '_ {
        self.layers.iter().take(layers).flat_map(Layer::parameters)
    }

    pub(crate) fn parameters(&self) -> impl Iterator<Item = (String, Tensor)> + '_ {
        self.layers.iter().flat_map(Layer::parameters)
    }
}
