//! Calls that compute a part of a model again in the backward pass: `recompute.cpp`.

#![expect(unsafe_code, reason = "calls into the native shim; each block says why it is sound")]

use std::ffi::{c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::told;
use crate::error::Result;

unsafe extern "C" {
    fn brew_recompute_begin(
        device: c_int,
        again: unsafe extern "C" fn(*mut c_void, *mut c_char, usize) -> c_int,
        drop: unsafe extern "C" fn(*mut c_void),
        context: *mut c_void,
    ) -> *mut c_char;
    fn brew_recompute_end() -> *mut c_char;
}

/// Reruns a part of a model, on the thread of the backward pass.
pub(in crate::native) type Again = Box<dyn Fn() -> Result<()> + Send>;

/// Until [`end_recomputed`], tensors that this thread saves for the backward pass belong to a part that
/// `again` recomputes.
pub(in crate::native) fn begin_recomputed(device: c_int, again: Again) -> Result<()> {
    // A box of a box: a pointer to a trait object has two words, and C has one.
    let context = Box::into_raw(Box::new(again)).cast::<c_void>();
    // SAFETY: the shim owns the context from here on, calls `run_again` with nothing else, from one thread at
    // a time, and `drop_again` once, in the end or where this fails.
    told("gradient checkpointing", unsafe { brew_recompute_begin(device, run_again, drop_again, context) })
}

/// From now on, saved tensors are kept as usual.
pub(in crate::native) fn end_recomputed() -> Result<()> {
    // SAFETY: it takes nothing.
    told("gradient checkpointing", unsafe { brew_recompute_end() })
}

/// Called by the shim; stops panics, which must not cross into C++.
unsafe extern "C" fn run_again(context: *mut c_void, message: *mut c_char, capacity: usize) -> c_int {
    // SAFETY: the pointer that `begin_recomputed` made, which `drop_again` has not seen yet.
    let again = unsafe { &*context.cast::<Again>() };
    let text = match catch_unwind(AssertUnwindSafe(again)) {
        Ok(Ok(())) => return 0,
        Ok(Err(error)) => error.to_string(),
        Err(panic) => (panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic".to_owned()),
    };
    let bytes = &text.as_bytes()[..text.len().min(capacity.saturating_sub(1))];
    // SAFETY: the shim gives room for `capacity` bytes, and this writes one fewer and the zero after them.
    unsafe {
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), message.cast::<u8>(), bytes.len());
        *message.add(bytes.len()) = 0;
    }
    1
}

/// Called by the shim when the part can no longer be needed.
unsafe extern "C" fn drop_again(context: *mut c_void) {
    // SAFETY: the pointer that `begin_recomputed` made, once. A panic in a drop aborts the process.
    drop(unsafe { Box::from_raw(context.cast::<Again>()) });
}
