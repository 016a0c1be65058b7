//! Assembles cached rows into a batch's tensors, padding each row at its end.

use std::collections::BTreeMap;

use tch::{Device, Kind, Tensor};

use super::CachedRows;
use super::card::KeptFeature;
use super::row::{self, Row};
use crate::error::{Error, InStage, Result};
use crate::row_key::RowKey;

/// The features of a batch while its rows are being assembled.
#[derive(Debug)]
pub(crate) struct Gather<'w> {
    wanted: &'w [KeptFeature],
    rows: usize,
    length: usize,
    device: Device,
    parts: Vec<Gathered>,
}

#[derive(Debug)]
struct Gathered {
    name: String,
    kind: Kind,
    given: Kind,
    /// The shape of a padded row.
    shape: Vec<usize>,
    whole: Tensor,
}

impl<'w> Gather<'w> {
    /// For this many rows at this padded length, on this device.
    pub(crate) fn new(wanted: &'w [KeptFeature], rows: usize, length: usize, device: Device) -> Self {
        Gather { wanted, rows, length, device, parts: Vec::new() }
    }

    /// Copies a row to its position.
    ///
    /// # Errors
    /// A row whose tensors do not match the rows before it; errors of libtorch.
    pub(crate) fn put(&mut self, position: usize, row: &Row<'_>) -> Result<()> {
        if self.parts.is_empty() {
            let wanted = row.parts.iter().filter(|part| self.wants(&part.name));
            self.parts = wanted.map(|part| self.place_for(part)).collect::<Result<_>>()?;
            let lacks = |keep: &&KeptFeature| !self.parts.iter().any(|part| keeps(keep, &part.name));
            if let Some(lacking) = self.wanted.iter().find(lacks) {
                return Err(Error::invalid(format!("a cached row lacks `{lacking}`")));
            }
        }
        let count = row.parts.iter().filter(|part| self.wants(&part.name)).count();
        if count != self.parts.len() {
            return Err(Error::invalid(format!(
                "a cached row has {count} tensors, but the row before it has {}",
                self.parts.len()
            )));
        }
        for gathered in &mut self.parts {
            let part = row.parts.iter().find(|part| part.name == gathered.name);
            let part =
                part.ok_or_else(|| Error::invalid(format!("a cached row lacks `{}`", gathered.name)))?;
            gathered.put(position, part, self.length).in_stage(&part.name)?;
        }
        Ok(())
    }

    fn wants(&self, name: &str) -> bool {
        self.wanted.iter().any(|keep| keeps(keep, name))
    }

    /// Zeros for all rows. On the CPU they have the teacher's dtype at once; for another device the stored
    /// dtype, which may be smaller to copy, is converted there.
    fn place_for(&self, part: &row::RowPart<'_>) -> Result<Gathered> {
        let mut shape = part.shape.clone();
        part.cut
            .iter()
            .filter_map(|dimension| shape.get_mut(*dimension).map(|size| *size = self.length))
            .for_each(drop);
        let kind = if self.device == Device::Cpu { part.given } else { part.kind };
        let sizes: Vec<i64> = std::iter::once(self.rows).chain(shape.iter().copied()).map(size).collect();
        let whole = Tensor::f_zeros(sizes, (kind, Device::Cpu)).in_stage(&part.name)?;
        Ok(Gathered {
            name: part.name.clone().into_owned(),
            kind: part.kind,
            given: part.given,
            shape,
            whole,
        })
    }

    /// The tensors by name, `(rows, …)`, in the teacher's dtype.
    ///
    /// # Errors
    /// Those of libtorch.
    pub(crate) fn finish(self) -> Result<Recalled> {
        let device = self.device;
        let tensors = self.parts.into_iter().map(|part| {
            let moved = part.whole.f_to_device(device).and_then(|whole| whole.f_to_kind(part.given));
            Ok((part.name.clone(), RecalledPart { kept: part.kind, tensor: moved.in_stage(&part.name)? }))
        });
        Ok(Recalled(tensors.collect::<Result<_>>()?))
    }
}

/// Whether a tensor of this name, such as `hidden/2`, belongs to this feature.
fn keeps(keep: &KeptFeature, name: &str) -> bool {
    name.split_once('/').is_some_and(|(role, index)| {
        keep.role == role && keep.layer.is_none_or(|layer| index.parse() == Ok(layer))
    })
}

impl Gathered {
    fn put(&mut self, position: usize, part: &row::RowPart<'_>, length: usize) -> Result<()> {
        let cut = |dimension| part.cut.contains(&dimension);
        let fits = part.shape.len() == self.shape.len()
            && (part.kind, part.given) == (self.kind, self.given)
            && part.shape.iter().zip(&self.shape).enumerate().all(|(dimension, (row, whole))| {
                if cut(dimension) { row <= whole && *whole == length } else { row == whole }
            });
        if !fits {
            return Err(Error::invalid(format!(
                "a cached row of `{}` is {:?} {:?} and does not fit a batch of {:?} {:?}",
                self.name, part.kind, part.shape, self.kind, self.shape
            )));
        }
        let sizes: Vec<i64> = part.shape.iter().copied().map(size).collect();
        let row = tensor(&part.bytes, &sizes, part.kind)?;
        let mut place = self.whole.f_get(size(position))?;
        for (dimension, size) in sizes.iter().enumerate() {
            place = place.f_narrow(dimension as i64, 0, *size)?;
        }
        place.f_copy_(&row)?;
        Ok(())
    }
}

/// A size as an `i64`; an overflowing one becomes a value that libtorch refuses.
fn size(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// The features of a batch, read from a cache; they replace the teacher's output.
#[derive(Debug)]
pub struct Recalled(pub(super) BTreeMap<String, RecalledPart>);

/// One tensor of recalled features.
#[derive(Debug)]
pub(super) struct RecalledPart {
    /// The dtype in which the cache stores it.
    pub(super) kept: Kind,
    /// `(rows, …)`, in the teacher's dtype.
    pub(super) tensor: Tensor,
}

impl Recalled {
    /// Reads the wanted features of a batch's rows, padded to a length.
    ///
    /// # Errors
    /// A row that is missing or unreadable; rows whose tensors do not fit one batch; a device
    /// without enough memory.
    pub fn read(
        rows: &dyn CachedRows,
        wanted: &[KeptFeature],
        keys: &[RowKey],
        length: usize,
        device: Device,
    ) -> Result<Self> {
        let mut gather = Gather::new(wanted, keys.len(), length, device);
        rows.read(keys, &mut |position, row| gather.put(position, row))?;
        gather.finish()
    }

    /// The tensors, `(rows, …)` in the teacher's dtype, by names such as `hidden/2`.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.0.iter().map(|(name, part)| (name.as_str(), &part.tensor))
    }

    /// The tensors of a flow: the layers in order, or all tensors of the role.
    ///
    /// # Errors
    /// A missing tensor.
    pub(crate) fn flow(&self, role: &str, layers: Option<&[i64]>) -> Result<Vec<Tensor>> {
        let one = |index: i64| self.0.get(&format!("{role}/{index}")).map(|part| part.tensor.shallow_clone());
        match layers {
            Some(layers) => layers
                .iter()
                .map(|layer| {
                    one(*layer)
                        .ok_or_else(|| Error::invalid(format!("the cache lacks layer {layer} of `{role}`")))
                })
                .collect(),
            None => Ok((0..).map_while(one).collect()),
        }
    }
}

/// A tensor from these bytes.
fn tensor(bytes: &[u8], sizes: &[i64], kind: Kind) -> Result<Tensor> {
    let width = i64::try_from(kind.elt_size_in_bytes()).unwrap_or(i64::MAX);
    let claimed = sizes.iter().try_fold(width, |bytes, size| bytes.checked_mul(*size));
    // libtorch trusts the sizes and would read past the end of the bytes.
    if claimed != i64::try_from(bytes.len()).ok() {
        return Err(Error::invalid(format!("{} bytes are not a tensor of {sizes:?} {kind:?}", bytes.len())));
    }
    Ok(Tensor::f_from_data_size(bytes, sizes, kind)?)
}
