//! What a language model reads and returns, and its forward pass.

use brew_macros::{Batch, distill};
use tch::{Kind, Tensor};

use super::stack::Decoded;
use super::{DecoderForCausalLm, loss};
use crate::error::Result;
use crate::model::Forward;
use crate::pass::{Pass, Wants};
use crate::role;

/// A batch of tokenized texts for a language model.
#[derive(Debug, Batch)]
pub struct CausalLmBatch {
    /// Token numbers, `(batch, length)`.
    #[column(i64, pad = 0)]
    pub input_ids: Tensor,
    /// 1 where there is a token, 0 where there is padding, `(batch, length)`.
    #[column(i64, pad = 0)]
    pub attention_mask: Tensor,
    /// The tokens to be learned, each in its own place, and -100 where none is, `(batch, length)`: the tokens of
    /// `input_ids` that count. Absent where there are none.
    #[column(i64, pad = -100)]
    pub labels: Option<Tensor>,
}

/// What one forward pass of a language model returns. What nobody reads is undefined.
///
/// The logits of a position are about the next token, so that losses on them are put in
/// [`next_token`](crate::loss::next_token).
#[distill(
    batch = CausalLmBatch,
    inputs_mask = attention_mask,
    logits_mask = attention_mask,
    labels = labels,
    token_ids = input_ids
)]
#[derive(Debug)]
pub struct CausalLmOutput {
    /// Scores of the next token before the softmax, `(batch, length, tokens)`.
    #[role(logits)]
    pub logits: Tensor,
    /// Layers + 1 hidden states of `(batch, length, width)`, embeddings first. The last one is behind the last
    /// norm, as in transformers: it is what the head reads, and not what the last layer returns.
    #[role(hidden)]
    pub hidden_states: Vec<Tensor>,
    /// One map a layer of `(batch, heads, length, length)`, probabilities that sum to 1 over the last dimension
    /// but for dropout. In a row of padding it is 1 on the diagonal, or lies on the tokens before, too.
    #[role(attention)]
    pub attentions: Vec<Tensor>,
    /// What the linear layers give before norms and rotation: one tensor a layer of
    /// `(batch, length, heads x head width)` for queries, and as wide as the heads of keys and values for those.
    #[role(query)]
    pub queries: Vec<Tensor>,
    /// See the queries.
    #[role(key)]
    pub keys: Vec<Tensor>,
    /// See the queries.
    #[role(value)]
    pub values: Vec<Tensor>,
    /// The matrix that makes logits of the last hidden states, `(tokens, width)`.
    #[role(output_weight)]
    pub output_weight: Tensor,
    /// The mean cross entropy over the labels of the batch that are not -100 and follow a token, a scalar, where
    /// there are labels; 0 where none counts.
    ///
    /// It is transformers' loss. Accumulated batches are averaged by the number of their labels that count, as
    /// if they were one batch.
    #[role(losses)]
    pub loss: Option<Tensor>,
}

impl DecoderForCausalLm {
    /// One forward pass.
    ///
    /// `input_ids` is `(batch, length)` int64; `attention_mask`, of the same shape, is 1 where there is a token
    /// and 0 where there is padding, wherever that is; `labels`, of the same shape, has each token that is to be
    /// learned in its own place, int64, and -100 elsewhere.
    ///
    /// The pass says what is wanted ([`Pass::wants`]), the logits too, which may be larger than all else:
    /// [`logits`](Self::logits) is a shorter way to them.
    ///
    /// # Errors
    /// When shapes differ, when a sequence has more tokens than the config has positions, and, on a CPU, when a
    /// token or a label is out of range.
    pub fn forward(
        &self,
        input_ids: &Tensor,
        attention_mask: &Tensor,
        labels: Option<&Tensor>,
        pass: &Pass,
    ) -> Result<CausalLmOutput> {
        super::check_shapes(input_ids, attention_mask, labels)?;
        let Decoded { last, hidden_states, attentions, queries, keys, values } =
            self.decode(input_ids, attention_mask, pass)?;
        let wants = pass.wants();
        let table = self.embeddings.table();
        let head = |hidden: &Tensor| self.head.forward(hidden, table);
        let logits = if wants.role::<role::Logits>() { head(&last)? } else { Tensor::new() };
        let output_weight =
            if wants.role::<role::OutputWeight>() { self.head.output_weight(table)? } else { Tensor::new() };
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
        Ok(CausalLmOutput { logits, hidden_states, attentions, queries, keys, values, output_weight, loss })
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

// By hand: a label counts where it follows a token.
impl Forward<CausalLmBatch> for DecoderForCausalLm {
    type Output = CausalLmOutput;
    fn run(&self, batch: &CausalLmBatch, pass: &Pass) -> Result<CausalLmOutput> {
        self.forward(&batch.input_ids, &batch.attention_mask, batch.labels.as_ref(), pass)
    }
    fn reads(&self) -> Option<Vec<String>> {
        Some(["input_ids", "attention_mask", "labels"].map(str::to_owned).into())
    }
    fn losses_count(&self, batch: &CausalLmBatch) -> Result<Option<Vec<Tensor>>> {
        let count =
            |labels: &Tensor| Ok(vec![loss::counted(labels, &batch.attention_mask)?.f_to_kind(Kind::Float)?]);
        batch.labels.as_ref().map(count).transpose()
    }
}
