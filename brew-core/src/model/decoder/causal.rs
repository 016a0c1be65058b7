//! The batch that a language model reads, its output, and its forward pass.

use brew_macros::{Batch, distill};
use tch::{Kind, Tensor};

use super::{DecoderForCausalLm, loss};
use crate::error::Result;
use crate::model::Forward;
use crate::model::layer_outputs::LayerOutputs;
use crate::model::shapes::check_shapes;
use crate::pass::{Pass, Wants};
use crate::role::{self, counts};

/// A batch of tokenized texts for a language model.
#[derive(Debug, Batch)]
pub struct CausalLmBatch {
    /// Token numbers, `(batch, length)`.
    #[column(i64, pad = 0)]
    pub input_ids: Tensor,
    /// 1 for a token, 0 for padding, `(batch, length)`. In a packed row, the number of the token's document: 1 for the
    /// first, 2 for the second and so on. Documents do not see each other, and positions start from 0 in each.
    #[column(i64, pad = 0)]
    pub attention_mask: Tensor,
    /// The tokens of `input_ids` to learn, each at its own position, and -100 elsewhere, `(batch, length)`. Absent
    /// if there are none.
    #[column(i64, pad = -100)]
    pub labels: Option<Tensor>,
}

/// The output of one forward pass of a language model. What is not wanted is undefined.
///
/// The logits at a position predict the next token, so wrap losses on them in
/// [`next_token`](crate::loss::next_token).
#[distill(
    batch = CausalLmBatch,
    inputs_mask = attention_mask,
    logits_mask = attention_mask,
    labels = labels,
    token_ids = input_ids,
    output_bias = None,
    logit_scale = None
)]
#[derive(Debug)]
pub struct CausalLmOutput {
    /// Scores of the next token before the softmax, `(batch, length, tokens)`.
    #[role(logits)]
    pub logits: Tensor,
    /// Layers + 1 hidden states of `(batch, length, width)`, embeddings first. The last one is
    /// taken after the final norm, as in transformers: it is the head's input, not the last layer's output.
    #[role(hidden)]
    pub hidden_states: Vec<Tensor>,
    /// One map per layer of `(batch, heads, length, length)`: probabilities that sum to 1 over the last dimension
    /// except for dropout. Padding attends to itself and to the tokens before it; no token attends to padding.
    #[role(attention)]
    pub attentions: Vec<Tensor>,
    /// The outputs of the linear layers, before norms and rotation: one tensor per layer of
    /// `(batch, length, heads x head width)`. Keys and values may have fewer heads than queries.
    #[role(query)]
    pub queries: Vec<Tensor>,
    /// See the queries.
    #[role(key)]
    pub keys: Vec<Tensor>,
    /// See the queries.
    #[role(value)]
    pub values: Vec<Tensor>,
    /// The matrix that turns the last hidden states into logits, `(tokens, width)`.
    #[role(output_weight)]
    pub output_weight: Tensor,
    /// The bound to which a tanh limits the logits (`final_logit_softcapping`), a scalar; `None` if they have none.
    #[role(logit_softcap)]
    pub logit_softcap: Option<Tensor>,
    /// The mean cross entropy over the labels of the batch that are not -100 and follow a token of the same document: a
    /// scalar, if there are labels; 0 if none counts.
    ///
    /// This is transformers' loss if labels of padding, and of the first token of each document, are -100 there.
    /// Accumulated batches are weighted by their number of labels that count, as if they were one batch.
    #[role(losses)]
    pub loss: Option<Tensor>,
}

impl DecoderForCausalLm {
    /// One forward pass.
    ///
    /// `input_ids` is `(batch, length)` int64; `attention_mask`, of the same shape, is 1 for a token and
    /// 0 for padding, on any side, or numbers the documents of packed rows (see [`CausalLmBatch`]); `labels`, of the
    /// same shape, holds each token to learn at its own position, int64, and -100 elsewhere.
    ///
    /// The pass says what is wanted ([`Pass::wants`]). This includes the logits, which can be larger than everything
    /// else; to get only them, call [`logits`](Self::logits).
    ///
    /// # Errors
    /// If shapes differ, if a document has more tokens than the config has positions, and, on a CPU, if a token or a
    /// label is out of range.
    pub fn forward(
        &self,
        input_ids: &Tensor,
        attention_mask: &Tensor,
        labels: Option<&Tensor>,
        pass: &Pass,
    ) -> Result<CausalLmOutput> {
        check_shapes(input_ids, &[("attention_mask", Some(attention_mask)), ("labels", labels)])?;
        let LayerOutputs { last, hidden_states, attentions, queries, keys, values } =
            self.decode(input_ids, attention_mask, pass)?;
        let wants = pass.wants();
        let table = self.embeddings.table();
        let head = |hidden: &Tensor| self.head.forward(hidden, table);
        let logits = if wants.role::<role::Logits>() { head(&last)? } else { Tensor::new() };
        let output_weight = if wants.role::<role::OutputWeight>() {
            self.head.matrix(table).shallow_clone()
        } else {
            Tensor::new()
        };
        let logit_softcap = self.head.softcap()?;
        let labels = labels.filter(|_| wants.role::<role::Losses>());
        let loss = labels.map(|labels| {
            let asked = (labels, attention_mask);
            if logits.defined() {
                loss::next_token(&logits, asked, |logits| Ok(logits.shallow_clone()))
            } else {
                loss::next_token(&last, asked, head)
            }
        });
        let loss = loss.transpose()?;
        Ok(CausalLmOutput {
            logits,
            hidden_states,
            attentions,
            queries,
            keys,
            values,
            output_weight,
            logit_softcap,
            loss,
        })
    }

    /// The logits of a batch, `(batch, length, tokens)`, in evaluation mode and without gradients.
    ///
    /// ```no_run
    /// use brew_core::prelude::*;
    /// use brew_core::model::DecoderForCausalLm;
    ///
    /// # fn main() -> Result<()> {
    /// let model = DecoderForCausalLm::from_pretrained("models/smollm2", Device::Cpu)?;
    /// let input_ids = Tensor::from_slice(&[504_i64, 3575, 282, 4649, 314]).unsqueeze(0);
    /// let logits = model.logits(&input_ids, &input_ids.ones_like())?;
    /// println!("next: {}", logits.select(1, -1).argmax(-1, false));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn logits(&self, input_ids: &Tensor, attention_mask: &Tensor) -> Result<Tensor> {
        let _guard = tch::no_grad_guard();
        let pass = Pass::evaluation(Wants::nothing().and_role("logits"));
        Ok(self.forward(input_ids, attention_mask, None, &pass)?.logits)
    }
}

// Written by hand: only a label that follows a token counts.
impl Forward<CausalLmBatch> for DecoderForCausalLm {
    type Output = CausalLmOutput;
    fn run(&self, batch: &CausalLmBatch, pass: &Pass) -> Result<CausalLmOutput> {
        self.forward(&batch.input_ids, &batch.attention_mask, batch.labels.as_ref(), pass)
    }
    fn reads(&self) -> Option<Vec<String>> {
        Some(["input_ids", "attention_mask", "labels"].map(str::to_owned).into())
    }
    fn losses_count(&self, batch: &CausalLmBatch) -> Result<Option<Vec<Tensor>>> {
        let count = |labels: &Tensor| {
            let ahead = loss::ahead(labels, &batch.attention_mask)?;
            Ok(vec![counts(&ahead)?.f_to_kind(Kind::Float)?])
        };
        batch.labels.as_ref().map(count).transpose()
    }
}
