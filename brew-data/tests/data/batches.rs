//! Batch types and small tables for the tests.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use brew_core::batch::{Batch, Batches, Column, Columns, FromColumns};
use brew_core::tch::{Kind, Tensor};
use brew_core::{Error, Result};
use brew_data::{Dataset, Loader};

/// Writes a batch type out by hand: one required tensor a column.
macro_rules! batch {
    ($name:ident { $($column:ident: $kind:expr, $pad:expr, $optional:expr);* $(;)? }) => {
        batch!($name { $($column: $kind, $pad, $optional, false);* });
    };
    ($name:ident { $($column:ident: $kind:expr, $pad:expr, $optional:expr, $nested:expr);* $(;)? }) => {
        #[derive(Debug)]
        pub(crate) struct $name {
            $(pub(crate) $column: Option<Tensor>),*
        }

        impl Batch for $name {
            fn tensors(&self) -> Vec<(&'static str, &Tensor)> {
                [$((stringify!($column), &self.$column)),*]
                    .into_iter()
                    .filter_map(|(name, tensor)| Some((name, tensor.as_ref()?)))
                    .collect()
            }
            fn map(&self, change: &mut dyn FnMut(&'static str, &Tensor) -> Result<Tensor>) -> Result<Self> {
                Ok($name { $($column: self.$column.as_ref().map(|tensor| change(stringify!($column), tensor)).transpose()?),* })
            }
        }

        impl FromColumns for $name {
            const COLUMNS: &'static [Column] =
                &[$(Column { name: stringify!($column), kind: $kind, pad: $pad, optional: $optional, nested: $nested }),*];
            fn from_columns(columns: &mut Columns) -> Result<Self> {
                Ok($name { $($column: columns.take_optional(stringify!($column))?),* })
            }
        }
    };
}

batch!(Review {
    input_ids: Kind::Int64, Some(0.0), false;
    attention_mask: Kind::Int64, Some(0.0), false;
    labels: Kind::Int64, None, true;
});
batch!(Numbered { id: Kind::Int64, None, false });
batch!(Ragged { input_ids: Kind::Int64, Some(-1.0), false; id: Kind::Int64, None, false });
batch!(Unpadded { input_ids: Kind::Int64, None, false });
batch!(Floats { value: Kind::Float, None, false });
batch!(HalfPadded { value: Kind::Float, Some(0.5), false });
batch!(InfinityPadded { value: Kind::Half, Some(f64::NEG_INFINITY), false });
batch!(NanPadded { value: Kind::Double, Some(f64::NAN), false });
batch!(Scores { scores: Kind::Float, None, false });
batch!(Bytes { value: Kind::Uint8, None, false });
batch!(Halves { value: Kind::BFloat16, None, false });
batch!(Padded { input_ids: Kind::Int64, Some(0.0), false });
batch!(Values { value: Kind::Int64, None, false });
batch!(Nested { value: Kind::Int64, Some(-1.0), false, true });
batch!(NestedUnpadded { value: Kind::Int64, None, false, true });
batch!(Halves16Value { value: Kind::Half, None, false });
batch!(Halves16 { score: Kind::Half, None, false });
batch!(Truths { value: Kind::Bool, None, false });

/// A batch whose making fails, by a panic or an error, at the row with this id.
#[derive(Debug)]
pub(crate) struct Failing<const ID: i64, const PANICS: bool>(Tensor);

impl<const ID: i64, const PANICS: bool> Batch for Failing<ID, PANICS> {
    fn tensors(&self) -> Vec<(&'static str, &Tensor)> {
        vec![("id", &self.0)]
    }
    fn map(&self, change: &mut dyn FnMut(&'static str, &Tensor) -> Result<Tensor>) -> Result<Self> {
        Ok(Failing(change("id", &self.0)?))
    }
}

impl<const ID: i64, const PANICS: bool> FromColumns for Failing<ID, PANICS> {
    const COLUMNS: &'static [Column] = Numbered::COLUMNS;
    fn from_columns(columns: &mut Columns) -> Result<Self> {
        let ids = columns.take("id")?;
        if integers(&ids).contains(&ID) {
            assert!(!PANICS, "row {ID} is cursed");
            return Err(Error::invalid("this row is not liked"));
        }
        Ok(Failing(ids))
    }
}

/// A table in memory, called `table`.
pub(crate) fn table(columns: &[(&str, ArrayRef)]) -> Dataset {
    let columns = columns.iter().map(|(name, column)| (*name, column.clone(), column.null_count() > 0));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    Dataset::from_record_batches("table", vec![batch]).unwrap()
}

/// An Arrow array behind a pointer.
pub(crate) fn array(array: impl Array + 'static) -> ArrayRef {
    Arc::new(array)
}

/// A tensor's values.
pub(crate) fn integers(tensor: &Tensor) -> Vec<i64> {
    Vec::try_from(tensor.to_kind(Kind::Int64).view(-1)).unwrap()
}

/// Every batch of an epoch.
pub(crate) fn epoch<B: FromColumns>(loader: &Loader<B>, epoch: u64) -> Vec<B> {
    loader.epoch(epoch).unwrap().collect::<Result<_>>().unwrap()
}

/// The text of what goes wrong in an epoch.
pub(crate) fn failure<B: FromColumns>(loader: &Loader<B>) -> String {
    let outcome = loader.epoch(0).and_then(|mut batches| batches.try_for_each(|batch| batch.map(drop)));
    outcome.expect_err("the epoch goes through").to_string()
}

/// The model folder that `cargo xtask setup` fetches.
pub(crate) fn minilm() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.brew/models/all-MiniLM-L6-v2");
    assert!(folder.is_dir(), "{} is missing: run `cargo xtask setup` first", folder.display());
    folder
}
