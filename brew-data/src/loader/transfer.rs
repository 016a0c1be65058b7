//! Batches to a GPU while it works: into pinned memory on a worker's thread, and on from there by a copy
//! that nobody waits for.

use brew_core::batch::Batch;
use brew_core::error::InStage;
use brew_core::tch::Device;
use brew_core::{Error, Result};

/// Where batches are handed out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Destination(pub(super) Device);

impl Destination {
    fn is_cuda(self) -> bool {
        matches!(self.0, Device::Cuda(_))
    }

    /// Refuses a device that is not there.
    pub(super) fn check(self) -> Result<()> {
        match self.0 {
            Device::Cuda(index) if index as i64 >= brew_core::tch::Cuda::device_count() => {
                let message = format!("batches are to go to CUDA device {index}, which is not there");
                Err(Error::invalid(message))
            }
            _ => Ok(()),
        }
    }

    /// What a worker does with a batch it has made: memory that the GPU can read by itself.
    pub(super) fn stage<B: Batch>(self, batch: B) -> Result<B> {
        if !self.is_cuda() {
            return Ok(batch);
        }
        batch.map(&mut |name, tensor| tensor.f_pin_memory(self.0).in_stage(name))
    }

    /// What the consumer's thread does with it: on CUDA the copy is only begun here, in the stream that
    /// the model's work goes to, and so is done before that work begins. libtorch keeps the pinned memory
    /// until it is.
    pub(super) fn deliver<B: Batch>(self, batch: B) -> Result<B> {
        if !self.is_cuda() {
            return batch.to_device(self.0);
        }
        batch.map(&mut |name, tensor| tensor.f_to_device_(self.0, tensor.kind(), true, false).in_stage(name))
    }
}
