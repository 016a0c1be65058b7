//! One layer of the decoder: attention, then a feed-forward block, each of its normed input and added to it.

use tch::Tensor;

use super::attention::Attention;
use super::cached::{KeysValues, Seen};
use super::config::DecoderConfig;
use super::feed_forward::FeedForward;
use super::norm::Norm;
use super::rope::Rotation;
use super::visibility::Visibility;
use crate::error::Result;
use crate::model::layer_outputs::Inside;
use crate::model::parts::dropout_and_add;
use crate::model::weights::Weights;
use crate::pass::Pass;

/// A layer of the decoder.
#[derive(Debug)]
pub(crate) struct Layer {
    attention_norm: Norm,
    attention: Attention,
    behind_attention: Option<Norm>,
    feed_forward_norm: Norm,
    feed_forward: FeedForward,
    behind_feed_forward: Option<Norm>,
    /// `None` for those without dropout there.
    dropout: Option<f64>,
}

impl Layer {
    pub(crate) fn take(weights: &mut Weights, layer: usize, config: &DecoderConfig) -> Self {
        let names = config.model_type.switches().names;
        let name = format!("{}{layer}", names.layers);
        let names = &names.layer;
        let norm = |weights: &mut Weights, part: &str| {
            Norm::take(weights, format!("{name}.{part}"), config.hidden_size, config)
        };
        Layer {
            attention_norm: norm(weights, names.attention_norm),
            attention: Attention::take(weights, &name, layer, config),
            behind_attention: names.behind_attention.map(|part| norm(weights, part)),
            feed_forward_norm: norm(weights, names.feed_forward_norm),
            feed_forward: FeedForward::take(weights, &name, config),
            behind_feed_forward: names.behind_feed_forward.map(|part| norm(weights, part)),
            dropout: config.dropout("residual_dropout", config.residual_dropout),
        }
    }

    /// The same layer: another handle of its parameters.
    pub(crate) fn shallow_clone(&self) -> Self {
        Layer {
            attention_norm: self.attention_norm.shallow_clone(),
            attention: self.attention.shallow_clone(),
            behind_attention: self.behind_attention.as_ref().map(Norm::shallow_clone),
            feed_forward_norm: self.feed_forward_norm.shallow_clone(),
            feed_forward: self.feed_forward.shallow_clone(),
            behind_feed_forward: self.behind_feed_forward.as_ref().map(Norm::shallow_clone),
            dropout: self.dropout,
        }
    }

    /// `(batch, length, width)` to the same shape, and what is wanted of its attention; `number` is that of this
    /// layer, and how many there are.
    pub(crate) fn forward(
        &self,
        hidden: &Tensor,
        places: (&Visibility, Option<&Rotation>),
        number: (usize, usize),
        pass: &Pass,
    ) -> Result<(Tensor, Inside)> {
        self.around(hidden, pass, |normed| self.attention.forward(normed, places, number, pass))
    }

    /// The same for new tokens, whose keys and values are added to those of the tokens before.
    pub(super) fn cached(
        &self,
        hidden: &Tensor,
        rotation: Option<&Rotation>,
        (kept, seen): (&mut KeysValues, &Seen<'_>),
        pass: &Pass,
    ) -> Result<Tensor> {
        let attend = |normed: &Tensor| Ok((self.attention.cached(normed, rotation, (kept, seen), pass)?, ()));
        Ok(self.around(hidden, pass, attend)?.0)
    }

    /// The layer around its attention, which maps the normed input.
    fn around<T>(
        &self,
        hidden: &Tensor,
        pass: &Pass,
        attend: impl FnOnce(&Tensor) -> Result<(Tensor, T)>,
    ) -> Result<(Tensor, T)> {
        let (context, inside) = attend(&self.attention_norm.forward(hidden)?)?;
        let context = normed_by(self.behind_attention.as_ref(), context)?;
        let hidden = dropout_and_add(context, hidden, self.dropout, pass)?;
        let output = self.feed_forward.forward(&self.feed_forward_norm.forward(&hidden)?, pass)?;
        let output = normed_by(self.behind_feed_forward.as_ref(), output)?;
        Ok((dropout_and_add(output, &hidden, self.dropout, pass)?, inside))
    }

    pub(crate) fn parameters(&self) -> impl Iterator<Item = (String, Tensor)> + '_ {
        let norms = [&self.attention_norm, &self.feed_forward_norm].into_iter();
        let behind = self.behind_attention.iter().chain(&self.behind_feed_forward);
        let norms = norms.chain(behind).flat_map(Norm::parameters);
        self.attention.parameters().chain(self.feed_forward.parameters()).chain(norms)
    }
}

fn normed_by(norm: Option<&Norm>, output: Tensor) -> Result<Tensor> {
    match norm {
        Some(norm) => norm.forward(&output),
        None => Ok(output),
    }
}
