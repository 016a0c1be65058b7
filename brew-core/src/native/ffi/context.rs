//! Calls about the process and its devices: `context.cpp`.

#![expect(unsafe_code, reason = "calls into the native shim; each block says why it is sound")]

use std::ffi::{c_char, c_int};

use tch::Tensor;

use super::{Raw, owned, raw, told};
use crate::error::Result;

unsafe extern "C" {
    fn brew_generator_state(device: c_int, state: *mut Raw) -> *mut c_char;
    fn brew_set_generator_state(device: c_int, state: Raw) -> *mut c_char;
    fn brew_set_deterministic(enabled: c_int) -> *mut c_char;
    fn brew_set_tf32(enabled: c_int) -> *mut c_char;
    fn brew_cuda_memory(
        device: c_int,
        allocated: *mut i64,
        peak: *mut i64,
        reserved: *mut i64,
    ) -> *mut c_char;
    fn brew_load_cuda(found: *mut c_int) -> *mut c_char;
}

/// Keeps the linker from dropping the shim: its code that opens CUDA runs at program start.
#[used]
static KEPT: unsafe extern "C" fn(*mut c_int) -> *mut c_char = brew_load_cuda;

/// The state of a device's generator, a uint8 tensor; a negative device is the CPU.
pub(in crate::native) fn generator_state(device: c_int) -> Result<Tensor> {
    let mut state = std::ptr::null_mut();
    // SAFETY: a place for the result.
    told("generator", unsafe { brew_generator_state(device, &raw mut state) })?;
    Ok(owned(state))
}

/// Sets the state of a device's generator.
pub(in crate::native) fn set_generator_state(device: c_int, state: &Tensor) -> Result<()> {
    // SAFETY: a pointer to a borrowed tensor, whose contents libtorch checks.
    told("generator", unsafe { brew_set_generator_state(device, raw(state)) })
}

/// Uses only deterministic algorithms; operations without one become errors.
pub(in crate::native) fn set_deterministic(enabled: bool) -> Result<()> {
    // SAFETY: it takes a number.
    told("deterministic algorithms", unsafe { brew_set_deterministic(enabled.into()) })
}

/// Enables TF32 for float32 products on CUDA.
pub(in crate::native) fn set_tf32(enabled: bool) -> Result<()> {
    // SAFETY: it takes a number.
    told("TF32", unsafe { brew_set_tf32(enabled.into()) })
}

/// Bytes of a CUDA device: in use, peak in use, held by the allocator.
pub(in crate::native) fn cuda_memory(device: c_int) -> Result<[i64; 3]> {
    let (mut allocated, mut peak, mut reserved) = (0, 0, 0);
    // SAFETY: three places for the results.
    let message = unsafe { brew_cuda_memory(device, &raw mut allocated, &raw mut peak, &raw mut reserved) };
    told("memory of CUDA", message)?;
    Ok([allocated, peak, reserved])
}

/// Opens libtorch_cuda if it exists beside libtorch_cpu; returns whether it does.
pub(in crate::native) fn load_cuda() -> Result<bool> {
    let mut found = 0;
    // SAFETY: a place for the result.
    told("CUDA", unsafe { brew_load_cuda(&raw mut found) })?;
    Ok(found != 0)
}
