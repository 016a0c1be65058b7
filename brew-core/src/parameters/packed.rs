//! Tensors with a description of them, as one message to another process.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tch::Tensor;

use super::{Parameters, read_tensors, tensors_as_bytes};
use crate::error::{Error, Result};

/// A message: the length of the outline, the outline in JSON, and the tensors.
pub(crate) fn packed(outline: &impl Serialize, tensors: Vec<Tensor>) -> Result<Vec<u8>> {
    let named = tensors.into_iter().enumerate().map(|(index, tensor)| (format!("{index:08}"), tensor));
    let outline = serde_json::to_vec(outline).map_err(Error::other)?;
    let mut message = (outline.len() as u64).to_le_bytes().to_vec();
    message.extend(outline);
    message.extend(tensors_as_bytes(Path::new("a message"), &Parameters::new(named))?);
    Ok(message)
}

/// The outline of a message, and its tensors in their order, on the CPU.
///
/// # Errors
/// A message that is not whole.
pub(crate) fn unpacked<T: DeserializeOwned>(message: &[u8]) -> Result<(T, impl Iterator<Item = Tensor>)> {
    let broken = || Error::invalid("a message of a rank is incomplete");
    let (length, rest) = message.split_first_chunk::<8>().ok_or_else(broken)?;
    let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let (outline, tensors) = rest.split_at_checked(length).ok_or_else(broken)?;
    let outline = serde_json::from_slice(outline).map_err(Error::other)?;
    // Sorted by name, which is the order they were written in.
    Ok((outline, read_tensors(Path::new("a message"), tensors)?.into_values()))
}

/// The next tensor of a message.
pub(crate) fn next_of(tensors: &mut impl Iterator<Item = Tensor>) -> Result<Tensor> {
    tensors.next().ok_or_else(|| Error::invalid("a message of a rank has fewer tensors than it says"))
}
