//! Encoders without a head: what a student of general distillation is, and what sentence encoders start from.

use brew_macros::distill;
use tch::Tensor;

use super::architecture::{Architecture, Network};
use super::config::BertConfig;
use super::head::Head;
use super::{Bert, TextBatch};
use crate::error::Result;
use crate::model::layer_outputs::LayerOutputs;
use crate::model::parts::Linear;
use crate::model::weights::Weights;
use crate::parameters::Parameters;
use crate::pass::Pass;

/// The output of an encoder without a head. What is not wanted is undefined.
#[distill(batch = TextBatch, inputs_mask = attention_mask)]
#[derive(Debug)]
pub struct EncoderOutput {
    /// Layers + 1 hidden states of `(batch, length, width)`, embeddings first.
    #[role(hidden)]
    pub hidden_states: Vec<Tensor>,
    /// One map of `(batch, heads, length, length)` per layer, probabilities that sum to 1 over the last
    /// dimension apart from dropout.
    #[role(attention)]
    pub attentions: Vec<Tensor>,
    /// Queries, one tensor of `(batch, length, width)` per layer, before they are split into heads.
    #[role(query)]
    pub queries: Vec<Tensor>,
    /// Like the queries.
    #[role(key)]
    pub keys: Vec<Tensor>,
    /// Like the queries.
    #[role(value)]
    pub values: Vec<Tensor>,
}

/// An encoder without a head, such as transformers' `AutoModel` loads and saves.
///
/// [`from_pretrained`](Bert::from_pretrained) loads the encoder of any folder and drops the head. A pooler stays with
/// the encoder and is saved with it, but nothing here runs it.
///
/// ```
/// use brew_core::model::{Architecture, BertConfig, BertModel};
/// use brew_core::pass::Wants;
/// use brew_core::prelude::*;
///
/// # fn main() -> Result<()> {
/// let config = BertConfig {
///     vocab_size: 60,
///     hidden_size: 16,
///     num_hidden_layers: 2,
///     num_attention_heads: 4,
///     intermediate_size: 32,
///     ..BertConfig::base(Architecture::Roberta)
/// };
/// let student = BertModel::new(config, 7, Device::Cpu)?;
/// let input_ids = Tensor::from_slice(&[0_i64, 20, 30, 2]).unsqueeze(0);
/// let pass = Pass::evaluation(Wants::nothing().and_layer("hidden", -1));
/// let output = student.forward(&input_ids, &input_ids.ones_like(), None, &pass)?;
/// assert_eq!(output.hidden_states[2].size(), [1, 4, 16]);
/// # Ok(())
/// # }
/// ```
pub type BertModel = Bert<NoHead>;

#[distill(batch = TextBatch)]
impl BertModel {
    /// One forward pass.
    ///
    /// `input_ids` is `(batch, length)` int64; `attention_mask`, of the same shape, is 1 where there is a
    /// token and 0 where there is padding; `token_type_ids`, of the same shape, defaults to all 0 and is not
    /// read by a DistilBERT.
    ///
    /// # Errors
    /// Shapes that differ, a sequence longer than the config allows, and, on a CPU, a token or type out of
    /// range.
    pub fn forward(
        &self,
        input_ids: &Tensor,
        attention_mask: &Tensor,
        token_type_ids: Option<&Tensor>,
        pass: &Pass,
    ) -> Result<EncoderOutput> {
        let LayerOutputs { hidden_states, attentions, queries, keys, values, .. } =
            self.encode(input_ids, attention_mask, token_type_ids, pass)?;
        Ok(EncoderOutput { hidden_states, attentions, queries, keys, values })
    }
}

/// No head; only the pooler, if the encoder has one.
#[derive(Debug)]
pub struct NoHead {
    pooler: Option<Linear>,
}

/// The name of the pooler's linear layer.
fn pooler(architecture: Architecture) -> Option<&'static str> {
    match architecture.network() {
        Network::Bert => Some("bert.pooler.dense"),
        Network::Roberta => Some("roberta.pooler.dense"),
        Network::DistilBert => None,
    }
}

impl Head for NoHead {
    const TASK: &'static str = "Model";
    const NAMES_CLASSES: bool = false;

    fn output_name(config: &BertConfig) -> &'static str {
        pooler(config.model_type).unwrap_or_default()
    }

    fn class(architecture: Architecture) -> String {
        format!("{}Model", architecture.class())
    }

    fn refusal(_: &BertConfig, _: &Weights) -> Option<String> {
        None
    }

    fn take(weights: &mut Weights, config: &BertConfig) -> Self {
        let width = config.hidden_size;
        let stored = |name: &&str| weights.is_new() || weights.has(&format!("{name}.weight"));
        let pooler = pooler(config.model_type).filter(stored);
        NoHead { pooler: pooler.map(|name| Linear::take(weights, name.to_owned(), width, width)) }
    }

    fn renew(_: &mut Weights, _: &BertConfig, _: u64) -> Result<()> {
        Ok(())
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        self.pooler.iter().flat_map(|pooler| pooler.parameters()).collect()
    }

    /// transformers saves an encoder alone without its prefix.
    fn stored(parameters: Parameters, config: &BertConfig) -> Parameters {
        let prefix = format!("{}.", config.model_type.prefix());
        let bare = |(name, tensor): (&str, &Tensor)| {
            (name.strip_prefix(&prefix).unwrap_or(name).to_owned(), tensor.shallow_clone())
        };
        Parameters::new(parameters.iter().map(bare))
    }
}
