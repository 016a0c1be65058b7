//! Applies the steps to a collated batch: all its token lists are changed alike.

use brew_core::batch::{Column, FromColumns};
use brew_core::error::InStage as _;
use brew_core::tch::{Device, Kind, Tensor};

use super::Augmentation;
use super::masked_lm::INPUT_IDS;
use super::row::Token;
use crate::error::{Error, Result};

/// The column that gives the number of tokens per row.
const MASK: &str = "attention_mask";

impl Augmentation {
    /// Checks that batches with these columns can be augmented; reports all problems at once.
    pub(crate) fn check(&self, columns: &[Column]) -> Result<()> {
        let mut problems = self.problems();
        for name in [INPUT_IDS, MASK] {
            if !columns.iter().any(|column| column.name == name && column.kind == Kind::Int64) {
                problems.push(format!("the batch needs a column `{name}` of int64 to be augmented"));
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(Error::Setting(problems.join("; "))) }
    }

    /// Augments each row of the batch; `rows` are rows of the file, and lists are padded to a multiple of
    /// this length.
    pub(crate) fn batch<B: FromColumns>(
        &self,
        batch: &B,
        epoch: u64,
        rows: &[u64],
        multiple: usize,
    ) -> brew_core::Result<B> {
        let (Some(ids), Some(mask)) = (batch.column(INPUT_IDS), batch.column(MASK)) else {
            return batch.map(&mut |_, tensor| Ok(tensor.shallow_clone()));
        };
        if mask.f_gt(1)?.f_any()?.f_int64_value(&[])? == 1 {
            return Err(brew_core::Error::invalid(
                "`attention_mask` has numbers above 1, which tell the documents of packed rows apart, and augmentation would mix them: augment the texts before they are packed, or leave out the augmentation",
            ));
        }
        let length = ids.size()[1];
        let lengths = integers(&mask.f_sum_dim_intlist([1_i64].as_slice(), false, Kind::Int64)?)?;
        let ids = integers(ids)?;
        let width = usize::try_from(length).unwrap_or(0).max(1);
        let disturbed: Vec<Vec<Token>> = ids
            .chunks(width)
            .zip(lengths)
            .zip(rows)
            .map(|((ids, length), row)| {
                let length = usize::try_from(length).unwrap_or(0).min(ids.len());
                self.row(&ids[..length], epoch, *row)
            })
            .collect();
        let longest = disturbed.iter().map(Vec::len).max().unwrap_or(0).next_multiple_of(multiple);
        let places = gather(&disturbed, longest, |token| token.place as i64, 0)?;
        let padding = gather(&disturbed, longest, |_| 0, 1)?.f_ne(0)?;
        let masked = gather(&disturbed, longest, |token| i64::from(token.masked), 0)?.f_ne(0)?;
        batch.map(&mut |name, tensor| {
            // A list without a pad value is not a token list, whatever its length.
            let pad = B::COLUMNS.iter().find(|column| column.name == name).and_then(|column| column.pad);
            let Some(pad) = pad.filter(|_| tensor.dim() == 2 && tensor.size()[1] == length) else {
                return Ok(tensor.shallow_clone());
            };
            let moved = tensor.f_gather(1, &places, false).in_stage(name)?;
            let moved = match (name, self.mask()) {
                (INPUT_IDS, Some(mask)) => moved.f_masked_fill(&masked, mask)?,
                _ => moved,
            };
            moved.f_masked_fill(&padding, pad).in_stage(name)
        })
    }
}

/// The values of a tensor, in order.
pub(super) fn integers(tensor: &Tensor) -> brew_core::Result<Vec<i64>> {
    Ok(Vec::try_from(&tensor.f_to_device(Device::Cpu)?.f_reshape([-1])?)?)
}

/// One number per token, `(rows, longest)`, with `padding` at the end of each row.
fn gather(
    rows: &[Vec<Token>],
    longest: usize,
    number: impl Fn(&Token) -> i64,
    padding: i64,
) -> brew_core::Result<Tensor> {
    let mut values = Vec::with_capacity(rows.len() * longest);
    for (count, row) in (1..).zip(rows) {
        values.extend(row.iter().map(&number));
        values.resize(count * longest, padding);
    }
    Ok(Tensor::f_from_slice(&values)?.f_reshape([rows.len() as i64, longest as i64])?)
}
