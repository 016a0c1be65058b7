//! What a stack of attention layers gives a batch, as far as it is wanted.

use tch::Tensor;

use crate::pass::Pass;
use crate::role;

/// The wanted internals of a layer's attention; undefined tensors for those not wanted.
#[derive(Debug)]
pub(crate) struct Inside {
    /// `(batch, heads, length, length)`.
    pub(crate) map: Tensor,
    /// `(batch, length, heads x head width)`; keys and values may have their own number of heads.
    pub(crate) query: Tensor,
    pub(crate) key: Tensor,
    pub(crate) value: Tensor,
}

/// The output of all layers.
pub(crate) struct LayerOutputs {
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

impl LayerOutputs {
    /// Before the first of this many layers.
    pub(crate) fn before(embedded: Tensor, layers: usize) -> Self {
        LayerOutputs {
            last: embedded,
            hidden_states: Vec::with_capacity(layers + 1),
            attentions: Vec::with_capacity(layers),
            queries: Vec::with_capacity(layers),
            keys: Vec::with_capacity(layers),
            values: Vec::with_capacity(layers),
        }
    }

    /// Keeps the last hidden state as the next of `layers + 1`, if it is wanted.
    pub(crate) fn keep_last(&mut self, layers: usize, pass: &Pass) {
        let wanted = pass.wants().layer::<role::Hidden>(self.hidden_states.len(), layers + 1);
        self.hidden_states.push(if wanted { self.last.shallow_clone() } else { Tensor::new() });
    }

    /// Adds what the next layer gave.
    pub(crate) fn add(&mut self, (hidden, inside): (Tensor, Inside)) {
        let Inside { map, query, key, value } = inside;
        self.attentions.push(map);
        self.queries.push(query);
        self.keys.push(key);
        self.values.push(value);
        self.last = hidden;
    }
}
