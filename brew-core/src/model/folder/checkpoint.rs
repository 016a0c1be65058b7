//! Reads the weights of a folder: one safetensors file, or shards and their index.
//!
//! Names are normalized here, so that no other code needs to know about prefixes before the encoder's name,
//! or about old checkpoints that call the parameters of a layer norm gamma and beta.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde::Deserialize;
use tch::Device;

use super::INDEX;
use super::names::{Layout, Names};
use super::unread::no_weights;
use crate::error::{Error, Result};
use crate::model::weights::{Stored, Weights};
use crate::parameters::{WEIGHTS, float_kind, tensor_in};

/// The beginning of a Git LFS pointer file, which stands for a file that was not fetched.
const LFS_POINTER: &[u8] = b"version https://git-lfs";

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Reads every tensor of a folder, for a model on `device`.
///
/// # Errors
/// Names the file, and the tensor if it concerns one.
pub(crate) fn read_weights(folder: &Path, layout: &Layout<'_>, device: Device) -> Result<Weights> {
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
    let names = Names::of(tensors.iter().map(|(name, _)| name.as_str()), layout);
    let names = names.map_err(|message| Error::file(&origin, message))?;
    let mut stored = BTreeMap::new();
    for (name, tensor) in tensors {
        let common = names.common(&name);
        if stored.insert(common.clone(), tensor).is_some() {
            let message = format!("`{common}` occurs twice, in two shards or under two forms of its name");
            return Err(Error::file(origin, message));
        }
    }
    Ok(Weights::new(origin, device, stored))
}

fn read_shards(folder: &Path, index: &Path) -> Result<Vec<(String, Stored)>> {
    let text = std::fs::read(index).map_err(|error| Error::file(index, error))?;
    let Index { weight_map } = serde_json::from_slice(&text)
        .map_err(|error| Error::file(index, format!("not a valid shard index: {error}")))?;
    let mut tensors = Vec::new();
    for shard in weight_map.values().collect::<BTreeSet<_>>() {
        if !is_bare_name(shard) {
            let message = format!(
                "`{shard}` is not the name of a file in this folder: shards must be beside their index"
            );
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

/// Whether this is a plain file name without a path.
fn is_bare_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name)
}

/// Every tensor of a safetensors file.
///
/// # Errors
/// Names the file, and the tensor if it concerns one.
pub(crate) fn read_file(path: &Path) -> Result<Vec<(String, Stored)>> {
    let bytes = std::fs::read(path).map_err(|error| Error::file(path, error))?;
    if bytes.starts_with(LFS_POINTER) {
        return Err(Error::file(
            path,
            "this is a Git LFS pointer, not the weights: run `git lfs pull` in its repository",
        ));
    }
    let file = SafeTensors::deserialize(&bytes).map_err(|error| {
        Error::file(path, format!("not a complete safetensors file ({error}): copy or download it again"))
    })?;
    file.iter().map(|(name, view)| Ok((name.to_owned(), tensor_of(path, name, &view)?))).collect()
}

/// The tensor of a view, or the name of its dtype if parameters cannot have it.
fn tensor_of(path: &Path, name: &str, view: &TensorView<'_>) -> Result<Stored> {
    match float_kind(view.dtype()) {
        Ok(kind) => tensor_in(path, name, view, kind).map(Ok),
        Err(dtype) => Ok(Err(dtype)),
    }
}
