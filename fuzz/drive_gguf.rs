//! What the fuzz target for GGUF files does with its input; brew-core's own tests do the same with mutated files.
//!
//! Rejecting input is fine, a panic is not. Accepted input must be consistent: each tensor's data lies in the file and
//! has as many values as its shape.

use crate::gguf::parse::Header;

/// A header, and the blocks of every tensor that it lists.
pub fn gguf(input: &[u8]) {
    let Ok(header) = Header::read(input, input.len() as u64) else { return };
    for (name, entry) in &header.tensors {
        let data = &input[entry.offset as usize..][..entry.size as usize];
        let values = entry.shape.iter().product::<i64>();
        assert_eq!(u64::try_from(values), Ok(entry.values()), "{name}");
        if let Some(decode) = entry.kind.decode {
            decode(data, &mut vec![0.0; entry.values() as usize]);
        }
    }
}
