//! Linear layers with adapters, and modules that learn whole, while a model is built.

use tch::{Kind, Tensor};

use super::Weights;
use crate::error::Result;
use crate::model::lora::{Adapter, Attach, Attached};

impl Weights {
    /// The same, for a model whose linear layers get adapters.
    pub(crate) fn with_adapters(self, adapters: Attach) -> Self {
        Weights { adapters: Some(adapters), ..self }
    }

    /// The adapter of the linear layer `name`, if it gets one.
    pub(crate) fn adapter(&mut self, name: &str, sizes: (i64, i64), weight: &Tensor) -> Option<Adapter> {
        let wanted = match self.adapters.as_mut()?.matrices_of(name, sizes) {
            Ok(wanted) => wanted?,
            Err(error) => {
                self.problems.push(format!("`{name}`: {error}"));
                return None;
            }
        };
        let held = Some((kind_beside(Some(weight).filter(|weight| weight.defined())), true));
        let matrices = wanted.map(|(name, shape, stored)| self.hold(&name, &shape, stored, held));
        Some(self.adapters.as_mut()?.adapter(name, matrices))
    }

    /// The adapters that the parts of a model have got; [`Weights::finish`] reports problems of stored ones.
    ///
    /// # Errors
    /// Why new adapters do not fit the model.
    pub(crate) fn attached(&mut self) -> Result<Option<Attached>> {
        let Some(adapters) = self.adapters.take() else { return Ok(None) };
        let attached = adapters.close()?;
        Ok(attached.map_err(|problems| self.problems.extend(problems)).ok())
    }
}

/// The dtype of what learns beside a weight of the base.
pub(super) fn kind_beside(weight: Option<&Tensor>) -> Kind {
    match weight.map(Tensor::kind) {
        Some(Kind::Double) => Kind::Double,
        _ => Kind::Float,
    }
}
