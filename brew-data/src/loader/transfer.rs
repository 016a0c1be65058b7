//! Transfers batches to a GPU while it works: into pinned memory on a worker thread, then by an asynchronous
//! copy.

use brew_core::batch::Batch;
use brew_core::error::InStage;
use brew_core::tch::Device;
use brew_core::{Error, Result};

/// The device that batches are returned on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Destination(pub(super) Device);

impl Destination {
    fn is_cuda(self) -> bool {
        matches!(self.0, Device::Cuda(_))
    }

    /// Rejects a device that does not exist.
    pub(super) fn check(self) -> Result<()> {
        match self.0 {
            Device::Cuda(index) if index as i64 >= brew_core::tch::Cuda::device_count() => {
                let message = format!("batches are requested on CUDA device {index}, which does not exist");
                Err(Error::invalid(message))
            }
            _ => Ok(()),
        }
    }

    /// On the worker thread: moves a batch into memory that the GPU can read directly.
    pub(super) fn stage<B: Batch>(self, batch: B) -> Result<B> {
        if !self.is_cuda() {
            return Ok(batch);
        }
        batch.map(&mut |name, tensor| tensor.f_pin_memory(self.0).in_stage(name))
    }

    /// On the consumer's thread: for CUDA, starts the copy in the stream of the model's work, so it completes
    /// before that work begins. libtorch keeps the pinned memory until then.
    pub(super) fn deliver<B: Batch>(self, batch: B) -> Result<B> {
        if !self.is_cuda() {
            return batch.to_device(self.0);
        }
        batch.map(&mut |name, tensor| tensor.f_to_device_(self.0, tensor.kind(), true, false).in_stage(name))
    }
}
