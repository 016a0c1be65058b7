//! Numbers that look random and depend on nothing but what they are made from.

/// Mixes the bits of a number (the finalizer of SplitMix64, Steele et al. 2014): a change of any bit of `state` changes
/// each bit of the result with a probability of one half.
pub(crate) fn finish(mut state: u64) -> u64 {
    state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    state ^ (state >> 31)
}
