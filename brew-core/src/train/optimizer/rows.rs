//! Sparse gradients of embeddings: they cover only the rows of the tokens in a batch.
//!
//! A dense gradient of an embedding is nearly all zeros: writing them, summing their squares and scaling them
//! costs more than the layers of a small student. Therefore brew's encoders produce sparse gradients on the
//! CPU, and [`SparseUpdates`] decides which rows an optimizer updates.

use tch::Tensor;

use crate::error::Result;

/// Which rows of a parameter with a sparse gradient a step updates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum SparseUpdates {
    /// All rows, as if the gradient were dense: momentum and weight decay also update rows without a
    /// gradient.
    #[default]
    EveryRow,
    /// Only the rows that have a gradient.
    RowsInUse,
}

/// The rows of a parameter that have a gradient, each once.
#[derive(Debug)]
pub(super) struct InUse {
    numbers: Tensor,
    values: Tensor,
}

impl InUse {
    /// The gradients of the rows, one per row.
    pub(super) fn gradients(&self) -> Tensor {
        self.values.shallow_clone()
    }

    /// A copy of these rows of a tensor.
    pub(super) fn of(&self, tensor: &Tensor) -> Result<Tensor> {
        Ok(tensor.f_index_select(0, &self.numbers)?)
    }

    /// Puts rows back where they came from.
    pub(super) fn put(&self, whole: &Tensor, rows: &Tensor) -> Result<()> {
        let _ = whole.shallow_clone().f_index_copy_(0, &self.numbers, rows)?;
        Ok(())
    }
}

/// A parameter's sparse gradient in the current step, and memory that steps reuse.
#[derive(Debug, Default)]
pub(super) struct GradientRows {
    /// Computed from the gradient on first use.
    in_use: Option<InUse>,
    /// The dense gradient, if requested, with its nonzero rows.
    dense: Option<(Tensor, Tensor)>,
}

impl GradientRows {
    /// The rows in use: changes to their gradients persist until [`GradientRows::forget`].
    pub(super) fn in_use(&mut self, gradient: &Tensor) -> Result<&InUse> {
        let in_use = match self.in_use.take() {
            Some(known) => known,
            None => {
                let once = gradient.f_coalesce()?;
                InUse {
                    numbers: once.f_internal_indices()?.f_squeeze_dim(0)?.f_contiguous()?,
                    values: once.f_internal_values()?.f_contiguous()?.f_detach()?,
                }
            }
        };
        Ok(self.in_use.insert(in_use))
    }

    /// The dense gradient, in memory that the next step reuses.
    pub(super) fn dense(&mut self, parameter: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        let mut whole = match self.dense.take() {
            Some((mut whole, before)) => {
                let _ = whole.f_index_fill_(0, &before, 0.0)?;
                whole
            }
            None => parameter.f_zeros_like()?.f_contiguous()?.f_detach()?,
        };
        let InUse { numbers, values } = self.in_use(gradient)?;
        let _ = whole.f_index_copy_(0, numbers, values)?;
        let numbers = numbers.shallow_clone();
        self.dense = Some((whole.shallow_clone(), numbers));
        Ok(whole)
    }

    /// Ends a step.
    pub(super) fn forget(&mut self) {
        self.in_use = None;
    }
}

/// Whether rows can be updated individually: every slot must have a value for each row.
pub(super) fn fit(parameter: &Tensor, slots: &[(&'static str, Tensor)]) -> bool {
    slots.iter().all(|(_, slot)| slot.size() == parameter.size())
}
