//! Tensors of safetensors files, in and out.

use std::collections::BTreeMap;
use std::path::Path;

use brew_core::prelude::*;
use brew_core::{disk, tch};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize};

/// Each dtype of a file with libtorch's.
const KINDS: [(Dtype, Kind); 10] = [
    (Dtype::F64, Kind::Double),
    (Dtype::F32, Kind::Float),
    (Dtype::F16, Kind::Half),
    (Dtype::BF16, Kind::BFloat16),
    (Dtype::I64, Kind::Int64),
    (Dtype::I32, Kind::Int),
    (Dtype::I16, Kind::Int16),
    (Dtype::I8, Kind::Int8),
    (Dtype::U8, Kind::Uint8),
    (Dtype::BOOL, Kind::Bool),
];

/// Reads every tensor.
pub(crate) fn read(path: &Path) -> Result<BTreeMap<String, Tensor>> {
    let bytes = std::fs::read(path).map_err(|error| Error::file(path, error))?;
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|error| Error::file(path, format!("not a safetensors file: {error}")))?;
    file.iter()
        .map(|(name, view)| {
            let kind = KINDS.iter().find(|(dtype, _)| *dtype == view.dtype()).map(|(_, kind)| *kind);
            let kind = kind.ok_or_else(|| {
                Error::file(path, format!("`{name}` is {:?}, which no loss reads", view.dtype()))
            })?;
            let shape: Vec<i64> = view.shape().iter().map(|size| *size as i64).collect();
            let tensor = Tensor::f_from_data_size(view.data(), &shape, kind)
                .map_err(|error| Error::file(path, format!("`{name}`: {error}")))?;
            Ok((name.to_owned(), tensor))
        })
        .collect()
}

/// Writes tensors in their own dtypes.
pub(crate) fn write(path: &Path, tensors: &BTreeMap<String, Tensor>) -> Result<()> {
    let mut named = Vec::new();
    for (name, tensor) in tensors {
        let kind = tensor.kind();
        let dtype = KINDS.iter().find(|(_, known)| *known == kind).map(|(dtype, _)| *dtype);
        let dtype = dtype.ok_or_else(|| Error::invalid(format!("`{name}` has no dtype of a file")))?;
        named.push((name, dtype, tensor.size(), bytes_of(tensor)?));
    }
    let refused = |error| Error::file(path, format!("cannot be written: {error}"));
    let views = named
        .iter()
        .map(|(name, dtype, size, bytes)| {
            let shape = size.iter().map(|size| *size as usize).collect();
            Ok((name.as_str(), TensorView::new(*dtype, shape, bytes)?))
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(refused)?;
    disk::write(path, &serialize(views, None).map_err(refused)?)
}

fn bytes_of(tensor: &Tensor) -> Result<Vec<u8>, tch::TchError> {
    let tensor = tensor.f_detach()?.f_contiguous()?;
    let scalars = tensor.numel();
    let mut bytes = vec![0; scalars * tensor.kind().elt_size_in_bytes()];
    tensor.f_copy_data_u8(&mut bytes, scalars)?;
    Ok(bytes)
}
