//! The cache in memory: for teachers whose features fit there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{CacheSize, CachedRows, Card, Keep, Payload, Row, RowKey, TeacherCache};
use crate::error::{Error, Result};

/// Teachers' features in memory (TextBrewer's `is_caching_logits`, for any role).
///
/// Clones share their rows: give one to each of several students. Rows are found by what they hold, so
/// epochs go on shuffling rows, and a second run finds those of the first.
#[derive(Debug, Clone, Default)]
pub struct MemoryCache {
    payload: Payload,
    teachers: Arc<Mutex<BTreeMap<String, Teacher>>>,
}

impl MemoryCache {
    /// An empty cache that keeps features as the teacher gives them.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty cache that keeps less of them.
    pub fn keeping(payload: Payload) -> Self {
        MemoryCache { payload, ..Self::default() }
    }
}

impl TeacherCache for MemoryCache {
    fn payload(&self) -> Payload {
        self.payload
    }

    fn place(&self) -> String {
        "memory".to_owned()
    }

    fn open(&self, teacher: &str, card: &Card) -> Result<Arc<dyn CachedRows>> {
        let mut teachers = lock(&self.teachers);
        let (stored, rows) =
            teachers.entry(teacher.to_owned()).or_insert_with(|| (card.clone(), Arc::default()));
        let refusals = stored.refusals(card);
        if !refusals.is_empty() {
            return Err(Error::invalid(format!(
                "the cache in memory belongs to another pipeline; {}; give this one a cache of its own",
                refusals.join("; ")
            )));
        }
        Ok(Arc::new(Opened { keeps: stored.keeps.clone(), rows: rows.clone() }))
    }
}

/// Whose rows, and the rows.
type Teacher = (Card, Arc<Rows>);

/// The rows of one teacher by their keys.
type Rows = Mutex<HashMap<RowKey, Arc<Row<'static>>>>;

/// The rows of one teacher at work.
#[derive(Debug)]
struct Opened {
    keeps: BTreeSet<Keep>,
    rows: Arc<Rows>,
}

impl CachedRows for Opened {
    fn keeps(&self) -> BTreeSet<Keep> {
        self.keeps.clone()
    }

    fn has(&self, key: &RowKey) -> bool {
        lock(&self.rows).contains_key(key)
    }

    fn read(&self, keys: &[RowKey], show: &mut dyn FnMut(usize, &Row<'_>) -> Result<()>) -> Result<()> {
        for (position, key) in keys.iter().enumerate() {
            let row = lock(&self.rows).get(key).cloned();
            show(position, &*row.ok_or_else(|| super::missing(position, key, "memory"))?)?;
        }
        Ok(())
    }

    fn add(&self, rows: &mut dyn Iterator<Item = (RowKey, Row<'_>)>) -> Result<()> {
        for (key, row) in rows {
            lock(&self.rows).entry(key).or_insert_with(|| Arc::new(row.into_owned()));
        }
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        Ok(())
    }

    fn size(&self) -> CacheSize {
        let rows = lock(&self.rows);
        CacheSize { rows: rows.len(), bytes: rows.values().map(|row| row.size() as u64).sum() }
    }

    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A panic of another thread left the rows as they were.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
