//! Gradient checkpointing: recomputes activations in the backward pass instead of storing them.

use std::sync::{Arc, Mutex, PoisonError};

use tch::Device;

use super::{ffi, number};
use crate::error::Result;

/// Runs a part of a model without storing what its backward pass needs: the backward pass reruns the part,
/// with the same dropout and autocast, and frees each tensor after its reader.
///
/// This saves the memory of the part's activations and costs one more forward pass of the part. The graph
/// stays the same, so losses and gradients are bit-identical. (Chen et al. 2016, "Training deep nets with
/// sublinear memory cost"; PyTorch's `torch.utils.checkpoint` with `use_reentrant=False`.)
///
/// The part must do the same each time it runs, draw random numbers only from the `device`'s default
/// generator, and not be nested in another such part.
///
/// ```
/// use brew_core::native::recomputed;
/// use brew_core::tch::{Device, Kind, Tensor};
///
/// let weight = Tensor::randn([4, 4], (Kind::Float, Device::Cpu)).set_requires_grad(true);
/// let handle = weight.shallow_clone();
/// let sum = recomputed(Device::Cpu, move || Ok(handle.f_matmul(&handle)?.f_tanh()?.f_square()?))?.f_sum(None)?;
/// sum.f_backward()?;
/// assert!(weight.grad().defined());
/// # Ok::<(), brew_core::Error>(())
/// ```
///
/// # Errors
/// Those of the part, now or when it is rerun in the backward pass; devices other than the CPU and
/// CUDA; nesting in another such part.
pub fn recomputed<R: 'static>(device: Device, part: impl Fn() -> Result<R> + Send + 'static) -> Result<R> {
    // One handle for now and one for the backward pass; only one of them runs at a time.
    let now = Arc::new(Mutex::new(part));
    let later = Arc::clone(&now);
    let again = move || (later.lock().unwrap_or_else(PoisonError::into_inner))().map(drop);
    ffi::begin_recomputed(number(device)?, Box::new(again))?;
    let _ends = Ends;
    let part = now.lock().unwrap_or_else(PoisonError::into_inner);
    part()
}

/// Ends the recomputed part, also on panic.
struct Ends;

impl Drop for Ends {
    fn drop(&mut self) {
        // It only releases a handle, and a drop cannot report an error.
        let _ = ffi::end_recomputed();
    }
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use super::*;
    use crate::error::Error;
    use crate::native::{Autocast, generator_state, set_generator_state};

    fn weight(seed: f64) -> Tensor {
        let numbers: Vec<f32> = (0..64).map(|place| (f64::from(place) * seed).sin() as f32).collect();
        Tensor::from_slice(&numbers).view([8, 8]).set_requires_grad(true)
    }

    /// Two layers with dropout over a handle of a weight, under autocast if `kind` is given.
    fn layers(weight: Tensor, kind: Option<Kind>) -> impl Fn() -> Result<Tensor> + Send + 'static {
        move || {
            let hidden = weight.f_linear(&weight, None::<Tensor>)?.f_gelu("none")?.f_dropout(0.5, true)?;
            let out = hidden.f_linear(&weight, None::<Tensor>)?.f_tanh()?;
            assert!(kind.is_none_or(|kind| hidden.kind() == kind));
            Ok(out.f_to_kind(Kind::Float)?)
        }
    }

    fn gradient(recompute: bool, kind: Option<Kind>) -> (Tensor, Tensor) {
        let weight = weight(0.7);
        let part = layers(weight.shallow_clone(), kind);
        tch::manual_seed(7);
        let loss = {
            let _guard = kind.map(|kind| Autocast::enter(Device::Cpu, kind).unwrap());
            let first = if recompute { recomputed(Device::Cpu, part).unwrap() } else { part().unwrap() };
            first.f_matmul(&first).unwrap().f_to_kind(Kind::Float).unwrap().f_square().unwrap()
        };
        let before = generator_state(Device::Cpu).unwrap();
        loss.f_sum(None).unwrap().f_backward().unwrap();
        assert_eq!(generator_state(Device::Cpu).unwrap(), before, "the generator stands where it stood");
        (loss, weight.grad())
    }

    #[test]
    fn gradients_are_equal_to_the_last_bit_with_dropout_and_under_autocast() {
        let _turn = crate::native::generator_alone();
        let state = generator_state(Device::Cpu).unwrap();
        for kind in [None, Some(Kind::BFloat16)] {
            assert_eq!(gradient(true, kind), gradient(false, kind), "{kind:?}");
        }
        set_generator_state(Device::Cpu, &state).unwrap();
    }

    #[test]
    fn what_goes_wrong_as_a_part_is_run_again_is_the_error_of_the_backward_pass() {
        // Running a part again sets the generator of the process.
        let _turn = crate::native::generator_alone();
        let runs = Arc::new(Mutex::new(0));
        let (count, matrix) = (Arc::clone(&runs), weight(0.3));
        let backward = |second: fn(&Tensor) -> Result<Tensor>| {
            let (count, matrix) = (Arc::clone(&count), matrix.shallow_clone());
            let part = move || {
                *count.lock().unwrap() += 1;
                if *count.lock().unwrap() % 2 == 0 {
                    second(&matrix)
                } else {
                    Ok(matrix.f_exp()?.f_tanh()?)
                }
            };
            let loss = recomputed(Device::Cpu, part).unwrap().sum(None);
            loss.f_backward().map_err(Error::from).unwrap_err().to_string()
        };
        let told = backward(|_| Err(Error::invalid("the layer is gone")));
        assert!(told.contains("computing activations again: the layer is gone"), "{told}");
        let told = backward(|matrix| Ok(matrix.f_exp()?));
        assert!(told.contains("saved 1 tensors where the forward pass saved 2"), "{told}");
        let told = backward(|_| panic!("in the middle"));
        assert!(told.contains("in the middle"), "{told}");
        assert_eq!(*runs.lock().unwrap(), 6);
    }

    #[test]
    fn one_part_inside_another_is_refused() {
        // Running a part again sets the generator of the process.
        let _turn = crate::native::generator_alone();
        let inner = || recomputed(Device::Cpu, || Ok(())).map_err(|error| error.to_string());
        let told = recomputed(Device::Cpu, move || Ok(inner())).unwrap().unwrap_err();
        assert!(told.contains("inside another"), "{told}");
        assert!(recomputed(Device::Cpu, || Ok(())).is_ok(), "afterwards there is none");
        assert!(recomputed(Device::Mps, || Ok(())).is_err());
    }

    #[test]
    fn nothing_of_a_part_outlives_its_graph() {
        // Running a part again sets the generator of the process.
        let _turn = crate::native::generator_alone();
        let alive = Arc::new(());
        let (held, matrix) = (Arc::clone(&alive), weight(0.9));
        let part = move || {
            let _held = &held;
            Ok(matrix.f_tanh()?)
        };
        let out = recomputed(Device::Cpu, part).unwrap();
        assert_eq!(Arc::strong_count(&alive), 2);
        out.sum(None).f_backward().unwrap();
        drop(out);
        assert_eq!(Arc::strong_count(&alive), 1);
    }
}
