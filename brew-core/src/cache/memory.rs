//! The teacher cache in memory, for features that fit there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{CacheSize, CachedRows, Card, KeptFeature, Payload, Row, RowKey, TeacherCache};
use crate::error::{Error, Result};

/// Teachers' features in memory (TextBrewer's `is_caching_logits`, for any role).
///
/// Clones share their rows: give a clone to each of several students. Rows are looked up by content, so
/// epochs can still be shuffled, and a second run finds the rows of the first.
#[derive(Debug, Clone, Default)]
pub struct MemoryCache {
    payload: Payload,
    teachers: Arc<Mutex<BTreeMap<String, CardAndRows>>>,
}

impl MemoryCache {
    /// An empty cache that stores features exactly as the teacher computes them.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty cache that stores only this part of the features.
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
                "the cache in memory belongs to a different pipeline; {}; give this pipeline its own cache",
                refusals.join("; ")
            )));
        }
        Ok(Arc::new(OpenedRows { keeps: stored.keeps.clone(), rows: rows.clone() }))
    }
}

/// The card of a teacher, and its rows.
type CardAndRows = (Card, Arc<RowsByKey>);

/// The rows of one teacher by their keys.
type RowsByKey = Mutex<HashMap<RowKey, Arc<Row<'static>>>>;

/// The opened rows of one teacher.
#[derive(Debug)]
struct OpenedRows {
    keeps: BTreeSet<KeptFeature>,
    rows: Arc<RowsByKey>,
}

impl CachedRows for OpenedRows {
    fn keeps(&self) -> BTreeSet<KeptFeature> {
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

/// Ignores poisoning: a panic in another thread cannot have left the rows inconsistent.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
