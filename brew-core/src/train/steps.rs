//! The loop: windows of batches, optimizer steps, evaluation and checkpoints.
//!
//! There is one, for runs of epochs and of optimizer steps, for one pipeline and for several tasks. Runs
//! of epochs and of steps differ in where a window may end, which [`Source`] knows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use tch::Device;
use tracing::{debug_span, info_span};

use super::buffers::Buffers;
use super::checkpoint::{Checkpoint, State};
use super::clip;
use super::length::Length;
use super::not_finite::with_mend;
use super::optimizer::{Groups, SparseUpdates};
use super::outputs::outputs_of;
use super::precision::LossScale;
use super::random::mix;
use super::run::Caller;
use super::run_folder::RunFolder;
use super::settings::Settings;
use super::signals::Listening;
use super::source::{Drawn, Named, Source};
use super::tokens::Tokens;
use crate::error::{Error, Result};
use crate::execute::{BatchCounts, StepLosses, Window};
use crate::observe::{BatchReport, Best, Event, StepReport, Summary};
use crate::parameters::Parameters;
use crate::pass::{Pass, Wants};
use crate::semantics::Semantics;

/// Everything that moves during a run.
pub(super) struct Run<'r, 'o> {
    pub(super) settings: &'r Settings<'o>,
    pub(super) semantics: Semantics,
    pub(super) tasks: &'r [Named<'r>],
    pub(super) source: Source<'r>,
    /// The student's parameters, and those of projections and losses, each with its moments.
    pub(super) student: Groups,
    pub(super) learned: Groups,
    /// What the loss is multiplied by in float16.
    pub(super) scale: Option<LossScale>,
    pub(super) length: Length,
    pub(super) folder: Option<&'r RunFolder>,
    pub(super) step: u64,
    pub(super) examples: u64,
    pub(super) tokens: Tokens,
    pub(super) seconds: f64,
    pub(super) evaluations: Vec<f64>,
    pub(super) best: Option<Best>,
    pub(super) evaluations_since_best: u64,
    /// Steps that were left out for a loss that was not finite.
    pub(super) skipped: u64,
    /// The epoch of an evaluation of this step that is still to come.
    pub(super) to_evaluate: Option<u64>,
    pub(super) device: Device,
    /// Whether the models compute in bfloat16 or float16.
    pub(super) low_precision: bool,
    /// When the last checkpoint was written, or the run begun.
    pub(super) saved_at: Instant,
    /// Hears of signals, where there is a folder to write to.
    pub(super) signals: Option<Listening>,
}

/// Who is told of an event.
pub(super) type Tell<'t> = dyn FnMut(&Event<'_>) + 't;

impl Run<'_, '_> {
    /// Goes on to the last step.
    pub(super) fn go_on(&mut self, caller: &mut dyn Caller, tell: &mut Tell<'_>) -> Result<()> {
        if self.to_evaluate.is_some() {
            // The run ended between a checkpoint and the evaluation of the same step.
            let path = self.folder.map(|folder| folder.checkpoint(self.step));
            self.evaluate_after(path.as_deref(), caller, tell)?;
            if self.settings.checkpoints.at(self.step, &self.length) {
                self.call_back(caller)?;
            }
        }
        while self.step < self.length.steps && !self.stops_early() {
            let epoch = self.next_step(tell)?;
            let checkpoint = self.settings.checkpoints.at(self.step, &self.length);
            let evaluates = match self.length.goes_by_epochs() {
                true => self.length.ends_epoch(self.step),
                false => checkpoint,
            };
            let asked = self.signals.as_ref().is_some_and(Listening::asked);
            let due = self.settings.save_every.is_some_and(|every| self.saved_at.elapsed() >= every);
            if evaluates {
                self.cached(tell);
                self.to_evaluate = caller.evaluates().then_some(epoch);
            }
            // It stands before the evaluation, whatever that meets.
            let mut saved = if checkpoint || asked || due { self.checkpoint(tell) } else { None };
            if self.to_evaluate.is_some() {
                self.evaluate_after(saved.as_deref(), caller, tell)?;
            }
            let asked = self.signals.as_ref().is_some_and(Listening::asked);
            if asked && saved.is_none() {
                saved = self.checkpoint(tell);
            }
            if asked {
                return Err(Error::Interrupted { step: self.step, saved });
            }
            if checkpoint {
                self.call_back(caller)?;
            }
        }
        Ok(())
    }

    fn call_back(&self, caller: &mut dyn Caller) -> Result<()> {
        let failed = |error| Error::other(format!("the callback after step {}: {error}", self.step));
        caller.at_checkpoint(self.step).map_err(failed)
    }

    /// Evaluates, and puts what came out into the checkpoint of this step, where one stands. Where the
    /// evaluation fails a checkpoint is written if none stands, so that no step is lost.
    fn evaluate_after(
        &mut self,
        saved: Option<&Path>,
        caller: &mut dyn Caller,
        tell: &mut Tell<'_>,
    ) -> Result<()> {
        let epoch = self.to_evaluate.unwrap_or_default();
        if let Err(error) = self.evaluate(epoch, caller, tell) {
            let written = if saved.is_none() { self.checkpoint(tell) } else { None };
            let kept = match saved.or(written.as_deref()) {
                Some(path) => format!(
                    "; the steps up to there are in {}: run again to resume with this evaluation",
                    path.display()
                ),
                None => String::new(),
            };
            return Err(Error::other(format!("the evaluation after step {}: {error}{kept}", self.step)));
        }
        self.to_evaluate = None;
        let Some(path) = saved else { return Ok(()) };
        let restated = self.state().and_then(|state| Checkpoint::restate(path, &state));
        if let Err(error) = restated {
            tell(&Event::Warning(&format!(
                "the checkpoint of step {} lacks the evaluation, which is done again if the run resumes there: {error}",
                self.step
            )));
        }
        Ok(())
    }

    /// One optimizer step, from its data to those who are told of it; gives the epoch of its first batch.
    fn next_step(&mut self, tell: &mut Tell<'_>) -> Result<u64> {
        let _span = debug_span!("step", number = self.step + 1).entered();
        let started = Instant::now();
        let window = {
            let _span = debug_span!("data").entered();
            self.source.window(self.settings.accumulation)?
        };
        let epoch = window.first().map_or(0, |drawn| drawn.epoch);
        let report = self.window(epoch, &window, tell)?;
        self.examples += window.iter().map(|drawn| drawn.batch.rows()).sum::<u64>();
        drop(window);
        self.seconds += started.elapsed().as_secs_f64();
        let tokens = if report.losses.is_some() { self.tokens.read()? } else { None };
        let report = StepReport {
            examples_per_second: self.per_second(self.examples),
            tokens_per_second: tokens.map(|tokens| self.per_second(tokens)),
            ..report
        };
        tell(&Event::Step(&report));
        Ok(epoch)
    }

    /// The passes and the update of one optimizer step over a window of batches.
    fn window(&mut self, epoch: u64, window: &[Drawn<'_>], tell: &mut Tell<'_>) -> Result<StepReport> {
        let (settings, device) = (self.settings, self.device);
        let counts = self.counts(window)?;
        self.student.clear_gradients()?;
        self.learned.clear_gradients()?;
        let steps = self.length.steps;
        for task in counts.keys() {
            self.tasks[*task].work.before_step(self.step, steps)?;
        }
        let buffers = Buffers::of(self.tasks)?;
        // On a GPU the rows would have to be counted there and the number read back in every step.
        let sparse = device == Device::Cpu || settings.sparse_updates == SparseUpdates::RowsInUse;
        let log = self.step.is_multiple_of(settings.log_every) || self.step + 1 == steps;
        let (mut logged, mut finite) = (Vec::new(), true);
        for (index, drawn) in window.iter().enumerate() {
            // Seeded anew each time, so that a step can be replayed without the steps before it.
            tch::manual_seed(mix(settings.seed, self.step, index as u64));
            let pass = Pass::training(self.step, Wants::nothing()).of_steps(steps);
            let pass = pass.recomputing(settings.gradient_checkpointing).with_sparse_gradients(sparse);
            let counts = counts.get(&drawn.task).and_then(Option::as_ref);
            let losses = drawn.batch.run(&pass, counts).map_err(|error| self.at(drawn, error))?;
            self.tokens.add(drawn.batch.tokens().map_err(|error| self.at(drawn, error))?)?;
            let checked = self.is_finite(index, drawn, &losses, tell);
            if checked.is_err() {
                buffers.put_back(self.tasks)?;
            }
            finite &= checked.map_err(|error| self.at(drawn, error))?;
            if !finite {
                break;
            }
            let scaled = self.scale.as_ref().map(|scale| scale.scaled(&losses.total)).transpose()?;
            let span = debug_span!("backward").entered();
            let backward = scaled.as_ref().unwrap_or(&losses.total).f_backward();
            backward.map_err(|error| self.at(drawn, error.into()))?;
            drop(span);
            if log {
                let losses = read(&self.tasks[drawn.task], &losses)?;
                add_up(&mut logged, &losses);
                let (step, batches) = (self.step + 1, window.len());
                tell(&Event::Batch(&BatchReport { epoch: drawn.epoch, step, index, batches, losses }));
            }
        }
        let multiplier = settings.schedule.multiplier(self.step, steps);
        let made = finite && self.gradients_are_finite()?;
        if made {
            self.clip()?;
            let _span = debug_span!("optimizer").entered();
            self.student.step(multiplier)?;
            self.learned.step(multiplier)?;
        } else if !finite {
            logged.clear();
        } else {
            tell(&Event::Warning(&format!(
                "step {}: a gradient is too large for float16; the step is left out and the loss scaled down",
                self.step + 1
            )));
        }
        if made {
            for task in counts.keys() {
                self.tasks[*task].work.after_step()?;
            }
        } else {
            // Nothing of the step counts: losses drop what they saw of it when the next one begins.
            buffers.put_back(self.tasks)?;
        }
        self.step += 1;
        Ok(StepReport {
            epoch,
            step: self.step,
            steps,
            learning_rate: settings.optimizer.learning_rate() * multiplier,
            losses: (log && finite).then_some(logged),
            examples_per_second: 0.0,
            tokens_per_second: None,
            memory: if log { memory(device) } else { None },
        })
    }

    /// Undoes the scale of the loss; without one nothing is read, and gradients count as finite.
    fn gradients_are_finite(&mut self) -> Result<bool> {
        let Some(scale) = &self.scale else { return Ok(true) };
        let mut gradients = self.student.gradients()?;
        gradients.extend(self.learned.gradients()?);
        scale.unscale(&gradients)
    }

    fn clip(&mut self) -> Result<()> {
        let Some(norm) = self.settings.max_gradient_norm else { return Ok(()) };
        let _span = debug_span!("clip").entered();
        let mut gradients = self.student.gradients()?;
        if self.semantics == Semantics::Exact {
            gradients.extend(self.learned.gradients()?);
        }
        clip::clip(&gradients, norm)
    }

    /// What the window counts, for each task that it has batches of; a single batch counts by itself.
    fn counts(&self, window: &[Drawn<'_>]) -> Result<BTreeMap<usize, Option<Window>>> {
        if let [alone] = window {
            return Ok(BTreeMap::from([(alone.task, None)]));
        }
        let mut counts: BTreeMap<usize, Vec<BatchCounts>> = BTreeMap::new();
        for drawn in window {
            let of_batch = drawn.batch.counts().map_err(|error| self.at(drawn, error))?;
            counts.entry(drawn.task).or_default().push(of_batch);
        }
        counts
            .into_iter()
            .map(|(task, counts)| {
                let counts: Vec<&BatchCounts> = counts.iter().collect();
                Ok((task, Some(Window::sum(self.semantics, window.len(), &counts)?)))
            })
            .collect()
    }

    /// An error with the batch that made it.
    fn at(&self, drawn: &Drawn<'_>, error: Error) -> Error {
        let error = with_mend(error);
        let task = self.tasks[drawn.task].task.as_ref();
        let task = task.map(|task| format!("task `{task}`, ")).unwrap_or_default();
        Error::other(format!("{task}epoch {}, batch {}: {error}", drawn.epoch, drawn.index))
    }

    fn evaluate(&mut self, epoch: u64, caller: &mut dyn Caller, tell: &mut Tell<'_>) -> Result<()> {
        let step = self.step;
        let _span = info_span!("evaluation", step).entered();
        let (values, mut first) = (&mut self.evaluations, None);
        caller.evaluate(&mut |metric, value| {
            values.push(value);
            first.get_or_insert(value);
            tell(&Event::Evaluated { epoch, step, metric, value });
        })?;
        let Some(value) = first else { return Ok(()) };
        // A value that is no number is never the best.
        if value > self.best.as_ref().map_or(f64::NEG_INFINITY, |best| best.value) {
            self.best = Some(Best { step, value });
            self.evaluations_since_best = 0;
            if let Some(folder) = self.folder {
                match caller.save(&folder.best()) {
                    Ok(()) => tell(&Event::Saved(&folder.best())),
                    Err(error) => {
                        tell(&Event::Warning(&format!("the best student so far is not kept: {error}")))
                    }
                }
            }
        } else {
            self.evaluations_since_best += 1;
        }
        Ok(())
    }

    /// Whether the first metric has not risen for as many evaluations as the run was told to wait.
    pub(super) fn stops_early(&self) -> bool {
        self.settings.patience.is_some_and(|patience| self.evaluations_since_best >= patience)
    }

    /// Writes a checkpoint, and says where; one that cannot be written does not end the run.
    fn checkpoint(&mut self, tell: &mut Tell<'_>) -> Option<PathBuf> {
        self.saved_at = Instant::now();
        let folder = self.folder?;
        let _span = info_span!("checkpoint", step = self.step).entered();
        // A run that resumes here finds every row that this one found.
        self.tasks.iter().for_each(|named| named.work.flush_caches());
        let path = folder.checkpoint(self.step);
        let (student, learned) = (student_of(self.tasks), learned_of(self.tasks));
        let written = self.state().and_then(|state| {
            let (moments, outputs) = (&self.moments()?, &outputs_of(self.tasks)?);
            let (student, learned) = (&student, &learned);
            Checkpoint { student, learned, moments, outputs, state: &state }.write(&path)
        });
        if let Err(error) = written {
            let text = format!(
                "could not write the checkpoint of step {}: {error}; training continues, and the last checkpoint that was written stays",
                self.step
            );
            tell(&Event::Warning(&text));
            return None;
        }
        tell(&Event::Saved(&path));
        // The new one is whole before an older one goes.
        let kept = self.settings.keep_checkpoints.map_or(Ok(()), |newest| folder.keep(newest, self.step));
        if let Err(error) = kept {
            tell(&Event::Warning(&format!("older checkpoints could not be removed: {error}")));
        }
        Some(path)
    }

    /// Where the run stands.
    fn state(&mut self) -> Result<State> {
        Ok(State {
            step: self.step,
            steps: self.length.steps,
            optimizer_steps: self.student.steps_done(),
            batches: self.source.drawn,
            data: self.source.standings(),
            examples: self.examples,
            tokens: self.tokens.read()?,
            seconds: self.seconds,
            evaluations: self.evaluations.clone(),
            best: self.best.clone(),
            evaluations_since_best: self.evaluations_since_best,
            skipped: self.skipped,
            to_evaluate: self.to_evaluate,
        })
    }

    /// Tells what the teachers' caches did since the last time, after making it last.
    pub(super) fn cached(&self, tell: &mut Tell<'_>) {
        for named in self.tasks {
            named.work.flush_caches();
            let (reports, warnings) = named.work.cache_reports();
            for report in reports.iter().filter(|report| report.found + report.computed > 0) {
                tell(&Event::TeacherCache { step: self.step, report });
            }
            for warning in warnings {
                tell(&Event::Warning(&warning));
            }
        }
    }

    /// So many, in a second of the run so far.
    fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }

    pub(super) fn summary(&mut self) -> Result<Summary> {
        let tokens = self.tokens.read()?;
        Ok(Summary {
            steps: self.step,
            examples: self.examples,
            tokens,
            seconds: self.seconds,
            examples_per_second: self.per_second(self.examples),
            tokens_per_second: tokens.map(|tokens| self.per_second(tokens)),
            evaluations: self.evaluations.clone(),
            skipped: self.skipped,
            best: self.best.clone(),
        })
    }
}

/// Bytes in use on a CUDA device, else of this process.
fn memory(device: Device) -> Option<u64> {
    if let Device::Cuda(index) = device {
        return crate::native::cuda_memory(index).ok().map(|memory| memory.allocated);
    }
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// The parameters of the student, those of all tasks.
pub(super) fn student_of(tasks: &[Named<'_>]) -> Parameters {
    Parameters::union(tasks.iter().map(|named| (named.task.as_deref().unwrap_or(""), named.work.student())))
}

/// What all tasks learn beside the student.
pub(super) fn learned_of(tasks: &[Named<'_>]) -> Parameters {
    Parameters::union(tasks.iter().map(|named| (named.task.as_deref().unwrap_or(""), named.work.learned())))
}

/// The losses of a batch as numbers: `total` first, then each by name.
pub(super) fn read(of: &Named<'_>, losses: &StepLosses) -> Result<Vec<(String, f64)>> {
    let total = std::iter::once(("total".to_owned(), &losses.total));
    let terms = losses.terms.iter().map(|(name, value)| (of.name(name), value));
    total.chain(terms).map(|(name, value)| Ok((name, value.f_double_value(&[])?))).collect()
}

/// Adds a batch's share to the losses of its window.
fn add_up(logged: &mut Vec<(String, f64)>, losses: &[(String, f64)]) {
    for (name, value) in losses {
        match logged.iter_mut().find(|(known, _)| known == name) {
            Some((_, sum)) => *sum += value,
            None => logged.push((name.clone(), *value)),
        }
    }
}
