//! Prompts as rows of tokens, and their padding on the left.

use tch::{Device, Kind, Tensor};

use crate::error::{Error, InStage, Result};
use crate::loss::check_mask;
use crate::model::shapes::check_shapes;

/// Prompts to continue.
///
/// Each has a number, which decides the draws of its answers; by default its index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompts {
    rows: Vec<Vec<i64>>,
    numbers: Vec<u64>,
}

impl Prompts {
    /// Prompts of these tokens.
    ///
    /// ```
    /// use brew_core::generate::Prompts;
    ///
    /// assert_eq!(Prompts::of_ids([vec![3, 1, 4], vec![5]]).rows().len(), 2);
    /// ```
    pub fn of_ids(rows: impl IntoIterator<Item = Vec<i64>>) -> Self {
        let rows: Vec<Vec<i64>> = rows.into_iter().collect();
        let numbers = (0..rows.len() as u64).collect();
        Prompts { rows, numbers }
    }

    /// The rows of a batch: `input_ids`, integers, and `attention_mask` are `(rows, length)`. The mask is 1 for a
    /// token and 0 for padding, which may be on any side.
    ///
    /// # Errors
    /// Other or different shapes, tokens that are not integers, a mask of other values.
    pub fn of_tensors(input_ids: &Tensor, attention_mask: &Tensor) -> Result<Self> {
        check_shapes(input_ids, &[("attention_mask", Some(attention_mask))])?;
        let (rows, length) = input_ids.size2()?;
        check_mask("`attention_mask`", attention_mask, false)?;
        if input_ids.f_is_floating_point()? {
            return Err(Error::invalid(format!(
                "`input_ids` is {:?}; it must be integers",
                input_ids.kind()
            )));
        }
        let flat = |tensor: &Tensor| -> Result<Vec<i64>> {
            Ok(Vec::try_from(tensor.f_to_device(Device::Cpu)?.f_to_kind(Kind::Int64)?.f_reshape([-1])?)?)
        };
        let (ids, mask) = (flat(input_ids)?, flat(attention_mask)?);
        let length = usize::try_from(length).unwrap_or(0);
        let row = |row: usize| {
            let columns = row * length..(row + 1) * length;
            let of_mask = mask.get(columns.clone()).unwrap_or_default();
            let ids = ids.get(columns).unwrap_or_default();
            ids.iter().zip(of_mask).filter(|(_, token)| **token != 0).map(|(id, _)| *id).collect()
        };
        Ok(Self::of_ids((0..usize::try_from(rows).unwrap_or(0)).map(row)))
    }

    /// The same prompts with these numbers, one each, which decide their draws: rows of a data set keep their answers
    /// in any batch.
    ///
    /// # Errors
    /// Another number of numbers.
    pub fn numbered(self, numbers: impl IntoIterator<Item = u64>) -> Result<Self> {
        let numbers: Vec<u64> = numbers.into_iter().collect();
        if numbers.len() != self.rows.len() {
            return Err(Error::invalid(format!("{} numbers for {} prompts", numbers.len(), self.rows.len())));
        }
        Ok(Prompts { numbers, ..self })
    }

    /// The tokens of each.
    pub fn rows(&self) -> &[Vec<i64>] {
        &self.rows
    }

    /// The number of each.
    pub fn numbers(&self) -> &[u64] {
        &self.numbers
    }

    /// The length of the longest.
    pub(super) fn longest(&self) -> usize {
        self.rows.iter().map(Vec::len).max().unwrap_or(0)
    }

    /// Refuses prompts that a model with this many tokens cannot read.
    pub(super) fn check(&self, tokens: i64) -> Result<()> {
        if self.rows.is_empty() {
            return Err(Error::invalid("there is no prompt"));
        }
        for (index, row) in self.rows.iter().enumerate() {
            if row.is_empty() {
                return Err(Error::invalid(format!(
                    "prompt {index} is empty: begin it with the token that begins a text, or with any other"
                )));
            }
            if let Some((place, id)) = row.iter().enumerate().find(|(_, id)| !(0..tokens).contains(*id)) {
                return Err(Error::invalid(format!(
                    "token {place} of prompt {index} is {id}; the model's tokens are 0 to {}",
                    tokens - 1
                )));
            }
        }
        Ok(())
    }

    /// `(input_ids, attention_mask)`, `(prompts, longest)` int64 each, padded on the left with this token.
    pub(super) fn padded(&self, pad: i64, device: Device) -> Result<(Tensor, Tensor)> {
        let longest = self.longest();
        let lay = |fill: i64, of_token: &dyn Fn(i64) -> i64| {
            let rows = self.rows.iter().flat_map(|row| {
                let padding = std::iter::repeat_n(fill, longest - row.len());
                padding.chain(row.iter().map(|id| of_token(*id))).collect::<Vec<_>>()
            });
            let rows: Vec<i64> = rows.collect();
            Tensor::f_from_slice(&rows)?.f_view([-1, longest as i64])?.f_to_device(device)
        };
        Ok((lay(pad, &|id| id).in_stage("prompts")?, lay(0, &|_| 1).in_stage("prompts")?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_of_any_side_is_moved_to_the_left() {
        let ids = Tensor::from_slice(&[7_i64, 0, 0, 0, 8, 9, 4, 5, 6]).view([3, 3]);
        let mask = Tensor::from_slice(&[1_i64, 0, 0, 0, 1, 1, 1, 0, 1]).view([3, 3]);
        let prompts = Prompts::of_tensors(&ids, &mask).unwrap();
        assert_eq!(prompts.rows(), [vec![7], vec![8, 9], vec![4, 6]]);
        let (ids, mask) = prompts.padded(11, Device::Cpu).unwrap();
        assert_eq!(Vec::<i64>::try_from(ids.view([-1])).unwrap(), [11, 7, 8, 9, 4, 6]);
        assert_eq!(Vec::<i64>::try_from(mask.view([-1])).unwrap(), [0, 1, 1, 1, 1, 1]);
        assert!(prompts.numbered([1]).unwrap_err().to_string().contains("1 numbers for 3 prompts"));
        let error = Prompts::of_tensors(&ids, &mask.narrow(0, 0, 1)).unwrap_err().to_string();
        assert!(error.contains("they must be equal"), "{error}");
    }

    #[test]
    fn a_mask_that_is_not_0_and_1_and_tokens_that_are_no_integers_are_refused() {
        let ids = Tensor::from_slice(&[7_i64, 8]).view([1, 2]);
        for values in [[1.0_f32, 0.5], [1.0, -1.0], [1.0, 2.0], [1.0, f32::NAN]] {
            let mask = Tensor::from_slice(&values).view([1, 2]);
            let error = Prompts::of_tensors(&ids, &mask).unwrap_err().to_string();
            assert!(error.contains("`attention_mask` has values other than 0 and 1"), "{error}");
        }
        let halves = ids.to_kind(Kind::Float) / 2;
        let error = Prompts::of_tensors(&halves, &ids.ones_like()).unwrap_err().to_string();
        assert!(error.contains("`input_ids` is Float; it must be integers"), "{error}");
    }
}
