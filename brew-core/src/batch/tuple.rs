//! Tuples of tensors as batches, with fields by position.

use tch::Tensor;

use super::Batch;
use crate::error::Result;

/// A field of a tuple batch: `Tensor` or `Option<Tensor>`.
pub trait Field: Sized + Send + 'static {
    /// The tensor, if present.
    fn tensor(&self) -> Option<&Tensor>;
    /// The same field with its tensor replaced, if present.
    fn map(&self, change: &mut dyn FnMut(&Tensor) -> Result<Tensor>) -> Result<Self>;
}

impl Field for Tensor {
    fn tensor(&self) -> Option<&Tensor> {
        Some(self)
    }
    fn map(&self, change: &mut dyn FnMut(&Tensor) -> Result<Tensor>) -> Result<Self> {
        change(self)
    }
}

impl Field for Option<Tensor> {
    fn tensor(&self) -> Option<&Tensor> {
        self.as_ref()
    }
    fn map(&self, change: &mut dyn FnMut(&Tensor) -> Result<Tensor>) -> Result<Self> {
        self.as_ref().map(change).transpose()
    }
}

macro_rules! tuple_batch {
    ($($field:ident $index:tt),*) => {
        impl<$($field: Field),*> Batch for ($($field,)*) {
            fn tensors(&self) -> Vec<(&'static str, &Tensor)> {
                [$((stringify!($index), self.$index.tensor())),*]
                    .into_iter()
                    .filter_map(|(name, tensor)| tensor.map(|tensor| (name, tensor)))
                    .collect()
            }
            fn map(&self, change: &mut dyn FnMut(&'static str, &Tensor) -> Result<Tensor>) -> Result<Self> {
                Ok(($(self.$index.map(&mut |tensor| change(stringify!($index), tensor))?,)*))
            }
        }
    };
}

tuple_batch!(A 0);
tuple_batch!(A 0, B 1);
tuple_batch!(A 0, B 1, C 2);
tuple_batch!(A 0, B 1, C 2, D 3);
tuple_batch!(A 0, B 1, C 2, D 3, E 4);
tuple_batch!(A 0, B 1, C 2, D 3, E 4, F 5);
tuple_batch!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuple_batch!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
