//! Plain values, and blocks of 32 values that share a scale.
//!
//! A block is `d` (float16), for some types an offset `m` (float16), and one integer q per value. With 4 bits, byte i
//! holds value i in its low half and value i + 16 in its high half; the fifth bits of all 32 are one little-endian u32.

/// The bytes of each block beside its values; both slices hold whole blocks.
fn pairs<'b, const BYTES: usize, const VALUES: usize>(
    bytes: &'b [u8],
    values: &'b mut [f32],
) -> impl Iterator<Item = (&'b [u8; BYTES], &'b mut [f32; VALUES])> {
    bytes.as_chunks().0.iter().zip(values.as_chunks_mut().0)
}

pub(crate) fn f32(bytes: &[u8], values: &mut [f32]) {
    pairs(bytes, values).for_each(|(bytes, [value])| *value = f32::from_le_bytes(*bytes));
}

pub(crate) fn f16(bytes: &[u8], values: &mut [f32]) {
    pairs(bytes, values).for_each(|(bytes, [value])| *value = half(*bytes));
}

pub(crate) fn bf16(bytes: &[u8], values: &mut [f32]) {
    pairs(bytes, values).for_each(|([low, high], [value])| *value = f32::from_le_bytes([0, 0, *low, *high]));
}

/// A float16 as float32, exactly.
pub(crate) fn half(bytes: [u8; 2]) -> f32 {
    let bits = u32::from(u16::from_le_bytes(bytes));
    let (sign, exponent, fraction) = (bits >> 15 << 31, bits >> 10 & 31, bits & 0x3ff);
    let size = match exponent {
        // In steps of 2^-24.
        0 => (fraction as f32 * f32::from_bits(103 << 23)).to_bits(),
        31 => 255 << 23 | fraction << 13,
        _ => (exponent + 112) << 23 | fraction << 13,
    };
    f32::from_bits(sign | size)
}

/// `d (q - 8)`.
pub(crate) fn q4_0(bytes: &[u8], values: &mut [f32]) {
    for ([d0, d1, quants @ ..], values) in pairs::<18, 32>(bytes, values) {
        let scale = half([*d0, *d1]);
        four_bits(quants, values, |quant, _| scale * (f32::from(quant) - 8.0));
    }
}

/// `d q + m`.
pub(crate) fn q4_1(bytes: &[u8], values: &mut [f32]) {
    for ([d0, d1, m0, m1, quants @ ..], values) in pairs::<20, 32>(bytes, values) {
        let (scale, offset) = (half([*d0, *d1]), half([*m0, *m1]));
        four_bits(quants, values, |quant, _| scale * f32::from(quant) + offset);
    }
}

/// `d (q - 16)`.
pub(crate) fn q5_0(bytes: &[u8], values: &mut [f32]) {
    for ([d0, d1, h0, h1, h2, h3, quants @ ..], values) in pairs::<22, 32>(bytes, values) {
        let (scale, fifth) = (half([*d0, *d1]), u32::from_le_bytes([*h0, *h1, *h2, *h3]));
        four_bits(quants, values, |quant, place| scale * (with_fifth(quant, fifth, place) - 16.0));
    }
}

/// `d q + m`.
pub(crate) fn q5_1(bytes: &[u8], values: &mut [f32]) {
    for ([d0, d1, m0, m1, h0, h1, h2, h3, quants @ ..], values) in pairs::<24, 32>(bytes, values) {
        let (scale, offset) = (half([*d0, *d1]), half([*m0, *m1]));
        let fifth = u32::from_le_bytes([*h0, *h1, *h2, *h3]);
        four_bits(quants, values, |quant, place| scale * with_fifth(quant, fifth, place) + offset);
    }
}

/// `d q` of signed bytes.
pub(crate) fn q8_0(bytes: &[u8], values: &mut [f32]) {
    for ([d0, d1, quants @ ..], values) in pairs::<34, 32>(bytes, values) {
        let scale = half([*d0, *d1]);
        for (value, quant) in values.iter_mut().zip(quants) {
            *value = scale * f32::from(quant.cast_signed());
        }
    }
}

/// Gives every value of a block from its four bits and its place.
fn four_bits(quants: &[u8], values: &mut [f32; 32], value: impl Fn(u8, usize) -> f32) {
    let (low, high) = values.split_at_mut(16);
    for (place, (quant, (low, high))) in quants.iter().zip(low.iter_mut().zip(high)).enumerate() {
        (*low, *high) = (value(quant & 15, place), value(quant >> 4, place + 16));
    }
}

fn with_fifth(quant: u8, fifth: u32, place: usize) -> f32 {
    f32::from(quant) + if fifth >> place & 1 == 1 { 16.0 } else { 0.0 }
}
