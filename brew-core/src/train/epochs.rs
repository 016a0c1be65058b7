//! The loop: epochs, windows of batches, steps.

use std::path::Path;
use std::time::Instant;

use super::optimizer::Optimizer;
use super::{Trained, Trainer, clip, run_folder::RunFolder};
use crate::adaptor::Adaptor;
use crate::batch::{Batch as _, Batches, Feeds};
use crate::error::{Error, InStage as _, Result};
use crate::execute::{Executor, StepLosses, Window};
use crate::model::{Model as _, write_weights};
use crate::observe::{BatchReport, Event, MetricsFile, Progress, StepReport, Summary};
use crate::pass::{Pass, Wants};
use crate::plan::{OptimizerChanges, Semantics};

/// Everything that moves during a run.
struct Run<'r, 'o, T: 'static, A: Adaptor> {
    trainer: &'r Trainer<'o, T, A>,
    executor: Executor<'r, T, A>,
    /// The student's parameters, and those of projections and losses, each with its moments.
    student: Optimizer,
    projections: Optimizer,
    steps: u64,
    step: u64,
    examples: u64,
    seconds: f64,
    evaluations: Vec<f64>,
}

/// Trains a pipeline on data of known length.
pub(super) fn run<'o, T, A, B, D>(mut trainer: Trainer<'o, T, A>, data: &D) -> Result<Trained<A>>
where
    T: 'static,
    A: Adaptor,
    B: Feeds<T, A::Batch>,
    D: Batches<Batch = B>,
{
    let batches =
        data.batches_per_epoch().ok_or_else(|| Error::invalid("epochs need data whose length is known"))?;
    if batches == 0 {
        return Err(Error::invalid("there is nothing to train on: the data has no rows"));
    }
    let steps_per_epoch = batches.div_ceil(trainer.accumulation) as u64;
    let mut observers = std::mem::take(&mut trainer.observers);
    if observers.is_empty() {
        observers.push(Box::new(Progress::new("brew")));
    }
    let mut executor = Executor::new(&trainer.pipeline, trainer.seed)?;
    if let Some(given) = &trainer.projections {
        executor.projections().start_from(given)?;
    }
    let first = data.epoch(0)?.next().ok_or_else(|| Error::invalid("the data's first epoch is empty"))??;
    let device = trainer.pipeline.student.parameters().device();
    let first = first.to_device(device)?;
    let mut probe = executor.probe(&first)?;
    if let Some(cache) = &trainer.teacher_cache {
        probe.found.extend(executor.cache_teachers(&**cache, &first, data)?);
    }
    drop(first);

    let folder = match &trainer.run_dir {
        Some(path) => Some(RunFolder::create(path, &trainer.config(), executor.plan())?),
        None => None,
    };
    if let Some(folder) = &folder {
        observers.push(Box::new(MetricsFile::create(&folder.metrics())?));
    }
    let mut tell = |event: &Event<'_>| observers.iter_mut().for_each(|observer| observer.on(event));
    if let Some(aside) = folder.as_ref().and_then(RunFolder::moved_aside) {
        tell(&Event::Warning(&format!("the folder held a run already; it is now {}", aside.display())));
    }

    let steps = steps_per_epoch * trainer.epochs;
    tell(&Event::Started { plan: executor.plan(), found: &probe.found, steps, epochs: trainer.epochs });
    for warning in trainer.warnings() {
        tell(&Event::Warning(&warning));
    }
    let mut student = Optimizer::new(trainer.optimizer, trainer.semantics());
    student.add(OptimizerChanges::default(), &trainer.pipeline.student.parameters())?;
    let mut projections = Optimizer::new(trainer.optimizer, trainer.semantics());
    for (changes, parameters) in executor.learned_groups() {
        projections.add(changes, &parameters)?;
    }
    let mut run = Run {
        student,
        projections,
        trainer: &trainer,
        executor,
        steps,
        step: 0,
        examples: 0,
        seconds: 0.0,
        evaluations: Vec::new(),
    };
    if run.student.count() == 0 {
        return Err(Error::invalid(
            "the student has no parameter that requires a gradient: nothing would be trained",
        ));
    }
    for epoch in 0..trainer.epochs {
        run.epoch(epoch, data, &mut tell)?;
    }
    let summary = run.summary();
    let projections = run.executor.learned();
    tell(&Event::Finished(&summary));
    if let Some(folder) = &folder {
        // What was trained is in hand: that it cannot be written must not lose it.
        let mut wrote = |path: &Path, written: Result<()>| match written {
            Ok(()) => tell(&Event::Saved(path)),
            Err(error) => tell(&Event::Warning(&format!("not written to the run folder: {error}"))),
        };
        wrote(&folder.student(), trainer.pipeline.student.save(&folder.student()));
        if projections.scalars() > 0 {
            wrote(&folder.projections(), write_weights(&folder.projections(), &projections));
        }
    }
    Ok(Trained { student: trainer.pipeline.into_student(), projections, summary })
}

impl<T: 'static, A: Adaptor> Run<'_, '_, T, A> {
    fn epoch<B, D>(&mut self, epoch: u64, data: &D, tell: &mut impl FnMut(&Event<'_>)) -> Result<()>
    where
        B: Feeds<T, A::Batch>,
        D: Batches<Batch = B>,
    {
        let device = self.trainer.pipeline.student.parameters().device();
        let mut batches = data.epoch(epoch)?;
        let mut index = 0_usize;
        loop {
            let started = Instant::now();
            let mut window = Vec::with_capacity(self.trainer.accumulation);
            for batch in batches.by_ref().take(self.trainer.accumulation) {
                window.push(self.executor.keyed(batch?)?.to_device(device)?);
            }
            if window.is_empty() {
                break;
            }
            let first = index;
            index += window.len();
            let report = self.window(epoch, &window, tell).map_err(|error| {
                Error::other(format!("epoch {epoch}, batches {first} to {}: {error}", index - 1))
            })?;
            self.examples += window.iter().map(|batch| batch.student().rows() as u64).sum::<u64>();
            self.seconds += started.elapsed().as_secs_f64();
            tell(&Event::Step(&StepReport { examples_per_second: self.speed(), ..report }));
        }
        self.cached(epoch, tell);
        if let Some(evaluation) = &self.trainer.evaluation {
            let value = (evaluation.of)(&self.trainer.pipeline.student)?;
            self.evaluations.push(value);
            tell(&Event::Evaluated { epoch, step: self.step, metric: evaluation.metric, value });
        }
        Ok(())
    }

    /// One optimizer step over a window of batches.
    fn window<B: Feeds<T, A::Batch>>(
        &mut self,
        epoch: u64,
        batches: &[B],
        tell: &mut impl FnMut(&Event<'_>),
    ) -> Result<StepReport> {
        let trainer = self.trainer;
        let counts = match batches.len() {
            1 => None,
            _ => Some(Window::of::<T, A, B>(trainer.semantics(), batches)?),
        };
        self.student.zero_gradients();
        self.projections.zero_gradients();
        for (stage, loss) in self.executor.losses() {
            loss.before_step(self.step, self.steps).in_stage(stage)?;
        }
        let log = self.step.is_multiple_of(trainer.log_every) || self.step + 1 == self.steps;
        let mut logged = Vec::new();
        for (index, batch) in batches.iter().enumerate() {
            // Seeded anew each time, so that a step can be replayed without the steps before it.
            tch::manual_seed(mix(trainer.seed, self.step, index as u64));
            let pass = Pass::training(self.step, Wants::nothing()).of_steps(self.steps);
            let losses = self.executor.run(batch, &pass, counts.as_ref(), &mut |_, _| {})?;
            losses.total.f_backward()?;
            if log {
                let losses = read(&losses)?;
                add_up(&mut logged, &losses);
                let (step, batches) = (self.step + 1, batches.len());
                tell(&Event::Batch(&BatchReport { epoch, step, index, batches, losses }));
            }
        }
        if let Some(norm) = trainer.max_gradient_norm {
            match trainer.semantics() {
                Semantics::TextBrewer => clip::clip(self.student.parameters(), norm)?,
                Semantics::Exact => {
                    clip::clip(self.student.parameters().chain(self.projections.parameters()), norm)?
                }
            }
        }
        let multiplier = trainer.schedule.multiplier(self.step, self.steps);
        self.student.step(multiplier)?;
        self.projections.step(multiplier)?;
        for (stage, loss) in self.executor.losses() {
            loss.after_step().in_stage(stage)?;
        }
        self.step += 1;
        let losses = log.then_some(logged);
        Ok(StepReport {
            epoch,
            step: self.step,
            steps: self.steps,
            learning_rate: trainer.optimizer.learning_rate * multiplier,
            losses,
            examples_per_second: 0.0,
        })
    }

    /// What the teacher cache did in an epoch.
    fn cached(&self, epoch: u64, tell: &mut impl FnMut(&Event<'_>)) {
        for report in self.executor.flush_caches() {
            tell(&Event::TeacherCache { epoch, report: &report });
            if epoch > 0 && report.computed > report.found {
                tell(&Event::Warning(&format!(
                    "{} of {} rows were not in the cache of {}, although the epochs before kept theirs: do the rows differ from epoch to epoch?",
                    report.computed,
                    report.computed + report.found,
                    report.name
                )));
            }
        }
        for warning in self.executor.cache_warnings() {
            tell(&Event::Warning(&warning));
        }
    }

    fn speed(&self) -> f64 {
        self.examples as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }

    fn summary(&self) -> Summary {
        Summary {
            steps: self.step,
            examples: self.examples,
            seconds: self.seconds,
            examples_per_second: self.speed(),
            evaluations: self.evaluations.clone(),
        }
    }
}

/// The losses of a batch as numbers: `total` first, then each by name.
fn read(losses: &StepLosses) -> Result<Vec<(String, f64)>> {
    let total = [("total", &losses.total)].into_iter();
    let terms = losses.terms.iter().map(|(name, value)| (name.as_str(), value));
    total.chain(terms).map(|(name, value)| Ok((name.to_owned(), value.f_double_value(&[])?))).collect()
}

/// Adds a batch's share to the losses of its window.
fn add_up(logged: &mut Vec<(String, f64)>, losses: &[(String, f64)]) {
    if logged.is_empty() {
        logged.extend_from_slice(losses);
    } else {
        logged.iter_mut().zip(losses).for_each(|((_, sum), (_, value))| *sum += value);
    }
}

/// One seed of three numbers (the finalizer of SplitMix64 over their sum with odd factors).
fn mix(seed: i64, step: u64, batch: u64) -> i64 {
    let mut state = (seed as u64)
        .wrapping_add(step.wrapping_mul(0x9E37_79B9_7F4A_7C15))
        .wrapping_add(batch.wrapping_mul(0xD1B5_4A32_D192_ED03));
    state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (state ^ (state >> 31)) as i64
}
