//! Token classification with a BiGRU.

use tch::Tensor;

use super::{BiGru, BiGruTask, Encoded};
use crate::error::Result;
use crate::model::bert::loss;
use crate::model::{Forward, ProblemType, TokenBatch, TokenClassifierOutput};
use crate::pass::Pass;
use crate::role;

/// The task of a [`BiGruForTokenClassification`].
#[derive(Debug)]
pub struct TokenTask;

impl BiGruTask for TokenTask {
    const NAME: &'static str = "TokenClassification";
    const PROBLEM: Option<ProblemType> = Some(ProblemType::SingleLabelClassification);
}

/// A BiGRU that gives each token one score per class.
pub type BiGruForTokenClassification = BiGru<TokenTask>;

impl BiGruForTokenClassification {
    /// One forward pass; arguments and errors are as for a BiGRU for sequences, labels and loss as for
    /// [`BertForTokenClassification`](crate::model::BertForTokenClassification).
    pub fn forward(
        &self,
        input_ids: &Tensor,
        attention_mask: &Tensor,
        labels: Option<&Tensor>,
        pass: &Pass,
    ) -> Result<TokenClassifierOutput> {
        let Encoded { last, hidden_states, .. } = self.encode(input_ids, attention_mask, pass)?;
        let logits = self.classify(last, pass)?;
        let labels = labels.filter(|_| pass.wants().role::<role::Losses>());
        let loss = labels.map(|labels| loss::of_tokens(&logits, labels, &self.cross_entropy)).transpose()?;
        let (attentions, queries, keys, values) = <(Vec<_>, Vec<_>, Vec<_>, Vec<_>)>::default();
        Ok(TokenClassifierOutput { logits, hidden_states, attentions, queries, keys, values, loss })
    }
}

// By hand: class weights determine the weight of each label.
impl Forward<TokenBatch> for BiGruForTokenClassification {
    type Output = TokenClassifierOutput;
    fn run(&self, batch: &TokenBatch, pass: &Pass) -> Result<TokenClassifierOutput> {
        self.forward(&batch.input_ids, &batch.attention_mask, batch.labels.as_ref(), pass)
    }
    fn reads(&self) -> Option<Vec<String>> {
        Some(["input_ids", "attention_mask", "labels"].map(str::to_owned).into())
    }
    fn losses_count(&self, batch: &TokenBatch) -> Result<Option<Vec<Tensor>>> {
        let count = |labels| Ok(vec![self.cross_entropy.count(labels)?]);
        batch.labels.as_ref().map(count).transpose()
    }
}
