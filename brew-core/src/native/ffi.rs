//! The crate's only unsafe FFI: safe wrappers around the C functions in `native/`.
//!
//! For all of them: a pointer to a tensor comes from a [`Tensor`] that is borrowed for the whole call, the
//! shim does not keep the pointer, and every C++ exception is returned as a message.

#![expect(unsafe_code, reason = "calls into the native shim; each block says why it is sound")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

use tch::{Kind, Tensor};
use torch_sys::C_tensor;

use crate::error::{Error, Result};

type Raw = *mut C_tensor;

unsafe extern "C" {
    fn brew_free(message: *mut c_char);
    fn brew_autocast_set(
        cuda: c_int,
        enabled: c_int,
        kind: c_int,
        was_enabled: *mut c_int,
        was_kind: *mut c_int,
    ) -> *mut c_char;
    fn brew_autocast_enter() -> *mut c_char;
    fn brew_autocast_leave() -> *mut c_char;
    fn brew_fused_adam(
        decoupled: c_int,
        parameters: *const Raw,
        gradients: *const Raw,
        first: *const Raw,
        second: *const Raw,
        steps: *const Raw,
        count: usize,
        learning_rate: f64,
        beta1: f64,
        beta2: f64,
        weight_decay: f64,
        epsilon: f64,
    ) -> *mut c_char;
    fn brew_fused_sgd(
        parameters: *const Raw,
        gradients: *const Raw,
        momenta: *const Raw,
        count: usize,
        weight_decay: f64,
        momentum: f64,
        learning_rate: f64,
        nesterov: c_int,
    ) -> *mut c_char;
    fn brew_global_norm(tensors: *const Raw, count: usize, norm: *mut Raw) -> *mut c_char;
    fn brew_clear_gradients(parameters: *const Raw, count: usize) -> *mut c_char;
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
    fn brew_dropout(input: Raw, residual: Raw, probability: f64, output: *mut Raw) -> *mut c_char;
    fn brew_attention(joined: Raw, mask: Raw, heads: i64, probability: f64, output: *mut Raw) -> *mut c_char;
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
    fn brew_recompute_begin(
        device: c_int,
        again: unsafe extern "C" fn(*mut c_void, *mut c_char, usize) -> c_int,
        drop: unsafe extern "C" fn(*mut c_void),
        context: *mut c_void,
    ) -> *mut c_char;
    fn brew_recompute_end() -> *mut c_char;
}

/// Keeps the linker from dropping the shim: its code that opens CUDA runs at program start.
#[used]
static KEPT: unsafe extern "C" fn(*mut c_int) -> *mut c_char = brew_load_cuda;

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

/// Sets this thread's autocast; returns the previous state: whether it was on, and the dtype's number.
pub(super) fn set_autocast(cuda: bool, enabled: bool, kind: c_int) -> Result<(bool, c_int)> {
    let (mut was_enabled, mut was_kind) = (0, 0);
    // SAFETY: both pointers are to locals that outlive the call.
    let message = unsafe {
        brew_autocast_set(cuda.into(), enabled.into(), kind, &raw mut was_enabled, &raw mut was_kind)
    };
    told("autocast", message)?;
    Ok((was_enabled != 0, was_kind))
}

/// Enters a nested level of autocast.
pub(super) fn enter_autocast() -> Result<()> {
    // SAFETY: it takes nothing.
    told("autocast", unsafe { brew_autocast_enter() })
}

/// Leaves a level of autocast; leaving the outermost drops the copies of weights.
pub(super) fn leave_autocast() -> Result<()> {
    // SAFETY: it takes nothing.
    told("autocast", unsafe { brew_autocast_leave() })
}

/// libtorch's number for a dtype.
pub(super) fn kind_number(kind: Kind) -> Option<c_int> {
    match kind {
        Kind::Half => Some(5),
        Kind::BFloat16 => Some(15),
        _ => None,
    }
}

/// The lists of one call of a fused optimizer, one item per parameter.
#[derive(Debug)]
pub(crate) struct Adam<'t> {
    pub(crate) parameters: &'t [Tensor],
    pub(crate) gradients: &'t [Tensor],
    pub(crate) first_moments: &'t [Tensor],
    pub(crate) second_moments: &'t [Tensor],
    /// The step numbers, from 1: float32 scalars.
    pub(crate) steps: &'t [Tensor],
}

/// The hyperparameters of Adam and AdamW.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AdamNumbers {
    pub(crate) learning_rate: f64,
    pub(crate) betas: (f64, f64),
    pub(crate) weight_decay: f64,
    pub(crate) epsilon: f64,
    /// Whether weight decay is decoupled (AdamW) instead of added to the gradient.
    pub(crate) decoupled: bool,
}

/// One step of Adam or AdamW over all parameters, in place.
pub(crate) fn fused_adam(lists: &Adam<'_>, numbers: AdamNumbers) -> Result<()> {
    let count = lists.parameters.len();
    let all = [lists.gradients, lists.first_moments, lists.second_moments, lists.steps];
    if all.iter().any(|list| list.len() != count) {
        return Err(Error::invalid("a fused optimizer was given lists of different lengths"));
    }
    let (parameters, [gradients, first, second, steps]) = (raws(lists.parameters), all.map(raws));
    let AdamNumbers { learning_rate, betas, weight_decay, epsilon, decoupled } = numbers;
    // SAFETY: five arrays of `count` pointers to borrowed tensors; the shim checks that they are alike.
    let message = unsafe {
        brew_fused_adam(
            decoupled.into(),
            parameters.as_ptr(),
            gradients.as_ptr(),
            first.as_ptr(),
            second.as_ptr(),
            steps.as_ptr(),
            count,
            learning_rate,
            betas.0,
            betas.1,
            weight_decay,
            epsilon,
        )
    };
    told("fused Adam", message)
}

/// The hyperparameters of stochastic gradient descent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SgdNumbers {
    pub(crate) learning_rate: f64,
    pub(crate) momentum: f64,
    pub(crate) nesterov: bool,
    pub(crate) weight_decay: f64,
}

/// One step of stochastic gradient descent over all parameters, in place; `momenta` may be empty if the
/// momentum is 0.
pub(crate) fn fused_sgd(
    parameters: &[Tensor],
    gradients: &[Tensor],
    momenta: &[Tensor],
    numbers: SgdNumbers,
) -> Result<()> {
    let count = parameters.len();
    if gradients.len() != count || (numbers.momentum != 0.0 && momenta.len() != count) {
        return Err(Error::invalid("a fused optimizer was given lists of different lengths"));
    }
    let (parameters, gradients, momenta) = (raws(parameters), raws(gradients), raws(momenta));
    let SgdNumbers { learning_rate, momentum, nesterov, weight_decay } = numbers;
    // SAFETY: arrays of `count` pointers to borrowed tensors; the momenta are read only with a momentum.
    let message = unsafe {
        brew_fused_sgd(
            parameters.as_ptr(),
            gradients.as_ptr(),
            momenta.as_ptr(),
            count,
            weight_decay,
            momentum,
            learning_rate,
            nesterov.into(),
        )
    };
    told("fused SGD", message)
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

/// The state of a device's generator, a uint8 tensor; a negative device is the CPU.
pub(super) fn generator_state(device: c_int) -> Result<Tensor> {
    let mut state = std::ptr::null_mut();
    // SAFETY: a place for the result.
    told("generator", unsafe { brew_generator_state(device, &raw mut state) })?;
    Ok(owned(state))
}

/// Sets the state of a device's generator.
pub(super) fn set_generator_state(device: c_int, state: &Tensor) -> Result<()> {
    // SAFETY: a pointer to a borrowed tensor, whose contents libtorch checks.
    told("generator", unsafe { brew_set_generator_state(device, raw(state)) })
}

/// Uses only deterministic algorithms; operations without one become errors.
pub(super) fn set_deterministic(enabled: bool) -> Result<()> {
    // SAFETY: it takes a number.
    told("deterministic algorithms", unsafe { brew_set_deterministic(enabled.into()) })
}

/// Enables TF32 for float32 products on CUDA.
pub(super) fn set_tf32(enabled: bool) -> Result<()> {
    // SAFETY: it takes a number.
    told("TF32", unsafe { brew_set_tf32(enabled.into()) })
}

/// Bytes of a CUDA device: in use, peak in use, held by the allocator.
pub(super) fn cuda_memory(device: c_int) -> Result<[i64; 3]> {
    let (mut allocated, mut peak, mut reserved) = (0, 0, 0);
    // SAFETY: three places for the results.
    let message = unsafe { brew_cuda_memory(device, &raw mut allocated, &raw mut peak, &raw mut reserved) };
    told("memory of CUDA", message)?;
    Ok([allocated, peak, reserved])
}

/// Opens libtorch_cuda if it exists beside libtorch_cpu; returns whether it does.
pub(super) fn load_cuda() -> Result<bool> {
    let mut found = 0;
    // SAFETY: a place for the result.
    told("CUDA", unsafe { brew_load_cuda(&raw mut found) })?;
    Ok(found != 0)
}

/// Reruns a part of a model, on the thread of the backward pass.
pub(super) type Again = Box<dyn Fn() -> Result<()> + Send>;

/// Until [`end_recomputed`], tensors that this thread saves for the backward pass belong to a part that
/// `again` recomputes.
pub(super) fn begin_recomputed(device: c_int, again: Again) -> Result<()> {
    // A box of a box: a pointer to a trait object has two words, and C has one.
    let context = Box::into_raw(Box::new(again)).cast::<c_void>();
    // SAFETY: the shim owns the context from here on, calls `run_again` with nothing else, from one thread at
    // a time, and `drop_again` once, in the end or where this fails.
    told("gradient checkpointing", unsafe { brew_recompute_begin(device, run_again, drop_again, context) })
}

/// From now on, saved tensors are kept as usual.
pub(super) fn end_recomputed() -> Result<()> {
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
