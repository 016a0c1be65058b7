//! What a BERT classifier reads and returns, with the roles that distillation gives them.

use brew_macros::{Batch, distill};
use tch::Tensor;

/// A batch of tokenized texts.
#[derive(Debug, Batch)]
pub struct TextBatch {
    /// Token numbers, `(batch, length)`.
    #[column(i64, pad = 0)]
    pub input_ids: Tensor,
    /// 1 where there is a token, 0 where there is padding, `(batch, length)`.
    #[column(i64, pad = 0)]
    pub attention_mask: Tensor,
    /// Which segment a token belongs to, `(batch, length)`; all 0 where it is absent.
    #[column(i64, pad = 0)]
    pub token_type_ids: Option<Tensor>,
    /// The class of each text, `(batch,)`; absent when predicting.
    #[column(i64)]
    pub labels: Option<Tensor>,
}

/// What one forward pass of a classifier returns.
#[distill(batch = TextBatch, inputs_mask = attention_mask, labels = labels)]
#[derive(Debug)]
pub struct ClassifierOutput {
    /// Scores before the softmax, `(batch, classes)`.
    #[role(logits)]
    pub logits: Tensor,
    /// Layers + 1 hidden states of `(batch, length, width)`, embeddings first; those that nobody
    /// reads are undefined.
    #[role(hidden)]
    pub hidden_states: Vec<Tensor>,
    /// One map a layer of `(batch, heads, length, length)`, probabilities that sum to 1 over the
    /// last dimension but for dropout; those that nobody reads are undefined.
    #[role(attention)]
    pub attentions: Vec<Tensor>,
    /// The cross entropy of each example, `(batch,)`, where there are labels and somebody reads it.
    #[role(losses)]
    pub loss: Option<Tensor>,
}
