//! The rows of one teacher: an index of keys over blocks, and the block being filled.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use brew_core::cache::{CacheSize, CachedRows, KeptFeature, Row, RowKey, missing};

use super::block::{BlockFile, OpenBlock};
use super::pending::Pending;
use crate::error::{Error, Result};

/// A temporary file untouched for this long was left by a killed writer.
const ABANDONED: Duration = Duration::from_secs(3600);

/// The rows in a folder.
#[derive(Debug)]
pub(super) struct StoredRows {
    folder: PathBuf,
    keeps: BTreeSet<KeptFeature>,
    block_bytes: usize,
    state: Mutex<StoreState>,
}

#[derive(Debug, Default)]
struct StoreState {
    /// Blocks by number; numbers are never reused.
    blocks: Vec<Option<HeldBlock>>,
    /// The files of known blocks.
    known: HashSet<PathBuf>,
    index: HashMap<RowKey, BlockRow>,
    pending: Pending,
    warnings: Vec<String>,
}

/// The location of a row.
#[derive(Debug, Clone, Copy)]
struct BlockRow {
    block: u32,
    row: u32,
}

#[derive(Debug)]
struct HeldBlock {
    block: BlockFile,
    /// Its rows, once one has been read.
    opened: Option<Arc<OpenBlock>>,
}

/// A found row: waiting for its block, or in one.
enum FoundRow {
    Waiting(Arc<Row<'static>>),
    Written(Arc<OpenBlock>, usize),
}

impl StoredRows {
    /// Reads the keys of all blocks, but no rows.
    pub(super) fn open(folder: PathBuf, keeps: BTreeSet<KeptFeature>, block_bytes: usize) -> Result<Self> {
        let mut state = StoreState::default();
        state.scan(&folder)?;
        Ok(StoredRows { folder, keeps, block_bytes, state: Mutex::new(state) })
    }

    /// A panic in another thread leaves the state consistent.
    fn state(&self) -> MutexGuard<'_, StoreState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StoreState {
    /// Adds the blocks written since the last scan, by this writer or another.
    fn scan(&mut self, folder: &Path) -> Result<()> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
            files.push(entry.map_err(Error::io(folder))?.path());
        }
        // The same order on every machine, in case two blocks have the same row.
        files.sort();
        let with = |extension: &str| -> Vec<&PathBuf> {
            files.iter().filter(|file| file.extension().is_some_and(|found| found == extension)).collect()
        };
        with("tmp")
            .into_iter()
            .filter(|file| is_own(file) && is_abandoned(file))
            .for_each(|file| drop(std::fs::remove_file(file)));
        let keys: HashSet<PathBuf> = with("keys").into_iter().cloned().collect();
        for file in with("keys") {
            if !self.known.contains(&file.with_extension("arrow")) {
                match BlockFile::find(file) {
                    Ok(block) => self.take(block),
                    Err(error) => self.warnings.push(error.to_string()),
                }
            }
        }
        for file in with("arrow").into_iter().filter(|file| !keys.contains(&file.with_extension("keys"))) {
            // Another writer may be about to write its keys, with the same content.
            if !self.known.contains(file) {
                match BlockFile::adopt(file) {
                    Ok(block) => self.take(block),
                    Err(error) => self.warnings.push(error.to_string()),
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, block: BlockFile) {
        let number = self.blocks.len() as u32;
        for (row, key) in block.keys().enumerate() {
            self.index.entry(key).or_insert(BlockRow { block: number, row: row as u32 });
        }
        self.known.insert(block.path.clone());
        self.blocks.push(Some(HeldBlock { block, opened: None }));
    }

    /// The rows of a block. A corrupt block is set aside with all its rows.
    fn opened(&mut self, number: u32) -> Result<Arc<OpenBlock>> {
        let held = self.blocks.get_mut(number as usize).and_then(Option::as_mut);
        let held =
            held.ok_or_else(|| Error::Setting(format!("block {number} of the teacher cache is gone")))?;
        if let Some(opened) = &held.opened {
            return Ok(opened.clone());
        }
        match held.block.open() {
            Ok(opened) => Ok(held.opened.insert(Arc::new(opened)).clone()),
            Err(error) => {
                held.block.discard();
                // The same rows give a block with the same name again.
                self.known.remove(&held.block.path);
                self.blocks[number as usize] = None;
                self.index.retain(|_, place| place.block != number);
                Err(error)
            }
        }
    }

    /// Writes the waiting rows as a block.
    fn write(&mut self, folder: &Path) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let (rows, keys) = self.pending.take().map_err(|error| Error::format(folder, error))?;
        let block = BlockFile::write(folder, &rows, keys)?;
        if !self.known.contains(&block.path) {
            self.take(block);
        }
        Ok(())
    }
}

impl CachedRows for StoredRows {
    fn keeps(&self) -> BTreeSet<KeptFeature> {
        self.keeps.clone()
    }

    fn has(&self, key: &RowKey) -> bool {
        let state = self.state();
        state.index.contains_key(key) || state.pending.get(key).is_some()
    }

    fn read(
        &self,
        keys: &[RowKey],
        show: &mut dyn FnMut(usize, &Row<'_>) -> brew_core::Result<()>,
    ) -> brew_core::Result<()> {
        let mut places = Vec::with_capacity(keys.len());
        {
            let mut state = self.state();
            for (position, key) in keys.iter().enumerate() {
                if let Some(row) = state.pending.get(key) {
                    places.push(FoundRow::Waiting(row));
                    continue;
                }
                let place = state.index.get(key).copied();
                let place =
                    place.ok_or_else(|| missing(position, key, &self.folder.display().to_string()))?;
                places.push(FoundRow::Written(state.opened(place.block)?, place.row as usize));
            }
        }
        places.iter().enumerate().try_for_each(|(position, found)| match found {
            FoundRow::Waiting(row) => show(position, row),
            FoundRow::Written(block, row) => show(position, &block.row(*row)),
        })
    }

    fn add(&self, rows: &mut dyn Iterator<Item = (RowKey, Row<'_>)>) -> brew_core::Result<()> {
        for (key, row) in rows {
            let mut state = self.state();
            if state.index.contains_key(&key) {
                continue;
            }
            if !state.pending.fits(&row) {
                state.write(&self.folder)?;
            }
            state.pending.push(key, row);
            if state.pending.bytes >= self.block_bytes {
                state.write(&self.folder)?;
            }
        }
        Ok(())
    }

    fn flush(&self) -> brew_core::Result<()> {
        let mut state = self.state();
        state.write(&self.folder)?;
        Ok(state.scan(&self.folder)?)
    }

    fn size(&self) -> CacheSize {
        let state = self.state();
        let bytes = state.blocks.iter().flatten().map(|held| held.block.bytes).sum();
        CacheSize { rows: state.index.len(), bytes }
    }

    fn warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.state().warnings)
    }
}

impl Drop for StoredRows {
    fn drop(&mut self) {
        // A run that ends with an error keeps what its teacher computed.
        let folder = self.folder.clone();
        let _ = self.state().write(&folder);
    }
}

/// Whether a temporary file was left by a writer: `.NAME.PROCESS-ThreadIdN.tmp`, named after a block, its
/// keys, or the header. Others in the folder belong to someone else.
fn is_own(file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix('.'));
    let parts: Vec<&str> = name.map(|name| name.split('.').collect()).unwrap_or_default();
    let [stem, extension, owner, "tmp"] = parts.as_slice() else { return false };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_owner = owner.split_once("-ThreadId").is_some_and(|(id, thread)| digits(id) && digits(thread));
    let is_block = stem.len() == 64 && stem.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_owner && matches!((is_block, *stem, *extension), (true, _, "arrow" | "keys") | (_, "cache", "json"))
}

fn is_abandoned(file: &Path) -> bool {
    let modified = std::fs::metadata(file).and_then(|metadata| metadata.modified());
    modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > ABANDONED))
}
