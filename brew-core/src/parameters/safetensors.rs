//! Reading and writing parameters as safetensors files.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize};
use tch::{Device, Kind, Tensor};

use super::Parameters;
use crate::disk;
use crate::error::{Error, InStage, Result};

/// The name of a model's parameter file, if it is a single one.
pub(crate) const WEIGHTS: &str = "model.safetensors";

/// Writes parameters as float32 safetensors, with the metadata that tells Python readers the framework.
pub(crate) fn write_weights(path: &Path, parameters: &Parameters) -> Result<()> {
    disk::write(path, &serialized(path, parameters, |_| Kind::Float)?)
}

/// Writes tensors as safetensors, each in its own dtype, without loss.
pub(crate) fn write_tensors(path: &Path, parameters: &Parameters) -> Result<()> {
    disk::write(path, &tensors_as_bytes(path, parameters)?)
}

/// The bytes that [`write_tensors`] writes, for callers that need more than the file; the path is for errors.
pub(crate) fn tensors_as_bytes(path: &Path, parameters: &Parameters) -> Result<Vec<u8>> {
    serialized(path, parameters, Tensor::kind)
}

fn serialized(path: &Path, parameters: &Parameters, kind: impl Fn(&Tensor) -> Kind) -> Result<Vec<u8>> {
    let mut named = Vec::new();
    for (name, tensor) in parameters.iter() {
        let kind = kind(tensor);
        let dtype = dtype_of(kind).in_stage(name)?;
        let (shape, bytes) = bytes_of(tensor, kind).in_stage(name)?;
        named.push((name, dtype, shape, bytes));
    }
    let refused = |error| Error::file(path, format!("cannot be written: {error}"));
    let views = named
        .iter()
        .map(|(name, dtype, shape, bytes)| Ok((*name, TensorView::new(*dtype, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(refused)?;
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    serialize(views, Some(metadata)).map_err(refused)
}

fn dtype_of(kind: Kind) -> Result<Dtype> {
    match kind {
        Kind::Half => Ok(Dtype::F16),
        Kind::BFloat16 => Ok(Dtype::BF16),
        Kind::Float => Ok(Dtype::F32),
        Kind::Double => Ok(Dtype::F64),
        Kind::Int64 => Ok(Dtype::I64),
        Kind::Int => Ok(Dtype::I32),
        Kind::Int16 => Ok(Dtype::I16),
        Kind::Int8 => Ok(Dtype::I8),
        Kind::Uint8 => Ok(Dtype::U8),
        Kind::Bool => Ok(Dtype::BOOL),
        other => Err(Error::invalid(format!("safetensors files do not support the dtype {other:?}"))),
    }
}

pub(crate) fn bytes_of(tensor: &Tensor, kind: Kind) -> Result<(Vec<usize>, Vec<u8>)> {
    let tensor = tensor.f_detach()?.f_to_device(Device::Cpu)?.f_to_kind(kind)?.f_contiguous()?;
    let shape = tensor.size().into_iter().filter_map(|size| usize::try_from(size).ok()).collect();
    let scalars = tensor.numel();
    let mut bytes = vec![0; scalars * kind.elt_size_in_bytes()];
    tensor.f_copy_data_u8(&mut bytes, scalars)?;
    Ok((shape, bytes))
}

/// Reads every tensor of a safetensors file in memory, with any dtype that [`write_tensors`] writes.
pub(crate) fn read_tensors(path: &Path, bytes: &[u8]) -> Result<BTreeMap<String, Tensor>> {
    let file = SafeTensors::deserialize(bytes)
        .map_err(|error| Error::file(path, format!("not a complete safetensors file ({error})")))?;
    let read = |(name, view): (&str, TensorView<'_>)| {
        let kind = match view.dtype() {
            Dtype::I64 => Kind::Int64,
            Dtype::I32 => Kind::Int,
            Dtype::I16 => Kind::Int16,
            Dtype::I8 => Kind::Int8,
            Dtype::U8 => Kind::Uint8,
            Dtype::BOOL => Kind::Bool,
            dtype => float_kind(dtype).map_err(|dtype| {
                Error::file(path, format!("`{name}` is {dtype}, a dtype that checkpoints do not use"))
            })?,
        };
        Ok((name.to_owned(), tensor_in(path, name, &view, kind)?))
    };
    file.iter().map(read).collect()
}

/// The float dtype of a tensor in a file; for any other dtype its name, as an error.
pub(crate) fn float_kind(dtype: Dtype) -> Result<Kind, String> {
    match dtype {
        Dtype::F16 => Ok(Kind::Half),
        Dtype::BF16 => Ok(Kind::BFloat16),
        Dtype::F32 => Ok(Kind::Float),
        Dtype::F64 => Ok(Kind::Double),
        other => Err(format!("{other:?}")),
    }
}

/// A tensor from a file in memory.
pub(crate) fn tensor_in(path: &Path, name: &str, view: &TensorView<'_>, kind: Kind) -> Result<Tensor> {
    let damaged = |message: &str| Error::file(PathBuf::from(path), format!("`{name}`: {message}"));
    let shape = view.shape().iter().map(|size| i64::try_from(*size)).collect::<Result<Vec<_>, _>>();
    let shape = shape.map_err(|_| damaged("its shape is too large"))?;
    // The constructor below reads as many bytes as the shape says, whatever the slice's length.
    let scalars = view.shape().iter().try_fold(1_usize, |product, size| product.checked_mul(*size));
    let expected = scalars.and_then(|scalars| scalars.checked_mul(kind.elt_size_in_bytes()));
    if expected != Some(view.data().len()) {
        return Err(damaged("its shape and its number of bytes differ"));
    }
    let tensor = Tensor::f_from_data_size(view.data(), &shape, kind);
    tensor.map_err(|error| damaged(&Error::from(error).to_string()))
}
