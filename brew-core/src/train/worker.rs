//! The typed pipeline with its executor and its data, behind the type-erased [`Work`].

use std::cell::{OnceCell, RefCell};

use tch::{Device, Tensor};

use super::erased_executor::ErasedExecutor;
use super::label_names::label_names;
use super::length::PerEpoch;
use super::work::{MicroBatch, NOTHING, SomeBatches, Work};
use crate::adaptor::Adaptor;
use crate::batch::{Batch as _, Batches, Extreme, Feeds, Position, Walk, Wanted};
use crate::cache::TeacherCache;
use crate::distill::Pipeline;
use crate::error::{Error, Problem, Result};
use crate::execute::{BatchCounts, Executor, Keys, StepLosses, Window, tokens};
use crate::model::Model as _;
use crate::parameters::Parameters;
use crate::pass::Pass;
use crate::rollout::TextRow;

/// The first batch of the first epoch, and the batches after it.
type OpenedEpoch<'p, B> = Option<(B, Walk<'p, B>)>;

/// A pipeline, its executor and its data.
pub(crate) struct Worker<'p, T: 'static, A: Adaptor, D: Batches> {
    pipeline: &'p Pipeline<T, A>,
    executor: Executor<'p, T, A>,
    data: &'p D,
    /// The first epoch, opened once: the probe and the caches look at its first batch, and the loop then
    /// takes all of it.
    opened: RefCell<OpenedEpoch<'p, D::Batch>>,
    /// The first two rows, once requested.
    rows: OnceCell<D::Batch>,
    /// Warnings that the first two rows gave.
    warnings: RefCell<Vec<String>>,
}

impl<'p, T: 'static, A: Adaptor, D: Batches> Worker<'p, T, A, D> {
    pub(crate) fn new(pipeline: &'p Pipeline<T, A>, data: &'p D, seed: i64) -> Result<Self> {
        Ok(Worker {
            pipeline,
            executor: Executor::new(pipeline, seed)?,
            data,
            opened: RefCell::default(),
            rows: OnceCell::new(),
            warnings: RefCell::default(),
        })
    }

    fn device(&self) -> Device {
        self.pipeline.student.parameters().device()
    }
}

impl<'p, T: 'static, A: Adaptor, D: Batches> Worker<'p, T, A, D>
where
    D::Batch: Feeds<T, A::Batch>,
{
    /// The first batch, on the student's device.
    fn first(&self) -> Result<D::Batch> {
        let mut opened = self.opened.borrow_mut();
        if opened.is_none() {
            let mut walk = self.data.epoch(0)?;
            let first = walk.next().ok_or_else(|| Error::invalid(NOTHING))??;
            *opened = Some((first, walk));
        }
        let (first, _) = opened.as_ref().ok_or_else(|| Error::invalid(NOTHING))?;
        first.to_device(self.device())
    }

    fn first_two(&self) -> Result<&D::Batch> {
        if let Some(rows) = self.rows.get() {
            return Ok(rows);
        }
        let rows = self.executor.unwritten(self.first()?.first_rows(2)?)?;
        Ok(self.rows.get_or_init(|| rows))
    }

    /// The wanted batches from a position on, as the data yields them; at the start of the first epoch, the batches
    /// that are already open, unless the data can make only those that are wanted.
    fn batches(&self, from: &Position, wanted: Option<&Wanted>) -> Result<Walk<'p, Option<D::Batch>>> {
        let opened = self.opened.take();
        if let Some(wanted) = wanted
            && let Some(part) = self.data.epoch_part(from.epoch, from.batch, wanted)?
        {
            return Ok(part);
        }
        let batches: Walk<'p, D::Batch> = match opened {
            Some((first, rest)) if (from.epoch, from.batch) == (0, 0) => {
                Box::new(std::iter::once(Ok(first)).chain(rest))
            }
            _ => self.data.epoch_from(from.epoch, from.batch)?,
        };
        let wanted = wanted.cloned();
        let is_wanted = move |number| wanted.as_ref().is_none_or(|wanted| wanted(number));
        let batches = (from.batch..).zip(batches);
        Ok(Box::new(batches.map(move |(number, batch)| Ok(Some(batch?).filter(|_| is_wanted(number))))))
    }
}

impl<T: 'static, A: Adaptor, D: Batches> Work for Worker<'_, T, A, D>
where
    D::Batch: Feeds<T, A::Batch>,
{
    fn executor(&self) -> &dyn ErasedExecutor {
        &self.executor
    }

    fn executor_mut(&mut self) -> &mut dyn ErasedExecutor {
        &mut self.executor
    }

    fn probe(&self) -> Result<Vec<String>> {
        let rows = self.first_two()?;
        let names = label_names::<A>(self.data, rows.student())?;
        let vocabulary = |column: &str| self.data.vocabulary(column);
        let written = self.executor.written_for_check(rows)?;
        let rows = written.as_ref().unwrap_or(rows);
        let probe = self.executor.probe_data(rows, names.as_deref(), &vocabulary)?;
        *self.warnings.borrow_mut() = probe.warnings;
        let mut problems = Vec::new();
        for Extreme { row, batch } in self.data.extremes()? {
            match self.executor.unwritten(batch.to_device(self.device())?) {
                Ok(batch) => problems.extend(self.executor.probe_row(&row, &batch)?),
                Err(error) => problems.push(Problem::Unfit {
                    stage: "rollout".to_owned(),
                    message: format!("{row}: {}", error.within("rollout")),
                }),
            }
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

    fn refill_caches(&self, position: &Position) -> Result<()> {
        if !self.executor.caches_are_empty() {
            return Ok(());
        }
        for epoch in 0..=position.epoch {
            let batches = if epoch == position.epoch { position.batch } else { usize::MAX };
            for batch in self.data.epoch(epoch)?.take(batches) {
                let batch = batch?;
                self.executor.check_packed(&batch)?;
                self.executor.fill_caches(&batch.to_device(self.device())?)?;
            }
        }
        Ok(())
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

    fn start(&self) -> Result<Position> {
        Position::start(self.data)
    }

    fn walk(&self, from: &Position, wanted: Option<&Wanted>) -> Result<SomeBatches<'_>> {
        let run = |batch: Result<Option<D::Batch>>| -> Result<Option<Box<dyn MicroBatch + '_>>> {
            let Some(batch) = batch? else { return Ok(None) };
            if self.executor.plan().rollout().is_none() {
                self.executor.check_packed(&batch)?;
            }
            // Hashing needs the bytes on the CPU, so it comes before the batch moves to a device.
            let keys = self.executor.keys(&batch)?;
            let batch = batch.to_device(self.device())?;
            Ok(Some(Box::new(Runnable { executor: &self.executor, batch, keys })))
        };
        Ok(Box::new(self.batches(from, wanted)?.map(run)))
    }

    fn check(&self, position: &Position) -> Result<()> {
        position.check(self.data)
    }
}

/// A batch together with its executor.
struct Runnable<'w, 'p, T: 'static, A: Adaptor, B> {
    executor: &'w Executor<'p, T, A>,
    batch: B,
    keys: Keys,
}

impl<T: 'static, A: Adaptor, B: Feeds<T, A::Batch>> MicroBatch for Runnable<'_, '_, T, A, B> {
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

    fn texts(&self) -> Result<Vec<TextRow>> {
        self.executor.texts(&self.batch)
    }

    fn put(&mut self, texts: &[TextRow]) -> Result<()> {
        self.batch = self.executor.batch_of(texts)?;
        Ok(())
    }

    fn run(&self, pass: &Pass, window: Option<&Window>, notes_apart: bool) -> Result<StepLosses> {
        self.executor.run_keyed((&self.batch, &self.keys), pass, window, notes_apart)
    }
}
