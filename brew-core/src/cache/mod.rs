//! The teacher cache: stores a teacher's features row by row, so that the teacher runs once instead of in
//! every epoch.
//!
//! Rows are looked up by the teacher's inputs ([`RowKey`]), not by position: a cache filled in one student's
//! first epoch also serves other batch sizes, orders, buckets and students. It stores only the features that
//! the pipeline's losses read from that teacher, without padding. A [`Card`] records which teacher the rows
//! belong to; rows of another teacher are refused.
//!
//! Changes that neither key nor card can see, such as in the user's code, are detected by value: for the
//! first, second, fourth, eighth … batch read from the cache, the teacher recomputes two rows. If a row
//! differs, the run ends with an error that names the row.
//!
//! A cached teacher's features always come from the cache, even in the epoch that fills it.
//!
//! [`MemoryCache`] is here; brew-data adds a cache on disk, which a path stands for.
//!
//! ```no_run
//! # use brew_core::prelude::*;
//! # use brew_core::cache::MemoryCache;
//! # fn example<A: Adaptor>(first: Pipeline<A::Batch, A>, second: Pipeline<A::Batch, A>, reviews: [Vec<A::Batch>; 2]) -> Result<()> {
//! let cache = MemoryCache::new();
//! # let [reviews, again] = reviews;
//! // The teacher runs in the first epoch only, and not at all for the second student.
//! Trainer::new(first).teacher_cache(cache.clone()).epochs(3).run(reviews)?;
//! # let reviews = again;
//! Trainer::new(second).teacher_cache(cache).epochs(3).run(reviews)?;
//! # Ok(())
//! # }
//! ```

mod card;
mod compare;
mod gather;
mod memory;
mod payload;
mod row;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Result};

pub use card::{Card, KeptFeature};
pub use gather::Recalled;
pub use memory::MemoryCache;
pub use payload::{Payload, dtype};
pub use row::{Row, RowPart};

pub use crate::row_key::{RowKey, RowKeys};

pub(crate) use card::weights_hash;
pub(crate) use compare::{Tolerance, ValueDifference, distances, largest};
pub(crate) use gather::Gather;
pub(crate) use row::Whole;

/// A store for the features of a pipeline's teachers.
pub trait TeacherCache: fmt::Debug {
    /// What is kept of a feature.
    fn payload(&self) -> Payload;

    /// The location of the cache, for messages.
    fn place(&self) -> String;

    /// Opens the rows of one teacher. The name distinguishes the teachers of a run: empty if there is only
    /// one, else such as `teacher-0`, or in a task `movies` or `movies/teacher-0`.
    ///
    /// # Errors
    /// Rows that belong to a different [`Card`]: see [`Card::refusals`]. A location that cannot be
    /// opened.
    fn open(&self, teacher: &str, card: &Card) -> Result<Arc<dyn CachedRows>>;
}

/// The rows of one teacher. Several threads may read at the same time.
pub trait CachedRows: fmt::Debug + Send + Sync {
    /// The features that its rows were first opened for: a pipeline that reads fewer features adds rows under
    /// separate keys.
    fn keeps(&self) -> BTreeSet<KeptFeature>;

    /// Whether a row exists, flushed or not.
    fn has(&self, key: &RowKey) -> bool;

    /// Calls `show` with the position and row of each key.
    ///
    /// # Errors
    /// A missing row, by its key; unreadable rows, by file and block: those count as missing
    /// afterwards.
    fn read(&self, keys: &[RowKey], show: &mut dyn FnMut(usize, &Row<'_>) -> Result<()>) -> Result<()>;

    /// Stores rows; an existing row is left unchanged.
    ///
    /// # Errors
    /// A place that cannot be written.
    fn add(&self, rows: &mut dyn Iterator<Item = (RowKey, Row<'_>)>) -> Result<()>;

    /// Persists all added rows, if the cache is persistent.
    ///
    /// # Errors
    /// A place that cannot be written.
    fn flush(&self) -> Result<()>;

    /// What it holds.
    fn size(&self) -> CacheSize;

    /// The warnings since the last call.
    fn warnings(&self) -> Vec<String>;
}

/// The size of a cache for one teacher.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheSize {
    /// Rows.
    pub rows: usize,
    /// Bytes of them, in memory or on disk.
    pub bytes: u64,
}

/// A cache's statistics for one teacher since the last report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheReport {
    /// Which of the pipeline's teachers, from 0.
    pub teacher: usize,
    /// The name used in messages.
    pub name: String,
    /// Rows that were read from the cache instead of running the teacher.
    pub found: u64,
    /// Rows that the teacher computed.
    pub computed: u64,
    /// Rows stored now.
    pub rows: usize,
    /// Bytes of them, in memory or on disk.
    pub bytes: u64,
}

/// The error for a row that is not in the cache.
pub fn missing(position: usize, key: &RowKey, place: &str) -> Error {
    Error::invalid(format!(
        "row {position} of the batch, whose key is {key}, is not in the teacher cache ({place})"
    ))
}

/// Accepted by [`Trainer::teacher_cache`](crate::train::Trainer::teacher_cache): a cache, or a value that
/// another crate converts into one; `Via` keeps the implementations from overlapping.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a teacher cache",
    label = "neither a cache nor a place for one",
    note = "give a `MemoryCache`; a path is a cache on disk where the program depends on brew-data"
)]
pub trait IntoTeacherCache<Via = Itself> {
    /// Converts to a cache, without opening anything yet.
    fn into_teacher_cache(self) -> Box<dyn TeacherCache>;
}

/// The `Via` of values that are caches themselves.
#[derive(Debug)]
pub struct Itself;

impl<C: TeacherCache + 'static> IntoTeacherCache for C {
    fn into_teacher_cache(self) -> Box<dyn TeacherCache> {
        Box::new(self)
    }
}
