//! Packed rows, whose mask numbers several documents: models that read each row as one text refuse them.

use tch::{Device, Tensor};

use crate::error::Result;
use crate::loss::{check_mask, has_documents};

/// Refuses the mask of packed rows. On a GPU, reading the mask would block; there, a run refuses each such batch before it
/// moves to the device.
pub(crate) fn one_document_per_row(attention_mask: &Tensor) -> Result<()> {
    if attention_mask.device() == Device::Cpu && has_documents(attention_mask)? {
        check_mask("`attention_mask`", attention_mask, false)?;
    }
    Ok(())
}
