//! Maps the last hidden state to one score per token.

use tch::{Device, Kind, Tensor};

use super::attention::capped;
use super::config::DecoderConfig;
use crate::error::{InStage, Result};
use crate::model::weights::Weights;

/// The head of a language model: its own matrix or the embeddings'.
#[derive(Debug)]
pub(crate) struct Head {
    /// `(name of the parameter, (tokens, width))`; `None` if it is the embeddings'.
    own: Option<(String, Tensor)>,
    cap: Option<f64>,
}

impl Head {
    pub(crate) fn take(weights: &mut Weights, config: &DecoderConfig) -> Self {
        let name = format!("{}.weight", config.model_type.switches().names.head);
        let own = (!config.tie_word_embeddings).then(|| {
            let taken = weights.take(&name, &[config.vocab_size, config.hidden_size]);
            (name, taken)
        });
        Head { own, cap: config.final_logit_softcapping }
    }

    /// Maps `(…, width)` to logits `(…, tokens)`; `embeddings` is the table of a tied head.
    pub(crate) fn forward(&self, hidden: &Tensor, embeddings: &Tensor) -> Result<Tensor> {
        let logits = hidden.f_linear(self.matrix(embeddings), None::<Tensor>).in_stage("lm_head")?;
        match self.cap {
            Some(cap) => capped(&logits, cap).in_stage("lm_head"),
            None => Ok(logits),
        }
    }

    /// The matrix that turns hidden states into logits, `(tokens, width)`.
    pub(crate) fn matrix<'t>(&'t self, embeddings: &'t Tensor) -> &'t Tensor {
        self.own.as_ref().map_or(embeddings, |(_, matrix)| matrix)
    }

    /// The bound of the logits, a scalar.
    pub(crate) fn softcap(&self) -> Result<Option<Tensor>> {
        let number = |cap| Ok(Tensor::f_full([], cap, (Kind::Double, Device::Cpu))?);
        self.cap.map(number).transpose()
    }

    pub(crate) fn parameters(&self) -> impl Iterator<Item = (String, Tensor)> + '_ {
        self.own.iter().map(|(name, matrix)| (name.clone(), matrix.shallow_clone()))
    }
}
