//! The teacher cache: a teacher's features, row by row, so that it runs once and not in every epoch.
//!
//! Rows are found by what the teacher reads of them ([`RowKey`]), not by their place: so a cache that one
//! student's first epoch filled serves other batch sizes, orders, buckets and students. It keeps the
//! features that the pipeline's losses read of that teacher and nothing else, without their padding.
//! Whose rows it holds stands on its [`Card`], and rows of another teacher are refused.
//!
//! What neither key nor card can know, such as code of the user's own, shows in the values: of the first,
//! second, fourth, eighth … batch that is read the teacher computes two rows again. A row that is not what
//! it gives ends the run with an error that names the row.
//!
//! What flows from a cached teacher is what the cache holds, in the epoch that fills it as in all others.
//!
//! [`MemoryCache`] is here; brew-data has one on disk, and lets a path stand for it.
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

pub use card::{Card, Keep};
pub use gather::Recalled;
pub use memory::MemoryCache;
pub use payload::{Payload, dtype};
pub use row::{Part, Row};

pub use crate::row_key::{RowKey, RowKeys};

pub(crate) use card::weights_hash;
pub(crate) use compare::{Difference, Tolerance, distances, largest};
pub(crate) use gather::Gather;
pub(crate) use row::Whole;

/// Where the features of a pipeline's teachers are kept.
pub trait TeacherCache: fmt::Debug {
    /// What is kept of a feature.
    fn payload(&self) -> Payload;

    /// Where it is, for messages.
    fn place(&self) -> String;

    /// The rows of one teacher. Its name tells it from others of the run: empty for the only one, else
    /// such as `teacher-0`, or `movies` or `movies/teacher-0` in a task.
    ///
    /// # Errors
    /// Rows that belong to another [`Card`]: see [`Card::refusals`]. A place that cannot be opened.
    fn open(&self, teacher: &str, card: &Card) -> Result<Arc<dyn CachedRows>>;
}

/// The rows of one teacher. Several threads may read.
pub trait CachedRows: fmt::Debug + Send + Sync {
    /// The features that its rows were opened for first: a pipeline that reads fewer of them adds rows
    /// under keys of its own.
    fn keeps(&self) -> BTreeSet<Keep>;

    /// Whether a row is there, whether or not it would outlast the process.
    fn has(&self, key: &RowKey) -> bool;

    /// Shows the row of each key with the key's position.
    ///
    /// # Errors
    /// A row that is not there, by its key; rows that cannot be read, by file and block: they are not
    /// there any more afterwards.
    fn read(&self, keys: &[RowKey], show: &mut dyn FnMut(usize, &Row<'_>) -> Result<()>) -> Result<()>;

    /// Keeps rows; one that is there already stays as it is.
    ///
    /// # Errors
    /// A place that cannot be written.
    fn add(&self, rows: &mut dyn Iterator<Item = (RowKey, Row<'_>)>) -> Result<()>;

    /// Makes all rows that were added outlast this process, where the cache does.
    ///
    /// # Errors
    /// A place that cannot be written.
    fn flush(&self) -> Result<()>;

    /// What it holds.
    fn size(&self) -> CacheSize;

    /// What a person should know since the last call.
    fn warnings(&self) -> Vec<String>;
}

/// What a cache holds of one teacher.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheSize {
    /// Rows.
    pub rows: usize,
    /// Bytes of them, in memory or on disk.
    pub bytes: u64,
}

/// What a cache did for one teacher since it was last asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheReport {
    /// Which of the pipeline's teachers, from 0.
    pub teacher: usize,
    /// What messages call it.
    pub name: String,
    /// Rows that were read, so that the teacher did not run.
    pub found: u64,
    /// Rows that the teacher ran on.
    pub computed: u64,
    /// Rows that are kept now.
    pub rows: usize,
    /// Bytes of them, in memory or on disk.
    pub bytes: u64,
}

/// The error of a lookup that finds nothing.
pub fn missing(position: usize, key: &RowKey, place: &str) -> Error {
    Error::invalid(format!(
        "row {position} of the batch, whose key is {key}, is not in the teacher cache ({place})"
    ))
}

/// What can be given to [`Trainer::teacher_cache`](crate::train::Trainer::teacher_cache): a cache, or
/// what another crate makes one of; `Via` keeps their implementations apart.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a teacher cache",
    label = "neither a cache nor a place for one",
    note = "give a `MemoryCache`; a path is a cache on disk where the program depends on brew-data"
)]
pub trait IntoTeacherCache<Via = Itself> {
    /// The cache. Nothing is opened yet.
    fn into_teacher_cache(self) -> Box<dyn TeacherCache>;
}

/// Marks what is a cache itself.
#[derive(Debug)]
pub struct Itself;

impl<C: TeacherCache + 'static> IntoTeacherCache for C {
    fn into_teacher_cache(self) -> Box<dyn TeacherCache> {
        Box::new(self)
    }
}
