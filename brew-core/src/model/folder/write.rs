//! Parameters as a safetensors file.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView, serialize};
use tch::{Device, Kind};

use crate::disk;
use crate::error::{Error, InStage, Result};
use crate::model::Parameters;

/// Writes parameters as float32 safetensors, with the note by which Python's readers know whose
/// layout it is.
pub(crate) fn write_weights(path: &Path, parameters: &Parameters) -> Result<()> {
    let mut named = Vec::new();
    for (name, tensor) in parameters.iter() {
        let (shape, bytes) = bytes_of(tensor).in_stage(name)?;
        named.push((name, shape, bytes));
    }
    let refused = |error| Error::file(path, format!("cannot be written: {error}"));
    let views = named
        .iter()
        .map(|(name, shape, bytes)| Ok((*name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(refused)?;
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    disk::write(path, &serialize(views, Some(metadata)).map_err(refused)?)
}

fn bytes_of(tensor: &tch::Tensor) -> Result<(Vec<usize>, Vec<u8>)> {
    let tensor = tensor.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?.f_contiguous()?;
    let shape = tensor.size().into_iter().filter_map(|size| usize::try_from(size).ok()).collect();
    let scalars = tensor.numel();
    let mut bytes = vec![0; scalars * Kind::Float.elt_size_in_bytes()];
    tensor.f_copy_data_u8(&mut bytes, scalars)?;
    Ok((shape, bytes))
}
