//! Calls of brew's own kernels: `dropout.cpp` and `attention.cpp`.

#![expect(unsafe_code, reason = "calls into the native shim; each block says why it is sound")]

use std::ffi::c_char;

use tch::Tensor;

use super::{Raw, owned, raw, told};
use crate::error::Result;

unsafe extern "C" {
    fn brew_dropout(input: Raw, residual: Raw, probability: f64, output: *mut Raw) -> *mut c_char;
    fn brew_attention(joined: Raw, mask: Raw, heads: i64, probability: f64, output: *mut Raw) -> *mut c_char;
}

/// Dropout on the CPU, plus a residual of the same shape and dtype if given: see `dropout.cpp`.
pub(crate) fn dropout(input: &Tensor, residual: Option<&Tensor>, probability: f64) -> Result<Tensor> {
    let mut output = std::ptr::null_mut();
    let residual = residual.map_or(std::ptr::null_mut(), raw);
    // SAFETY: pointers to borrowed tensors, of which the second may be null, and a place for the result.
    told("dropout", unsafe { brew_dropout(raw(input), residual, probability, &raw mut output) })?;
    Ok(owned(output))
}

/// Attention with dropout on the CPU in float32: see `attention.cpp`.
///
/// `joined` is `(batch, length, 3 width)`, queries, keys and values side by side; `mask` is added to the scores and
/// has one number for each of `(batch, length)`. The result is `(batch, length, width)`.
pub(crate) fn attention(joined: &Tensor, mask: &Tensor, heads: i64, probability: f64) -> Result<Tensor> {
    let mut output = std::ptr::null_mut();
    // SAFETY: pointers to borrowed tensors, and a place for the result.
    told("attention", unsafe {
        brew_attention(raw(joined), raw(mask), heads, probability, &raw mut output)
    })?;
    Ok(owned(output))
}
