//! A batch: tensors with names (or positions), all with the same number of rows.
//!
//! A loader collates columns; [`FromColumns`] (derived with `#[derive(Batch)]`) turns them into the user's
//! own struct, after the loader has checked names and dtypes against [`FromColumns::COLUMNS`]. Tuples of
//! tensors are batches too, with fields by position.
//!
//! ```
//! use brew_core::batch::{Columns, FromColumns};
//! use brew_core::prelude::*;
//!
//! #[derive(Batch)]
//! struct Review {
//!     #[column(i64, pad = 0)]
//!     input_ids: Tensor, // (batch, length)
//!     #[column(i64)]
//!     labels: Option<Tensor>, // (batch,); absent when predicting
//! }
//!
//! # fn main() -> Result<()> {
//! let mut columns = Columns::new();
//! columns.insert("input_ids", Tensor::from_slice2(&[[7i64, 8, 9], [7, 0, 0]]));
//! let review = Review::from_columns(&mut columns)?;
//! assert_eq!(review.rows(), 2);
//! assert!(review.labels.is_none());
//! assert_eq!(Review::COLUMNS[0].pad, Some(0.0));
//! # Ok(())
//! # }
//! ```

mod extreme;
mod feeds;
mod given;
mod position;
mod processed;
mod stream;
mod tuple;

use std::collections::BTreeMap;

use tch::{Device, Kind, Tensor};

use crate::error::{Error, InStage, Result};

pub use extreme::Extreme;
pub use feeds::{Both, Feeds};
pub use given::{Output, WithTeacherOutput};
pub use position::{Counted, Position};
pub use processed::Processed;
pub use stream::{Batches, Walk, Wanted};
pub use tuple::Field;

/// Tensors that a model reads in one forward pass.
///
/// Implemented by `#[derive(Batch)]` for structs and here for tuples of up to eight tensors, each
/// of which may be `Option<Tensor>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a batch",
    label = "not a batch",
    note = "write `#[derive(Batch)]` on a struct of tensors, or use a tuple of `Tensor` and `Option<Tensor>`"
)]
pub trait Batch: Sized + Send + 'static {
    /// The tensors that are present, with the names of their fields (or positions).
    fn tensors(&self) -> Vec<(&'static str, &Tensor)>;

    /// The same batch with `change` applied to each tensor that is present.
    fn map(&self, change: &mut dyn FnMut(&'static str, &Tensor) -> Result<Tensor>) -> Result<Self>;

    /// The tensor of this name, if present.
    fn column(&self, name: &str) -> Option<&Tensor> {
        self.tensors().into_iter().find(|(column, _)| *column == name).map(|(_, tensor)| tensor)
    }

    /// The pad value of the column of this name; `None` if it has none or it is unknown.
    fn pad(_column: &str) -> Option<f64> {
        None
    }

    /// The number of examples: the first dimension of the first tensor; 0 without tensors.
    fn rows(&self) -> usize {
        self.tensors()
            .first()
            .and_then(|(_, tensor)| tensor.size().first().copied())
            .and_then(|rows| usize::try_from(rows).ok())
            .unwrap_or(0)
    }

    /// The first `rows` rows, or all if there are fewer.
    fn first_rows(&self, rows: usize) -> Result<Self> {
        let length = i64::try_from(rows.min(self.rows())).unwrap_or(i64::MAX);
        self.map(&mut |name, tensor| tensor.f_narrow(0, 0, length).in_stage(name))
    }

    /// The batch on a device; tensors already there are shared, not copied.
    fn to_device(&self, device: Device) -> Result<Self> {
        self.map(&mut |name, tensor| tensor.f_to_device(device).in_stage(name))
    }
}

/// A column that a batch declares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Column {
    /// The name of the field, and of the column in the data.
    pub name: &'static str,
    /// The dtype of the tensor.
    pub kind: Kind,
    /// The value that pads rows to the longest of the batch; without it all rows of a list column must have
    /// the same length.
    pub pad: Option<f64>,
    /// Whether the data may lack the column: the field is an `Option`.
    pub optional: bool,
    /// Whether rows are lists of lists: the tensor is (rows, longest outer list, longest inner list).
    pub nested: bool,
}

/// A batch that can be built from named columns.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be filled from columns of data",
    label = "its columns have no names and dtypes",
    note = "write `#[derive(Batch)]` on a struct whose fields carry `#[column(i64, pad = 0)]`"
)]
pub trait FromColumns: Batch {
    /// The columns in the order of the fields.
    const COLUMNS: &'static [Column];

    /// Takes its columns out of `columns`; undeclared columns are left there.
    fn from_columns(columns: &mut Columns) -> Result<Self>;
}

/// Collated tensors by column name.
#[derive(Debug, Default)]
pub struct Columns(BTreeMap<String, Tensor>);

impl Columns {
    /// No columns yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a column, replacing any of the same name.
    pub fn insert(&mut self, name: impl Into<String>, tensor: Tensor) {
        self.0.insert(name.into(), tensor);
    }

    /// Takes a column that must be there.
    pub fn take(&mut self, name: &str) -> Result<Tensor> {
        self.0.remove(name).ok_or_else(|| {
            let near = crate::words::suggest(name, self.0.keys().map(String::as_str));
            Error::invalid(format!("the batch needs the column `{name}`, which the data lacks{near}"))
        })
    }

    /// Takes a column that may be absent.
    pub fn take_optional(&mut self, name: &str) -> Result<Option<Tensor>> {
        Ok(self.0.remove(name))
    }
}
