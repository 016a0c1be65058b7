//! Precision: the dtype that the models compute in, and the loss scale that keeps float16 gradients from
//! underflowing.

use std::sync::OnceLock;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::error::Result;
use crate::native::ffi;

/// The dtype in which matrix products of teacher and student are computed. The student's weights, the losses
/// and the optimizer stay in float32; a teacher's weights are converted to the low precision.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// float32 throughout.
    #[default]
    F32,
    /// bfloat16 by autocast: the range of float32 with 8 bits of mantissa. Fast on GPUs, and on CPUs with AMX
    /// and some with AVX-512 BF16; slower than float32 on others.
    Bf16,
    /// float16 by autocast, with a scaled loss: 11 bits of mantissa and a small range.
    F16,
    /// bfloat16 if the device is fast at it, else float32; the run's first lines say which. On a CPU with
    /// bfloat16 instructions a short benchmark decides.
    Auto,
}

impl Precision {
    /// The low-precision dtype on this device; `None` for float32.
    pub fn on(self, device: Device) -> Option<Kind> {
        match self {
            Precision::F32 => None,
            Precision::Bf16 => Some(Kind::BFloat16),
            Precision::F16 => Some(Kind::Half),
            Precision::Auto => is_fast_at_bfloat16(device).then_some(Kind::BFloat16),
        }
    }

    /// A note to the user about the choice.
    pub(super) fn notes(self, device: Device) -> Option<String> {
        let fast = is_fast_at_bfloat16(device);
        match self {
            Precision::Bf16 if !fast => Some(
                "this CPU is slow at bfloat16: `Precision::F32` is faster here, `Precision::Auto` chooses"
                    .to_owned(),
            ),
            Precision::Auto if fast => Some("precision: bfloat16, which this device is fast at".to_owned()),
            Precision::Auto => Some("precision: float32; this CPU is slow at bfloat16".to_owned()),
            _ => None,
        }
    }
}

/// Whether matrix products in bfloat16 are faster than in float32.
fn is_fast_at_bfloat16(device: Device) -> bool {
    match device {
        Device::Cpu => *FAST_ON_CPU.get_or_init(|| has_bfloat16() && trial().unwrap_or(false)),
        _ => true,
    }
}

/// Determined once per process, so that all parts of a run agree.
static FAST_ON_CPU: OnceLock<bool> = OnceLock::new();

/// Whether the CPU has instructions for bfloat16; without them a benchmark would be a waste of time.
fn has_bfloat16() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::is_x86_feature_detected!("avx512bf16");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Times a linear layer of typical size in both dtypes, which takes about 30 ms. The presence of the
/// instructions says too little: with AVX-512 BF16 some processors are twice as fast as in float32, others
/// half as fast.
fn trial() -> Result<bool> {
    let _guard = tch::no_grad_guard();
    let seconds = |kind: Kind| -> Result<f64> {
        let ones = |rows: i64, columns: i64| Tensor::f_ones([rows, columns], (kind, Device::Cpu));
        let (input, weight) = (ones(512, 384)?, ones(1536, 384)?);
        let mut best = f64::INFINITY;
        for _ in 0..TRIES {
            let begun = Instant::now();
            let _product = input.f_linear(&weight, None::<Tensor>)?;
            best = best.min(begun.elapsed().as_secs_f64());
        }
        Ok(best)
    };
    Ok(seconds(Kind::BFloat16)? < WORTH_IT * seconds(Kind::Float)?)
}

/// The best of this many tries counts: the first is slow, and others may be disturbed.
const TRIES: usize = 5;

/// The largest ratio of times at which a product still pays for the conversions around it.
const WORTH_IT: f64 = 0.8;

/// The loss scale for float16: without it, gradients below the smallest float16 would become 0.
///
/// It doubles after 2,000 steps with finite gradients; when a gradient is not finite it halves and the step
/// is skipped. Source: Micikevicius et al., "Mixed Precision Training", 2018; PyTorch's `GradScaler` with its
/// defaults.
#[derive(Debug)]
pub(super) struct LossScale {
    /// A float32 scalar on the student's device.
    scale: Tensor,
    /// Steps with finite gradients since the last change, an int32 scalar.
    good_steps: Tensor,
}

const START: f64 = 65_536.0;
const GROWTH: f64 = 2.0;
const BACKOFF: f64 = 0.5;
const INTERVAL: i64 = 2_000;

impl LossScale {
    pub(super) fn new(device: Device) -> Result<Self> {
        Ok(LossScale {
            scale: Tensor::f_full([], START, (Kind::Float, device))?,
            good_steps: Tensor::f_zeros([], (Kind::Int, device))?,
        })
    }

    /// The scaled loss, for the backward pass.
    pub(super) fn scaled(&self, loss: &Tensor) -> Result<Tensor> {
        Ok(loss.f_mul(&self.scale)?)
    }

    /// Divides the gradients of a step by the scale, in place, and updates the scale. Returns whether all
    /// gradients are finite, the step's only read from the device.
    pub(super) fn unscale(&self, gradients: &[Tensor]) -> Result<bool> {
        let infinite = Tensor::f_zeros([], (Kind::Float, self.scale.device()))?;
        if !gradients.is_empty() {
            ffi::unscale(gradients, &infinite, &self.scale.f_reciprocal()?)?;
        }
        ffi::update_scale(&self.scale, &self.good_steps, &infinite, (GROWTH, BACKOFF, INTERVAL))?;
        Ok(infinite.f_double_value(&[])? == 0.0)
    }

    /// Its two numbers, by name; the tensors share storage with the originals.
    pub(super) fn state(&self) -> [(String, Tensor); 2] {
        let named = |name: &str, tensor: &Tensor| (name.to_owned(), tensor.shallow_clone());
        [named("scale", &self.scale), named("good_steps", &self.good_steps)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(tensor: &Tensor) -> f64 {
        tensor.double_value(&[])
    }

    // torch 2.11: s = torch.amp.GradScaler("cpu", init_scale=65536.0, growth_interval=2000): after a step with an
    // infinite gradient get_scale() is 32768.0, after 2000 finite ones 65536.0 again.
    #[test]
    fn the_scale_halves_at_an_infinity_and_doubles_after_two_thousand_good_steps() {
        let scale = LossScale::new(Device::Cpu).unwrap();
        let gradient = |value: f32| [Tensor::from_slice(&[value, 2.0])];
        assert!(!scale.unscale(&gradient(f32::INFINITY)).unwrap());
        assert_eq!(value(&scale.scale), 32_768.0);
        for step in 1..=2000 {
            let given = gradient(32_768.0);
            assert!(scale.unscale(&given).unwrap());
            if step == 1 {
                assert_eq!(Vec::<f32>::try_from(&given[0]).unwrap(), [1.0, 2.0 / 32_768.0]);
            }
        }
        assert_eq!(value(&scale.scale), 65_536.0);
        let loss = scale.scaled(&Tensor::from(0.5_f32)).unwrap();
        assert_eq!(value(&loss), 32_768.0);
    }

    #[test]
    fn auto_never_chooses_what_the_device_is_slow_at() {
        let chosen = Precision::Auto.on(Device::Cpu);
        assert_eq!(chosen, is_fast_at_bfloat16(Device::Cpu).then_some(Kind::BFloat16));
        assert_eq!(Precision::Auto.on(Device::Cuda(0)), Some(Kind::BFloat16));
        assert!(Precision::Auto.notes(Device::Cpu).is_some() && Precision::F32.notes(Device::Cpu).is_none());
    }
}
