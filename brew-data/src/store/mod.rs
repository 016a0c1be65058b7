//! The teacher cache on disk: Arrow IPC files shared by several students, readers, and writers.
//!
//! A folder holds `cache.json`, which identifies the teacher, and blocks. A block is an Arrow IPC file of
//! some megabytes, named after the BLAKE3 hash of its bytes, with the keys of its rows in a small file of the
//! same name: `4f2a….arrow`, `4f2a….keys`. So
//! - a block is complete or absent, and a killed writer loses only the rows since its last block;
//! - any changed byte is detected when the block is first read, because the name no longer matches;
//! - writers never conflict: they write blocks with different names, or the same bytes.
//!
//! In a block, a row has its `key`, its `tokens`, its padded `length`, and for each tensor such as `hidden/2`
//! its bytes (little-endian, last dimension fastest; the dtype is in the field's metadata) and its sizes in
//! `hidden/2.shape`. Blocks are mapped, and rows are read in place.

mod block;
mod header;
mod pending;
mod rows;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use brew_core::cache::{CachedRows, Card, IntoTeacherCache, Payload, TeacherCache};

use crate::text::tokenizer::Tokenizer;
use header::Header;
use rows::StoredRows;

/// Bytes of values per block: small enough to lose, large enough to write efficiently.
const BLOCK_BYTES: usize = 16 << 20;

/// A teacher cache in a folder. A plain path also works, and stores all features as the teacher returns them:
/// `.teacher_cache("runs/reviews/teacher")`.
///
/// Several teachers, or the teachers of several tasks, get subfolders. While the cache is open, its files
/// must not be changed in place; if a file shrinks, reading the lost part ends the process with a bus error.
///
/// ```no_run
/// use brew_core::prelude::*;
/// use brew_core::cache::Payload;
/// use brew_data::prelude::*;
///
/// # fn example<A: Adaptor>(pipeline: Pipeline<A::Batch, A>, reviews: Vec<A::Batch>) -> Result<()> {
/// let tokenizer = Tokenizer::from_folder("models/teacher")?;
/// let store = TeacherStore::at("runs/reviews/teacher")
///     .keeping(Payload::whole().floats_as(Kind::BFloat16))
///     .tokenized_by(&tokenizer);
/// Trainer::new(pipeline).teacher_cache(store).epochs(3).run(reviews)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct TeacherStore {
    folder: PathBuf,
    payload: Payload,
    tokenizer: Option<String>,
    block_bytes: usize,
}

impl TeacherStore {
    /// The cache in this folder, which is created on first use.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        TeacherStore {
            folder: folder.into(),
            payload: Payload::whole(),
            tokenizer: None,
            block_bytes: BLOCK_BYTES,
        }
    }

    /// Stores only part of the features.
    #[must_use]
    pub fn keeping(self, payload: Payload) -> Self {
        TeacherStore { payload, ..self }
    }

    /// Records the tokenizer, and rejects rows of another one.
    #[must_use]
    pub fn tokenized_by(self, tokenizer: &Tokenizer) -> Self {
        TeacherStore { tokenizer: Some(tokenizer.hash().to_hex().to_string()), ..self }
    }

    /// Sets the bytes of values per block (default: 16 MiB). A killed writer loses up to this much; a writer
    /// holds about twice as much in memory.
    #[must_use]
    pub fn block_bytes(self, bytes: usize) -> Self {
        TeacherStore { block_bytes: bytes, ..self }
    }
}

impl TeacherCache for TeacherStore {
    fn payload(&self) -> Payload {
        self.payload
    }

    fn place(&self) -> String {
        self.folder.display().to_string()
    }

    fn open(&self, teacher: &str, card: &Card) -> brew_core::Result<Arc<dyn CachedRows>> {
        let folder = if teacher.is_empty() { self.folder.clone() } else { self.folder.join(teacher) };
        let keeps = Header { tokenizer: self.tokenizer.clone(), card: card.clone() }.check(&folder)?;
        Ok(Arc::new(StoredRows::open(folder, keeps, self.block_bytes)?))
    }
}

/// Marker for a path used as a cache on disk.
#[derive(Debug)]
pub struct OnDisk;

macro_rules! paths {
    ($($path:ty),*) => {
        $(impl IntoTeacherCache<OnDisk> for $path {
            fn into_teacher_cache(self) -> Box<dyn TeacherCache> {
                Box::new(TeacherStore::at(self))
            }
        })*
    };
}

paths!(&str, String, &String, &Path, PathBuf, &PathBuf);
