//! Reading the weights of a folder: one safetensors file, or shards and their index.
//!
//! Names are brought to one form here, so that nothing after this file knows what else stood before the
//! encoder's name, or that old checkpoints call the parameters of a layer norm gamma and beta.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::Deserialize;
use tch::{Device, Kind, Tensor};

use super::names::Names;
use super::unread::no_weights;
use super::{INDEX, WEIGHTS};
use crate::error::{Error, Result};
use crate::model::weights::{Stored, Weights};

/// How a file begins that stands for one that Git LFS has not fetched.
const LFS_POINTER: &[u8] = b"version https://git-lfs";

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Reads every tensor of a folder, for a model on `device`.
///
/// `prefix` is the name of the encoder in this architecture (`bert`), and `roots` are the parts of
/// the encoder that a checkpoint of it alone has at the top (`embeddings`, …).
///
/// # Errors
/// Names the file, and the tensor where it is one.
pub(crate) fn read_weights(folder: &Path, prefix: &str, roots: &[&str], device: Device) -> Result<Weights> {
    let single = folder.join(WEIGHTS);
    let index = folder.join(INDEX);
    let (origin, tensors) = if single.is_file() {
        let tensors = read_file(&single)?;
        (single, tensors)
    } else if index.is_file() {
        let tensors = read_shards(folder, &index)?;
        (index, tensors)
    } else {
        return Err(no_weights(folder));
    };
    let names = Names::of(tensors.iter().map(|(name, _)| name.as_str()), prefix, roots);
    let names = names.map_err(|message| Error::file(&origin, message))?;
    let mut stored = BTreeMap::new();
    for (name, tensor) in tensors {
        let common = names.common(&name);
        if stored.insert(common.clone(), tensor).is_some() {
            let message = format!("`{common}` is there twice, in two shards or under two forms of its name");
            return Err(Error::file(origin, message));
        }
    }
    Ok(Weights::new(origin, device, stored))
}

fn read_shards(folder: &Path, index: &Path) -> Result<Vec<(String, Stored)>> {
    let text = std::fs::read(index).map_err(|error| Error::file(index, error))?;
    let Index { weight_map } = serde_json::from_slice(&text)
        .map_err(|error| Error::file(index, format!("not an index of shards: {error}")))?;
    let mut tensors = Vec::new();
    for shard in weight_map.values().collect::<BTreeSet<_>>() {
        if !is_bare_name(shard) {
            let message =
                format!("`{shard}` is no name of a file in this folder: shards lie beside their index");
            return Err(Error::file(index, message));
        }
        let path = folder.join(shard);
        if !path.is_file() {
            return Err(Error::file(path, format!("this shard is missing: {INDEX} names it")));
        }
        let held = read_file(&path)?;
        let names: BTreeSet<&str> = held.iter().map(|(name, _)| name.as_str()).collect();
        let lacking = weight_map.iter().find(|(name, file)| *file == shard && !names.contains(name.as_str()));
        if let Some((name, _)) = lacking {
            return Err(Error::file(path, format!("`{name}` is not in this shard, where {INDEX} puts it")));
        }
        tensors.extend(held);
    }
    Ok(tensors)
}

/// Whether a file can only be one of the folder itself.
fn is_bare_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name)
}

fn read_file(path: &Path) -> Result<Vec<(String, Stored)>> {
    let bytes = std::fs::read(path).map_err(|error| Error::file(path, error))?;
    if bytes.starts_with(LFS_POINTER) {
        return Err(Error::file(
            path,
            "this is a pointer of Git LFS and not the weights: run `git lfs pull` in its repository",
        ));
    }
    let file = SafeTensors::deserialize(&bytes).map_err(|error| {
        Error::file(path, format!("not a whole safetensors file ({error}): copy or download it again"))
    })?;
    file.iter().map(|(name, view)| Ok((name.to_owned(), tensor_of(path, name, &view)?))).collect()
}

/// Reads every tensor of a safetensors file that is in memory, of any dtype that [`write_tensors`] writes.
///
/// [`write_tensors`]: super::write_tensors
pub(crate) fn read_tensors(path: &Path, bytes: &[u8]) -> Result<BTreeMap<String, Tensor>> {
    let file = SafeTensors::deserialize(bytes)
        .map_err(|error| Error::file(path, format!("not a whole safetensors file ({error})")))?;
    let read = |(name, view): (&str, TensorView<'_>)| {
        let kind = match view.dtype() {
            Dtype::I64 => Kind::Int64,
            Dtype::I32 => Kind::Int,
            Dtype::I16 => Kind::Int16,
            Dtype::I8 => Kind::Int8,
            Dtype::U8 => Kind::Uint8,
            Dtype::BOOL => Kind::Bool,
            dtype => float_kind(dtype).map_err(|dtype| {
                Error::file(path, format!("`{name}` is {dtype}, which no checkpoint holds"))
            })?,
        };
        Ok((name.to_owned(), tensor_in(path, name, &view, kind)?))
    };
    file.iter().map(read).collect()
}

/// The tensor of a view, or the name of a dtype that no parameter has.
fn tensor_of(path: &Path, name: &str, view: &TensorView<'_>) -> Result<Stored> {
    match float_kind(view.dtype()) {
        Ok(kind) => tensor_in(path, name, view, kind).map(Ok),
        Err(dtype) => Ok(Err(dtype)),
    }
}

fn float_kind(dtype: Dtype) -> Result<Kind, String> {
    match dtype {
        Dtype::F16 => Ok(Kind::Half),
        Dtype::BF16 => Ok(Kind::BFloat16),
        Dtype::F32 => Ok(Kind::Float),
        Dtype::F64 => Ok(Kind::Double),
        other => Err(format!("{other:?}")),
    }
}

fn tensor_in(path: &Path, name: &str, view: &TensorView<'_>, kind: Kind) -> Result<Tensor> {
    let damaged = |message: &str| Error::file(PathBuf::from(path), format!("`{name}`: {message}"));
    let shape = view.shape().iter().map(|size| i64::try_from(*size)).collect::<Result<Vec<_>, _>>();
    let shape = shape.map_err(|_| damaged("its shape is too large"))?;
    // The constructor below reads as many bytes as the shape says, whatever the slice holds.
    let scalars = view.shape().iter().try_fold(1_usize, |product, size| product.checked_mul(*size));
    let expected = scalars.and_then(|scalars| scalars.checked_mul(kind.elt_size_in_bytes()));
    if expected != Some(view.data().len()) {
        return Err(damaged("its shape and its number of bytes differ"));
    }
    let tensor = Tensor::f_from_data_size(view.data(), &shape, kind);
    tensor.map_err(|error| damaged(&Error::from(error).to_string()))
}
