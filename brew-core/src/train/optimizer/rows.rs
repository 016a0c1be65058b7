//! Gradients of some rows of a parameter alone: those of the tokens that a batch has, in an embedding.
//!
//! A dense gradient of an embedding is nearly all zeros: writing them, adding up their squares and scaling
//! them costs more than the layers of a small student. So brew's encoders give sparse ones on the CPU, and
//! what is left to decide is which rows an optimizer moves.

use tch::Tensor;

use crate::error::Result;

/// Which rows of a parameter with a sparse gradient a step moves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum SparseUpdates {
    /// All of them, as if the gradient were dense: momentum and weight decay move rows without one too.
    #[default]
    EveryRow,
    /// Those that have a gradient.
    RowsInUse,
}

/// The rows of a parameter that have a gradient, each once.
#[derive(Debug)]
pub(super) struct InUse {
    numbers: Tensor,
    values: Tensor,
}

impl InUse {
    /// The gradients of the rows, one a row.
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

/// A parameter's sparse gradient in the step that is under way, and memory that steps share.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// Made of the gradient when it is first asked for.
    in_use: Option<InUse>,
    /// The gradient of all rows, where it was asked for, with the rows of it that are not zero.
    dense: Option<(Tensor, Tensor)>,
}

impl Rows {
    /// The rows in use: what is changed in their gradients stays changed until [`Rows::forget`].
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

    /// The gradient with its zeros, in memory that the next step uses again.
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

/// Whether rows can be moved without the others: every slot must have one a row.
pub(super) fn fit(parameter: &Tensor, slots: &[(&'static str, Tensor)]) -> bool {
    slots.iter().all(|(_, slot)| slot.size() == parameter.size())
}
