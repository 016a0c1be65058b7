//! The loop: windows of batches, optimizer steps, evaluation and checkpoints.
//!
//! There is one, for runs of epochs and of optimizer steps, for one pipeline and for several tasks. Runs
//! of epochs and of steps differ in where a window may end, which [`Source`] knows.

use std::collections::BTreeMap;
use std::time::Instant;

use tch::Tensor;

use super::checkpoint::{Checkpoint, State};
use super::clip;
use super::length::Length;
use super::optimizer::Groups;
use super::precision::LossScale;
use super::random::mix;
use super::run::Caller;
use super::run_folder::RunFolder;
use super::settings::Settings;
use super::source::{Drawn, Named, Source};
use crate::error::{Error, Result};
use crate::execute::{BatchCounts, StepLosses, Window};
use crate::model::Parameters;
use crate::observe::{BatchReport, Event, StepReport, Summary};
use crate::pass::{Pass, Wants};
use crate::plan::Semantics;

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
    pub(super) seconds: f64,
    pub(super) evaluations: Vec<f64>,
}

/// Who is told of an event.
pub(super) type Tell<'t> = dyn FnMut(&Event<'_>) + 't;

impl Run<'_, '_> {
    /// Goes on to the last step.
    pub(super) fn go_on(&mut self, caller: &mut dyn Caller, tell: &mut Tell<'_>) -> Result<()> {
        while self.step < self.length.steps {
            let started = Instant::now();
            let window = self.source.window(self.settings.accumulation)?;
            let epoch = window.first().map_or(0, |drawn| drawn.epoch);
            let report = self.window(epoch, &window, tell)?;
            self.examples += window.iter().map(|drawn| drawn.batch.rows()).sum::<u64>();
            drop(window);
            self.seconds += started.elapsed().as_secs_f64();
            tell(&Event::Step(&StepReport { examples_per_second: self.speed(), ..report }));
            let checkpoint = self.settings.checkpoints.at(self.step, &self.length);
            let evaluates = match self.length.goes_by_epochs() {
                true => self.length.ends_epoch(self.step),
                false => checkpoint,
            };
            // First the evaluation, so that the checkpoint holds its value.
            if evaluates {
                self.evaluate(epoch, caller, tell)?;
            }
            if checkpoint {
                self.checkpoint(tell);
                caller.at_checkpoint(self.step).map_err(|error| {
                    Error::other(format!("the callback after step {}: {error}", self.step))
                })?;
            }
        }
        Ok(())
    }

    /// One optimizer step over a window of batches.
    fn window(&mut self, epoch: u64, window: &[Drawn<'_>], tell: &mut Tell<'_>) -> Result<StepReport> {
        let settings = self.settings;
        let counts = self.counts(window)?;
        self.student.zero_gradients();
        self.learned.zero_gradients();
        let steps = self.length.steps;
        for task in counts.keys() {
            self.tasks[*task].work.before_step(self.step, steps)?;
        }
        let log = self.step.is_multiple_of(settings.log_every) || self.step + 1 == steps;
        let mut logged = Vec::new();
        for (index, drawn) in window.iter().enumerate() {
            // Seeded anew each time, so that a step can be replayed without the steps before it.
            tch::manual_seed(mix(settings.seed, self.step, index as u64));
            let pass = Pass::training(self.step, Wants::nothing()).of_steps(steps);
            let counts = counts.get(&drawn.task).and_then(Option::as_ref);
            let losses = drawn.batch.run(&pass, counts).and_then(|losses| {
                match &self.scale {
                    Some(scale) => scale.scaled(&losses.total)?.f_backward()?,
                    None => losses.total.f_backward()?,
                }
                Ok(losses)
            });
            let losses = losses.map_err(|error| self.at(drawn, &error))?;
            if log {
                let losses = read(&self.tasks[drawn.task], &losses)?;
                add_up(&mut logged, &losses);
                let (step, batches) = (self.step + 1, window.len());
                tell(&Event::Batch(&BatchReport { epoch: drawn.epoch, step, index, batches, losses }));
            }
        }
        let multiplier = settings.schedule.multiplier(self.step, steps);
        if self.gradients_are_finite()? {
            self.clip()?;
            self.student.step(multiplier)?;
            self.learned.step(multiplier)?;
        } else {
            tell(&Event::Warning(&format!(
                "step {}: a gradient is too large for float16; the step is left out and the loss scaled down",
                self.step + 1
            )));
        }
        for task in counts.keys() {
            self.tasks[*task].work.after_step()?;
        }
        self.step += 1;
        Ok(StepReport {
            epoch,
            step: self.step,
            steps,
            learning_rate: settings.optimizer.learning_rate() * multiplier,
            losses: log.then_some(logged),
            examples_per_second: 0.0,
        })
    }

    /// Undoes the scale of the loss; without one nothing is read, and gradients count as finite.
    fn gradients_are_finite(&self) -> Result<bool> {
        let Some(scale) = &self.scale else { return Ok(true) };
        let parameters = self.student.parameters().chain(self.learned.parameters());
        let gradients: Vec<Tensor> = parameters.map(Tensor::grad).filter(Tensor::defined).collect();
        scale.unscale(&gradients)
    }

    fn clip(&self) -> Result<()> {
        let Some(norm) = self.settings.max_gradient_norm else { return Ok(()) };
        match self.semantics {
            Semantics::TextBrewer => clip::clip(self.student.parameters(), norm),
            Semantics::Exact => clip::clip(self.student.parameters().chain(self.learned.parameters()), norm),
        }
    }

    /// What the window counts, for each task that it has batches of; a single batch counts by itself.
    fn counts(&self, window: &[Drawn<'_>]) -> Result<BTreeMap<usize, Option<Window>>> {
        if let [alone] = window {
            return Ok(BTreeMap::from([(alone.task, None)]));
        }
        let mut counts: BTreeMap<usize, Vec<BatchCounts>> = BTreeMap::new();
        for drawn in window {
            let of_batch = drawn.batch.counts().map_err(|error| self.at(drawn, &error))?;
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
    fn at(&self, drawn: &Drawn<'_>, error: &Error) -> Error {
        let task = self.tasks[drawn.task].task.as_ref();
        let task = task.map(|task| format!("task `{task}`, ")).unwrap_or_default();
        Error::other(format!("{task}epoch {}, batch {}: {error}", drawn.epoch, drawn.index))
    }

    fn evaluate(&mut self, epoch: u64, caller: &mut dyn Caller, tell: &mut Tell<'_>) -> Result<()> {
        let step = self.step;
        let values = &mut self.evaluations;
        caller.evaluate(&mut |metric, value| {
            values.push(value);
            tell(&Event::Evaluated { epoch, step, metric, value });
        })
    }

    /// Writes a checkpoint; one that cannot be written does not end the run.
    fn checkpoint(&self, tell: &mut Tell<'_>) {
        let Some(folder) = self.folder.map(|folder| folder.checkpoint(self.step)) else { return };
        let (student, learned) = (student_of(self.tasks), learned_of(self.tasks));
        let state = State {
            step: self.step,
            steps: self.length.steps,
            optimizer_steps: self.student.steps_done(),
            batches: self.source.drawn,
            data: self.source.standings(),
            examples: self.examples,
            seconds: self.seconds,
            evaluations: self.evaluations.clone(),
        };
        let written = self.moments().and_then(|optimizer| {
            let optimizer = &optimizer;
            Checkpoint { student: &student, learned: &learned, optimizer, state: &state }.write(&folder)
        });
        match written {
            Ok(()) => tell(&Event::Saved(&folder)),
            Err(error) => tell(&Event::Warning(&format!("no checkpoint of step {}: {error}", self.step))),
        }
    }

    /// What the optimizer keeps (`student/…`, `learned/…`), losses carry (`loss/…`), and the scale.
    fn moments(&self) -> Result<Parameters> {
        let under = |prefix: &'static str| move |(name, tensor)| (format!("{prefix}/{name}"), tensor);
        let groups = (self.student.state().into_iter().map(under("student")))
            .chain(self.learned.state().into_iter().map(under("learned")));
        let mut named: Vec<(String, Tensor)> = groups.collect();
        for task in self.tasks {
            let carried = task.work.carried()?.into_iter();
            named.extend(carried.map(|(name, tensor)| (format!("loss/{}", task.name(&name)), tensor)));
        }
        let scale = self.scale.iter().flat_map(LossScale::state);
        named.extend(scale.map(|(name, tensor)| (format!("loss_scale/{name}"), tensor)));
        Ok(Parameters::new(named))
    }

    fn speed(&self) -> f64 {
        self.examples as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }

    pub(super) fn summary(&self) -> Summary {
        Summary {
            steps: self.step,
            examples: self.examples,
            seconds: self.seconds,
            examples_per_second: self.speed(),
            evaluations: self.evaluations.clone(),
        }
    }
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
fn read(of: &Named<'_>, losses: &StepLosses) -> Result<Vec<(String, f64)>> {
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
