//! Answering questions by a span of the text: what the model reads and returns, its head and its
//! forward pass.

use std::path::Path;

use brew_macros::{Batch, adaptor};
use tch::{Device, Tensor};

use super::architecture::Network;
use super::config::BertConfig;
use super::encoder::Encoded;
use super::head::{Head, renew_linear};
use super::{Bert, loss};
use crate::batch::Output;
use crate::error::{InStage, Result};
use crate::model::Forward;
use crate::model::parts::{Linear, dropout};
use crate::model::problem::ProblemType;
use crate::model::weights::Weights;
use crate::pass::Pass;
use crate::role;

/// Scores a token: one for the start, one for the end.
const SCORES: i64 = 2;

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

/// A model that finds the span of a text that answers a question.
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
    /// Loads a pretrained encoder and puts a new head on it, with weights from N(0, `initializer_range`²) and bias 0;
    /// the same for the same seed.
    ///
    /// # Errors
    /// As [`from_pretrained`](Self::from_pretrained).
    pub fn from_encoder(folder: impl AsRef<Path>, seed: u64, device: Device) -> Result<Self> {
        Self::from_encoder_of(folder.as_ref(), SCORES, seed, device)
    }

    /// The same model with a new head: weights from N(0, `initializer_range`²), bias 0, and nothing frozen.
    ///
    /// # Errors
    /// Where libtorch refuses.
    pub fn with_new_head(self, seed: u64) -> Result<Self> {
        self.with_new_head_of(SCORES, seed)
    }
}

impl BertForQuestionAnswering {
    /// One forward pass.
    ///
    /// `input_ids` is `(batch, length)` int64; `attention_mask`, of the same shape, is 1 where there
    /// is a token and 0 where there is padding; `token_type_ids`, of the same shape, is 0 everywhere
    /// where it is absent, and is not read by a DistilBERT; `start_positions` and `end_positions` are
    /// `(batch,)` int64. As in transformers, a position of `length` or more does not count, and one
    /// below 0 is taken for 0.
    ///
    /// # Errors
    /// When shapes differ, when a sequence is longer than the config allows, and, on a CPU, when a
    /// token or a type is out of range.
    pub fn forward(
        &self,
        input_ids: &Tensor,
        attention_mask: &Tensor,
        token_type_ids: Option<&Tensor>,
        start_positions: Option<&Tensor>,
        end_positions: Option<&Tensor>,
        pass: &Pass,
    ) -> Result<SpanOutput> {
        let Encoded { last, hidden_states, attentions, queries, keys, values } =
            self.encode(input_ids, attention_mask, token_type_ids, pass)?;
        let logits = self.head.output.forward(&dropout(last, self.head.dropout, pass)?)?;
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

/// The head of a model that answers questions: a linear layer to two scores a token, after dropout in
/// a DistilBERT.
#[derive(Debug)]
pub struct SpanHead {
    output: Linear,
    dropout: f64,
}

impl Head for SpanHead {
    const TASK: &'static str = "QuestionAnswering";
    const PROBLEM: Option<ProblemType> = Some(ProblemType::SingleLabelClassification);

    fn output_name(_: &BertConfig) -> &'static str {
        "qa_outputs"
    }

    fn take(weights: &mut Weights, config: &BertConfig) -> Self {
        let name = Self::output_name(config).to_owned();
        SpanHead {
            output: Linear::take(weights, name, config.hidden_size, SCORES),
            dropout: match config.model_type.network() {
                Network::Bert | Network::Roberta => 0.0,
                Network::DistilBert => config.qa_dropout,
            },
        }
    }

    fn renew(weights: &mut Weights, config: &BertConfig, seed: u64) -> Result<()> {
        let sizes = (config.hidden_size, SCORES);
        renew_linear(weights, Self::output_name(config), sizes, config.initializer_range, seed)
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        self.output.parameters().into()
    }
}
