//! The class names that the data gives for its labels.

use crate::adaptor::Adaptor;
use crate::batch::{Batch as _, Batches};
use crate::error::Result;
use crate::feature::Feature;
use crate::role::{Labels, Role};

/// The class names that the data gives for its labels: those of the column that has the labels' role in a
/// batch, or else of the column called `labels`.
pub(super) fn label_names<A: Adaptor>(data: &impl Batches, batch: &A::Batch) -> Result<Option<Vec<String>>> {
    let labels = A::read_batch(Labels::NAME, batch)?.map(Feature::into_tensors).unwrap_or_default();
    let column = batch.tensors().into_iter().find(|(name, tensor)| match labels.as_slice() {
        [] => *name == Labels::NAME,
        [labels] => labels.data_ptr() == tensor.data_ptr(),
        _ => false,
    });
    column.map_or(Ok(None), |(name, _)| data.class_names(name))
}
