//! Type erasure of models: the interface that the executor drives.

use std::any::Any;

use tch::{Kind, Tensor};

use super::{Model, Seen};
use crate::adaptor::Adaptor;
use crate::batch::Batch;
use crate::error::{Error, InStage as _, Result};
use crate::feature::Feature;
use crate::pass::Pass;
use crate::role::{Labels, Role as _, counts};
use crate::row_key::RowKeys;

/// One side of a pipeline with the types of model and adaptor erased: the interface that the executor drives.
pub trait ErasedModel<B>: Model {
    /// The roles its adaptor provides.
    fn roles(&self) -> &'static [&'static str];
    /// One forward pass; only [`ErasedModel::read`] can interpret the output.
    fn forward(&self, batch: &B, pass: &Pass) -> Result<Box<dyn Any>>;
    /// The value of a role, read from an output of this side.
    fn read(&self, role: &str, batch: &B, output: &dyn Any) -> Result<Option<Feature>>;
    /// The value of a role that needs no forward pass.
    fn read_batch(&self, role: &str, batch: &B) -> Result<Option<Feature>>;
    /// Whether its classes are reordered to the student's: see [`Seen::classes_by_name`].
    fn takes_classes_by_name(&self) -> bool;
    /// The counts of the model's own losses, as far as they are known before a forward pass: those of
    /// [`Forward::losses_count`](super::Forward::losses_count), or else 1 for each integer label and 0 for -100.
    /// `None` if there are no such labels.
    fn losses_count(&self, batch: &B) -> Result<Option<Vec<Tensor>>>;
    /// The name of its adaptor.
    fn adaptor_name(&self) -> &'static str;
    /// The columns of a batch that the model reads; `None` if it may read any.
    fn columns_read(&self) -> Option<Vec<String>>;
    /// The keys by which a teacher cache looks up the rows of a batch.
    fn row_keys(&self, batch: &B) -> Result<RowKeys>;
    /// These rows of a batch.
    fn rows_of(&self, batch: &B, rows: &[i64]) -> Result<B>;
    /// The batch with these columns cut to a length, and then padded to another.
    fn padded(&self, batch: &B, columns: &[&str], cut: usize, length: usize) -> Result<B>;
}

/// 1 for each label that counts, 0 for -100; `None` if labels are not integers.
pub(crate) fn labelled(labels: &[Tensor]) -> Option<Result<Vec<Tensor>>> {
    let whole = |labels: &Tensor| {
        matches!(labels.kind(), Kind::Int64 | Kind::Int | Kind::Int16 | Kind::Int8 | Kind::Uint8)
    };
    let one = |labels: &Tensor| Ok(counts(labels)?.f_to_kind(Kind::Float)?);
    labels.iter().all(whole).then(|| labels.iter().map(one).collect())
}

impl<B: Batch, A: Adaptor<Batch = B>> ErasedModel<B> for Seen<A> {
    fn roles(&self) -> &'static [&'static str] {
        A::ROLES
    }

    fn forward(&self, batch: &B, pass: &Pass) -> Result<Box<dyn Any>> {
        Ok(Box::new(self.run(batch, pass)?))
    }

    fn read(&self, role: &str, batch: &B, output: &dyn Any) -> Result<Option<Feature>> {
        let output = output.downcast_ref::<A::Output>().ok_or_else(|| {
            Error::invalid(format!(
                "an output reached another model's adaptor: `{}` reads `{}`",
                std::any::type_name::<A>(),
                std::any::type_name::<A::Output>()
            ))
        })?;
        A::read(role, batch, output)
    }

    fn read_batch(&self, role: &str, batch: &B) -> Result<Option<Feature>> {
        A::read_batch(role, batch)
    }

    fn takes_classes_by_name(&self) -> bool {
        self.by_name
    }

    fn losses_count(&self, batch: &B) -> Result<Option<Vec<Tensor>>> {
        if let Some(counts) = self.model.count_losses(batch)? {
            return Ok(Some(counts));
        }
        let labels = A::read_batch(Labels::NAME, batch)?.map(Feature::into_tensors);
        labels.and_then(|labels| labelled(&labels)).transpose()
    }

    fn adaptor_name(&self) -> &'static str {
        std::any::type_name::<A>()
    }

    fn columns_read(&self) -> Option<Vec<String>> {
        self.model.columns_read()
    }

    fn row_keys(&self, batch: &B) -> Result<RowKeys> {
        RowKeys::of::<A>(batch, self.model.columns_read().as_deref())
    }

    fn rows_of(&self, batch: &B, rows: &[i64]) -> Result<B> {
        let count = i64::try_from(batch.rows()).unwrap_or(i64::MAX);
        batch.map(&mut |name, tensor| {
            // Tensors that belong to all rows are not cut.
            if tensor.size().first() != Some(&count) {
                return Ok(tensor.shallow_clone());
            }
            let rows = Tensor::f_from_slice(rows)?.f_to_device(tensor.device())?;
            tensor.f_index_select(0, &rows).in_stage(name)
        })
    }

    fn padded(&self, batch: &B, columns: &[&str], cut: usize, length: usize) -> Result<B> {
        let size = |size| i64::try_from(size).unwrap_or(i64::MAX);
        batch.map(&mut |name, tensor| {
            if !columns.contains(&name) {
                return Ok(tensor.shallow_clone());
            }
            let mut sides = vec![0; 2 * tensor.dim().saturating_sub(2)];
            sides.extend([0, size(length) - size(cut)]);
            let padding = B::pad(name).unwrap_or(0.0);
            let cut = tensor.f_narrow(1, 0, size(cut));
            cut.and_then(|cut| cut.f_pad(sides, "constant", padding)).in_stage(name)
        })
    }
}
