//! Using the teacher cache during a run: cached rows replace a teacher's forward pass, and computed features
//! are stored.
//!
//! A cached teacher's features always come from the cache, in the pass that fills it and in all later ones:
//! rounded to the payload's dtype, without padding, and, if two batches have the same row, as computed for
//! the first. The losses therefore depend neither on which rows were already cached nor on how often a run
//! was killed.

mod cached;
mod check;
mod open;
mod padding;

use std::any::Any;
use std::borrow::Cow;
use std::collections::BTreeMap;

use tch::{Device, Tensor};

use super::run::PassInputs;
use super::{Executor, Keys, reads};
use crate::adaptor::Adaptor;
use crate::batch::Feeds;
use crate::cache::{CacheReport, Payload, Recalled, RowKeys};
use crate::error::{Error, Result};
use crate::pass::Pass;
use crate::plan::{Flow, RecallStage, StageId};
use crate::role::{Logits, Role};

use cached::CachedTeacher;

/// Role, layers and tensors of a flow.
pub(super) type Computed = (String, Option<Vec<i64>>, Vec<Tensor>);

/// The caches of a pipeline's teachers.
#[derive(Debug)]
pub(super) struct Caches {
    payload: Payload,
    place: String,
    device: Device,
    teachers: BTreeMap<usize, CachedTeacher>,
}

impl Caches {
    /// The plan's stage of each cache.
    fn stages(&self) -> impl Iterator<Item = RecallStage> {
        self.teachers.iter().map(|(index, cached)| RecallStage {
            teacher: *index,
            place: self.place.clone(),
            payload: self.payload,
            keeps: cached.keeps.clone(),
        })
    }

    /// Reads a batch's features if every row is cached.
    fn recall(&self, index: usize, keys: &RowKeys) -> Result<Option<Recalled>> {
        let Some(cached) = self.teachers.get(&index) else { return Ok(None) };
        let Some(found) = cached.all(keys) else { return Ok(None) };
        match Recalled::read(&*cached.rows, &cached.keeps, &found, keys.length, self.device) {
            Ok(recalled) => {
                cached.found.set(cached.found.get() + found.len() as u64);
                Ok(Some(recalled))
            }
            Err(error) => {
                // The teacher can recompute what the cache has lost.
                cached.warn(format!(
                    "the teacher cache cannot be read, so {} computes the batch instead: {error}",
                    cached.name
                ));
                Ok(None)
            }
        }
    }
}

impl<T: 'static, A: Adaptor> Executor<'_, T, A> {
    /// A teacher's features for one of its batches, before anything is stored.
    fn compute(&self, index: usize, adaptor: StageId, batch: &T, pass: &Pass) -> Result<Vec<Computed>> {
        let _guard = tch::no_grad_guard();
        let autocast = self.autocast()?;
        let pass = pass.for_teacher(self.plan().wants(adaptor));
        let output = self.teacher(index)?.forward(batch, &pass)?;
        drop(autocast);
        self.flows(index, adaptor, batch, &*output)
    }

    /// The features that a teacher's adaptor provides.
    pub(super) fn flows(
        &self,
        index: usize,
        adaptor: StageId,
        batch: &T,
        output: &dyn Any,
    ) -> Result<Vec<Computed>> {
        let teacher = self.teacher(index)?;
        let mut flows = Vec::new();
        for (_, _, flow) in self.plan().outputs(adaptor) {
            let Flow::Feature { role, layers } = flow else { continue };
            if teacher.read_batch(role, batch)?.is_none() {
                let feature = teacher.read(role, batch, output)?;
                flows.push((role.clone(), layers.clone(), reads::pick(role, feature, layers.as_deref())?));
            }
        }
        Ok(flows)
    }

    /// The keys of a batch's rows, for each teacher that has a cache: best computed before the batch moves to
    /// a device.
    ///
    /// # Errors
    /// Those of the teachers' adaptors.
    pub(crate) fn keys<B: Feeds<T, A::Batch>>(&self, batch: &B) -> Result<Keys> {
        let cached = self.caches.iter().flat_map(|caches| caches.teachers.keys());
        cached.map(|index| Ok((*index, self.teacher(*index)?.row_keys(batch.teacher())?))).collect()
    }

    /// The teacher's features of a batch, if the cache has all of them. From time to time the teacher
    /// recomputes two of the rows for comparison.
    ///
    /// # Errors
    /// Those of the adaptor; cached rows that differ from the teacher's output, by row.
    pub(super) fn recalled<B: Feeds<T, A::Batch>>(
        &self,
        index: usize,
        inputs: &PassInputs<'_, B>,
        pass: &Pass,
    ) -> Result<Option<Recalled>> {
        let Some(caches) = &self.caches else { return Ok(None) };
        let Some(cached) = caches.teachers.get(&index) else { return Ok(None) };
        let keys = self.keys_of(index, inputs.batch, inputs.keys)?;
        let recalled = caches.recall(index, &keys)?;
        if let Some(recalled) = &recalled
            && cached.is_checked_now()
        {
            self.check_rows(index, cached, inputs.batch.teacher(), &keys, recalled, pass)?;
        }
        Ok(recalled)
    }

    /// The keys of a batch's rows: those computed before it moved to a device, or else computed here.
    fn keys_of<'k, B: Feeds<T, A::Batch>>(
        &self,
        index: usize,
        batch: &B,
        keys: &'k Keys,
    ) -> Result<Cow<'k, RowKeys>> {
        match keys.get(&index) {
            Some(keys) => Ok(Cow::Borrowed(keys)),
            None => Ok(Cow::Owned(self.teacher(index)?.row_keys(batch.teacher())?)),
        }
    }

    /// Whether this teacher has a cache.
    pub(super) fn is_cached(&self, index: usize) -> bool {
        self.caches.as_ref().is_some_and(|caches| caches.teachers.contains_key(&index))
    }

    /// Stores the features that a teacher computed for a batch, and returns them as stored.
    pub(super) fn settle<B: Feeds<T, A::Batch>>(
        &self,
        index: usize,
        batch: &B,
        keys: &Keys,
        flows: Vec<Computed>,
    ) -> Result<Recalled> {
        let cache = self.caches.as_ref().and_then(|caches| Some((caches, caches.teachers.get(&index)?)));
        let (caches, cached) = cache.ok_or_else(|| {
            Error::invalid(format!("the plan recalls teacher {index}, but that teacher has no cache"))
        })?;
        let keys = self.keys_of(index, batch, keys)?;
        cached.settle(&keys, &top(flows, &caches.payload)?, &caches.payload, caches.device)
    }

    /// Whether there are caches, and all of them are empty.
    pub(crate) fn caches_are_empty(&self) -> bool {
        let mut cached = self.caches.iter().flat_map(|caches| caches.teachers.values()).peekable();
        cached.peek().is_some() && cached.all(|cached| cached.rows.size().rows == 0)
    }

    /// Runs the teachers on a batch only to fill their caches.
    ///
    /// # Errors
    /// Those of the teachers.
    pub(crate) fn fill_caches<B: Feeds<T, A::Batch>>(&self, batch: &B) -> Result<()> {
        let keys = self.keys(batch)?;
        for (index, cached) in self.caches.iter().flat_map(|caches| &caches.teachers) {
            let is_there = keys.get(index).is_some_and(|keys| cached.all(keys).is_some());
            if batch.teacher_output(*index).is_none() && !is_there {
                let flows = self.compute(*index, cached.adaptor, batch.teacher(), &self.bare_pass())?;
                self.settle(*index, batch, &keys, flows)?;
            }
        }
        Ok(())
    }

    /// The caches' warnings since the last call.
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

    /// Makes the stored rows outlast the process.
    pub fn flush_caches(&self) {
        for cached in self.caches.iter().flat_map(|caches| caches.teachers.values()) {
            if let Err(error) = cached.rows.flush() {
                cached.warn(format!("rows of {} were not stored: {error}", cached.name));
            }
        }
    }

    /// The caches' statistics since the last call.
    pub fn cache_reports(&self) -> Vec<CacheReport> {
        let cached = self.caches.iter().flat_map(|caches| &caches.teachers);
        cached.map(|(index, cached)| cached.report(*index)).collect()
    }
}

/// The computed features that arrived at a cache's stage.
pub(super) fn computed(arrived: Vec<(&Flow, Vec<Tensor>)>) -> Vec<Computed> {
    let of_flow = |(flow, tensors): (&Flow, Vec<Tensor>)| match flow {
        Flow::Feature { role, layers } => Some((role.clone(), layers.clone(), tensors)),
        _ => None,
    };
    arrived.into_iter().filter_map(of_flow).collect()
}

/// The flows with logits in the payload's form.
fn top(flows: Vec<Computed>, payload: &Payload) -> Result<Vec<Computed>> {
    let of_role = |(role, layers, tensors): Computed| {
        let tensors = if role == Logits::NAME { payload.of_logits(tensors)? } else { tensors };
        Ok((role, layers, tensors))
    };
    flows.into_iter().map(of_role).collect()
}
