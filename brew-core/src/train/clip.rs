//! Clipping by the global norm, without reading the device.

use tch::Tensor;

use crate::error::Result;

/// Scales all gradients so that their global L2 norm is at most `max_norm`, as PyTorch's
/// `clip_grad_norm_` does: by max_norm / (norm + 1e-6) where that is below 1.
pub(crate) fn clip<'t>(parameters: impl Iterator<Item = &'t Tensor>, max_norm: f64) -> Result<()> {
    let _guard = tch::no_grad_guard();
    let gradients: Vec<Tensor> =
        parameters.map(|parameter| parameter.grad()).filter(Tensor::defined).collect();
    if gradients.is_empty() {
        return Ok(());
    }
    let norms = gradients.iter().map(Tensor::f_norm).collect::<Result<Vec<_>, _>>()?;
    let total = Tensor::f_stack(&norms, 0)?.f_norm()?;
    let factor = total.f_add_scalar(1e-6)?.f_reciprocal()?.f_mul_scalar(max_norm)?.f_clamp_max(1.0)?;
    for mut gradient in gradients {
        let _ = gradient.f_mul_(&factor)?;
    }
    Ok(())
}
