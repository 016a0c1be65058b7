//! Masks a collated batch.

use brew_core::batch::FromColumns;
use brew_core::error::InStage as _;
use brew_core::role::IGNORED;
use brew_core::tch::Tensor;

use super::MaskedLm;
use crate::augment::batch::integers;

/// The column of tokens.
pub(crate) const INPUT_IDS: &str = "input_ids";
/// The column that says which tokens make up a word.
pub(crate) const WORD_IDS: &str = "word_ids";
/// The column that masking makes.
pub(crate) const LABELS: &str = "labels";

impl MaskedLm {
    /// What `labels` hold until rows are masked, and while they are augmented: the tokens, and -100 at padding.
    pub(crate) fn tokens(ids: &Tensor, mask: &Tensor) -> brew_core::Result<Tensor> {
        ids.f_masked_fill(&mask.f_eq(0)?, IGNORED).in_stage(LABELS)
    }

    /// Masks each row of the batch; `rows` are rows of the file, and `words` has the word of each token.
    pub(crate) fn batch<B: FromColumns>(
        &self,
        batch: &B,
        words: Option<&Tensor>,
        epoch: u64,
        rows: &[u64],
    ) -> brew_core::Result<B> {
        let (Some(ids), Some(labels)) = (batch.column(INPUT_IDS), batch.column(LABELS)) else {
            return batch.map(&mut |_, tensor| Ok(tensor.shallow_clone()));
        };
        let shape = ids.size();
        let width = usize::try_from(shape.last().copied().unwrap_or(0)).unwrap_or(0).max(1);
        let (mut ids, mut labels) = (integers(ids)?, integers(labels)?);
        let words = words.map(integers).transpose()?;
        let parts = ids.chunks_mut(width).zip(labels.chunks_mut(width)).zip(rows);
        for (number, (row, of_file)) in parts.enumerate() {
            let words = words.as_ref().map(|words| &words[number * width..(number + 1) * width]);
            self.row(row, words, (epoch, *of_file));
        }
        batch.map(&mut |name, tensor| {
            let values = match name {
                INPUT_IDS => &ids,
                LABELS => &labels,
                _ => return Ok(tensor.shallow_clone()),
            };
            Tensor::f_from_slice(values)?.f_reshape(shape.as_slice()).in_stage(name)
        })
    }

    /// The batch with the largest token that masking may draw at the start of each row.
    pub(crate) fn with_largest<B: FromColumns>(batch: &B, largest: i64) -> brew_core::Result<B> {
        batch.map(&mut |name, tensor| match (name, tensor.size().as_slice()) {
            (INPUT_IDS, &[rows, length]) if length > 0 => {
                let first = Tensor::f_full([rows, 1], largest, (tensor.kind(), tensor.device()))?;
                Ok(Tensor::f_cat(&[first, tensor.f_narrow(1, 1, length - 1)?], 1)?)
            }
            _ => Ok(tensor.shallow_clone()),
        })
    }
}
