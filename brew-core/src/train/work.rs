//! A pipeline at work on its data, with the types of both erased: what the loop drives.
//!
//! So one loop serves every pipeline, and several at once: it asks for the next batch and gets it with
//! the executor that runs it.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use tch::{Device, Kind, Tensor};

use super::label_names::label_names;
use super::length::PerEpoch;
use crate::adaptor::Adaptor;
use crate::batch::{Batch as _, Batches, Extreme, Feeds, Position, Walk};
use crate::cache::{CacheReport, TeacherCache};
use crate::distill::Pipeline;
use crate::error::{Error, InStage as _, Result};
use crate::execute::{BatchCounts, Executor, Keys, StepLosses, Window, tokens};
use crate::loss::Learns;
use crate::model::Model as _;
use crate::parameters::Parameters;
use crate::pass::Pass;
use crate::plan::{OptimizerChanges, Plan};
use crate::schedule::Weight;

/// A pipeline with its executor and its data.
pub(crate) trait Work {
    /// The plan that is run.
    fn plan(&self) -> &Plan;
    /// The plan as it was declared, without what the run added.
    fn declared(&self) -> &Plan;
    /// The student's parameters.
    fn student(&self) -> Parameters;
    /// What is learned beside the student, by name.
    fn learned(&self) -> Parameters;
    /// The learned projections alone.
    fn projections(&self) -> Parameters;
    /// What is learned in groups, with what each changes of the optimizer's settings.
    fn learned_groups(&self) -> Vec<(OptimizerChanges, Parameters)>;
    /// Takes another's projections in place of its own, where name and size are equal.
    fn share_projections(&mut self, with: &Parameters);
    /// Lets the models compute in this dtype; `None` is float32.
    fn compute_in(&mut self, kind: Option<Kind>) -> Result<()>;
    /// Runs two rows and those that hold the extremes of the data, and says what they showed.
    fn probe(&self) -> Result<Vec<String>>;
    /// Two rows of the data (`rows/<column>`) and what the student gives for them (`outputs/<role>`).
    fn outputs(&self) -> Result<Parameters>;
    /// Reads and keeps the teachers' features in a cache, under the task's name, from now on.
    fn cache_teachers(&mut self, cache: &dyn TeacherCache, task: Option<&str>) -> Result<Vec<String>>;
    /// What each of the teachers is, as values by name: the hash of its tensors, and its identity.
    fn teachers(&self) -> Result<Vec<BTreeMap<String, String>>>;
    /// What the student is beside its tensors, as values by name.
    fn student_identity(&self) -> Result<BTreeMap<String, String>>;
    /// Fills caches that are empty as the batches before this position did.
    fn refill_caches(&self, position: &Position) -> Result<()>;
    /// Makes what was kept outlast the process.
    fn flush_caches(&self);
    /// What the caches did since the last call, and their warnings.
    fn cache_reports(&self) -> (Vec<CacheReport>, Vec<String>);
    /// Batches in the first so many epochs of the data, where that is known.
    fn batches_per_epoch(&self, epochs: u64) -> Result<Option<PerEpoch>>;
    /// Examples in every epoch of the data, where that is known.
    fn rows(&self) -> Option<usize>;
    /// What a person should know before the first step.
    fn warnings(&self, accumulation: usize) -> Vec<String>;
    /// The weights that change over the run, by their losses' names: their values at these steps.
    fn scheduled_weights(&self, at: &BTreeSet<u64>, steps: u64) -> Vec<(String, Vec<f64>)>;
    /// What losses carry from step to step, by stage and name.
    fn carried(&self) -> Result<Vec<(String, Tensor)>>;
    /// Gives losses what they carried, as [`Work::carried`] named it.
    fn carry_on(&self, carried: &BTreeMap<String, Tensor>) -> Result<()>;
    /// Tells the losses that an optimizer step begins.
    fn before_step(&self, step: u64, steps: u64) -> Result<()>;
    /// Tells the losses that it is done.
    fn after_step(&self) -> Result<()>;
    /// The batches, from the first epoch on.
    fn stream<'w>(&'w self) -> Result<Box<dyn Stream<'w> + 'w>>;
}

/// The batches of one pipeline, epoch after epoch.
pub(crate) trait Stream<'w> {
    /// The next batch of this epoch, on the student's device; `None` where the epoch is over.
    fn next(&mut self) -> Result<Option<Box<dyn MicroBatch + 'w>>>;
    /// Goes on to the next epoch.
    fn next_epoch(&mut self);
    /// Where the next batch is.
    fn position(&self) -> &Position;
    /// Goes on from a position that was taken in the same data.
    fn go_to(&mut self, position: &Position) -> Result<()>;
}

/// A batch with the executor that runs it.
pub(crate) trait MicroBatch {
    /// Number of rows.
    fn rows(&self) -> u64;
    /// What the student reads, by column.
    fn tensors(&self) -> Parameters;
    /// The positions that its mask keeps, a scalar on its device; `None` where it has no mask.
    fn tokens(&self) -> Result<Option<Tensor>>;
    /// What it counts in a window of several.
    fn counts(&self) -> Result<BatchCounts>;
    /// Its losses.
    fn run(&self, pass: &Pass, window: Option<&Window>) -> Result<StepLosses>;
}

/// A pipeline, its executor and its data.
pub(crate) struct Worker<'p, T: 'static, A: Adaptor, D: Batches> {
    pipeline: &'p Pipeline<T, A>,
    executor: Executor<'p, T, A>,
    data: &'p D,
    /// The first two rows, once they were asked for.
    rows: OnceCell<D::Batch>,
    /// What the first two rows warned of.
    warnings: RefCell<Vec<String>>,
}

impl<'p, T: 'static, A: Adaptor, D: Batches> Worker<'p, T, A, D> {
    pub(crate) fn new(pipeline: &'p Pipeline<T, A>, data: &'p D, seed: i64) -> Result<Self> {
        Ok(Worker {
            pipeline,
            executor: Executor::new(pipeline, seed)?,
            data,
            rows: OnceCell::new(),
            warnings: RefCell::default(),
        })
    }

    fn device(&self) -> Device {
        self.pipeline.student.parameters().device()
    }

    /// Does this with every loss that learns or carries something.
    fn each_learns(&self, mut work: impl FnMut(&mut dyn Learns) -> Result<()>) -> Result<()> {
        self.executor
            .losses()
            .try_for_each(|(stage, loss)| loss.learns(&mut work).unwrap_or(Ok(())).in_stage(stage))
    }
}

impl<T: 'static, A: Adaptor, D: Batches> Worker<'_, T, A, D>
where
    D::Batch: Feeds<T, A::Batch>,
{
    fn first(&self) -> Result<D::Batch> {
        let first = self.data.epoch(0)?.next().ok_or_else(|| Error::invalid(NOTHING))??;
        first.to_device(self.device())
    }

    fn first_two(&self) -> Result<&D::Batch> {
        if let Some(rows) = self.rows.get() {
            return Ok(rows);
        }
        let rows = self.first()?.first_rows(2)?;
        Ok(self.rows.get_or_init(|| rows))
    }
}

impl<T: 'static, A: Adaptor, D: Batches> Work for Worker<'_, T, A, D>
where
    D::Batch: Feeds<T, A::Batch>,
{
    fn plan(&self) -> &Plan {
        self.executor.plan()
    }

    fn declared(&self) -> &Plan {
        self.executor.declared()
    }

    fn student(&self) -> Parameters {
        self.pipeline.student.parameters()
    }

    fn learned(&self) -> Parameters {
        self.executor.learned()
    }

    fn projections(&self) -> Parameters {
        self.executor.projections().parameters()
    }

    fn learned_groups(&self) -> Vec<(OptimizerChanges, Parameters)> {
        self.executor.learned_groups().collect()
    }

    fn share_projections(&mut self, with: &Parameters) {
        self.executor.share_projections(with);
    }

    fn compute_in(&mut self, kind: Option<Kind>) -> Result<()> {
        self.executor.compute_in(kind)
    }

    fn probe(&self) -> Result<Vec<String>> {
        let rows = self.first_two()?;
        let names = label_names::<A>(self.data, rows.student())?;
        let probe = self.executor.probe_named(rows, names.as_deref())?;
        *self.warnings.borrow_mut() = probe.warnings;
        let mut problems = Vec::new();
        for Extreme { row, batch } in self.data.extremes()? {
            problems.extend(self.executor.probe_row(&row, &batch.to_device(self.device())?)?);
        }
        if problems.is_empty() { Ok(probe.found) } else { Err(Error::Plan(problems)) }
    }

    fn outputs(&self) -> Result<Parameters> {
        let rows = self.first_two()?;
        let outputs = self.executor.student_outputs(rows)?.into_iter();
        let outputs = outputs.map(|(name, tensor)| (format!("outputs/{name}"), tensor));
        let rows = rows.student().tensors().into_iter();
        let rows = rows.map(|(name, tensor)| (format!("rows/{name}"), tensor.shallow_clone()));
        Ok(Parameters::new(outputs.chain(rows)))
    }

    fn cache_teachers(&mut self, cache: &dyn TeacherCache, task: Option<&str>) -> Result<Vec<String>> {
        let first = self.first()?;
        self.executor.cache_teachers(cache, task, &first, self.data)
    }

    fn teachers(&self) -> Result<Vec<BTreeMap<String, String>>> {
        self.executor.teachers()
    }

    fn student_identity(&self) -> Result<BTreeMap<String, String>> {
        let mut identity = self.pipeline.student.identity()?;
        identity.insert("adaptor".to_owned(), std::any::type_name::<A>().to_owned());
        Ok(identity)
    }

    fn refill_caches(&self, position: &Position) -> Result<()> {
        if !self.executor.caches_are_empty() {
            return Ok(());
        }
        for epoch in 0..=position.epoch {
            let batches = if epoch == position.epoch { position.batch } else { usize::MAX };
            for batch in self.data.epoch(epoch)?.take(batches) {
                self.executor.fill_caches(&batch?.to_device(self.device())?)?;
            }
        }
        Ok(())
    }

    fn flush_caches(&self) {
        self.executor.flush_caches();
    }

    fn cache_reports(&self) -> (Vec<CacheReport>, Vec<String>) {
        (self.executor.cache_reports(), self.executor.cache_warnings())
    }

    fn batches_per_epoch(&self, epochs: u64) -> Result<Option<PerEpoch>> {
        if let Some(batches) = self.data.batches_per_epoch() {
            return Ok(Some(PerEpoch::Equal(batches as u64)));
        }
        let each = (0..epochs).map(|epoch| self.data.batches_in(epoch));
        let each = each.map(|batches| Ok(batches?.map(|batches| batches as u64)));
        Ok(each.collect::<Result<Option<Vec<u64>>>>()?.map(PerEpoch::Each))
    }

    fn rows(&self) -> Option<usize> {
        self.data.rows()
    }

    fn warnings(&self, accumulation: usize) -> Vec<String> {
        let mut warnings = self.pipeline.warnings_of_window(accumulation);
        warnings.extend(self.warnings.borrow().iter().cloned());
        warnings
    }

    fn scheduled_weights(&self, at: &BTreeSet<u64>, steps: u64) -> Vec<(String, Vec<f64>)> {
        let semantics = self.plan().semantics();
        let scheduled = self.executor.weights().filter(|(_, weight)| weight.schedule().is_some());
        let values = |weight: &Weight| at.iter().map(|step| weight.at(semantics, *step, steps)).collect();
        scheduled.map(|(name, weight)| (name.to_owned(), values(weight))).collect()
    }

    fn carried(&self) -> Result<Vec<(String, Tensor)>> {
        let mut carried = Vec::new();
        for (stage, loss) in self.executor.losses() {
            let state = loss.learns(|learns| learns.state()).transpose().in_stage(stage)?.unwrap_or_default();
            carried.extend(state.into_iter().map(|(name, tensor)| (format!("{stage}.{name}"), tensor)));
        }
        Ok(carried)
    }

    fn carry_on(&self, carried: &BTreeMap<String, Tensor>) -> Result<()> {
        for (stage, loss) in self.executor.losses() {
            let of_stage = carried.iter().filter_map(|(name, tensor)| {
                let name = name.strip_prefix(stage)?.strip_prefix('.')?;
                Some((name.to_owned(), tensor.shallow_clone()))
            });
            let of_stage = of_stage.collect();
            loss.learns(|learns| learns.restore(&of_stage)).transpose().in_stage(stage)?;
        }
        Ok(())
    }

    fn before_step(&self, step: u64, steps: u64) -> Result<()> {
        self.each_learns(|learns| learns.before_step(step, steps))
    }

    fn after_step(&self) -> Result<()> {
        self.each_learns(|learns| learns.after_step())
    }

    fn stream<'w>(&'w self) -> Result<Box<dyn Stream<'w> + 'w>> {
        Ok(Box::new(Streaming { worker: self, position: Position::start(self.data)?, batches: None }))
    }
}

/// Said of data that yields nothing.
pub(super) const NOTHING: &str = "there is nothing to train on: the data has no rows";

struct Streaming<'w, 'p, T: 'static, A: Adaptor, D: Batches> {
    worker: &'w Worker<'p, T, A, D>,
    position: Position,
    /// What is left of this epoch, once it was begun.
    batches: Option<Walk<'w, D::Batch>>,
}

impl<'w, T: 'static, A: Adaptor, D: Batches> Stream<'w> for Streaming<'w, '_, T, A, D>
where
    D::Batch: Feeds<T, A::Batch>,
{
    fn next(&mut self) -> Result<Option<Box<dyn MicroBatch + 'w>>> {
        let batches = match &mut self.batches {
            Some(batches) => batches,
            none => none.insert(self.worker.data.epoch_from(self.position.epoch, self.position.batch)?),
        };
        let Some(batch) = batches.next() else { return Ok(None) };
        let batch = batch?;
        let keys = self.worker.executor.keys(&batch)?;
        let batch = batch.to_device(self.worker.device())?;
        self.position.batch += 1;
        Ok(Some(Box::new(Taken { executor: &self.worker.executor, batch, keys })))
    }

    fn next_epoch(&mut self) {
        (self.position, self.batches) = (self.position.next_epoch(), None);
    }

    fn position(&self) -> &Position {
        &self.position
    }

    fn go_to(&mut self, position: &Position) -> Result<()> {
        position.check(self.worker.data)?;
        (self.position, self.batches) = (position.clone(), None);
        Ok(())
    }
}

struct Taken<'w, 'p, T: 'static, A: Adaptor, B> {
    executor: &'w Executor<'p, T, A>,
    batch: B,
    keys: Keys,
}

impl<T: 'static, A: Adaptor, B: Feeds<T, A::Batch>> MicroBatch for Taken<'_, '_, T, A, B> {
    fn rows(&self) -> u64 {
        self.batch.student().rows() as u64
    }

    fn tensors(&self) -> Parameters {
        let tensors = self.batch.student().tensors().into_iter();
        Parameters::new(tensors.map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone())))
    }

    fn tokens(&self) -> Result<Option<Tensor>> {
        tokens::<A>(self.batch.student())
    }

    fn counts(&self) -> Result<BatchCounts> {
        self.executor.counts(&self.batch)
    }

    fn run(&self, pass: &Pass, window: Option<&Window>) -> Result<StepLosses> {
        self.executor.run_keyed((&self.batch, &self.keys), pass, window)
    }
}
