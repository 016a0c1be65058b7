//! The teacher cache at work: rows that are there stand in for a teacher's forward pass, and what a
//! teacher computed is kept.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;

use tch::{Device, Tensor};

use super::{Autocast, Executor, probe};
use crate::adaptor::Adaptor;
use crate::batch::{Batches, Feeds};
use crate::cache::{
    CacheReport, CachedRows, Card, Gather, Keep, Keyed, Payload, Recalled, Row, RowKey, RowKeys,
    TeacherCache, Whole, weights_hash,
};
use crate::distill::Weighed;
use crate::error::{Error, InStage, Result};
use crate::model::Side;
use crate::pass::{Pass, Wants};
use crate::plan::{Flow, Owner, Plan, StageId, StageKind};
use crate::role::{Logits, OutputWeight, Role, mask_of};

/// Role, layers and tensors of a flow.
pub(super) type FlowOf<'f> = (&'f str, Option<&'f [i64]>, &'f [Tensor]);

/// The caches of a pipeline's teachers.
#[derive(Debug)]
pub(super) struct Caches {
    payload: Payload,
    place: String,
    device: Device,
    teachers: BTreeMap<usize, Cached>,
}

/// One teacher's.
#[derive(Debug)]
struct Cached {
    name: String,
    keeps: Vec<Keep>,
    rows: Arc<dyn CachedRows>,
    /// Its features depend on how far a row is padded: a row serves one length alone.
    follows_padding: bool,
    found: Cell<u64>,
    computed: Cell<u64>,
    /// Rows that the teacher may run on in the whole run before they are too many.
    expected: Cell<Option<u64>>,
    /// Whether rows are still added: a cache that cannot be written is only read.
    grows: Cell<bool>,
    warnings: RefCell<Vec<String>>,
}

impl Caches {
    /// The logits of a teacher as they flow: what is kept of them flows in every epoch.
    pub(super) fn of_logits(&self, index: usize, role: &str, tensors: Vec<Tensor>) -> Result<Vec<Tensor>> {
        if role == Logits::NAME && self.teachers.contains_key(&index) {
            self.payload.of_logits(tensors)
        } else {
            Ok(tensors)
        }
    }

    /// Reads a batch's features where every row is there.
    fn recall(&self, index: usize, keys: &RowKeys) -> Result<Option<Recalled>> {
        let Some(cached) = self.teachers.get(&index) else { return Ok(None) };
        let Some(found) = cached.all(keys) else { return Ok(None) };
        match Recalled::read(&*cached.rows, &cached.keeps, &found, keys.length, self.device) {
            Ok(recalled) => {
                cached.found.set(cached.found.get() + found.len() as u64);
                Ok(Some(recalled))
            }
            Err(error) => {
                // The teacher can say again what the cache has lost.
                let warning = format!(
                    "the teacher cache cannot be read and {} computes the batch instead: {error}",
                    cached.name
                );
                cached.warnings.borrow_mut().push(warning);
                Ok(None)
            }
        }
    }

    /// Keeps the rows of a batch that are not there yet.
    fn keep(&self, index: usize, keys: &RowKeys, flows: &[FlowOf<'_>]) -> Result<()> {
        let Some(cached) = self.teachers.get(&index) else { return Ok(()) };
        cached.computed.set(cached.computed.get() + keys.keys.len() as u64);
        if !cached.grows.get() {
            return Ok(());
        }
        let wholes = cached.wholes(keys, flows, &self.payload)?;
        let mut rows = cached.cut(&wholes, keys).filter(|(key, _)| !cached.rows.has(key));
        if let Err(error) = cached.rows.add(&mut rows) {
            cached.grows.set(false);
            let warning = format!("no more rows are kept of {}: {error}", cached.name);
            cached.warnings.borrow_mut().push(warning);
        }
        Ok(())
    }
}

impl Cached {
    /// The keys under which all rows of a batch are there.
    fn all(&self, keys: &RowKeys) -> Option<Vec<RowKey>> {
        let find = |key: &RowKey| {
            let bound = key.at_length(keys.length as i64);
            let candidates = if self.follows_padding { [bound, bound] } else { [*key, bound] };
            candidates.into_iter().find(|key| self.rows.has(key))
        };
        keys.keys.iter().map(find).collect()
    }

    /// What is kept of a batch, before it is cut into rows.
    fn wholes(&self, keys: &RowKeys, flows: &[FlowOf<'_>], payload: &Payload) -> Result<Vec<Whole>> {
        let mut wholes = Vec::new();
        for keep in &self.keeps {
            let mut tensors = None;
            for (_, layers, given) in flows.iter().filter(|(role, ..)| *role == keep.role) {
                tensors = match (keep.layer, layers) {
                    (Some(layer), Some(layers)) => layers
                        .iter()
                        .position(|known| *known == layer)
                        .and_then(|place| given.get(place..=place)),
                    (None, None) => Some(*given),
                    _ => None,
                };
                if tensors.is_some() {
                    break;
                }
            }
            let tensors = tensors
                .ok_or_else(|| Error::invalid(format!("`{keep}` of {} was not computed", self.name)))?;
            wholes.extend(Whole::of(keep, tensors, keys, payload)?);
        }
        Ok(wholes)
    }

    fn cut<'w>(&self, wholes: &'w [Whole], keys: &'w RowKeys) -> impl Iterator<Item = (RowKey, Row<'w>)> {
        let follows_padding = self.follows_padding;
        keys.keys.iter().zip(&keys.tokens).enumerate().map(move |(position, (key, tokens))| {
            let parts = wholes.iter().map(|whole| whole.row(position, *tokens)).collect();
            let row = Row { tokens: *tokens, length: keys.length, parts };
            let key = if follows_padding { key.at_length(keys.length as i64) } else { row.key(*key) };
            (key, row)
        })
    }

    fn report(&self, index: usize) -> CacheReport {
        let size = self.rows.size();
        let left = self.expected.get().map(|rows| rows.checked_sub(self.computed.get()));
        self.expected.set(left.flatten());
        if left == Some(None) {
            self.warnings.borrow_mut().push(format!(
                "{} ran on many more rows than the data has, although it has a cache: do the rows differ from epoch to epoch, or their padded lengths?",
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

impl<T: 'static, A: Adaptor> Executor<'_, T, A> {
    /// Reads features of the teachers from a cache from now on, and keeps there what they compute, under
    /// the name of a task where there are several. `first` is a batch to look at; the lines say what is kept and what it will cost.
    ///
    /// # Errors
    /// A cache of another teacher, adaptor, payload or of other features; data that change from epoch
    /// to epoch; features that cannot be kept row by row.
    pub fn cache_teachers<B, D>(
        &mut self,
        cache: &dyn TeacherCache,
        task: Option<&str>,
        first: &B,
        data: &D,
    ) -> Result<Vec<String>>
    where
        B: Feeds<T, A::Batch>,
        D: Batches<Batch = B>,
    {
        if data.varies() {
            return Err(Error::invalid(
                "the rows differ from epoch to epoch (they are augmented), so that a teacher cache would never find one: leave out `.teacher_cache(…)`, or the augmentation",
            ));
        }
        let problems = cache.payload().problems();
        if !problems.is_empty() {
            return Err(Error::invalid(problems.join("; ")));
        }
        let (payload, place) = (cache.payload(), cache.place());
        let mut caches = Caches { payload, place, device: self.device, teachers: BTreeMap::new() };
        let mut lines = Vec::new();
        let adaptors: Vec<(StageId, usize)> = self
            .plan()
            .stages()
            .filter_map(|(id, stage)| match stage.kind {
                StageKind::Adaptor { owner: Owner::Teacher(index), .. } => Some((id, index)),
                _ => None,
            })
            .collect();
        for (adaptor, index) in adaptors {
            if first.teacher_output(index).is_some() {
                continue;
            }
            let teacher = self.teacher(index)?;
            let keeps = self.keeps(adaptor, teacher, first.teacher(), &payload)?;
            if keeps.is_empty() {
                continue;
            }
            let keys = teacher.row_keys(first.teacher())?;
            let (name, place) = match self.pipeline.teachers.len() {
                1 => ("the teacher".to_owned(), None),
                _ => (format!("teacher {}", index + 1), Some(format!("teacher-{}", index + 1))),
            };
            let place: Vec<&str> = task.into_iter().chain(place.as_deref()).collect();
            let card = Card {
                weights: weights_hash(&teacher.parameters())?,
                precision: format!("{:?}", self.precision.unwrap_or(tch::Kind::Float)),
                adaptor: teacher.adaptor_name().to_owned(),
                inputs: keys.columns.clone(),
                payload,
                keeps: keeps.iter().cloned().collect(),
            };
            let rows = cache.open(&place.join("/"), &card)?;
            let mut cached = Cached {
                name,
                keeps,
                rows,
                follows_padding: false,
                found: Cell::new(0),
                computed: Cell::new(0),
                expected: Cell::new(data.rows().map(|rows| rows as u64 * 3 / 2)),
                grows: Cell::new(true),
                warnings: RefCell::default(),
            };
            let sample = self.sample(index, adaptor, &mut cached, first, &keys, &payload)?;
            lines.push(cached.cost(&sample, &keys, data.rows(), &caches.place));
            caches.teachers.insert(index, cached);
        }
        self.caches = Some(caches);
        Ok(lines)
    }

    /// What is kept of a teacher: what its readers read and the batch alone does not give.
    fn keeps(
        &self,
        adaptor: StageId,
        teacher: &dyn Side<T>,
        batch: &T,
        payload: &Payload,
    ) -> Result<Vec<Keep>> {
        let mut keeps: BTreeMap<(String, Option<i64>), bool> = BTreeMap::new();
        let plan = self.plan();
        for (_, reader, flow) in plan.outputs(adaptor) {
            let Flow::Feature { role, layers } = flow else { continue };
            if teacher.read_batch(role, batch)?.is_some() {
                continue;
            }
            let reads_top = |loss: &Weighed| loss.loss.reads_top_logits();
            if role == Logits::NAME && payload.is_top() && !self.weighed(reader).is_ok_and(reads_top) {
                let reader = plan.stage(reader).map_or("a loss", |stage| stage.name.as_str());
                return Err(Error::invalid(format!(
                    "`{reader}` reads all logits of a teacher, and its cache is to keep `{payload}`: keep all of them, or use a loss over top logits"
                )));
            }
            if role == OutputWeight::NAME {
                return Err(Error::invalid(format!("`{role}` is not one value a row: it cannot be cached")));
            }
            let padding = !is_masked(plan, adaptor, reader, role, |mask| {
                Ok(teacher.read_batch(mask, batch)?.is_some())
            })?;
            let layers: Vec<Option<i64>> = match layers {
                Some(layers) => layers.iter().copied().map(Some).collect(),
                None => vec![None],
            };
            for layer in layers {
                *keeps.entry((role.clone(), layer)).or_default() |= padding;
            }
        }
        // A role that is kept whole has its layers.
        let whole: Vec<String> =
            keeps.keys().filter(|(_, layer)| layer.is_none()).map(|(role, _)| role.clone()).collect();
        for role in whole {
            let layers = keeps.extract_if(.., |(known, layer), _| *known == role && *layer >= Some(0));
            let padding = layers.fold(false, |padding, (_, layer)| padding | layer);
            *keeps.entry((role, None)).or_default() |= padding;
        }
        Ok(keeps.into_iter().map(|((role, layer), padding)| Keep { role, layer, padding }).collect())
    }

    /// Runs a teacher on its two shortest rows: what they cost, and whether cutting their padding off
    /// changes them.
    fn sample<B: Feeds<T, A::Batch>>(
        &self,
        index: usize,
        adaptor: StageId,
        cached: &mut Cached,
        first: &B,
        keys: &RowKeys,
        payload: &Payload,
    ) -> Result<Vec<usize>> {
        let teacher = self.teacher(index)?;
        let mut rows: Vec<usize> = (0..keys.keys.len()).collect();
        rows.sort_by_key(|row| keys.tokens.get(*row).copied());
        rows.truncate(2);
        let numbers: Vec<i64> = rows.iter().filter_map(|row| i64::try_from(*row).ok()).collect();
        let longest =
            rows.iter().filter_map(|row| keys.tokens.get(*row).copied()).max().unwrap_or(keys.length);
        let gather = |length: usize| -> Result<(Vec<usize>, Recalled)> {
            let batch = teacher.rows_of(first.teacher(), &numbers, &keys.padded, length as i64)?;
            let keys = teacher.row_keys(&batch)?;
            let flows = self.compute(index, adaptor, &batch, payload)?;
            let borrowed: Vec<_> = flows
                .iter()
                .map(|(role, layers, tensors)| (role.as_str(), layers.as_deref(), tensors.as_slice()))
                .collect();
            let wholes = cached.wholes(&keys, &borrowed, payload)?;
            let sizes = wholes.iter().map(Whole::row_bytes).collect();
            let mut gather = Gather::new(&cached.keeps, keys.keys.len(), length, Device::Cpu);
            for (position, (_, row)) in cached.cut(&wholes, &keys).enumerate() {
                gather.put(position, &row)?;
            }
            Ok((sizes, gather.finish()?))
        };
        let (sizes, padded) = gather(keys.length).in_stage(&cached.name)?;
        if longest < keys.length
            && let Ok((_, short)) = gather(longest)
            && let Some(part) = padded.differs_from(&short)?
        {
            cached.follows_padding = true;
            cached.warnings.borrow_mut().push(format!(
                "`{part}` of {} depends on how far a row is padded: a cached row serves batches of its own padded length alone; pad to one length, or let the teacher mask its padding",
                cached.name
            ));
        }
        Ok(sizes)
    }

    /// What flows out of a teacher for a batch of its own.
    fn compute(&self, index: usize, adaptor: StageId, batch: &T, payload: &Payload) -> Result<Vec<Computed>> {
        let _guard = tch::no_grad_guard();
        let _autocast = self.precision.map(|kind| Autocast::enter(self.device, kind)).transpose()?;
        let teacher = self.teacher(index)?;
        let pass = Pass::evaluation(Wants::nothing()).for_teacher(self.plan().wants(adaptor));
        let output = teacher.forward(batch, &pass)?;
        let mut flows = Vec::new();
        for (_, _, flow) in self.plan().outputs(adaptor) {
            let Flow::Feature { role, layers } = flow else { continue };
            let tensors = super::reads::pick(role, teacher.read(role, batch, &*output)?, layers.as_deref())?;
            let tensors = if role == Logits::NAME { payload.of_logits(tensors)? } else { tensors };
            flows.push((role.clone(), layers.clone(), tensors));
        }
        Ok(flows)
    }

    /// The batch with the keys of its rows, where a cache asks for them: before it goes to a device.
    ///
    /// # Errors
    /// Those of the teachers' adaptors.
    pub fn keyed<B: Feeds<T, A::Batch>>(&self, batch: B) -> Result<Keyed<B>> {
        let mut keys = BTreeMap::new();
        for index in self.caches.iter().flat_map(|caches| caches.teachers.keys()) {
            keys.insert(*index, self.teacher(*index)?.row_keys(batch.teacher())?);
        }
        Ok(Keyed::new(batch, keys))
    }

    /// The teacher's features of a batch, where the cache has them all.
    pub(super) fn recalled<B: Feeds<T, A::Batch>>(
        &self,
        index: usize,
        batch: &B,
    ) -> Result<Option<Recalled>> {
        let Some(caches) = &self.caches else { return Ok(None) };
        match batch.row_keys(index) {
            Some(keys) => caches.recall(index, keys),
            None => caches.recall(index, &self.teacher(index)?.row_keys(batch.teacher())?),
        }
    }

    /// Keeps what a teacher computed for a batch.
    pub(super) fn keep<B: Feeds<T, A::Batch>>(
        &self,
        index: usize,
        batch: &B,
        flows: &[FlowOf<'_>],
    ) -> Result<()> {
        let Some(caches) = &self.caches else { return Ok(()) };
        match batch.row_keys(index) {
            Some(keys) => caches.keep(index, keys, flows),
            None => caches.keep(index, &self.teacher(index)?.row_keys(batch.teacher())?, flows),
        }
    }

    /// What the caches want a person to know since the last call.
    pub fn cache_warnings(&self) -> Vec<String> {
        let cached = self.caches.iter().flat_map(|caches| caches.teachers.values());
        cached
            .flat_map(|cached| {
                let mut warnings = std::mem::take(&mut *cached.warnings.borrow_mut());
                warnings.extend(cached.rows.warnings());
                warnings
            })
            .collect()
    }

    /// Makes what was kept outlast the process, and says what the caches did since the last call.
    pub fn flush_caches(&self) -> Vec<CacheReport> {
        let Some(caches) = &self.caches else { return Vec::new() };
        let report = |(index, cached): (&usize, &Cached)| {
            if let Err(error) = cached.rows.flush() {
                cached.warnings.borrow_mut().push(format!("rows of {} were not kept: {error}", cached.name));
            }
            cached.report(*index)
        };
        caches.teachers.iter().map(report).collect()
    }
}

/// Role, layers and tensors of a flow.
type Computed = (String, Option<Vec<i64>>, Vec<Tensor>);

/// Whether a loss reads a feature of a teacher together with a mask that the batch gives: then its
/// padding never counts.
fn is_masked(
    plan: &Plan,
    adaptor: StageId,
    reader: StageId,
    role: &str,
    given: impl Fn(&str) -> Result<bool>,
) -> Result<bool> {
    let Some(mask) = mask_of(role) else { return Ok(false) };
    let reads = plan
        .inputs(reader)
        .into_iter()
        .any(|(_, from, flow)| from == adaptor && matches!(flow, Flow::Feature { role, .. } if role == mask));
    Ok(reads && given(mask)?)
}

impl Cached {
    /// What the rows will cost.
    fn cost(&self, sizes: &[usize], keys: &RowKeys, rows: Option<usize>, place: &str) -> String {
        let keeps: Vec<String> = self.keeps.iter().map(ToString::to_string).collect();
        let row = sizes.iter().sum::<usize>();
        let length = match keys.length {
            0 => String::new(),
            length => format!(" of {length} tokens"),
        };
        let total = rows.map(|rows| {
            let megabytes = (row as f64) * (rows as f64) / 1e6;
            format!(", at that length {megabytes:.1} MB for {} rows", probe::thousands(rows))
        });
        let there = match self.rows.size().rows {
            0 => String::new(),
            rows => format!("; {} rows are there already", probe::thousands(rows)),
        };
        format!(
            "cache of {} ({place}): {}; {} bytes a row{length}{}{there}",
            self.name,
            keeps.join(", "),
            probe::thousands(row),
            total.unwrap_or_default()
        )
    }
}
