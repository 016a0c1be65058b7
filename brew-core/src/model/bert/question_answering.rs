//! Answering questions by a span of the text: the model and its forward pass.

use std::path::Path;

use tch::{Device, Tensor};

use super::span_head::{SCORES, SpanHead};
use super::spans::{SpanBatch, SpanOutput};
use super::{Bert, loss};
use crate::error::{InStage, Result};
use crate::model::Forward;
use crate::model::layer_outputs::LayerOutputs;
use crate::model::parts::dropout;
use crate::pass::Pass;
use crate::role;

/// A model that finds the span of a text that answers a question (extractive question answering).
///
/// ```no_run
/// use brew_core::prelude::*;
/// use brew_core::model::BertForQuestionAnswering;
/// use brew_core::pass::Wants;
///
/// # fn main() -> Result<()> {
/// let model = BertForQuestionAnswering::from_pretrained("models/reader", Device::Cpu)?;
/// let input_ids = Tensor::from_slice(&[101_i64, 2040, 102, 8857, 102]).unsqueeze(0);
/// let types = Tensor::from_slice(&[0_i64, 0, 0, 1, 1]).unsqueeze(0);
/// let pass = Pass::evaluation(Wants::nothing());
/// let mask = input_ids.ones_like();
/// let output = model.forward(&input_ids, &mask, Some(&types), None, None, &pass)?;
/// assert_eq!(output.start_logits.size(), [1, 5]);
/// # Ok(())
/// # }
/// ```
pub type BertForQuestionAnswering = Bert<SpanHead>;

impl BertForQuestionAnswering {
    /// Loads a pretrained encoder and adds a new head with weights from N(0, `initializer_range`²) and bias
    /// 0; the same for the same seed.
    ///
    /// # Errors
    /// Those of [`from_pretrained`](Self::from_pretrained).
    pub fn from_encoder(folder: impl AsRef<Path>, seed: u64, device: Device) -> Result<Self> {
        Self::from_encoder_of(folder.as_ref(), SCORES, seed, device)
    }

    /// The same model with a new head: weights from N(0, `initializer_range`²), bias 0, and nothing frozen.
    ///
    /// # Errors
    /// Those of libtorch.
    pub fn with_new_head(self, seed: u64) -> Result<Self> {
        self.with_new_head_of(SCORES, seed)
    }
}

impl BertForQuestionAnswering {
    /// One forward pass.
    ///
    /// `input_ids` is `(batch, length)` int64; `attention_mask`, of the same shape, is 1 where there is a
    /// token and 0 where there is padding; `token_type_ids`, of the same shape, defaults to all 0 and is not
    /// read by a DistilBERT; `start_positions` and `end_positions` are `(batch,)` int64. As in transformers,
    /// a position of `length` or more does not count, and one below 0 is treated as 0.
    ///
    /// # Errors
    /// Shapes that differ, a sequence longer than the config allows, and, on a CPU, a token or type out of
    /// range.
    pub fn forward(
        &self,
        input_ids: &Tensor,
        attention_mask: &Tensor,
        token_type_ids: Option<&Tensor>,
        start_positions: Option<&Tensor>,
        end_positions: Option<&Tensor>,
        pass: &Pass,
    ) -> Result<SpanOutput> {
        let LayerOutputs { last, hidden_states, attentions, queries, keys, values } =
            self.encode(input_ids, attention_mask, token_type_ids, pass)?;
        let logits = self.head.output.forward(&dropout(last, self.head.dropout, pass)?, pass)?;
        let start_logits = logits.f_select(-1, 0).in_stage("qa_outputs")?;
        let end_logits = logits.f_select(-1, 1).in_stage("qa_outputs")?;
        let (loss, losses) = match (start_positions, end_positions) {
            (Some(starts), Some(ends)) if pass.wants().role::<role::Losses>() => {
                let start = loss::of_positions(&start_logits, starts).in_stage("start_positions")?;
                let end = loss::of_positions(&end_logits, ends).in_stage("end_positions")?;
                let halves = vec![start.f_div_scalar(2.0)?, end.f_div_scalar(2.0)?];
                (Some(halves[0].f_add(&halves[1])?), Some(halves))
            }
            _ => (None, None),
        };
        Ok(SpanOutput {
            start_logits,
            end_logits,
            hidden_states,
            attentions,
            queries,
            keys,
            values,
            loss,
            losses,
        })
    }
}

// By hand: positions beyond the text do not count, and those below 0 do.
impl Forward<SpanBatch> for BertForQuestionAnswering {
    type Output = SpanOutput;
    fn run(&self, batch: &SpanBatch, pass: &Pass) -> Result<SpanOutput> {
        let types = batch.token_type_ids.as_ref();
        let (starts, ends) = (batch.start_positions.as_ref(), batch.end_positions.as_ref());
        self.forward(&batch.input_ids, &batch.attention_mask, types, starts, ends, pass)
    }
    fn reads(&self) -> Option<Vec<String>> {
        Some(
            ["input_ids", "attention_mask", "token_type_ids", "start_positions", "end_positions"]
                .map(str::to_owned)
                .into(),
        )
    }
    fn losses_count(&self, batch: &SpanBatch) -> Result<Option<Vec<Tensor>>> {
        let (Some(starts), Some(ends)) = (&batch.start_positions, &batch.end_positions) else {
            return Ok(None);
        };
        let length = batch.input_ids.size().get(1).copied().unwrap_or(0);
        Ok(Some(vec![loss::count_of_positions(starts, length)?, loss::count_of_positions(ends, length)?]))
    }
}
