//! How a tensor's values are stored: plain, or in blocks of quantised numbers. The table lists ggml's types by their
//! numbers in a file.

use super::{blocks, k_blocks};

/// Turns whole blocks into values.
type Decode = fn(&[u8], &mut [f32]);

/// A type of storage.
#[derive(Debug)]
pub(crate) struct BlockKind {
    code: u32,
    pub(crate) name: &'static str,
    /// The number of values in a block.
    pub(crate) values: u64,
    /// The number of bytes in a block.
    pub(crate) bytes: u64,
    /// `None` if it is not supported.
    pub(crate) decode: Option<Decode>,
}

const fn kind(
    code: u32,
    name: &'static str,
    (values, bytes): (u64, u64),
    decode: Option<Decode>,
) -> BlockKind {
    BlockKind { code, name, values, bytes, decode }
}

/// ggml's types.
pub(crate) static TABLE: [BlockKind; 33] = [
    kind(0, "F32", (1, 4), Some(blocks::f32)),
    kind(1, "F16", (1, 2), Some(blocks::f16)),
    kind(30, "BF16", (1, 2), Some(blocks::bf16)),
    kind(2, "Q4_0", (32, 18), Some(blocks::q4_0)),
    kind(3, "Q4_1", (32, 20), Some(blocks::q4_1)),
    kind(6, "Q5_0", (32, 22), Some(blocks::q5_0)),
    kind(7, "Q5_1", (32, 24), Some(blocks::q5_1)),
    kind(8, "Q8_0", (32, 34), Some(blocks::q8_0)),
    kind(12, "Q4_K", (256, 144), Some(k_blocks::q4_k)),
    kind(13, "Q5_K", (256, 176), Some(k_blocks::q5_k)),
    kind(14, "Q6_K", (256, 210), Some(k_blocks::q6_k)),
    kind(9, "Q8_1", (32, 36), None),
    kind(10, "Q2_K", (256, 84), None),
    kind(11, "Q3_K", (256, 110), None),
    kind(15, "Q8_K", (256, 292), None),
    kind(16, "IQ2_XXS", (256, 66), None),
    kind(17, "IQ2_XS", (256, 74), None),
    kind(18, "IQ3_XXS", (256, 98), None),
    kind(19, "IQ1_S", (256, 50), None),
    kind(20, "IQ4_NL", (32, 18), None),
    kind(21, "IQ3_S", (256, 110), None),
    kind(22, "IQ2_S", (256, 82), None),
    kind(23, "IQ4_XS", (256, 136), None),
    kind(24, "I8", (1, 1), None),
    kind(25, "I16", (1, 2), None),
    kind(26, "I32", (1, 4), None),
    kind(27, "I64", (1, 8), None),
    kind(28, "F64", (1, 8), None),
    kind(29, "IQ1_M", (256, 56), None),
    kind(34, "TQ1_0", (256, 54), None),
    kind(35, "TQ2_0", (256, 66), None),
    kind(39, "MXFP4", (32, 17), None),
    kind(40, "NVFP4", (64, 36), None),
];

/// The type with this number.
///
/// # Errors
/// There is none.
pub(crate) fn of(code: u32) -> Result<&'static BlockKind, String> {
    let known = TABLE.iter().find(|kind| kind.code == code);
    known.ok_or_else(|| format!("its type is number {code}, which is unknown; {} are supported", supported()))
}

/// The names of the supported types.
pub(crate) fn supported() -> String {
    let names: Vec<_> = TABLE.iter().filter(|kind| kind.decode.is_some()).map(|kind| kind.name).collect();
    names.join(", ")
}
