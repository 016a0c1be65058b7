//! Features of libtorch that tch does not expose, through a small C++ shim (`native/` beside `src/`):
//! autocast with a chosen dtype, fused optimizers, generator states, determinism, gradient checkpointing.
//!
//! All unsafe FFI is in `ffi.rs` and `ffi/`, a file per kind of call; the rest of this module, and of the crate, is safe.
//!
//! ```
//! use brew_core::native::{Autocast, generator_state, set_generator_state};
//! use brew_core::tch::{Device, Kind, Tensor};
//!
//! let matrix = Tensor::ones([2, 2], (Kind::Float, Device::Cpu));
//! {
//!     let _low = Autocast::enter(Device::Cpu, Kind::BFloat16)?;
//!     assert_eq!(matrix.matmul(&matrix).kind(), Kind::BFloat16);
//! }
//! assert_eq!(matrix.matmul(&matrix).kind(), Kind::Float);
//!
//! let state = generator_state(Device::Cpu)?;
//! let first = Tensor::rand([3], (Kind::Float, Device::Cpu));
//! set_generator_state(Device::Cpu, &state)?;
//! assert_eq!(first, Tensor::rand([3], (Kind::Float, Device::Cpu)));
//! # Ok::<(), brew_core::Error>(())
//! ```

mod autocast;
pub(crate) mod ffi;
mod recompute;

use std::sync::OnceLock;

use tch::{Device, Tensor};

use crate::error::{Error, Result};

pub use autocast::Autocast;
pub use recompute::recomputed;

/// The state of a device's default generator, a uint8 tensor on the CPU.
///
/// # Errors
/// A missing CUDA device, and devices other than CPU and CUDA.
pub fn generator_state(device: Device) -> Result<Tensor> {
    ffi::generator_state(number(device)?)
}

/// Sets the state of a device's default generator to one that [`generator_state`] gave.
///
/// # Errors
/// A tensor that is not the state of such a generator, and those of [`generator_state`].
pub fn set_generator_state(device: Device, state: &Tensor) -> Result<()> {
    ffi::set_generator_state(number(device)?, state)
}

/// Restricts libtorch to deterministic algorithms; an operation without one then fails with an error that
/// names it. All of brew's own operations have one on the CPU.
pub fn set_deterministic(enabled: bool) -> Result<()> {
    ffi::set_deterministic(enabled)
}

/// Lets CUDA multiply float32 with a mantissa of 10 bits (TF32), which is faster and less exact. Off by
/// default.
pub fn set_tf32(enabled: bool) -> Result<()> {
    ffi::set_tf32(enabled)
}

/// The memory of a CUDA device as libtorch's allocator counts it, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CudaMemory {
    /// In use by tensors now.
    pub allocated: u64,
    /// Peak use by tensors.
    pub peak: u64,
    /// Held by the allocator, in use or not.
    pub reserved: u64,
}

/// The memory of this CUDA device.
///
/// # Errors
/// A missing device.
pub fn cuda_memory(device: usize) -> Result<CudaMemory> {
    let device = i32::try_from(device).map_err(|_| Error::invalid("the CUDA device index is too large"))?;
    let [allocated, peak, reserved] = ffi::cuda_memory(device)?.map(i64::unsigned_abs);
    Ok(CudaMemory { allocated, peak, reserved })
}

/// Whether libtorch has CUDA, which is opened at program start.
///
/// A program links libtorch_cuda only if it references one of its symbols, so it is opened at run time, from
/// beside libtorch_cpu: one binary works on machines with and without a GPU, and
/// `Device::cuda_if_available()` is correct on both.
///
/// # Errors
/// libtorch_cuda exists but cannot be opened: names the first missing library.
pub fn load_cuda() -> Result<bool> {
    static LOADED: OnceLock<Result<bool, String>> = OnceLock::new();
    let loaded = LOADED.get_or_init(|| ffi::load_cuda().map_err(|error| error.to_string()));
    loaded.clone().map_err(Error::other)
}

/// The device's number in the shim.
fn number(device: Device) -> Result<i32> {
    match device {
        Device::Cpu => Ok(-1),
        Device::Cuda(index) => {
            i32::try_from(index).map_err(|_| Error::invalid("the CUDA device index is too large"))
        }
        other => Err(Error::invalid(format!("{other:?} has no generator here: use the CPU or CUDA"))),
    }
}

/// A lock for tests that seed the CPU's generator or draw from it: a process has only one.
#[cfg(test)]
pub(crate) fn generator_alone() -> std::sync::MutexGuard<'static, ()> {
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use super::{cuda_memory, ffi, generator_state, load_cuda, set_deterministic, set_generator_state};

    #[test]
    fn what_does_not_fit_is_an_error_and_no_crash() {
        let error = set_generator_state(Device::Cpu, &Tensor::zeros([3], (Kind::Float, Device::Cpu)));
        assert!(error.unwrap_err().to_string().contains("uint8"));
        let error = set_generator_state(Device::Cpu, &Tensor::new()).unwrap_err();
        assert!(error.to_string().contains("`state` is undefined"), "{error}");
        assert!(generator_state(Device::Mps).is_err());
        assert!(ffi::global_norm(&[]).is_err());
        let (short, long) = (Tensor::zeros([2], (Kind::Float, Device::Cpu)), Tensor::new());
        let numbers =
            ffi::SgdNumbers { learning_rate: 0.1, momentum: 0.0, nesterov: false, weight_decay: 0.0 };
        let error = ffi::fused_sgd(&[short], &[long], &[], numbers).unwrap_err().to_string();
        assert!(error.contains("`gradients` is undefined"), "{error}");
    }

    #[test]
    fn lists_that_differ_are_refused_before_the_kernel_reads_them() {
        let float = |size: &[i64]| Tensor::zeros(size, (Kind::Float, Device::Cpu));
        let lists = |parameter: Tensor, gradient: Tensor| {
            let (first, second) = (parameter.zeros_like(), parameter.zeros_like());
            let lists = ffi::Adam {
                parameters: &[parameter],
                gradients: &[gradient],
                first_moments: &[first],
                second_moments: &[second],
                steps: &[float(&[]) + 1.0],
            };
            let numbers = ffi::AdamNumbers {
                learning_rate: 0.1,
                betas: (0.9, 0.999),
                weight_decay: 0.0,
                epsilon: 1e-8,
                decoupled: true,
            };
            ffi::fused_adam(&lists, numbers)
        };
        assert!(lists(float(&[2, 3]), float(&[2, 3])).is_ok());
        for (parameter, gradient) in [
            (float(&[2, 3]), float(&[3, 2])),
            (float(&[2, 3]), float(&[2, 3]).to_kind(Kind::Double)),
            (float(&[2, 3]).tr(), float(&[2, 3]).tr()),
        ] {
            let error = lists(parameter, gradient).unwrap_err().to_string();
            assert!(error.contains("`gradients`[0]"), "{error}");
        }
    }

    #[test]
    fn determinism_is_switched_for_the_process() {
        // An operation without a deterministic implementation on the CPU: PyTorch's documentation of
        // `use_deterministic_algorithms` lists `put_` with `accumulate=False`.
        let put = || {
            let index = Tensor::from_slice(&[0_i64, 0]);
            let values = Tensor::from_slice(&[1.0_f32, 2.0]);
            Tensor::zeros([2], (Kind::Float, Device::Cpu)).f_put_(&index, &values, false).is_ok()
        };
        set_deterministic(true).unwrap();
        let refused = !put();
        set_deterministic(false).unwrap();
        assert!(refused && put());
    }

    #[test]
    fn a_cuda_device_that_the_machine_does_not_have_is_refused_by_its_number() {
        let has_cuda = load_cuda().unwrap() && tch::Cuda::is_available();
        // The first that is missing: 0 without CUDA, and the one after the last with it.
        let missing = if has_cuda { usize::try_from(tch::Cuda::device_count()).unwrap() } else { 0 };
        let error = cuda_memory(missing).unwrap_err().to_string();
        assert!(error.contains(&format!("no CUDA device {missing}")), "{error}");
        assert!(generator_state(Device::Cuda(missing)).is_err());
        if has_cuda {
            let device = Device::Cuda(missing - 1);
            let _held = Tensor::zeros([1], (Kind::Float, device));
            assert!(cuda_memory(missing - 1).unwrap().allocated > 0);
            assert!(generator_state(device).is_ok());
        }
    }
}
