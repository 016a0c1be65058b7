//! Calls of the fused optimizers: `numerics.cpp`.

#![expect(unsafe_code, reason = "calls into the native shim; each block says why it is sound")]

use std::ffi::{c_char, c_int};

use tch::Tensor;

use super::{Raw, raws, told};
use crate::error::{Error, Result};

unsafe extern "C" {
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
