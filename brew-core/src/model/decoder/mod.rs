//! Language models: decoders of the Llama family and GPT-2, as teachers or students.
//!
//! There is one decoder with switches, listed in the table in `switches.rs`: rotary or learned positions, three kinds
//! of norms, gated feed-forward blocks, shared heads of keys and values, windows, biases, tied heads. The computation,
//! parameter names and folders are those of Python's transformers, so checkpoints work in both. Each part of the
//! network has its own file; this one assembles them.

mod adapters;
mod answers;
mod architecture;
mod attention;
mod cached;
mod causal;
mod check;
mod config;
mod config_file;
mod defaults;
mod embeddings;
mod feed_forward;
mod folder;
mod freeze;
mod fresh;
mod head;
mod influence;
mod layer;
mod linear;
mod loss;
mod names;
mod norm;
mod resolved;
mod rope;
mod rope_file;
mod stack;
mod student;
mod switches;
mod visibility;

use std::path::PathBuf;

use tch::Tensor;

pub use answers::CausalLmAnswersAdaptor;
pub use architecture::DecoderArchitecture;
pub use causal::{CausalLmBatch, CausalLmOutput, CausalLmOutputAdaptor};
pub use config::{DecoderConfig, LayerType, TokenIds};
pub use rope::{Rope, RopeScaling};

use self::embeddings::Embeddings;
use self::head::Head;
use self::stack::Stack;
use crate::error::Result;
use crate::model::layer_outputs::LayerOutputs;
use crate::model::lora::Attached;
use crate::model::weights::Weights;
use crate::parameters::Parameters;
use crate::pass::Pass;

/// A decoder with a language-model head.
///
/// The folder's config determines the architecture: see [`DecoderArchitecture`].
///
/// ```
/// use brew_core::model::{DecoderArchitecture, DecoderConfig, DecoderForCausalLm};
/// use brew_core::prelude::*;
///
/// # fn main() -> Result<()> {
/// let config = DecoderConfig {
///     vocab_size: 50,
///     hidden_size: 16,
///     num_hidden_layers: 4,
///     num_attention_heads: 4,
///     num_key_value_heads: Some(2),
///     intermediate_size: Some(24),
///     ..DecoderConfig::base(DecoderArchitecture::Llama)
/// };
/// let teacher = DecoderForCausalLm::new(config, 7, Device::Cpu)?;
/// let student = DecoderForCausalLm::from_layers_of(&teacher, Keep::layers([0, 1, 3]))?;
/// let input_ids = Tensor::from_slice(&[1_i64, 20, 30]).unsqueeze(0);
/// assert_eq!(student.logits(&input_ids, &input_ids.ones_like())?.size(), [1, 3, 50]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct DecoderForCausalLm {
    config: DecoderConfig,
    embeddings: Embeddings,
    stack: Stack,
    head: Head,
    /// Files of the folder it came from, which are saved with the model.
    companions: Vec<PathBuf>,
    /// The folder, or the GGUF file, that it came from.
    folder: Option<PathBuf>,
    lora: Option<Attached>,
}

impl DecoderForCausalLm {
    /// Assembles the model from its weights, all of which must exist.
    fn build(config: DecoderConfig, mut weights: Weights, companions: Vec<PathBuf>) -> Result<Self> {
        let model = DecoderForCausalLm {
            embeddings: Embeddings::take(&mut weights, &config),
            stack: Stack::take(&mut weights, &config),
            head: Head::take(&mut weights, &config),
            folder: weights.folder(),
            lora: weights.attached()?,
            config,
            companions,
        };
        folder::refuse_left_over(&mut weights, &model.config);
        weights.finish()?;
        Ok(model)
    }

    /// Architecture, sizes and switches.
    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }

    fn named_parameters(&self) -> Parameters {
        let body = self.embeddings.parameters().chain(self.stack.parameters());
        Parameters::new(body.chain(self.head.parameters()))
    }

    /// Everything below the head.
    fn decode(&self, input_ids: &Tensor, attention_mask: &Tensor, pass: &Pass) -> Result<LayerOutputs> {
        let visibility = self.stack.visibility(attention_mask, pass)?;
        let embedded = self.embeddings.forward(input_ids, &visibility.positions, pass)?;
        self.stack.forward(embedded, &visibility, pass)
    }
}
