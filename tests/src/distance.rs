//! How far numbers are from those of another library.

use brew_core::tch::{Kind, Tensor};

/// The largest difference from others, relative to the largest of these if it is above 1.
///
/// # Panics
/// If the shapes differ.
pub fn off(ours: &Tensor, theirs: &Tensor) -> f64 {
    assert_eq!(ours.size(), theirs.size());
    let [ours, theirs] = [ours, theirs].map(|side| side.detach().to_kind(Kind::Double));
    let largest = theirs.abs().max().double_value(&[]).max(1.0);
    (ours - theirs).abs().max().double_value(&[]) / largest
}
