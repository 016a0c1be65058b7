//! Writing files so that a crash never leaves half of one.
//!
//! A file is written under a temporary name in the same folder, synced, and renamed: whoever reads
//! the folder finds the old file or the new one.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView, serialize};
use tch::{Device, Kind};

use crate::error::{Error, InStage, Result};
use crate::model::Parameters;

/// Writes a whole file in one step, over an older one of the same name.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let write = || {
        let mut file = File::create(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&partial, path)?;
        // The rename itself is safe on disk only once the folder is synced too.
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    write().map_err(|error| Error::file(path, format!("cannot be written: {error}")))
}

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
    write_file(path, &serialize(views, Some(metadata)).map_err(refused)?)
}

fn bytes_of(tensor: &tch::Tensor) -> Result<(Vec<usize>, Vec<u8>)> {
    let tensor = tensor.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?.f_contiguous()?;
    let shape = tensor.size().into_iter().filter_map(|size| usize::try_from(size).ok()).collect();
    let scalars = tensor.numel();
    let mut bytes = vec![0; scalars * Kind::Float.elt_size_in_bytes()];
    tensor.f_copy_data_u8(&mut bytes, scalars)?;
    Ok((shape, bytes))
}
