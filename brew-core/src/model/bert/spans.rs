//! What a model that answers questions by a span of the text reads and returns.

use brew_macros::{Batch, adaptor};
use tch::Tensor;

use super::loss;
use crate::batch::Output;
use crate::error::Result;

/// A batch of questions, each tokenized together with the text that holds its answer.
#[derive(Debug, Batch)]
pub struct SpanBatch {
    /// Token numbers, `(batch, length)`.
    #[column(i64, pad = 0)]
    pub input_ids: Tensor,
    /// 1 where there is a token, 0 where there is padding, `(batch, length)`.
    #[column(i64, pad = 0)]
    pub attention_mask: Tensor,
    /// 0 in the question and 1 in the text, `(batch, length)`; all 0 if absent.
    #[column(i64, pad = 0)]
    pub token_type_ids: Option<Tensor>,
    /// The first token of the answer, counted from 0, `(batch,)`; absent when predicting.
    #[column(i64)]
    pub start_positions: Option<Tensor>,
    /// The last token of the answer, counted from 0, `(batch,)`; absent when predicting.
    #[column(i64)]
    pub end_positions: Option<Tensor>,
}

/// The output of a question-answering model.
#[derive(Debug)]
pub struct SpanOutput {
    /// Scores of the answer starting at each token, before the softmax over the length, `(batch, length)`.
    pub start_logits: Tensor,
    /// Scores of the answer ending at each token, before the softmax over the length, `(batch, length)`.
    pub end_logits: Tensor,
    /// Layers + 1 hidden states of `(batch, length, width)`, embeddings first; those not wanted are
    /// undefined.
    pub hidden_states: Vec<Tensor>,
    /// One map of `(batch, heads, length, length)` per layer, probabilities that sum to 1 over the last
    /// dimension apart from dropout; those not wanted are undefined.
    pub attentions: Vec<Tensor>,
    /// Queries, one tensor of `(batch, length, width)` per layer, before they are split into heads; those not
    /// wanted are undefined.
    pub queries: Vec<Tensor>,
    /// Like the queries.
    pub keys: Vec<Tensor>,
    /// Like the queries.
    pub values: Vec<Tensor>,
    /// Half the sum of the mean cross entropies of start and end, a scalar, if both positions are given and
    /// it is wanted; a mean over no positions is 0.
    ///
    /// It equals transformers' loss.
    pub loss: Option<Tensor>,
    /// The two halves that sum to the loss, for start and end, scalars: accumulated batches are averaged by
    /// each half's number of positions that count, as if they were one batch.
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
/// A position beyond the text, because the answer was truncated, becomes the label -100, which no loss
/// counts, as in transformers.
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
