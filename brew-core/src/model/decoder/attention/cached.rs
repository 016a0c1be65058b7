//! Attention of new tokens, whose keys and values are kept for the tokens after them.

use tch::Tensor;

use super::super::cached::{KeysValues, Seen};
use super::{Attention, Rotation, Visibility};
use crate::error::{InStage, Result};
use crate::pass::Pass;

impl Attention {
    /// Maps `(texts, length, width)` to the same shape, and writes the new keys and values to `kept`.
    pub(in crate::model::decoder) fn cached(
        &self,
        hidden: &Tensor,
        rotation: Option<&Rotation>,
        (kept, seen): (&mut KeysValues, &Seen<'_>),
        pass: &Pass,
    ) -> Result<Tensor> {
        let [query, key, value] = self.projections.forward(hidden, pass)?;
        let [query_norm, key_norm] = self.norms();
        let query = self.heads_of(&query, self.heads, query_norm, rotation)?;
        let key = self.heads_of(&key, self.key_value_heads, key_norm, rotation)?;
        let value = self.heads_of(&value, self.key_value_heads, None, None)?;
        kept.write(seen.column(), &key, &value).in_stage("cache")?;
        let context = match seen {
            Seen::Prompt(visibility) => self.of_prompt([&query, &key, &value], visibility, pass)?,
            Seen::Columns { column, hidden } => {
                self.of_column(&query, kept, (*column, *hidden)).in_stage("cached attention")?
            }
        };
        self.output.forward(&context, pass)
    }

    /// The context of all tokens, `(texts, length, heads x head width)`, as in a forward pass.
    fn of_prompt(
        &self,
        [query, key, value]: [&Tensor; 3],
        visibility: &Visibility,
        pass: &Pass,
    ) -> Result<Tensor> {
        let context = if self.cap.is_some() {
            let map = self.map(query, &self.for_all_heads(key)?, visibility, pass)?;
            map.f_matmul(&self.for_all_heads(value)?).in_stage("attention")?
        } else {
            self.fused(query, key, value, visibility, 0.0)?
        };
        context.f_transpose(1, 2)?.f_flatten(2, 3).in_stage("attention")
    }

    /// The context of one token per text, `(texts, 1, heads x head width)`. The queries that share a head of keys are the
    /// rows of one product, so keys and values are not repeated.
    fn of_column(
        &self,
        query: &Tensor,
        kept: &KeysValues,
        (column, hidden): (i64, Option<&Tensor>),
    ) -> Result<Tensor> {
        let texts = query.size()[0];
        let length = self.window.map_or(column + 1, |window| window.min(column + 1));
        let first = column + 1 - length;
        let keys = kept.keys.f_narrow(2, first, length)?;
        let values = kept.values.f_narrow(2, first, length)?;
        let hidden = hidden.map(|hidden| hidden.f_narrow(3, first, length)).transpose()?;
        let rows = self.heads / self.key_value_heads;
        let query = query.f_reshape([texts, self.key_value_heads, rows, self.head_size])?;
        let context = if self.cap.is_some() {
            let map = self.probabilities(&query, &keys, |scores| match &hidden {
                Some(hidden) => Ok(scores.f_add(hidden)?),
                None => Ok(scores),
            })?;
            map.f_matmul(&values)?
        } else {
            let scale = Some(self.scale);
            Tensor::f_scaled_dot_product_attention(&query, &keys, &values, hidden, 0.0, false, scale, false)?
        };
        Ok(context.f_reshape([texts, 1, self.heads * self.head_size])?)
    }
}
