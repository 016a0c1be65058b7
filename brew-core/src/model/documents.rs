//! Packed rows, whose mask numbers several documents: models that read each row as one text refuse them.

use tch::{Device, Tensor};

use crate::error::{Error, Result};
use crate::loss::has_documents;

/// Refuses the mask of packed rows. On a GPU, reading the mask would block; there, a run refuses each such batch before it
/// moves to the device.
pub(crate) fn one_document_per_row(attention_mask: &Tensor) -> Result<()> {
    if attention_mask.device() == Device::Cpu && has_documents(attention_mask)? {
        return Err(Error::invalid(
            "`attention_mask` has values other than 0 and 1; numbers above 1 tell the documents of packed rows apart, which this model does not read: give each document a row of its own",
        ));
    }
    Ok(())
}
