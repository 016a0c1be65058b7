//! What a model that answers questions by a span of the text reads and returns.

use brew_macros::{Batch, adaptor};
use tch::Tensor;

use super::loss;
use crate::batch::Output;
use crate::error::Result;

/// A batch of questions, each tokenized with the text that holds its answer.
#[derive(Debug, Batch)]
pub struct SpanBatch {
    /// Token numbers, `(batch, length)`.
    #[column(i64, pad = 0)]
    pub input_ids: Tensor,
    /// 1 where there is a token, 0 where there is padding, `(batch, length)`.
    #[column(i64, pad = 0)]
    pub attention_mask: Tensor,
    /// 0 in the question and 1 in the text, `(batch, length)`; all 0 where it is absent.
    #[column(i64, pad = 0)]
    pub token_type_ids: Option<Tensor>,
    /// The first token of the answer, counted from 0, `(batch,)`; absent when predicting.
    #[column(i64)]
    pub start_positions: Option<Tensor>,
    /// The last token of the answer, counted from 0, `(batch,)`; absent when predicting.
    #[column(i64)]
    pub end_positions: Option<Tensor>,
}

/// What one forward pass of a model that answers questions returns.
#[derive(Debug)]
pub struct SpanOutput {
    /// How well the answer begins at each token, before the softmax over the length,
    /// `(batch, length)`.
    pub start_logits: Tensor,
    /// How well the answer ends at each token, before the softmax over the length, `(batch, length)`.
    pub end_logits: Tensor,
    /// Layers + 1 hidden states of `(batch, length, width)`, embeddings first; those that nobody
    /// reads are undefined.
    pub hidden_states: Vec<Tensor>,
    /// One map a layer of `(batch, heads, length, length)`, probabilities that sum to 1 over the
    /// last dimension but for dropout; those that nobody reads are undefined.
    pub attentions: Vec<Tensor>,
    /// Queries, keys and values: one tensor a layer of `(batch, length, width)` each, before they are
    /// split into heads; those that nobody reads are undefined.
    pub queries: Vec<Tensor>,
    /// As the queries.
    pub keys: Vec<Tensor>,
    /// As the queries.
    pub values: Vec<Tensor>,
    /// Half the sum of the mean cross entropies of start and end, a scalar, where both positions are
    /// there and somebody reads it; a mean over no position is 0.
    ///
    /// It is transformers' loss.
    pub loss: Option<Tensor>,
    /// The two halves whose sum the loss is, that of the start and that of the end, scalars: accumulated
    /// batches are averaged by the number of the positions of each that count, as if they were one batch.
    pub losses: Option<Vec<Tensor>>,
}

impl Output for SpanOutput {
    fn map(&self, change: &mut dyn FnMut(&Tensor) -> Result<Tensor>) -> Result<Self> {
        Ok(SpanOutput {
            start_logits: self.start_logits.map(change)?,
            end_logits: self.end_logits.map(change)?,
            hidden_states: self.hidden_states.map(change)?,
            attentions: self.attentions.map(change)?,
            queries: self.queries.map(change)?,
            keys: self.keys.map(change)?,
            values: self.values.map(change)?,
            loss: Output::map(&self.loss, change)?,
            losses: Output::map(&self.losses, change)?,
        })
    }
}

/// The roles of a [`SpanOutput`]. `logits` and `labels` are lists: the start, then the end.
///
/// A position beyond the text, where the answer was cut off, is the label -100, which no loss counts:
/// what transformers does with it, too.
#[derive(Debug, Clone, Copy)]
pub struct SpanOutputAdaptor;

#[adaptor(batch = SpanBatch, output = SpanOutput)]
impl SpanOutputAdaptor {
    fn logits(output: &SpanOutput) -> [Tensor; 2] {
        [output.start_logits.shallow_clone(), output.end_logits.shallow_clone()]
    }
    fn hidden(output: &SpanOutput) -> &[Tensor] {
        &output.hidden_states
    }
    fn attention(output: &SpanOutput) -> &[Tensor] {
        &output.attentions
    }
    fn query(output: &SpanOutput) -> &[Tensor] {
        &output.queries
    }
    fn key(output: &SpanOutput) -> &[Tensor] {
        &output.keys
    }
    fn value(output: &SpanOutput) -> &[Tensor] {
        &output.values
    }
    fn losses(output: &SpanOutput) -> Option<&Vec<Tensor>> {
        output.losses.as_ref()
    }
    fn inputs_mask(batch: &SpanBatch) -> &Tensor {
        &batch.attention_mask
    }
    fn labels(batch: &SpanBatch) -> Result<Option<[Tensor; 2]>> {
        let (Some(starts), Some(ends)) = (&batch.start_positions, &batch.end_positions) else {
            return Ok(None);
        };
        let length = batch.input_ids.size().get(1).copied().unwrap_or(0);
        Ok(Some([loss::within(starts, length)?, loss::within(ends, length)?]))
    }
}
