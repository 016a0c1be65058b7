//! Calls over many gradients at once: `numerics.cpp`.

#![expect(unsafe_code, reason = "calls into the native shim; each block says why it is sound")]

use std::ffi::c_char;

use tch::Tensor;

use super::{Raw, owned, raw, raws, told};
use crate::error::Result;

unsafe extern "C" {
    fn brew_global_norm(tensors: *const Raw, count: usize, norm: *mut Raw) -> *mut c_char;
    fn brew_clear_gradients(parameters: *const Raw, count: usize) -> *mut c_char;
    fn brew_set_gradient(parameter: Raw, gradient: Raw) -> *mut c_char;
    fn brew_multiply_all(tensors: *const Raw, count: usize, factor: Raw) -> *mut c_char;
    fn brew_unscale(
        gradients: *const Raw,
        count: usize,
        found_infinite: Raw,
        inverse_scale: Raw,
    ) -> *mut c_char;
    fn brew_update_scale(
        scale: Raw,
        growth_tracker: Raw,
        found_infinite: Raw,
        growth: f64,
        backoff: f64,
        interval: i64,
    ) -> *mut c_char;
}

/// The L2 norm over all tensors together, a scalar on their device; does not synchronize.
pub(crate) fn global_norm(tensors: &[Tensor]) -> Result<Tensor> {
    let (list, mut norm) = (raws(tensors), std::ptr::null_mut());
    // SAFETY: an array of pointers to borrowed tensors, and a place for the result.
    told("global norm", unsafe { brew_global_norm(list.as_ptr(), list.len(), &raw mut norm) })?;
    Ok(owned(norm))
}

/// Removes the gradients of parameters.
pub(crate) fn clear_gradients(parameters: &[&Tensor]) -> Result<()> {
    let list: Vec<Raw> = parameters.iter().map(|parameter| raw(parameter)).collect();
    // SAFETY: an array of pointers to borrowed tensors.
    told("gradients", unsafe { brew_clear_gradients(list.as_ptr(), list.len()) })
}

/// Gives a parameter a gradient of its shape, dtype, and device.
pub(crate) fn set_gradient(parameter: &Tensor, gradient: &Tensor) -> Result<()> {
    // SAFETY: pointers to borrowed tensors; the shim keeps a handle of its own to the gradient.
    told("gradients", unsafe { brew_set_gradient(raw(parameter), raw(gradient)) })
}

/// Multiplies every tensor by a scalar on their device, in place.
pub(crate) fn multiply_all(tensors: &[Tensor], factor: &Tensor) -> Result<()> {
    let list = raws(tensors);
    // SAFETY: an array of pointers to borrowed tensors, and one more.
    told("multiply", unsafe { brew_multiply_all(list.as_ptr(), list.len(), raw(factor)) })
}

/// Multiplies gradients by a scalar in place, and sets `found_infinite` to 1 if any is not finite.
pub(crate) fn unscale(gradients: &[Tensor], found_infinite: &Tensor, inverse_scale: &Tensor) -> Result<()> {
    let list = raws(gradients);
    // SAFETY: an array of pointers to borrowed tensors, and two more.
    let message = unsafe { brew_unscale(list.as_ptr(), list.len(), raw(found_infinite), raw(inverse_scale)) };
    told("unscale", message)
}

/// Updates the loss scale after a step: `scale` and `growth_tracker` in place.
pub(crate) fn update_scale(
    scale: &Tensor,
    growth_tracker: &Tensor,
    found_infinite: &Tensor,
    (growth, backoff, interval): (f64, f64, i64),
) -> Result<()> {
    // SAFETY: pointers to three borrowed tensors.
    let message = unsafe {
        brew_update_scale(raw(scale), raw(growth_tracker), raw(found_infinite), growth, backoff, interval)
    };
    told("scale of the loss", message)
}
