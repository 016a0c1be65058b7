//! Gradient clipping by the global norm, without synchronizing with the device.

use tch::Tensor;

use crate::error::Result;
use crate::native::ffi;

/// Scales all gradients so that their global L2 norm is at most `max_norm`, as PyTorch's
/// `clip_grad_norm_` does: by max_norm / (norm + 1e-6) where that is below 1.
pub(crate) fn clip(gradients: &[Tensor], max_norm: f64) -> Result<()> {
    if gradients.is_empty() {
        return Ok(());
    }
    let norm = ffi::global_norm(gradients)?;
    let factor = norm.f_add_scalar(1e-6)?.f_reciprocal()?.f_mul_scalar(max_norm)?.f_clamp_max(1.0)?;
    ffi::multiply_all(gradients, &factor)
}
