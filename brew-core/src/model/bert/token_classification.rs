//! Token classification: the model's inputs and outputs, its head and its forward pass.

use brew_macros::{Batch, distill};
use tch::Tensor;

use super::config::BertConfig;
use super::head::{ClassHead, Head, renew_linear};
use super::{Bert, loss};
use crate::error::Result;
use crate::model::Forward;
use crate::model::layer_outputs::LayerOutputs;
use crate::model::parts::{Linear, dropout};
use crate::model::problem::ProblemType;
use crate::model::weights::Weights;
use crate::pass::Pass;
use crate::role;

/// A batch of tokenized texts with one class per token.
#[derive(Debug, Batch)]
pub struct TokenBatch {
    /// Token numbers, `(batch, length)`.
    #[column(i64, pad = 0)]
    pub input_ids: Tensor,
    /// 1 where there is a token, 0 where there is padding, `(batch, length)`.
    #[column(i64, pad = 0)]
    pub attention_mask: Tensor,
    /// Which segment a token belongs to, `(batch, length)`; all 0 if absent.
    #[column(i64, pad = 0)]
    pub token_type_ids: Option<Tensor>,
    /// The class of each token, -100 to ignore a token, `(batch, length)`; absent when predicting.
    #[column(i64, pad = -100)]
    pub labels: Option<Tensor>,
}

/// The output of a token classifier.
#[distill(batch = TokenBatch, inputs_mask = attention_mask, logits_mask = attention_mask, labels = labels)]
#[derive(Debug)]
pub struct TokenClassifierOutput {
    /// Scores before the softmax, `(batch, length, classes)`.
    #[role(logits)]
    pub logits: Tensor,
    /// Layers + 1 hidden states of `(batch, length, width)`, embeddings first; those not wanted are
    /// undefined.
    #[role(hidden)]
    pub hidden_states: Vec<Tensor>,
    /// One map of `(batch, heads, length, length)` per layer, probabilities that sum to 1 over the last
    /// dimension apart from dropout; those not wanted are undefined.
    #[role(attention)]
    pub attentions: Vec<Tensor>,
    /// Queries, one tensor of `(batch, length, width)` per layer, before they are split into heads; those not
    /// wanted are undefined.
    #[role(query)]
    pub queries: Vec<Tensor>,
    /// Like the queries.
    #[role(key)]
    pub keys: Vec<Tensor>,
    /// Like the queries.
    #[role(value)]
    pub values: Vec<Tensor>,
    /// The mean cross entropy over the tokens of the batch whose label is not -100, a scalar, if there are
    /// labels and it is wanted; 0 if no token counts.
    ///
    /// It equals transformers' loss. Accumulated batches are averaged by their number of labels that count,
    /// as if they were one batch.
    #[role(losses)]
    pub loss: Option<Tensor>,
}

/// A model that gives each token one score per class.
///
/// ```no_run
/// use brew_core::prelude::*;
/// use brew_core::model::BertForTokenClassification;
/// use brew_core::pass::Wants;
///
/// # fn main() -> Result<()> {
/// let tagger = BertForTokenClassification::from_encoder("models/encoder", 13, 7, Device::Cpu)?;
/// let input_ids = Tensor::from_slice(&[101_i64, 2123, 2225, 102]).unsqueeze(0);
/// let pass = Pass::evaluation(Wants::nothing());
/// let output = tagger.forward(&input_ids, &input_ids.ones_like(), None, None, &pass)?;
/// assert_eq!(output.logits.size(), [1, 4, 13]);
/// # Ok(())
/// # }
/// ```
pub type BertForTokenClassification = Bert<TokenHead>;

impl BertForTokenClassification {
    /// One forward pass.
    ///
    /// `input_ids` is `(batch, length)` int64; `attention_mask`, of the same shape, is 1 where there is a
    /// token and 0 where there is padding; `token_type_ids`, of the same shape, defaults to all 0 and is not
    /// read by a DistilBERT; `labels`, of the same shape, is the class of each token, int64, or -100 to
    /// ignore it.
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
    ) -> Result<TokenClassifierOutput> {
        let LayerOutputs { last, hidden_states, attentions, queries, keys, values } =
            self.encode(input_ids, attention_mask, token_type_ids, pass)?;
        let logits = self.head.output.forward(&dropout(last, self.head.dropout, pass)?, pass)?;
        let labels = labels.filter(|_| pass.wants().role::<role::Losses>());
        let loss = labels.map(|labels| loss::of_tokens(&logits, labels, &self.cross_entropy)).transpose()?;
        Ok(TokenClassifierOutput { logits, hidden_states, attentions, queries, keys, values, loss })
    }
}

// By hand: class weights determine the weight of each label.
impl Forward<TokenBatch> for BertForTokenClassification {
    type Output = TokenClassifierOutput;
    fn run(&self, batch: &TokenBatch, pass: &Pass) -> Result<TokenClassifierOutput> {
        let (types, labels) = (batch.token_type_ids.as_ref(), batch.labels.as_ref());
        self.forward(&batch.input_ids, &batch.attention_mask, types, labels, pass)
    }
    fn reads(&self) -> Option<Vec<String>> {
        Some(["input_ids", "attention_mask", "token_type_ids", "labels"].map(str::to_owned).into())
    }
    fn losses_count(&self, batch: &TokenBatch) -> Result<Option<Vec<Tensor>>> {
        let count = |labels| Ok(vec![self.cross_entropy.count(labels)?]);
        batch.labels.as_ref().map(count).transpose()
    }
}

/// The head for token classification: dropout and a linear layer.
#[derive(Debug)]
pub struct TokenHead {
    output: Linear,
    dropout: f64,
}

impl Head for TokenHead {
    const TASK: &'static str = "TokenClassification";
    const PROBLEM: Option<ProblemType> = Some(ProblemType::SingleLabelClassification);

    fn output_name(_: &BertConfig) -> &'static str {
        "classifier"
    }

    fn take(weights: &mut Weights, config: &BertConfig) -> Self {
        let name = Self::output_name(config).to_owned();
        TokenHead {
            output: Linear::take(weights, name, config.hidden_size, config.classes()),
            dropout: config.classifier_dropout(),
        }
    }

    fn renew(weights: &mut Weights, config: &BertConfig, seed: u64) -> Result<()> {
        let sizes = (config.hidden_size, config.classes());
        renew_linear(weights, Self::output_name(config), sizes, config.initializer_range, seed)
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        self.output.parameters().collect()
    }
}

impl ClassHead for TokenHead {}
