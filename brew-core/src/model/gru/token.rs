//! A BiGRU that classifies tokens.

use brew_macros::distill;
use tch::Tensor;

use super::{BiGru, Encoded, Task};
use crate::error::Result;
use crate::model::ProblemType;
use crate::model::bert::loss;
use crate::model::{TokenBatch, TokenClassifierOutput};
use crate::pass::Pass;
use crate::role;

/// The task of a [`BiGruForTokenClassification`].
#[derive(Debug)]
pub struct TokenTask;

impl Task for TokenTask {
    const NAME: &'static str = "TokenClassification";
    const PROBLEM: Option<ProblemType> = Some(ProblemType::SingleLabelClassification);
}

/// A BiGRU that gives each token one score a class.
pub type BiGruForTokenClassification = BiGru<TokenTask>;

#[distill(batch = TokenBatch)]
impl BiGruForTokenClassification {
    /// One forward pass; arguments and errors as of a BiGRU for sequences, labels and loss as for
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
        let loss = labels.map(|labels| loss::of_tokens(&logits, labels)).transpose()?;
        let (attentions, queries, keys, values) = <(Vec<_>, Vec<_>, Vec<_>, Vec<_>)>::default();
        Ok(TokenClassifierOutput { logits, hidden_states, attentions, queries, keys, values, loss })
    }
}
