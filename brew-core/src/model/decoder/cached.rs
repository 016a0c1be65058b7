//! A decoder that remembers the keys and values of the tokens it has read, so that a new token costs one row.
//!
//! The buffers of each layer, `(texts, heads of keys and values, columns, head width)`, are allocated once for the prompt
//! and all steps. Prompts are padded on the left: from a text's first token on there are no gaps, so the latest `window`
//! columns hold the tokens that a layer with a window sees, and whatever padding they include has a mask that never changes.

use tch::{Device, Kind, Tensor};

use super::DecoderForCausalLm;
use super::config::TokenIds;
use super::rope::Rotation;
use super::visibility::Visibility;
use crate::error::{Error, InStage, Result};
use crate::model::causal_lm::{CausalLm, Continuation, Prefill};
use crate::model::shapes::check_shapes;
use crate::pass::{Pass, Wants};

/// The keys and values of one layer: `(texts, heads, columns, head width)` each.
#[derive(Debug)]
pub(super) struct KeysValues {
    pub(super) keys: Tensor,
    pub(super) values: Tensor,
}

impl KeysValues {
    /// Buffers with room for this many columns.
    fn room(shape: [i64; 4], options: (Kind, Device)) -> Result<Self> {
        let room = || Tensor::f_empty(shape, options);
        Ok(KeysValues { keys: room()?, values: room()? })
    }

    /// Writes keys and values from this column on; those of a prompt once for each of its answers.
    pub(super) fn write(&mut self, column: i64, keys: &Tensor, values: &Tensor) -> Result<()> {
        for (buffer, new) in [(&self.keys, keys), (&self.values, values)] {
            let (rows, new_rows) = (buffer.size()[0], new.size()[0]);
            let mut place = buffer.f_narrow(2, column, new.size()[2])?;
            if rows == new_rows {
                place.f_copy_(new)?;
            } else {
                place.f_copy_(&new.f_repeat_interleave_self_int(rows / new_rows, 0, None)?)?;
            }
        }
        Ok(())
    }
}

/// What new tokens see.
pub(super) enum Seen<'s> {
    /// Each other, as in a forward pass: they are the prompts.
    Prompt(&'s Visibility),
    /// One token per text sees all columns up to its own, `column`, of which padding is hidden.
    Columns { column: i64, hidden: Option<&'s Tensor> },
}

impl Seen<'_> {
    /// The column of the first new token.
    pub(super) fn column(&self) -> i64 {
        match self {
            Seen::Prompt(_) => 0,
            Seen::Columns { column, .. } => *column,
        }
    }
}

/// Texts with the keys and values of their tokens.
struct CachedTexts<'m> {
    model: &'m DecoderForCausalLm,
    layers: Vec<KeysValues>,
    /// The number of columns of the prompts, and of steps done.
    prompt: i64,
    done: i64,
    /// 0 for tokens and -inf for padding, `(texts, 1, 1, columns)`; `None` if there is no padding.
    hidden: Option<Tensor>,
    /// The positions of the tokens to come, `(texts, steps)`, and their rotations.
    positions: Tensor,
    rotations: Vec<Rotation>,
}

impl CausalLm for DecoderForCausalLm {
    fn vocab_size(&self) -> i64 {
        self.config.vocab_size
    }

    fn max_positions(&self) -> Option<i64> {
        Some(self.config.max_position_embeddings)
    }

    fn eos_token_ids(&self) -> Vec<i64> {
        self.config.eos_token_id.as_ref().map(TokenIds::ids).unwrap_or_default().to_vec()
    }

    fn pad_token_id(&self) -> Option<i64> {
        self.config.pad_token_id
    }

    fn device(&self) -> Device {
        self.embeddings.table().device()
    }

    fn prefill(&self, prompts: &Prefill<'_>) -> Result<(Tensor, Box<dyn Continuation + '_>)> {
        let _guard = tch::no_grad_guard();
        let (mut texts, visibility) = self.texts_after(prompts)?;
        let pass = Pass::evaluation(Wants::nothing());
        let embedded = self.embeddings.forward(prompts.input_ids, &visibility.positions, &pass)?;
        let rotations = self.stack.rotations(&visibility.positions, embedded.kind())?;
        let seen = Seen::Prompt(&visibility);
        let last = self.stack.cached(embedded, &rotations, (&mut texts.layers, &seen), &pass)?;
        let logits = self.head.forward(&last.f_squeeze_dim(1)?, self.embeddings.table())?;
        let logits = match prompts.answers {
            1 => logits,
            answers => logits.f_repeat_interleave_self_int(answers, 0, None)?,
        };
        Ok((logits, Box::new(texts)))
    }
}

impl DecoderForCausalLm {
    /// Room for prompts and what follows them, and what the prompts' tokens see.
    fn texts_after(&self, prompts: &Prefill<'_>) -> Result<(CachedTexts<'_>, Visibility)> {
        let Prefill { input_ids, attention_mask, answers, steps } = *prompts;
        check_shapes(input_ids, &[("attention_mask", Some(attention_mask))])?;
        let (rows, prompt) = input_ids.size2()?;
        if rows < 1 || prompt < 1 || answers < 1 || steps < 0 {
            return Err(Error::invalid(format!(
                "there must be at least one prompt, one token in it and one answer, and no negative number of steps: `input_ids` is {:?}, with {answers} answers and {steps} steps",
                input_ids.size()
            )));
        }
        let pass = Pass::evaluation(Wants::nothing());
        let visibility = self.stack.visibility(attention_mask, &pass)?;
        let tokens = attention_mask.f_ne(0)?;
        let begun = tokens.f_to_kind(Kind::Int64)?.f_cummax(1)?.0.f_ne(0)?;
        let whole = begun.f_eq_tensor(&tokens)?.f_all()?.f_logical_and(&begun.f_select(1, -1)?.f_all()?)?;
        // A prompt is one document.
        let whole = whole.f_logical_and(&attention_mask.f_le(1)?.f_all()?)?;
        if whole.f_int64_value(&[])? == 0 {
            return Err(Error::invalid(
                "`attention_mask` must be 0 for padding on the left and 1 from a prompt's first token on: `Prompts::of_tensors` moves padding there",
            ));
        }
        let columns = prompt + steps;
        let padded = tokens.f_all()?.f_int64_value(&[])? == 0;
        let table = self.embeddings.table();
        let options = (table.kind(), table.device());
        let texts = |tensor: &Tensor| tensor.f_repeat_interleave_self_int(answers, 0, None);
        let hidden = if padded {
            let hidden = Tensor::f_zeros([rows * answers, 1, 1, columns], options)?;
            let padding = texts(&tokens)?.f_logical_not()?.f_unsqueeze(1)?.f_unsqueeze(1)?;
            let _ = hidden.f_narrow(3, 0, prompt)?.f_masked_fill_(&padding, f64::NEG_INFINITY)?;
            Some(hidden)
        } else {
            None
        };
        let counts = texts(&tokens.f_sum_dim_intlist([1_i64].as_slice(), true, Kind::Int64)?)?;
        let positions = counts.f_add(&Tensor::f_arange(steps, (Kind::Int64, counts.device()))?)?;
        let shape = [rows * answers, self.config.key_value_heads(), columns, self.config.head_size()];
        let layers = (0..self.config.num_hidden_layers).map(|_| KeysValues::room(shape, options));
        let texts = CachedTexts {
            model: self,
            layers: layers.collect::<Result<_>>()?,
            prompt,
            done: 0,
            hidden,
            rotations: self.stack.rotations(&positions, table.kind())?,
            positions,
        };
        Ok((texts, visibility))
    }
}

impl Continuation for CachedTexts<'_> {
    fn step(&mut self, ids: &Tensor) -> Result<Tensor> {
        let _guard = tch::no_grad_guard();
        let (number, model) = (self.done, self.model);
        let (rows, steps) = self.positions.size2()?;
        if number == steps {
            return Err(Error::invalid(format!(
                "there was room for {steps} steps after the prompts, and all are done"
            )));
        }
        if ids.size() != [rows] {
            return Err(Error::invalid(format!(
                "`ids` is {:?}; it must be ({rows},), one token per text",
                ids.size()
            )));
        }
        let pass = Pass::evaluation(Wants::nothing());
        let positions = self.positions.f_narrow(1, number, 1)?;
        let embedded = model.embeddings.forward(&ids.f_unsqueeze(1)?, &positions, &pass)?;
        let rotations = self.rotations.iter().map(|rotation| rotation.narrow(number, 1));
        let rotations = rotations.collect::<Result<Vec<_>>>()?;
        let column = self.prompt + number;
        let hidden = self.hidden.as_ref().map(|hidden| hidden.f_narrow(3, 0, column + 1)).transpose()?;
        let seen = Seen::Columns { column, hidden: hidden.as_ref() };
        let last = model.stack.cached(embedded, &rotations, (&mut self.layers, &seen), &pass);
        let last = last.in_stage("step")?;
        self.done += 1;
        model.head.forward(&last.f_squeeze_dim(1)?, model.embeddings.table())
    }
}
