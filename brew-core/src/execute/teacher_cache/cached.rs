//! The cache of one teacher: finding rows, storing rows, and its statistics and warnings.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use tch::Device;

use super::Computed;
use crate::cache::{
    CacheReport, CachedRows, Card, Gather, KeptFeature, Payload, Recalled, Row, RowKey, RowKeys, Whole,
};
use crate::error::{Error, Result};
use crate::plan::StageId;

/// The cache of one teacher.
#[derive(Debug)]
pub(super) struct CachedTeacher {
    pub(super) name: String,
    /// The stage that reads its features.
    pub(super) adaptor: StageId,
    pub(super) keeps: Vec<KeptFeature>,
    pub(super) rows: Arc<dyn CachedRows>,
    /// Stored rows have more features than this pipeline reads, so the rows that it adds get separate keys.
    pub(super) is_narrower: bool,
    /// Its features depend on the padding, so a row serves only one padded length.
    pub(super) follows_padding: bool,
    pub(super) found: Cell<u64>,
    pub(super) computed: Cell<u64>,
    /// The number of rows that the teacher may compute in the whole run before a warning.
    pub(super) expected: Cell<Option<u64>>,
    /// Whether rows are still added: after a failed write the cache is read-only.
    pub(super) grows: Cell<bool>,
    /// The number of batches read; `compares` tells whether their rows are still compared with the teacher.
    pub(super) read: Cell<u64>,
    pub(super) compares: Cell<bool>,
    pub(super) warnings: RefCell<Vec<String>>,
}

impl CachedTeacher {
    /// The cache behind these rows for data of this many rows, before anything was found in it.
    pub(super) fn new(
        name: String,
        adaptor: StageId,
        keeps: Vec<KeptFeature>,
        rows: Arc<dyn CachedRows>,
        card: &Card,
        of_data: Option<usize>,
    ) -> Self {
        CachedTeacher {
            name,
            adaptor,
            is_narrower: rows.keeps() != card.keeps,
            keeps,
            rows,
            follows_padding: false,
            found: Cell::new(0),
            computed: Cell::new(0),
            expected: Cell::new(of_data.map(|rows| rows as u64 * 3 / 2)),
            grows: Cell::new(true),
            read: Cell::new(0),
            compares: Cell::new(true),
            warnings: RefCell::default(),
        }
    }

    pub(super) fn warn(&self, warning: String) {
        self.warnings.borrow_mut().push(warning);
    }

    /// Counts a batch that was read, and returns whether to compare it: the first, second, fourth, eighth and
    /// so on, so that a long run is checked until its end at almost no cost.
    pub(super) fn is_checked_now(&self) -> bool {
        self.read.set(self.read.get() + 1);
        self.compares.get() && self.read.get().is_power_of_two()
    }

    /// The key under which a row exists. A key for this length only takes precedence: it would not have been
    /// added if a general one had existed before.
    fn find(&self, key: &RowKey, length: usize) -> Option<RowKey> {
        let bound = key.at_length(length as i64);
        let plain = [Some(bound), (!self.follows_padding).then_some(*key)];
        let narrow = plain.map(|key| key.filter(|_| self.is_narrower).map(|key| self.own(key)));
        plain.into_iter().chain(narrow).flatten().find(|key| self.rows.has(key))
    }

    /// The key under which this pipeline adds a row.
    fn own(&self, key: RowKey) -> RowKey {
        let feature = |keep: &KeptFeature| format!("{} {:?} {}", keep.role, keep.layer, keep.padding);
        if self.is_narrower { key.with_only(self.keeps.iter().map(feature)) } else { key }
    }

    /// The keys of all rows of a batch, if all of them exist.
    pub(super) fn all(&self, keys: &RowKeys) -> Option<Vec<RowKey>> {
        keys.keys.iter().map(|key| self.find(key, keys.length)).collect()
    }

    /// Stores the missing rows of a batch, and returns all rows as stored.
    pub(super) fn settle(
        &self,
        keys: &RowKeys,
        flows: &[Computed],
        payload: &Payload,
        device: Device,
    ) -> Result<Recalled> {
        self.computed.set(self.computed.get() + keys.keys.len() as u64);
        let wholes = self.wholes(keys, flows, payload)?;
        let mut gather = Gather::new(&self.keeps, keys.keys.len(), keys.length, device);
        let (mut known, mut places) = (Vec::new(), Vec::new());
        let (mut fresh, mut first) = (Vec::<(RowKey, Row<'_>)>::new(), HashMap::new());
        for (position, (key, row)) in self.cut(&wholes, keys).enumerate() {
            if let Some(found) = self.find(&keys.keys[position], keys.length) {
                known.push(found);
                places.push(position);
            } else if let Some(place) = first.get(&key) {
                let (_, row) = &fresh[*place];
                gather.put(position, row)?;
            } else {
                gather.put(position, &row)?;
                first.insert(key, fresh.len());
                fresh.push((key, row));
            }
        }
        let read = self.rows.read(&known, &mut |index, row| gather.put(places[index], row));
        if let Err(error) = read {
            self.warn(format!(
                "the teacher cache cannot be read, so {} computes the batch instead: {error}",
                self.name
            ));
            for (position, (_, row)) in self.cut(&wholes, keys).enumerate() {
                if places.contains(&position) {
                    gather.put(position, &row)?;
                }
            }
        }
        if self.grows.get()
            && let Err(error) = self.rows.add(&mut fresh.into_iter())
        {
            self.grows.set(false);
            self.warn(format!("no more rows of {} are stored: {error}", self.name));
        }
        gather.finish()
    }

    /// The rows of a batch as the cache would store them.
    pub(super) fn as_kept(
        &self,
        keys: &RowKeys,
        flows: &[Computed],
        payload: &Payload,
        device: Device,
    ) -> Result<Recalled> {
        let wholes = self.wholes(keys, flows, payload)?;
        let mut gather = Gather::new(&self.keeps, keys.keys.len(), keys.length, device);
        for (position, (_, row)) in self.cut(&wholes, keys).enumerate() {
            gather.put(position, &row)?;
        }
        gather.finish()
    }

    /// The stored features of a batch, before it is cut into rows.
    pub(super) fn wholes(&self, keys: &RowKeys, flows: &[Computed], payload: &Payload) -> Result<Vec<Whole>> {
        let mut wholes = Vec::new();
        for keep in &self.keeps {
            let of_role = flows.iter().filter(|(role, ..)| *role == keep.role);
            let tensors = of_role.into_iter().find_map(|(_, layers, given)| match (keep.layer, layers) {
                (Some(layer), Some(layers)) => {
                    layers.iter().position(|known| *known == layer).and_then(|place| given.get(place..=place))
                }
                (None, None) => Some(given.as_slice()),
                _ => None,
            });
            let tensors = tensors
                .ok_or_else(|| Error::invalid(format!("`{keep}` of {} was not computed", self.name)))?;
            wholes.extend(Whole::of(keep, tensors, keys, payload)?);
        }
        Ok(wholes)
    }

    fn cut<'w>(&self, wholes: &'w [Whole], keys: &'w RowKeys) -> impl Iterator<Item = (RowKey, Row<'w>)> {
        keys.keys.iter().zip(&keys.tokens).enumerate().map(move |(position, (key, tokens))| {
            let parts = wholes.iter().map(|whole| whole.row(position, *tokens)).collect();
            let row = Row { tokens: *tokens, length: keys.length, parts };
            let key = if self.follows_padding { key.at_length(keys.length as i64) } else { row.key(*key) };
            (self.own(key), row)
        })
    }

    pub(super) fn report(&self, index: usize) -> CacheReport {
        let size = self.rows.size();
        let left = self.expected.get().map(|rows| rows.checked_sub(self.computed.get()));
        self.expected.set(left.flatten());
        if left == Some(None) {
            self.warn(format!(
                "{} recomputed more rows than the dataset has: the cache is being missed. Does augmentation or padding change rows between epochs?",
                self.name
            ));
        }
        CacheReport {
            teacher: index,
            name: self.name.clone(),
            found: self.found.take(),
            computed: self.computed.take(),
            rows: size.rows,
            bytes: size.bytes,
        }
    }
}
