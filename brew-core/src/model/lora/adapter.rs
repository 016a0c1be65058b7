//! One adapter: two matrices beside a linear layer.

use tch::Tensor;

use crate::error::{InStage, Result};
use crate::model::parts::dropout;
use crate::pass::Pass;

/// `s B A dropout(x)`, for `x` of `(…, inputs)`.
#[derive(Debug)]
pub(crate) struct Adapter {
    /// The name of its linear layer.
    pub(super) name: String,
    /// `(rank, inputs)`.
    pub(super) down: Tensor,
    /// `(outputs, rank)`.
    pub(super) up: Tensor,
    pub(super) scale: f64,
    pub(super) dropout: f64,
}

impl Adapter {
    /// The same adapter: another handle of its parameters.
    pub(crate) fn shallow_clone(&self) -> Self {
        Adapter {
            name: self.name.clone(),
            down: self.down.shallow_clone(),
            up: self.up.shallow_clone(),
            ..*self
        }
    }

    fn forward(&self, input: &Tensor, pass: &Pass) -> Result<Tensor> {
        let input = dropout(input.f_to_kind(self.down.f_kind()?)?, self.dropout, pass)?;
        let inner = input.f_linear(&self.down, None::<Tensor>)?;
        Ok(inner.f_linear(&self.up, None::<Tensor>)?.f_mul_scalar(self.scale)?)
    }

    /// `A` and `B` under their names.
    pub(crate) fn parameters(&self) -> [(String, Tensor); 2] {
        let [down, up] = names(&self.name);
        [(down, self.down.shallow_clone()), (up, self.up.shallow_clone())]
    }
}

/// The names of the matrices beside a linear layer.
pub(super) fn names(linear: &str) -> [String; 2] {
    ["lora_A", "lora_B"].map(|part| format!("{linear}.{part}.weight"))
}

/// The output of a linear layer with its adapter's added, in the dtype of the output. The sum is rounded once.
pub(crate) fn adapted(
    output: Tensor,
    adapter: Option<&Adapter>,
    input: &Tensor,
    pass: &Pass,
) -> Result<Tensor> {
    let Some(adapter) = adapter else { return Ok(output) };
    let sum = || -> Result<Tensor> {
        Ok(output.f_add(&adapter.forward(input, pass)?)?.f_to_kind(output.f_kind()?)?)
    };
    sum().in_stage(&adapter.name)
}
