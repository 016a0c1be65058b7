//! A model's parameters and buffers: named tensors.

mod packed;
mod safetensors;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tch::{Device, Tensor, nn};

use crate::error::{Error, InStage as _, Result};
use crate::words::{numbered, suggest};

pub(crate) use packed::{next_of, packed, unpacked};
pub(crate) use safetensors::{
    WEIGHTS, bytes_of, float_kind, read_tensors, tensor_in, tensors_as_bytes, write_tensors, write_weights,
};

/// Named parameters and buffers, sorted by name.
///
/// A buffer is a tensor that the model's output depends on but that no optimizer updates: the running
/// statistics of a batch norm, a count of batches, position ids. It may have any dtype. Checkpoints, the
/// student's folder and the identity of a cached teacher include buffers just like parameters.
#[derive(Debug, Default)]
pub struct Parameters {
    named: Vec<(String, Tensor)>,
    buffers: BTreeSet<String>,
}

impl Parameters {
    /// Parameters from names and tensors, sorted by name.
    pub fn new(named: impl IntoIterator<Item = (String, Tensor)>) -> Self {
        let mut named: Vec<_> = named.into_iter().collect();
        named.sort_by(|(left, _), (right, _)| left.cmp(right));
        Parameters { named, buffers: BTreeSet::new() }
    }

    /// Adds buffers, which are saved with the parameters and never trained.
    ///
    /// ```
    /// use brew_core::prelude::*;
    ///
    /// let weight = Tensor::from_slice(&[0.5_f32]).set_requires_grad(true);
    /// let batches = Tensor::from_slice(&[7_i64]);
    /// let parameters = Parameters::new([("norm.weight".to_owned(), weight)])
    ///     .with_buffers([("norm.num_batches_tracked".to_owned(), batches)]);
    /// assert_eq!((parameters.iter().count(), parameters.scalars()), (2, 1));
    /// ```
    #[must_use]
    pub fn with_buffers(self, named: impl IntoIterator<Item = (String, Tensor)>) -> Self {
        let added: Vec<_> = named.into_iter().collect();
        let mut buffers = self.buffers;
        buffers.extend(added.iter().map(|(name, _)| name.clone()));
        Parameters { buffers, ..Self::new(self.named.into_iter().chain(added)) }
    }

    /// All variables of a `VarStore`: the trainable ones as parameters, the others as buffers.
    pub fn of(variables: &nn::VarStore) -> Self {
        let place = |tensor: &Tensor| tensor.data_ptr() as usize;
        let trainable: BTreeSet<usize> = variables.trainable_variables().iter().map(place).collect();
        let (parameters, buffers): (Vec<_>, Vec<_>) =
            variables.variables().into_iter().partition(|(_, tensor)| trainable.contains(&place(tensor)));
        Self::new(parameters).with_buffers(buffers)
    }

    /// Name and tensor of each, buffers among them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.named.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Name and tensor of each parameter, without the buffers.
    pub(crate) fn without_buffers(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.iter().filter(|(name, _)| !self.buffers.contains(*name))
    }

    /// Name and tensor of each parameter, a shared tensor once, without the buffers.
    pub(crate) fn distinct(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        let mut seen = BTreeSet::new();
        // Empty tensors have no memory address of their own to compare.
        self.without_buffers()
            .filter(move |(_, tensor)| tensor.numel() == 0 || seen.insert(tensor.data_ptr() as usize))
    }

    /// Name and tensor of each buffer.
    pub(crate) fn buffers(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.iter().filter(|(name, _)| self.buffers.contains(*name))
    }

    /// The number of scalars in the parameters; shared tensors count once, buffers not at all.
    pub fn scalars(&self) -> usize {
        self.distinct().map(|(_, tensor)| tensor.numel()).sum()
    }

    /// The hash of all names, dtypes, shapes, and values, in hexadecimal digits.
    pub(crate) fn hash(&self) -> Result<String> {
        let mut hasher = blake3::Hasher::new();
        for (name, tensor) in self.iter() {
            let header = format!("{name} {:?} {:?}", tensor.kind(), tensor.size());
            hasher.update(&(header.len() as u64).to_le_bytes()).update(header.as_bytes());
            hasher.update(&bytes_of(tensor, tensor.kind()).in_stage(name)?.1);
        }
        Ok(hasher.finalize().to_hex().to_string())
    }

    /// Writes parameters and buffers to `model.safetensors` in a folder, each in its own dtype. A `VarStore`
    /// with the same variables can `load` the file.
    ///
    /// # Errors
    /// A file that cannot be written, or a dtype that safetensors does not have.
    pub fn save(&self, folder: &Path) -> Result<()> {
        write_tensors(&folder.join(WEIGHTS), self)
    }

    /// Loads a file written by [`Parameters::save`] into these tensors.
    ///
    /// # Errors
    /// A file that cannot be read, or every tensor that is missing, unknown or of a different shape;
    /// then nothing is changed.
    pub fn load(&self, folder: &Path) -> Result<()> {
        let path = folder.join(WEIGHTS);
        let bytes = std::fs::read(&path).map_err(|error| Error::file(&path, error))?;
        let title = format!("{} does not match the model", path.display());
        self.take(&read_tensors(&path, &bytes)?, &title)
    }

    /// The parameters of several lists, each tensor once, under its first name. If another tensor already has
    /// the name, it is prefixed with the name of its list: `products/head.weight`.
    pub(crate) fn union<'n>(lists: impl IntoIterator<Item = (&'n str, Parameters)>) -> Self {
        let mut named: BTreeMap<String, Tensor> = BTreeMap::new();
        let (mut seen, mut buffers) = (BTreeSet::new(), BTreeSet::new());
        for (list, parameters) in lists {
            for (name, tensor) in parameters.named {
                // Empty tensors have no memory address of their own to compare.
                if tensor.numel() > 0 && !seen.insert(tensor.data_ptr() as usize) {
                    continue;
                }
                let is_buffer = parameters.buffers.contains(&name);
                let name = if named.contains_key(&name) { format!("{list}/{name}") } else { name };
                if is_buffer {
                    buffers.insert(name.clone());
                }
                named.insert(name, tensor);
            }
        }
        Parameters { named: named.into_iter().collect(), buffers }
    }

    /// Copies these values into the tensors with the same names.
    ///
    /// # Errors
    /// `title` with every value that is missing, unknown or of a different shape; then nothing is
    /// changed.
    pub(crate) fn take(&self, given: &BTreeMap<String, Tensor>, title: &str) -> Result<()> {
        let names = || self.iter().map(|(name, _)| name);
        let mut problems: Vec<String> = (given.keys())
            .filter(|name| !names().any(|known| known == *name))
            .map(|name| format!("`{name}` is unknown{}", suggest(name, names())))
            .collect();
        problems.extend(self.iter().filter_map(|(name, tensor)| match given.get(name) {
            None => Some(format!("`{name}` is missing")),
            Some(value) if value.size() != tensor.size() => {
                Some(format!("`{name}` is {:?}; it must be {:?}", value.size(), tensor.size()))
            }
            Some(value) if value.kind() != tensor.kind() => {
                Some(format!("`{name}` is {:?}; it must be {:?}", value.kind(), tensor.kind()))
            }
            Some(_) => None,
        }));
        if !problems.is_empty() {
            return Err(Error::invalid(numbered(title, &problems)));
        }
        let _guard = tch::no_grad_guard();
        for (name, tensor) in self.iter() {
            if let Some(value) = given.get(name) {
                tensor.shallow_clone().f_copy_(value).in_stage(name)?;
            }
        }
        Ok(())
    }

    /// The device of the first parameter; the CPU if there are no parameters.
    pub fn device(&self) -> Device {
        self.named.first().map_or(Device::Cpu, |(_, tensor)| tensor.device())
    }

    /// Freezes all parameters.
    ///
    /// # Errors
    /// Those of libtorch.
    pub(crate) fn freeze(&self) -> Result<()> {
        for (name, tensor) in self.without_buffers() {
            let _ = tensor.f_set_requires_grad(false).in_stage(name)?;
        }
        Ok(())
    }
}
