//! Sequence classification with a BiGRU, from the last state of each direction.

use tch::Tensor;

use super::{BiGru, BiGruTask, Encoded};
use crate::error::Result;
use crate::model::bert::loss;
use crate::model::{ClassifierOutput, Forward, TextBatch};
use crate::pass::Pass;
use crate::role;

/// The task of a [`BiGruForSequenceClassification`].
#[derive(Debug)]
pub struct SequenceTask;

impl BiGruTask for SequenceTask {
    const NAME: &'static str = "SequenceClassification";
}

/// A BiGRU that gives each sequence one score per class.
///
/// ```
/// use brew_core::model::{BiGruConfig, BiGruForSequenceClassification};
/// use brew_core::prelude::*;
/// use brew_core::pass::Wants;
///
/// # fn main() -> Result<()> {
/// let config = BiGruConfig { vocab_size: 100, hidden_size: 16, ..BiGruConfig::default() };
/// let student = BiGruForSequenceClassification::new(config, 7, Device::Cpu)?;
/// let input_ids = Tensor::from_slice(&[2_i64, 20, 30, 3, 2, 40, 3, 0]).reshape([2, 4]);
/// let pass = Pass::evaluation(Wants::nothing());
/// let output = student.forward(&input_ids, &input_ids.ne(0).to_kind(Kind::Int64), None, &pass)?;
/// assert_eq!(output.logits.size(), [2, 2]);
/// # Ok(())
/// # }
/// ```
pub type BiGruForSequenceClassification = BiGru<SequenceTask>;

impl BiGruForSequenceClassification {
    /// One forward pass.
    ///
    /// `input_ids` is `(batch, length)` int64; `attention_mask`, of the same shape, is 1 where there is a
    /// token and 0 where there is padding, which follows the tokens; `labels` and the loss are as for
    /// [`BertForSequenceClassification`](crate::model::BertForSequenceClassification).
    ///
    /// # Errors
    /// Shapes that differ, padding before a token, and, on a CPU, a token or label out of range.
    pub fn forward(
        &self,
        input_ids: &Tensor,
        attention_mask: &Tensor,
        labels: Option<&Tensor>,
        pass: &Pass,
    ) -> Result<ClassifierOutput> {
        let Encoded { ends, hidden_states, .. } = self.encode(input_ids, attention_mask, pass)?;
        let logits = self.classify(ends, pass)?;
        let labels = labels.filter(|_| pass.wants().role::<role::Losses>());
        let of = |labels| loss::of_sequences(&logits, labels, &self.problem, &self.cross_entropy);
        let loss = labels.map(of).transpose()?;
        let (attentions, queries, keys, values) = <(Vec<_>, Vec<_>, Vec<_>, Vec<_>)>::default();
        Ok(ClassifierOutput { logits, hidden_states, attentions, queries, keys, values, loss })
    }
}

impl Forward<TextBatch> for BiGruForSequenceClassification {
    type Output = ClassifierOutput;
    fn run(&self, batch: &TextBatch, pass: &Pass) -> Result<ClassifierOutput> {
        self.forward(&batch.input_ids, &batch.attention_mask, batch.labels.as_ref(), pass)
    }
    fn reads(&self) -> Option<Vec<String>> {
        Some(["input_ids", "attention_mask", "labels"].map(str::to_owned).into())
    }
    fn losses_count(&self, batch: &TextBatch) -> Result<Option<Vec<Tensor>>> {
        let Some(labels) = &batch.labels else { return Ok(None) };
        let classes = self.config.classes();
        Ok(Some(vec![loss::count_of_sequences(labels, classes, &self.problem, &self.cross_entropy)?]))
    }
}
