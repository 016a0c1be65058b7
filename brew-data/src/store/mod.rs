//! The teacher cache on disk: Arrow IPC files that several students, readers and writers share.
//!
//! A folder holds `cache.json`, which says whose rows they are, and blocks. A block is one Arrow IPC file
//! of some megabytes, named after the BLAKE3 hash of its bytes, with the keys of its rows beside it in a
//! small file of the same name: `4f2a….arrow`, `4f2a….keys`. So
//! - a block is there whole or not at all, and a killed writer loses the rows since its last block;
//! - any changed byte is noticed when the block is first read, because the name no longer fits;
//! - writers never meet: two of them write blocks of different names, or the same bytes.
//!
//! In a block a row has its `key`, its `tokens`, the `length` it was padded to, and for each tensor such
//! as `hidden/2` its bytes (little-endian, the last dimension fastest; the dtype is in the field's
//! metadata) and its sizes in `hidden/2.shape`. Blocks are mapped: a row is read where it lies.

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

/// Bytes of values in a block: small enough to lose, large enough to write at once.
const BLOCK_BYTES: usize = 16 << 20;

/// A teacher cache in a folder. A path alone is one too, with all features as the teacher gives them:
/// `.teacher_cache("runs/reviews/teacher")`.
///
/// Several teachers, and the teachers of several tasks, have folders of their own in it. While it is
/// open its files must not be changed in place by others; a file that shrinks ends the process with a bus
/// error when the lost part is read.
///
/// ```no_run
/// use brew_core::prelude::*;
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
    /// The cache in this folder, which is made when it is first used.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        TeacherStore {
            folder: folder.into(),
            payload: Payload::whole(),
            tokenizer: None,
            block_bytes: BLOCK_BYTES,
        }
    }

    /// Keeps less of the features.
    #[must_use]
    pub fn keeping(self, payload: Payload) -> Self {
        TeacherStore { payload, ..self }
    }

    /// Notes whose token numbers the rows are, and refuses rows of another tokenizer.
    #[must_use]
    pub fn tokenized_by(self, tokenizer: &Tokenizer) -> Self {
        TeacherStore { tokenizer: Some(tokenizer.hash().to_hex().to_string()), ..self }
    }

    /// Writes a block when its rows have so many bytes of values: what a killed writer can lose, and
    /// about twice what it holds in memory. 16 MiB unless said otherwise.
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

/// Marks a path as a cache on disk.
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
