//! What models do with a part of their parameters: count layers, copy them, freeze them.

use tch::Tensor;

use super::weights::{Stored, Weights};
use crate::error::{InStage as _, Result};
use crate::parameters::Parameters;

/// One more than the highest number of a layer, whose parameters' names begin with `layers` and its number.
pub(crate) fn layers_in(weights: &Weights, layers: &str) -> usize {
    let numbers =
        weights.left().filter_map(|name| name.strip_prefix(layers)?.split('.').next()?.parse().ok());
    numbers.max().map_or(0, |last: usize| last + 1)
}

/// Copies of a teacher's parameters for a student of these of its layers, under the names they have there.
pub(crate) fn copies_of_layers(
    teacher: &Parameters,
    layers: &str,
    kept: &[usize],
) -> Result<Vec<(String, Stored)>> {
    let mut stored = Vec::new();
    for (name, tensor) in teacher.iter() {
        for name in names_in_student(name, layers, kept) {
            stored.push((name, Ok(copy(tensor)?)));
        }
    }
    Ok(stored)
}

/// What a parameter of the teacher is called in the student: once for each time its layer is kept.
fn names_in_student(name: &str, layers: &str, kept: &[usize]) -> Vec<String> {
    let layer = name.strip_prefix(layers).and_then(|rest| rest.split_once('.'));
    let Some((number, rest)) = layer else { return vec![name.to_owned()] };
    let taken = kept.iter().enumerate().filter(|(_, layer)| layer.to_string() == number);
    taken.map(|(place, _)| format!("{layers}{place}.{rest}")).collect()
}

/// A leaf of its own storage. (`detach_copy` would stay tied to the graph it leaves.)
pub(crate) fn copy(tensor: &Tensor) -> Result<Tensor> {
    let source = tensor.f_detach()?;
    let mut copy = source.f_empty_like().in_stage("copying a parameter")?;
    copy.f_copy_(&source).in_stage("copying a parameter")?;
    Ok(copy)
}

/// Takes the gradient from parameters: backward skips them, and the optimizer keeps no state for them.
pub(crate) fn freeze(parameters: impl Iterator<Item = (String, Tensor)>) -> Result<()> {
    for (name, tensor) in parameters {
        let _ = tensor.f_set_requires_grad(false).in_stage(&name)?;
    }
    Ok(())
}
