//! Runs the layers one after another and the final norm, and keeps the wanted results.

use tch::{Kind, Tensor};

use super::cached::{KeysValues, Seen};
use super::config::DecoderConfig;
use super::layer::Layer;
use super::norm::Norm;
use super::rope::{Rope, Rotation};
use super::visibility::{Asked, Visibility};
use crate::error::Result;
use crate::model::layer_outputs::LayerOutputs;
use crate::model::weights::Weights;
use crate::native::recomputed;
use crate::pass::Pass;
use crate::role;

/// The layers of a decoder.
#[derive(Debug)]
pub(crate) struct Stack {
    layers: Vec<Layer>,
    norm: Norm,
    /// The distinct rotations, and the index of each layer's.
    ropes: Vec<Rope>,
    rope_of: Vec<Option<usize>>,
    head_size: i64,
    windows: Vec<i64>,
    longest: i64,
}

impl Stack {
    pub(crate) fn take(weights: &mut Weights, config: &DecoderConfig) -> Self {
        let layers = 0..config.num_hidden_layers;
        let mut ropes: Vec<Rope> = Vec::new();
        let rope_of = layers.clone().map(|layer| {
            let rope = config.rope_of(layer)?;
            ropes.iter().position(|known| known == rope).or_else(|| {
                ropes.push(*rope);
                Some(ropes.len() - 1)
            })
        });
        let rope_of = rope_of.collect();
        let mut windows: Vec<i64> = layers.clone().filter_map(|layer| config.window(layer)).collect();
        windows.sort_unstable();
        windows.dedup();
        let name = config.model_type.switches().names.last_norm.to_owned();
        Stack {
            layers: layers.map(|layer| Layer::take(weights, layer, config)).collect(),
            norm: Norm::take(weights, name, config.hidden_size, config),
            ropes,
            rope_of,
            head_size: config.head_size(),
            windows,
            longest: config.max_position_embeddings,
        }
    }

    /// Which tokens see which, by the mask.
    pub(crate) fn visibility(&self, attention_mask: &Tensor, pass: &Pass) -> Result<Visibility> {
        let maps = pass.wants().role::<role::Attention>();
        Visibility::by(attention_mask, &Asked { longest: self.longest, windows: &self.windows, maps })
    }

    /// Runs embeddings `(batch, length, width)` through all layers and the final norm.
    pub(crate) fn forward(
        &self,
        embedded: Tensor,
        visibility: &Visibility,
        pass: &Pass,
    ) -> Result<LayerOutputs> {
        let mut outputs = self.layers(embedded, visibility, pass)?;
        // The last hidden state is the one after the final norm.
        outputs.last = self.norm.forward(&outputs.last)?;
        outputs.keep_last(self.layers.len(), pass);
        Ok(outputs)
    }

    /// The same without the final norm: `last` is what the last layer passes on, and the hidden states end with what it
    /// reads.
    pub(crate) fn layers(
        &self,
        embedded: Tensor,
        visibility: &Visibility,
        pass: &Pass,
    ) -> Result<LayerOutputs> {
        let count = self.layers.len();
        let rotations = self.rotations(&visibility.positions, embedded.kind())?;
        let mut outputs = LayerOutputs::before(embedded, count);
        for (index, layer) in self.layers.iter().enumerate() {
            outputs.keep_last(count, pass);
            let rotation = self.rotation_of(index, &rotations);
            outputs.add(if pass.recomputes() {
                let (layer, input, pass) =
                    (layer.shallow_clone(), outputs.last.shallow_clone(), pass.clone());
                let (visibility, rotation) =
                    (visibility.shallow_clone(), rotation.map(Rotation::shallow_clone));
                recomputed(input.device(), move || {
                    layer.forward(&input, (&visibility, rotation.as_ref()), (index, count), &pass)
                })?
            } else {
                layer.forward(&outputs.last, (visibility, rotation), (index, count), pass)?
            });
        }
        Ok(outputs)
    }

    /// Runs embeddings of new tokens `(texts, length, width)` through all layers, adds their keys and values to those
    /// kept of each layer, and returns the last hidden state of the last token, `(texts, 1, width)`.
    pub(super) fn cached(
        &self,
        embedded: Tensor,
        rotations: &[Rotation],
        (kept, seen): (&mut [KeysValues], &Seen<'_>),
        pass: &Pass,
    ) -> Result<Tensor> {
        let mut hidden = embedded;
        for (index, (layer, kept)) in self.layers.iter().zip(kept).enumerate() {
            hidden = layer.cached(&hidden, self.rotation_of(index, rotations), (kept, seen), pass)?;
        }
        self.norm.forward(&hidden.f_narrow(1, -1, 1)?)
    }

    /// The distinct rotations at these positions, `(rows, length)`.
    pub(super) fn rotations(&self, positions: &Tensor, kind: Kind) -> Result<Vec<Rotation>> {
        self.ropes.iter().map(|rope| rope.at(positions, self.head_size, kind)).collect()
    }

    /// The rotation of a layer, if it has one.
    fn rotation_of<'r>(&self, layer: usize, rotations: &'r [Rotation]) -> Option<&'r Rotation> {
        self.rope_of.get(layer).copied().flatten().and_then(|place| rotations.get(place))
    }

    /// The parameters of the `layers` layers next to the embeddings.
    pub(crate) fn parameters_of_first(&self, layers: usize) -> impl Iterator<Item = (String, Tensor)> + '_ {
        self.layers.iter().take(layers).flat_map(Layer::parameters)
    }

    pub(crate) fn parameters(&self) -> impl Iterator<Item = (String, Tensor)> + '_ {
        self.layers.iter().flat_map(Layer::parameters).chain(self.norm.parameters())
    }
}
