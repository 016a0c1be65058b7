//! The shapes of the columns that models of text read.

use tch::Tensor;

use crate::error::{Error, Result};

/// Refuses `input_ids` that are not `(batch, length)`, and other columns, by their names, of another shape.
pub(crate) fn check_shapes(input_ids: &Tensor, others: &[(&str, Option<&Tensor>)]) -> Result<()> {
    let shape = input_ids.size();
    if shape.len() != 2 {
        return Err(Error::invalid(format!("`input_ids` is {shape:?}; it must be (batch, length)")));
    }
    for (name, column) in others {
        if let Some(found) = column.map(Tensor::size).filter(|found| *found != shape) {
            return Err(Error::invalid(format!(
                "`{name}` is {found:?} and `input_ids` is {shape:?}; they must be equal"
            )));
        }
    }
    Ok(())
}
