//! Calls that switch autocast: `numerics.cpp`.

#![expect(unsafe_code, reason = "calls into the native shim; each block says why it is sound")]

use std::ffi::{c_char, c_int};

use tch::Kind;

use super::told;
use crate::error::Result;

unsafe extern "C" {
    fn brew_autocast_set(
        cuda: c_int,
        enabled: c_int,
        kind: c_int,
        was_enabled: *mut c_int,
        was_kind: *mut c_int,
    ) -> *mut c_char;
    fn brew_autocast_enter() -> *mut c_char;
    fn brew_autocast_leave() -> *mut c_char;
}

/// Sets this thread's autocast; returns the previous state: whether it was on, and the dtype's number.
pub(in crate::native) fn set_autocast(cuda: bool, enabled: bool, kind: c_int) -> Result<(bool, c_int)> {
    let (mut was_enabled, mut was_kind) = (0, 0);
    // SAFETY: both pointers are to locals that outlive the call.
    let message = unsafe {
        brew_autocast_set(cuda.into(), enabled.into(), kind, &raw mut was_enabled, &raw mut was_kind)
    };
    told("autocast", message)?;
    Ok((was_enabled != 0, was_kind))
}

/// Enters a nested level of autocast.
pub(in crate::native) fn enter_autocast() -> Result<()> {
    // SAFETY: it takes nothing.
    told("autocast", unsafe { brew_autocast_enter() })
}

/// Leaves a level of autocast; leaving the outermost drops the copies of weights.
pub(in crate::native) fn leave_autocast() -> Result<()> {
    // SAFETY: it takes nothing.
    told("autocast", unsafe { brew_autocast_leave() })
}

/// libtorch's number for a dtype.
pub(in crate::native) fn kind_number(kind: Kind) -> Option<c_int> {
    match kind {
        Kind::Half => Some(5),
        Kind::BFloat16 => Some(15),
        _ => None,
    }
}
