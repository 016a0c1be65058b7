//! The keys of a block's rows, in a file beside it: the index read when a cache is opened.
//!
//! Little-endian: a mark, the length of the block's file (8 bytes), the number of rows (4), their keys (16
//! each), and the first 16 bytes of the BLAKE3 hash of all that.

/// The key of a row, as computed by the teacher cache.
pub(crate) type Key = [u8; 16];

/// Bytes of the file besides the keys.
const FRAME: u64 = (HEAD + HASH) as u64;

const MARK: &[u8; 8] = b"brewkey1";
const HEAD: usize = 8 + 8 + 4;
const HASH: usize = 16;

/// The file's bytes.
pub(crate) fn write(block_length: u64, keys: &[Key]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD + size_of_val(keys) + HASH);
    bytes.extend(MARK);
    bytes.extend(block_length.to_le_bytes());
    bytes.extend((keys.len() as u32).to_le_bytes());
    bytes.extend(keys.as_flattened());
    sealed(bytes)
}

/// Appends the checksum.
pub(crate) fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let hash = blake3::hash(&bytes);
    bytes.extend(&hash.as_bytes()[..HASH]);
    bytes
}

/// Whether a file of this length can hold the keys of a block of that length, which contains the keys too.
/// Nothing longer needs to be read.
pub(crate) fn can_be(length: u64, block_length: u64) -> bool {
    length.saturating_sub(FRAME) <= block_length
}

/// The length of the block's file and the keys of its rows; `None` if any byte has changed.
pub(crate) fn read(bytes: &[u8]) -> Option<(u64, Vec<Key>)> {
    let (body, hash) = bytes.split_at_checked(bytes.len().checked_sub(HASH)?)?;
    if blake3::hash(body).as_bytes().get(..HASH)? != hash {
        return None;
    }
    let body = body.strip_prefix(MARK)?;
    let (length, body) = body.split_first_chunk::<8>()?;
    let (rows, body) = body.split_first_chunk::<4>()?;
    let (keys, rest) = body.as_chunks::<16>();
    let whole = rest.is_empty() && keys.len() == u32::from_le_bytes(*rows) as usize;
    whole.then(|| (u64::from_le_bytes(*length), keys.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_flipped_byte_and_any_cut_of_the_keys_is_noticed() {
        let keys = [[1; 16], [2; 16]];
        let bytes = write(77, &keys);
        assert_eq!(read(&bytes), Some((77, keys.to_vec())));
        for position in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[position] ^= 0x10;
            assert_eq!(read(&flipped), None, "byte {position}");
            assert_eq!(read(&bytes[..position]), None, "cut at {position}");
        }
    }
}
