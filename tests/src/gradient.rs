//! Gradients against central finite differences, in float64.

use brew_core::tch::{Kind, Tensor};

/// The largest difference between the gradient of `function` at `point` by autograd and by central
/// differences with a step of 1e-6, relative to the largest gradient.
pub fn finite_difference_error(point: &Tensor, function: impl Fn(&Tensor) -> Tensor) -> f64 {
    let point = point.to_kind(Kind::Double).detach();
    let leaf = point.copy().set_requires_grad(true);
    function(&leaf).backward();
    let gradient = leaf.grad();
    let step = 1e-6;
    let shape = point.size();
    let flat = point.reshape([-1]);
    let numeric: Vec<f64> = (0..flat.size()[0])
        .map(|index| {
            let moved = |by: f64| {
                let copy = flat.copy();
                let mut item = copy.get(index);
                item += by;
                function(&copy.view(shape.as_slice())).double_value(&[])
            };
            (moved(step) - moved(-step)) / (2.0 * step)
        })
        .collect();
    let numeric = Tensor::from_slice(&numeric).view(shape.as_slice());
    let largest = numeric.abs().max().double_value(&[]).max(f64::MIN_POSITIVE);
    (gradient - numeric).abs().max().double_value(&[]) / largest
}
