//! Writes the batches to one safetensors file, so that another program can train on them.

use std::path::Path;

use brew_core::prelude::*;
use safetensors::tensor::{Dtype, TensorView};

/// Writes the first N batches of the first epoch: `input_ids` and `attention_mask`
/// `(batches, rows, length)`, `labels` `(batches, rows)`, all int64.
pub(crate) fn write(file: &Path, batches: &impl Batches<Batch = TextBatch>, count: u64) -> Result<()> {
    let (mut ids, mut masks, mut labels) = (Vec::new(), Vec::new(), Vec::new());
    for batch in batches.epoch(0)?.take(count as usize) {
        let batch = batch?;
        ids.push(batch.input_ids);
        masks.push(batch.attention_mask);
        labels.extend(batch.labels);
    }
    let tensors = [("input_ids", ids), ("attention_mask", masks), ("labels", labels)];
    let mut stacked = Vec::new();
    for (name, list) in tensors {
        let tensor = Tensor::f_stack(&list, 0)?;
        let numbers = Vec::<i64>::try_from(tensor.f_flatten(0, -1)?)?;
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        stacked.push((name, tensor.size().iter().map(|size| *size as usize).collect::<Vec<_>>(), bytes));
    }
    let views: Result<Vec<_>, _> = stacked
        .iter()
        .map(|(name, shape, bytes)| Ok((*name, TensorView::new(Dtype::I64, shape.clone(), bytes)?)))
        .collect();
    let wrong = |error: safetensors::SafeTensorError| Error::file(file, error);
    let bytes = safetensors::serialize(views.map_err(wrong)?, None).map_err(wrong)?;
    brew_core::disk::write(file, &bytes)
}
