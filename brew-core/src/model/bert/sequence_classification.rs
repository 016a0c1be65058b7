//! Sequence classification: the model's inputs and outputs, and its forward pass.

use brew_macros::{Batch, adaptor, distill};
use tch::Tensor;

use super::sequence_head::SequenceHead;
use super::{Bert, loss};
use crate::error::Result;
use crate::model::Forward;
use crate::model::layer_outputs::LayerOutputs;
use crate::pass::Pass;
use crate::role;

/// A batch of tokenized texts.
#[derive(Debug, Batch)]
pub struct TextBatch {
    /// Token numbers, `(batch, length)`.
    #[column(i64, pad = 0)]
    pub input_ids: Tensor,
    /// 1 where there is a token, 0 where there is padding, `(batch, length)`.
    #[column(i64, pad = 0)]
    pub attention_mask: Tensor,
    /// Which segment a token belongs to, `(batch, length)`; all 0 if absent.
    #[column(i64, pad = 0)]
    pub token_type_ids: Option<Tensor>,
    /// The class of each text, `(batch,)`; absent when predicting.
    #[column(i64)]
    pub labels: Option<Tensor>,
}

/// A batch of tokenized texts with float labels: for regression and for several labels per text.
#[derive(Debug, Batch)]
pub struct FloatLabelTextBatch {
    /// Token numbers, `(batch, length)`.
    #[column(i64, pad = 0)]
    pub input_ids: Tensor,
    /// 1 where there is a token, 0 where there is padding, `(batch, length)`.
    #[column(i64, pad = 0)]
    pub attention_mask: Tensor,
    /// Which segment a token belongs to, `(batch, length)`; all 0 if absent.
    #[column(i64, pad = 0)]
    pub token_type_ids: Option<Tensor>,
    /// One number per class, `(batch, classes)`, or `(batch,)` for one class; absent when predicting.
    #[column(f32)]
    pub labels: Option<Tensor>,
}

/// The output of a sequence classifier.
#[distill(batch = TextBatch, inputs_mask = attention_mask, labels = labels)]
#[derive(Debug)]
pub struct ClassifierOutput {
    /// Scores before the softmax, `(batch, classes)`.
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
    /// The mean loss of the examples that count, a scalar, if there are labels and it is wanted; 0 if none
    /// counts.
    ///
    /// It equals transformers' loss: a label of -100 does not count. Accumulated batches are averaged by
    /// their number of examples that count, as if they were one batch.
    #[role(losses)]
    pub loss: Option<Tensor>,
}

/// A model that gives each sequence one score per class.
///
/// ```no_run
/// use brew_core::prelude::*;
/// use brew_core::pass::Wants;
///
/// # fn main() -> Result<()> {
/// let teacher = BertForSequenceClassification::from_pretrained("models/teacher", Device::Cpu)?;
/// let student = BertForSequenceClassification::from_layers_of(&teacher, Keep::every(2))?;
/// let input_ids = Tensor::from_slice(&[101_i64, 2023, 2003, 102]).unsqueeze(0);
/// let attention_mask = input_ids.ones_like();
/// let pass = Pass::evaluation(Wants::nothing().and_role("hidden"));
/// let output = student.forward(&input_ids, &attention_mask, None, None, &pass)?;
/// println!("{:?}", output.logits.size());
/// # Ok(())
/// # }
/// ```
pub type BertForSequenceClassification = Bert<SequenceHead>;

impl BertForSequenceClassification {
    /// One forward pass.
    ///
    /// `input_ids` is `(batch, length)` int64; `attention_mask`, of the same shape, is 1 where there is a
    /// token and 0 where there is padding; `token_type_ids`, of the same shape, defaults to all 0 and is not
    /// read by a DistilBERT.
    ///
    /// `labels` and the loss follow the config's `problem_type`. Without it, one class means regression,
    /// integers mean one class per example, and floats mean several labels; the first labels decide
    /// permanently. [`ProblemType::of`] has the whole table.
    /// - `single_label_classification`: `(batch,)` integers, the class of each example, of two classes or
    ///   more; the mean cross entropy of those whose class is not -100.
    /// - `multi_label_classification`: `(batch, classes)` floats, 0 or 1 per class; the mean over the
    ///   classes of the binary cross entropy of sigmoid(logits).
    /// - `regression`: `(batch, classes)`, or `(batch,)` for one class; the mean over the classes of
    ///   the squared error.
    ///
    /// [`ProblemType::of`]: crate::model::ProblemType::of
    ///
    /// # Errors
    /// Shapes that differ, labels that do not fit the problem type, a sequence longer than the config allows,
    /// and, on a CPU, a token, type or label out of range.
    pub fn forward(
        &self,
        input_ids: &Tensor,
        attention_mask: &Tensor,
        token_type_ids: Option<&Tensor>,
        labels: Option<&Tensor>,
        pass: &Pass,
    ) -> Result<ClassifierOutput> {
        let LayerOutputs { last, hidden_states, attentions, queries, keys, values } =
            self.encode(input_ids, attention_mask, token_type_ids, pass)?;
        let logits = self.head.forward(&last, pass)?;
        let labels = labels.filter(|_| pass.wants().role::<role::Losses>());
        let of = |labels| loss::of_sequences(&logits, labels, &self.problem, &self.cross_entropy);
        let loss = labels.map(of).transpose()?;
        Ok(ClassifierOutput { logits, hidden_states, attentions, queries, keys, values, loss })
    }

    /// The weight of each example in the loss.
    fn count(&self, labels: Option<&Tensor>) -> Result<Option<Vec<Tensor>>> {
        let Some(labels) = labels else { return Ok(None) };
        let classes = self.config.classes();
        Ok(Some(vec![loss::count_of_sequences(labels, classes, &self.problem, &self.cross_entropy)?]))
    }
}

// By hand: the config decides what a label means, and so which labels count.
impl Forward<TextBatch> for BertForSequenceClassification {
    type Output = ClassifierOutput;
    fn run(&self, batch: &TextBatch, pass: &Pass) -> Result<ClassifierOutput> {
        let (types, labels) = (batch.token_type_ids.as_ref(), batch.labels.as_ref());
        self.forward(&batch.input_ids, &batch.attention_mask, types, labels, pass)
    }
    fn reads(&self) -> Option<Vec<String>> {
        Some(["input_ids", "attention_mask", "token_type_ids", "labels"].map(str::to_owned).into())
    }
    fn losses_count(&self, batch: &TextBatch) -> Result<Option<Vec<Tensor>>> {
        self.count(batch.labels.as_ref())
    }
}

impl Forward<FloatLabelTextBatch> for BertForSequenceClassification {
    type Output = ClassifierOutput;
    fn run(&self, batch: &FloatLabelTextBatch, pass: &Pass) -> Result<ClassifierOutput> {
        let (types, labels) = (batch.token_type_ids.as_ref(), batch.labels.as_ref());
        self.forward(&batch.input_ids, &batch.attention_mask, types, labels, pass)
    }
    fn reads(&self) -> Option<Vec<String>> {
        Some(["input_ids", "attention_mask", "token_type_ids", "labels"].map(str::to_owned).into())
    }
    fn losses_count(&self, batch: &FloatLabelTextBatch) -> Result<Option<Vec<Tensor>>> {
        self.count(batch.labels.as_ref())
    }
}

/// Reads the roles of a classifier with float labels.
#[derive(Debug, Clone, Copy)]
pub struct FloatLabelClassifierAdaptor;

#[adaptor(batch = FloatLabelTextBatch, output = ClassifierOutput)]
impl FloatLabelClassifierAdaptor {
    fn logits(output: &ClassifierOutput) -> &Tensor {
        &output.logits
    }
    fn hidden(output: &ClassifierOutput) -> &[Tensor] {
        &output.hidden_states
    }
    fn attention(output: &ClassifierOutput) -> &[Tensor] {
        &output.attentions
    }
    fn query(output: &ClassifierOutput) -> &[Tensor] {
        &output.queries
    }
    fn key(output: &ClassifierOutput) -> &[Tensor] {
        &output.keys
    }
    fn value(output: &ClassifierOutput) -> &[Tensor] {
        &output.values
    }
    fn losses(output: &ClassifierOutput) -> Option<&Tensor> {
        output.loss.as_ref()
    }
    fn labels(batch: &FloatLabelTextBatch) -> Option<&Tensor> {
        batch.labels.as_ref()
    }
    fn inputs_mask(batch: &FloatLabelTextBatch) -> &Tensor {
        &batch.attention_mask
    }
}
