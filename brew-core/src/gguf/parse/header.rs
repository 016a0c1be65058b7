//! The beginning of a GGUF file: its keys and the list of its tensors.
//!
//! ```text
//! "GGUF", version u32, tensors u64, keys u64
//! per key:    name, type u32, value
//! per tensor: name, dimensions u32, sizes u64 (the fastest first), type u32, offset u64
//! zeros to a multiple of the alignment, then the tensors' data
//! ```
//!
//! Everything is little-endian, and a text follows its length. The file may be damaged: no length is believed before it
//! was compared with what is left of the file.

use std::collections::BTreeMap;
use std::io::Read;

use super::bytes::Bytes;
use super::kinds::{self, BlockKind};
use super::value::Value;

const MAGIC: &[u8; 4] = b"GGUF";
/// The versions with this layout; version 1 had shorter lengths.
const VERSIONS: [u32; 2] = [2, 3];
const ALIGNMENT: &str = "general.alignment";
/// ggml's maximum.
const DIMENSIONS: u32 = 4;
/// The beginning of a Git LFS pointer file, which stands for a file that was not fetched.
const LFS_POINTER: &[u8] = b"vers";

/// What a file says before its data.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) keys: BTreeMap<String, Value>,
    pub(crate) tensors: BTreeMap<String, Entry>,
}

/// A tensor in the file.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) kind: &'static BlockKind,
    /// Slowest first, as in torch.
    pub(crate) shape: Vec<i64>,
    /// Where its data begins in the file.
    pub(crate) offset: u64,
    /// The number of its bytes.
    pub(crate) size: u64,
}

impl Entry {
    /// The number of its values.
    pub(crate) fn values(&self) -> u64 {
        self.size / self.kind.bytes * self.kind.values
    }
}

impl Header {
    /// Parses the beginning of a file of `length` bytes.
    ///
    /// # Errors
    /// What is wrong, at which key or tensor, and how to mend it.
    pub(crate) fn read(file: impl Read, length: u64) -> Result<Self, String> {
        let mut bytes = Bytes::new(file, length);
        let damaged =
            |place: &str, error: String| format!("{place}: {error}: copy or download the file again");
        match bytes.array().map_err(|error| damaged("not a GGUF file", error))? {
            magic if magic == *MAGIC => {}
            magic if magic == LFS_POINTER => {
                return Err(
                    "not a GGUF file, perhaps a Git LFS pointer to one: run `git lfs pull` in its repository"
                        .to_owned(),
                );
            }
            magic => {
                return Err(format!(
                    "not a GGUF file: it begins with {magic:?} instead of \"GGUF\"; a model is a Hugging Face folder or a GGUF file"
                ));
            }
        }
        let version = bytes.u32().map_err(|error| damaged("the version", error))?;
        if VERSIONS.contains(&version.swap_bytes()) {
            return Err("a big-endian GGUF file; only little-endian ones are supported: convert the original model again without --bigendian".to_owned());
        }
        if !VERSIONS.contains(&version) {
            return Err(format!(
                "GGUF version {version}; versions 2 and 3 are supported: convert the original model again"
            ));
        }
        let count = |bytes: &mut Bytes<_>, what: &str, least: u64| {
            let count = bytes.u64().and_then(|count| bytes.expect(count, least).map(|()| count));
            count.map_err(|error| damaged(what, error))
        };
        // A tensor takes at least 8 + 4 + 4 + 8 bytes, a key 8 + 4 + 1.
        let tensors = count(&mut bytes, "the number of tensors", 24)?;
        let keys = count(&mut bytes, "the number of keys", 13)?;
        let keys = read_keys(&mut bytes, keys)?;
        let alignment = alignment(&keys)?;
        let mut tensors = read_tensors(&mut bytes, tensors, alignment)?;
        let start = bytes.position().next_multiple_of(alignment);
        for (name, entry) in &mut tensors {
            let end = start.checked_add(entry.offset).and_then(|begin| {
                entry.offset = begin;
                begin.checked_add(entry.size)
            });
            if end.is_none_or(|end| end > length) {
                return Err(format!(
                    "the data of tensor `{name}` lies beyond the file's end ({length} bytes): the file is incomplete, copy or download it again"
                ));
            }
        }
        refuse_overlap(&tensors)?;
        Ok(Header { keys, tensors })
    }
}

fn read_keys<R: Read>(bytes: &mut Bytes<R>, count: u64) -> Result<BTreeMap<String, Value>, String> {
    let mut keys = BTreeMap::new();
    let again = "copy or download the file again";
    let mut last = "the beginning of the keys".to_owned();
    for _ in 0..count {
        let key = bytes.text().map_err(|error| format!("after {last}: {error}: {again}"))?;
        let value = Value::read(bytes).map_err(|error| format!("key `{key}`: {error}: {again}"))?;
        last = format!("key `{key}`");
        if keys.insert(key, value).is_some() {
            return Err(format!("{last} occurs twice: {again}"));
        }
    }
    Ok(keys)
}

fn alignment(keys: &BTreeMap<String, Value>) -> Result<u64, String> {
    match keys.get(ALIGNMENT) {
        None => Ok(32),
        Some(Value::Integer(value)) if *value > 0 && *value % 8 == 0 && *value <= 1 << 20 => {
            u64::try_from(*value).map_err(|error| error.to_string())
        }
        Some(other) => Err(format!(
            "key `{ALIGNMENT}` is {}; it must be a multiple of 8: convert the original model again",
            other.shown()
        )),
    }
}

/// The list of tensors, with offsets from the beginning of the data.
fn read_tensors<R: Read>(
    bytes: &mut Bytes<R>,
    count: u64,
    alignment: u64,
) -> Result<BTreeMap<String, Entry>, String> {
    let mut tensors = BTreeMap::new();
    let mut last = "the keys".to_owned();
    for _ in 0..count {
        let name = bytes
            .text()
            .map_err(|error| format!("after {last}: {error}: copy or download the file again"))?;
        let entry = read_entry(bytes, alignment)
            .map_err(|error| format!("tensor `{name}`: {error}: copy or download the file again"))?;
        last = format!("tensor `{name}`");
        if tensors.insert(name, entry).is_some() {
            return Err(format!("{last} occurs twice: copy or download the file again"));
        }
    }
    Ok(tensors)
}

fn read_entry<R: Read>(bytes: &mut Bytes<R>, alignment: u64) -> Result<Entry, String> {
    let dimensions = bytes.u32()?;
    if !(1..=DIMENSIONS).contains(&dimensions) {
        return Err(format!("it has {dimensions} dimensions; 1 to {DIMENSIONS} are possible"));
    }
    let mut sizes = (0..dimensions).map(|_| bytes.u64()).collect::<Result<Vec<_>, _>>()?;
    let kind = kinds::of(bytes.u32()?)?;
    let offset = bytes.u64()?;
    if !sizes[0].is_multiple_of(kind.values) {
        return Err(format!(
            "its rows of {} values do not divide into {}'s blocks of {}",
            sizes[0], kind.name, kind.values
        ));
    }
    if !offset.is_multiple_of(alignment) {
        return Err(format!("its offset {offset} is not a multiple of the alignment, {alignment}"));
    }
    let values = sizes.iter().try_fold(1_u64, |product, size| product.checked_mul(*size));
    let size = values.and_then(|values| (values / kind.values).checked_mul(kind.bytes));
    let (Some(size), Some(_)) = (size, values.and_then(|values| i64::try_from(values).ok())) else {
        return Err(format!("its shape {sizes:?} is too large"));
    };
    sizes.reverse();
    let shape = sizes.iter().map(|size| i64::try_from(*size)).collect::<Result<_, _>>();
    Ok(Entry { kind, shape: shape.map_err(|error| error.to_string())?, offset, size })
}

fn refuse_overlap(tensors: &BTreeMap<String, Entry>) -> Result<(), String> {
    let mut ranges: Vec<_> = tensors.iter().map(|(name, entry)| (entry.offset, entry.size, name)).collect();
    ranges.sort_unstable();
    for pair in ranges.windows(2) {
        if let [(offset, size, first), (next, _, second)] = pair
            && offset + size > *next
        {
            return Err(format!(
                "the data of tensors `{first}` and `{second}` overlap: copy or download the file again"
            ));
        }
    }
    Ok(())
}
