//! Masked language models: the batch, the output, and the forward pass.

use std::path::Path;

use brew_macros::{Batch, distill};
use tch::{Device, Kind, Tensor};

use super::Bert;
use super::config::DEFAULT_CLASSES;
use super::masked_lm_head::MaskedLmHead;
use crate::error::Result;
use crate::model::Forward;
use crate::model::cross_entropy::mean_over_tokens;
use crate::model::layer_outputs::LayerOutputs;
use crate::model::shapes::check_shapes;
use crate::pass::{Pass, Wants};
use crate::role;

/// A batch of tokenized texts for a masked language model.
#[derive(Debug, Batch)]
pub struct MaskedLmBatch {
    /// Token numbers, some of them masked, `(batch, length)`.
    #[column(i64, pad = 0)]
    pub input_ids: Tensor,
    /// 1 where there is a token, 0 where there is padding, `(batch, length)`.
    #[column(i64, pad = 0)]
    pub attention_mask: Tensor,
    /// Which segment a token belongs to, `(batch, length)`; all 0 if absent.
    #[column(i64, pad = 0)]
    pub token_type_ids: Option<Tensor>,
    /// The original tokens at the positions to learn, and -100 elsewhere, `(batch, length)`. Absent if there
    /// are none.
    #[column(i64, pad = -100)]
    pub labels: Option<Tensor>,
}

/// The output of a masked language model. What is not wanted is undefined.
#[distill(
    batch = MaskedLmBatch,
    inputs_mask = attention_mask,
    logits_mask = attention_mask,
    labels = labels,
    token_ids = input_ids
)]
#[derive(Debug)]
pub struct MaskedLmOutput {
    /// Scores of the token at each position before the softmax, `(batch, length, tokens)`.
    #[role(logits)]
    pub logits: Tensor,
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
    /// The mean cross entropy over the tokens of the batch whose label is not -100, a scalar, if there are
    /// labels; 0 if no token counts.
    ///
    /// It equals transformers' loss. Accumulated batches are averaged by their number of labels that count,
    /// as if they were one batch.
    #[role(losses)]
    pub loss: Option<Tensor>,
}

/// A masked language model: a model that gives each position one score per token of the vocabulary.
///
/// Its head uses the matrix of the token embeddings, unless the config's `tie_word_embeddings` is false, and has a
/// bias of its own. Frozen embeddings
/// ([`freeze_embeddings`](Bert::freeze_embeddings)) include that matrix, but not the bias.
///
/// This is the model for task-agnostic distillation: a student learns from the teacher's predictions or from
/// its insides on any text, and is fine-tuned afterwards, with a new head from `from_encoder` of the task's type.
///
/// ```
/// use brew_core::model::{Architecture, BertConfig, BertForMaskedLm};
/// use brew_core::prelude::*;
///
/// # fn main() -> Result<()> {
/// let config = BertConfig {
///     vocab_size: 60,
///     hidden_size: 16,
///     num_hidden_layers: 4,
///     num_attention_heads: 4,
///     intermediate_size: 32,
///     ..BertConfig::base(Architecture::Bert)
/// };
/// let teacher = BertForMaskedLm::new(config, 7, Device::Cpu)?;
/// let student = BertForMaskedLm::from_layers_of(&teacher, Keep::every(2))?;
/// let input_ids = Tensor::from_slice(&[2_i64, 20, 4, 3]).unsqueeze(0);
/// assert_eq!(student.logits(&input_ids, &input_ids.ones_like(), None)?.size(), [1, 4, 60]);
/// # Ok(())
/// # }
/// ```
pub type BertForMaskedLm = Bert<MaskedLmHead>;

impl BertForMaskedLm {
    /// Loads a pretrained encoder and adds a new head: a linear layer with weights from N(0,
    /// `initializer_range`²), a norm, and bias 0; the same for the same seed.
    ///
    /// # Errors
    /// Those of [`from_pretrained`](Self::from_pretrained).
    pub fn from_encoder(folder: impl AsRef<Path>, seed: u64, device: Device) -> Result<Self> {
        Self::from_encoder_of(folder.as_ref(), DEFAULT_CLASSES, seed, device)
    }

    /// The same model with a new head, as by [`from_encoder`](Self::from_encoder), and nothing frozen.
    ///
    /// # Errors
    /// Those of libtorch.
    pub fn with_new_head(self, seed: u64) -> Result<Self> {
        self.with_new_head_of(DEFAULT_CLASSES, seed)
    }

    /// One forward pass.
    ///
    /// `input_ids` is `(batch, length)` int64; `attention_mask`, of the same shape, is 1 where there is a
    /// token and 0 where there is padding; `token_type_ids`, of the same shape, defaults to all 0 and is not
    /// read by a DistilBERT; `labels`, of the same shape, is the original token where it is to be learned,
    /// int64, and -100 elsewhere.
    ///
    /// The pass says what is wanted ([`Pass::wants`]), including the logits. Without them, only the positions
    /// with a label go through the head. To get only the logits, call [`logits`](Self::logits).
    ///
    /// # Errors
    /// Shapes that differ, a sequence longer than the config allows, and, on a CPU, a token, type or label
    /// out of range.
    pub fn forward(
        &self,
        input_ids: &Tensor,
        attention_mask: &Tensor,
        token_type_ids: Option<&Tensor>,
        labels: Option<&Tensor>,
        pass: &Pass,
    ) -> Result<MaskedLmOutput> {
        let LayerOutputs { last, hidden_states, attentions, queries, keys, values } =
            self.encode(input_ids, attention_mask, token_type_ids, pass)?;
        let head = |hidden: &Tensor| self.head.forward(hidden, self.embeddings.table(), pass);
        let logits = if pass.wants().role::<role::Logits>() { head(&last)? } else { Tensor::new() };
        let loss = labels.filter(|_| pass.wants().role::<role::Losses>()).map(|labels| {
            check_shapes(input_ids, &[("labels", Some(labels))])?;
            if logits.defined() {
                mean_over_tokens(&logits, labels, |logits| Ok(logits.shallow_clone()))
            } else {
                mean_over_tokens(&last, labels, head)
            }
        });
        let loss = loss.transpose()?;
        Ok(MaskedLmOutput { logits, hidden_states, attentions, queries, keys, values, loss })
    }

    /// The logits of a batch, `(batch, length, tokens)`, in evaluation mode and without gradients.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn logits(
        &self,
        input_ids: &Tensor,
        attention_mask: &Tensor,
        token_type_ids: Option<&Tensor>,
    ) -> Result<Tensor> {
        let _guard = tch::no_grad_guard();
        let pass = Pass::evaluation(Wants::nothing().and_role("logits"));
        Ok(self.forward(input_ids, attention_mask, token_type_ids, None, &pass)?.logits)
    }
}

// By hand: the labels weigh the loss even if an adaptor does not read them.
impl Forward<MaskedLmBatch> for BertForMaskedLm {
    type Output = MaskedLmOutput;
    fn run(&self, batch: &MaskedLmBatch, pass: &Pass) -> Result<MaskedLmOutput> {
        let (types, labels) = (batch.token_type_ids.as_ref(), batch.labels.as_ref());
        self.forward(&batch.input_ids, &batch.attention_mask, types, labels, pass)
    }
    fn reads(&self) -> Option<Vec<String>> {
        Some(["input_ids", "attention_mask", "token_type_ids", "labels"].map(str::to_owned).into())
    }
    fn losses_count(&self, batch: &MaskedLmBatch) -> Result<Option<Vec<Tensor>>> {
        let count = |labels: &Tensor| Ok(vec![role::counts(labels)?.f_to_kind(Kind::Float)?]);
        batch.labels.as_ref().map(count).transpose()
    }
}
