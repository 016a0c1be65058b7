//! Autocast: matrix products in low precision, everything that needs more in float32.

use std::ffi::c_int;
use std::marker::PhantomData;

use tch::{Device, Kind};

use super::ffi;
use crate::error::{Error, Result};

/// A guard: while it lives, this thread computes matrix products of float32 tensors in low precision, and
/// operations that would lose too much by it (softmaxes, norms, losses on CUDA) in float32: PyTorch's
/// `torch.autocast`.
///
/// The low-precision copies of weights are cached until the outermost guard is dropped; drop it before an
/// optimizer step, or the copies become stale.
#[must_use = "autocast ends when this is dropped"]
#[derive(Debug)]
pub struct Autocast {
    cuda: bool,
    was_enabled: bool,
    was_kind: c_int,
    // Autocast belongs to the thread that entered it.
    thread: PhantomData<*const ()>,
}

impl Autocast {
    /// Begins autocast for a device with [`Kind::BFloat16`] or [`Kind::Half`].
    ///
    /// # Errors
    /// Other dtypes, and devices other than the CPU and CUDA.
    pub fn enter(device: Device, kind: Kind) -> Result<Self> {
        let cuda = match device {
            Device::Cpu => false,
            Device::Cuda(_) => true,
            other => return Err(Error::invalid(format!("{other:?} has no autocast: use the CPU or CUDA"))),
        };
        let number = ffi::kind_number(kind).ok_or_else(|| {
            Error::invalid(format!("autocast to {kind:?}: it must be `BFloat16` or `Half`"))
        })?;
        ffi::enter_autocast()?;
        let (was_enabled, was_kind) =
            ffi::set_autocast(cuda, true, number).inspect_err(|_| drop(ffi::leave_autocast()))?;
        Ok(Autocast { cuda, was_enabled, was_kind, thread: PhantomData })
    }
}

impl Drop for Autocast {
    fn drop(&mut self) {
        // Neither can fail with values that libtorch itself returned, and a drop cannot report an error.
        let _ = ffi::set_autocast(self.cuda, self.was_enabled, self.was_kind);
        let _ = ffi::leave_autocast();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Tensor;

    fn product_kind() -> Kind {
        let matrix = Tensor::ones([2, 2], (Kind::Float, Device::Cpu));
        matrix.matmul(&matrix).kind()
    }

    #[test]
    fn guards_nest_and_end_in_a_panic_too() {
        {
            let _outer = Autocast::enter(Device::Cpu, Kind::BFloat16).unwrap();
            {
                let _inner = Autocast::enter(Device::Cpu, Kind::Half).unwrap();
                assert_eq!(product_kind(), Kind::Half);
            }
            assert_eq!(product_kind(), Kind::BFloat16);
        }
        let panicked = std::panic::catch_unwind(|| {
            let _guard = Autocast::enter(Device::Cpu, Kind::BFloat16).unwrap();
            panic!("inside");
        });
        assert!(panicked.is_err());
        assert_eq!(product_kind(), Kind::Float);
    }

    #[test]
    fn other_dtypes_are_refused() {
        let error = Autocast::enter(Device::Cpu, Kind::Int64).unwrap_err().to_string();
        assert!(error.contains("`BFloat16` or `Half`"), "{error}");
        assert_eq!(product_kind(), Kind::Float);
    }
}
