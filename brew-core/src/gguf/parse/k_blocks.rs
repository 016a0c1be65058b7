//! Blocks of 256 values in groups, whose scales are quantised too.

use super::blocks::half;

/// 8 groups of 32: `(d s) q - (dmin m)`, with 6 bits for each s and m and 4 for q.
pub(crate) fn q4_k(bytes: &[u8], values: &mut [f32]) {
    for (block, values) in bytes.as_chunks::<144>().0.iter().zip(values.as_chunks_mut::<256>().0) {
        let (head, quants) = block.split_at(16);
        four_bits(head, quants, values, |_, _| 0);
    }
}

/// As [`q4_k`] with a fifth bit of q: bit g of byte i is that of value i in group g.
pub(crate) fn q5_k(bytes: &[u8], values: &mut [f32]) {
    for (block, values) in bytes.as_chunks::<176>().0.iter().zip(values.as_chunks_mut::<256>().0) {
        let (head, rest) = block.split_at(16);
        let (fifth, quants) = rest.split_at(32);
        four_bits(head, quants, values, |group, place| (fifth[place] >> group & 1) << 4);
    }
}

/// `head` is d, dmin and 12 bytes of scales. Two groups share 32 bytes of q: one has the low halves, the next the high.
fn four_bits(head: &[u8], quants: &[u8], values: &mut [f32; 256], more: impl Fn(usize, usize) -> u8) {
    let (scale, least) = (half([head[0], head[1]]), half([head[2], head[3]]));
    for (group, values) in values.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let (factor, minimum) = factors(&head[4..], group);
        let (factor, minimum) = (scale * f32::from(factor), least * f32::from(minimum));
        let quants = &quants[group / 2 * 32..];
        for (place, (value, quant)) in values.iter_mut().zip(quants).enumerate() {
            let quant = if group % 2 == 0 { quant & 15 } else { quant >> 4 };
            *value = factor * f32::from(quant + more(group, place)) - minimum;
        }
    }
}

/// The 6 bits of a group's scale and minimum: the first four groups have theirs in the low bits of a byte each; those
/// of the others have 4 bits in a shared byte and 2 in the high bits of the first ones'.
fn factors(scales: &[u8], group: usize) -> (u8, u8) {
    if group < 4 {
        return (scales[group] & 63, scales[group + 4] & 63);
    }
    let shared = scales[group + 4];
    (shared & 15 | scales[group - 4] >> 6 << 4, shared >> 4 | scales[group] >> 6 << 4)
}

/// 16 groups of 16: `(d s) (q - 32)`, with a signed byte for s and 6 bits for q: 4 in the first 128 bytes, 2 in the next
/// 64. Either half of the block has its own bytes, in which every fourth of its values has other bits.
pub(crate) fn q6_k(bytes: &[u8], values: &mut [f32]) {
    for (block, values) in bytes.as_chunks::<210>().0.iter().zip(values.as_chunks_mut::<256>().0) {
        let (low, rest) = block.split_at(128);
        let (high, rest) = rest.split_at(64);
        let (scales, scale) = rest.split_at(16);
        let scale = half([scale[0], scale[1]]);
        for (place, value) in values.iter_mut().enumerate() {
            let (part, quarter, within) = (place / 128, place % 128 / 32, place % 32);
            let four = low[part * 64 + quarter % 2 * 32 + within] >> (quarter / 2 * 4) & 15;
            let two = high[part * 32 + within] >> (2 * quarter) & 3;
            let factor = scale * f32::from(scales[place / 16].cast_signed());
            *value = factor * (f32::from(four | two << 4) - 32.0);
        }
    }
}
