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

/// The rows that have a gradient in this step, and memory that steps share.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// The numbers of the rows and their gradients, while a step is under way.
    taken: Option<(Tensor, Tensor)>,
    /// The gradient of all rows, where it was asked for, with the rows that are not zero.
    dense: Option<(Tensor, Tensor)>,
}

impl Rows {
    /// The gradients of the rows, each once; the same tensor as long as the gradient is the same.
    pub(super) fn take(&mut self, gradient: &Tensor) -> Result<Tensor> {
        if let Some((_, values)) = &self.taken {
            return Ok(values.shallow_clone());
        }
        let once = gradient.f_coalesce()?;
        let numbers = once.f_internal_indices()?.f_squeeze_dim(0)?.f_contiguous()?;
        let values = once.f_internal_values()?.f_contiguous()?.f_detach()?;
        self.taken = Some((numbers, values.shallow_clone()));
        Ok(values)
    }

    /// Whether rows can be moved without the others: every slot must have one a row.
    pub(super) fn fit(&self, parameter: &Tensor, slots: &[(&'static str, Tensor)]) -> bool {
        slots.iter().all(|(_, slot)| slot.size() == parameter.size())
    }

    /// The gradient with its zeros, in memory that the next step uses again.
    pub(super) fn dense(&mut self, parameter: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        let values = self.take(gradient)?;
        let Some((numbers, _)) = self.taken.take() else { return Ok(gradient.f_to_dense(None, false)?) };
        let mut whole = match self.dense.take() {
            Some((mut whole, before)) => {
                let _ = whole.f_index_fill_(0, &before, 0.0)?;
                whole
            }
            None => parameter.f_zeros_like()?.f_contiguous()?.f_detach()?,
        };
        let _ = whole.f_index_copy_(0, &numbers, &values)?;
        self.dense = Some((whole.shallow_clone(), numbers));
        Ok(whole)
    }

    /// A copy of these rows of a tensor.
    pub(super) fn of(&self, tensor: &Tensor) -> Result<Tensor> {
        match &self.taken {
            Some((numbers, _)) => Ok(tensor.f_index_select(0, numbers)?),
            None => Ok(tensor.shallow_clone()),
        }
    }

    /// Puts rows back where they came from.
    pub(super) fn put(&self, whole: &Tensor, rows: &Tensor) -> Result<()> {
        if let Some((numbers, _)) = &self.taken {
            let _ = whole.shallow_clone().f_index_copy_(0, numbers, rows)?;
        }
        Ok(())
    }

    /// Ends a step.
    pub(super) fn forget(&mut self) {
        self.taken = None;
    }
}
