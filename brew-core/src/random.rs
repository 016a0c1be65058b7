//! Numbers that look random and depend on nothing but what they are made from.

/// Mixes the bits of a number (the finalizer of SplitMix64, Steele et al. 2014): a change of any bit of `state` changes
/// each bit of the result with a probability of one half.
pub(crate) fn finish(mut state: u64) -> u64 {
    state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    state ^ (state >> 31)
}

/// One number from several: it depends on each of them and on their order.
pub(crate) fn mixed<const N: usize>(parts: [u64; N]) -> u64 {
    // Each number is mixed before the next is added, so that (1, 2) and (2, 1) differ.
    parts.into_iter().fold(0_u64, |state, part| {
        finish(
            state.wrapping_add(part).wrapping_mul(0xD1B5_4A32_D192_ED03).wrapping_add(0x9E37_79B9_7F4A_7C15),
        )
    })
}

/// A number from 0 to below 1 from several: 52 random bits, so that its product with a sum of probabilities is below that
/// sum.
pub(crate) fn uniform<const N: usize>(parts: [u64; N]) -> f64 {
    (mixed(parts) >> 12) as f64 / (1_u64 << 52) as f64
}
