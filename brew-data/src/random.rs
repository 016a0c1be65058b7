//! Random draws that do not change with library versions, for row orders and augmentations.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

/// A number below `bound`, each as likely as any other.
///
/// Multiply-shift with rejection: D. Lemire, "Fast Random Integer Generation in an Interval", 2019.
pub(crate) fn below(bound: u32, generator: &mut ChaCha8Rng) -> u32 {
    let rejected = bound.wrapping_neg() % bound;
    loop {
        let product = u64::from(generator.next_u32()) * u64::from(bound);
        if product as u32 >= rejected {
            return (product >> 32) as u32;
        }
    }
}
