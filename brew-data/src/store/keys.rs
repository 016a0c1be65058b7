//! The keys of a block's rows, in a file beside it: the index that is read when a cache is opened.
//!
//! Little-endian: a mark, the length of the block's file (8 bytes), the number of rows (4), their keys (16
//! each), and the first 16 bytes of the BLAKE3 hash of all that.

use brew_core::cache::RowKey;

const MARK: &[u8; 8] = b"brewkey1";
const HEAD: usize = 8 + 8 + 4;
const HASH: usize = 16;

/// The file's bytes.
pub(super) fn write(block_length: u64, keys: &[RowKey]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD + keys.len() * 16 + HASH);
    bytes.extend(MARK);
    bytes.extend(block_length.to_le_bytes());
    bytes.extend((keys.len() as u32).to_le_bytes());
    keys.iter().for_each(|key| bytes.extend(key.0));
    let hash = blake3::hash(&bytes);
    bytes.extend(&hash.as_bytes()[..HASH]);
    bytes
}

/// The length of the block's file and the keys of its rows; `None` where a byte is not as it was written.
pub(super) fn read(bytes: &[u8]) -> Option<(u64, Vec<RowKey>)> {
    let (body, hash) = bytes.split_at_checked(bytes.len().checked_sub(HASH)?)?;
    if blake3::hash(body).as_bytes().get(..HASH)? != hash {
        return None;
    }
    let body = body.strip_prefix(MARK)?;
    let (length, body) = body.split_first_chunk::<8>()?;
    let (rows, body) = body.split_first_chunk::<4>()?;
    let (keys, rest) = body.as_chunks::<16>();
    let whole = rest.is_empty() && keys.len() == u32::from_le_bytes(*rows) as usize;
    whole.then(|| (u64::from_le_bytes(*length), keys.iter().map(|key| RowKey(*key)).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_flipped_byte_and_any_cut_of_the_keys_is_noticed() {
        let keys = [RowKey([1; 16]), RowKey([2; 16])];
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
