//! The crate's only unsafe FFI: safe wrappers around the C functions in `native/`.
//!
//! For all of them: a pointer to a tensor comes from a [`Tensor`] that is borrowed for the whole call, the
//! shim does not keep the pointer, and every C++ exception is returned as a message.

#![expect(unsafe_code, reason = "calls into the native shim; each block says why it is sound")]

mod autocast;
mod context;
mod gradients;
mod layers;
mod optimizers;
mod ranks;
mod recompute;

use std::ffi::{CStr, c_char};

use tch::Tensor;
use torch_sys::C_tensor;

use crate::error::{Error, Result};

pub(super) use autocast::{enter_autocast, kind_number, leave_autocast, set_autocast};
pub(super) use context::{
    cuda_memory, generator_state, load_cuda, set_deterministic, set_generator_state, set_tf32,
};
pub(crate) use gradients::{clear_gradients, global_norm, multiply_all, set_gradient, unscale, update_scale};
pub(crate) use layers::{attention, dropout};
pub(crate) use optimizers::{Adam, AdamNumbers, SgdNumbers, fused_adam, fused_sgd};
pub(crate) use ranks::{Exchange, Gloo, Started, Store};
pub(super) use recompute::{begin_recomputed, end_recomputed};

type Raw = *mut C_tensor;

unsafe extern "C" {
    fn brew_free(message: *mut c_char);
}

/// Converts the message that a shim function returned into an error that names the operation.
fn told(what: &str, message: *mut c_char) -> Result<()> {
    if message.is_null() {
        return Ok(());
    }
    // SAFETY: the shim returns null or a NUL-terminated string of its own, which is freed here, once.
    let text = unsafe {
        let text = CStr::from_ptr(message).to_string_lossy().into_owned();
        brew_free(message);
        text
    };
    let first = text.lines().next().unwrap_or("no message").to_owned();
    Err(Error::Torch { stages: vec![what.to_owned()], message: first })
}

fn raw(tensor: &Tensor) -> Raw {
    tensor.as_ptr().cast_mut()
}

fn raws(tensors: &[Tensor]) -> Vec<Raw> {
    tensors.iter().map(raw).collect()
}

/// Takes ownership of a tensor that the shim created.
fn owned(raw: Raw) -> Tensor {
    // SAFETY: the shim put the pointer of a new tensor there, which nobody else holds.
    unsafe { Tensor::from_ptr(raw) }
}
