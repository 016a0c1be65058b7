//! A run from its first to its last line: what is checked and made before the loop, and what is written
//! after it.

use std::path::Path;
use std::time::Instant;

use tch::Kind;

use super::asked::Asked;
use super::layer_decay::LayerFactors;
use super::length::{Length, PerEpoch};
use super::optimizer::Groups;
use super::precision::LossScale;
use super::random::Draw;
use super::run_folder::RunFolder;
use super::settings::{Duration, Settings};
use super::signals::Listening;
use super::source::{Named, Source};
use super::steps::{Run, learned_of, student_of};
use super::tokens::Tokens;
use super::work::NOTHING;
use crate::error::{Error, Problem, Result};
use crate::execute::Projections;
use crate::observe::{Event, MetricsFile, Progress, Report, Summary, TensorBoard};
use crate::parameters::{Parameters, write_weights};
use crate::plan::OptimizerChanges;
use crate::semantics::Semantics;

/// What the loop asks of the one who called it, who alone knows the student's type.
pub(super) trait Caller {
    /// What is wrong with the evaluations, found before the first step.
    fn problems(&self) -> Vec<Problem>;
    /// Whether there is anything to evaluate.
    fn evaluates(&self) -> bool;
    /// Evaluates the student, metric by metric.
    fn evaluate(&mut self, tell: &mut dyn FnMut(&str, f64)) -> Result<()>;
    /// What is evaluated, metric by metric, as `config.json` holds it.
    fn evaluations(&self) -> Result<Vec<serde_json::Value>>;
    /// Called after each checkpoint, with its step.
    fn at_checkpoint(&mut self, step: u64) -> Result<()>;
    /// Writes the student to a folder.
    fn save(&self, folder: &Path) -> Result<()>;
}

/// Trains one pipeline, or several tasks that are drawn in turn by their sizes to the power `tau`.
pub(super) fn run(
    settings: &mut Settings<'_>,
    mut tasks: Vec<Named<'_>>,
    tau: f64,
    caller: &mut dyn Caller,
) -> Result<(Parameters, Summary)> {
    let (length, per_epoch) = length(settings, &tasks)?;
    let draw = draw(settings, &tasks, tau)?;
    let device = student_of(&tasks).device();
    let precision = settings.precision.on(device);
    for named in &mut tasks {
        named.work.compute_in(precision)?;
    }
    share(&mut tasks, settings)?;
    let mut found = probe(&tasks, &draw, &*caller)?;
    found.extend(cache_teachers(&mut tasks, settings)?);
    let tasks = tasks.as_slice();
    let first = tasks.first().ok_or_else(|| Error::invalid(NOTHING))?;
    let semantics = first.work.plan().semantics();
    let mut observers = std::mem::take(&mut settings.observers);
    if observers.is_empty() {
        observers.push(Box::new(Progress::new("brew")));
    }
    let settings = &*settings;
    let (student, learned) = optimizers(settings, semantics, tasks)?;
    let mut folder = match &settings.run_dir {
        Some(path) => {
            let asked = Asked { settings, tasks, tau, precision, evaluations: caller.evaluations()? };
            Some(RunFolder::open(path, &asked.config()?, tasks, settings.fresh)?)
        }
        None => None,
    };
    let resumed = folder.as_mut().and_then(|folder| folder.resumed.take());
    if let Some(folder) = &folder {
        let done = resumed.as_ref().map_or(0, |(_, read)| read.state.step);
        let evaluated = resumed.as_ref().is_none_or(|(_, read)| read.state.to_evaluate.is_none());
        observers.push(Box::new(MetricsFile::resume_at(&folder.metrics(), done, evaluated)?));
        observers.push(Box::new(TensorBoard::create(&folder.tensorboard())?));
        // After the metrics, whose file it reads.
        observers.push(Box::new(Report::new(folder.metrics(), folder.report())));
    }
    let mut tell = |event: &Event<'_>| observers.iter_mut().for_each(|observer| observer.on(event));
    let epochs = match settings.duration {
        Duration::Epochs(epochs) => Some(epochs),
        Duration::Steps(_) => None,
    };
    tell(&Event::Started { plan: first.work.plan(), found: &found, steps: length.steps, epochs });
    let notes = settings.precision.notes(device);
    let of_folder = folder.iter().flat_map(|folder| folder.notes.clone());
    for warning in of_folder.chain(notes).chain(warnings(settings, tasks)) {
        tell(&Event::Warning(&warning));
    }
    let mut run = Run {
        settings,
        semantics,
        tasks,
        source: Source::new(tasks, draw, per_epoch)?,
        student,
        learned,
        scale: (precision == Some(Kind::Half)).then(|| LossScale::new(device)).transpose()?,
        length,
        folder: folder.as_ref(),
        step: 0,
        examples: 0,
        tokens: Tokens::from(Some(0)),
        seconds: 0.0,
        evaluations: Vec::new(),
        best: None,
        evaluations_since_best: 0,
        skipped: 0,
        to_evaluate: None,
        device,
        low_precision: precision.is_some(),
        saved_at: Instant::now(),
        signals: None,
    };
    if folder.is_some() {
        match Listening::begin() {
            Ok(listening) => run.signals = Some(listening),
            Err(error) => {
                tell(&Event::Warning(&format!("signals end the run without a checkpoint: {error}")))
            }
        }
    }
    if let Some((checkpoint, read)) = &resumed {
        let note = run.restore(read).map_err(|error| Error::file(checkpoint, error))?;
        tell(&Event::Resumed { step: run.step, checkpoint });
        if let Some(note) = note {
            tell(&Event::Warning(&note));
        }
    }
    run.go_on(caller, &mut tell)?;
    run.cached(&mut tell);
    if run.stops_early() && run.step < run.length.steps {
        tell(&Event::Warning(&format!(
            "stopped after step {} of {}: the first metric has not risen for {} evaluations",
            run.step, run.length.steps, run.evaluations_since_best
        )));
    }
    let summary = run.summary()?;
    let learned = learned_of(tasks);
    tell(&Event::Finished(&summary));
    if let Some(folder) = &folder {
        // What was trained is in hand: that it cannot be written must not lose it.
        let mut whole = true;
        let mut wrote = |path: &Path, written: Result<()>| match written {
            Ok(()) => tell(&Event::Saved(path)),
            Err(error) => {
                whole = false;
                tell(&Event::Warning(&format!("not written to the run folder: {error}")));
            }
        };
        wrote(&folder.student(), caller.save(&folder.student()));
        if learned.scalars() > 0 {
            wrote(&folder.projections(), write_weights(&folder.projections(), &learned));
        }
        // Without its student a run is not over: started again, it goes on from its last checkpoint.
        let finished = if whole { folder.finish(&summary) } else { Ok(()) };
        if let Err(error) = finished {
            tell(&Event::Warning(&format!("the run folder does not say that the run is over: {error}")));
        }
    }
    Ok((learned, summary))
}

/// The optimizer steps of the run, and in a run of epochs the batches of each: an epoch has as many steps
/// as batches by the accumulation, rounded up.
fn length(settings: &Settings<'_>, tasks: &[Named<'_>]) -> Result<(Length, Option<PerEpoch>)> {
    let epochs = match settings.duration {
        Duration::Steps(steps) => return Ok((Length::of_steps(steps), None)),
        Duration::Epochs(epochs) => epochs,
    };
    let batches = match tasks.first() {
        Some(named) => named.work.batches_per_epoch(epochs)?,
        None => None,
    };
    let batches = batches.ok_or_else(|| {
        Error::invalid(
            "a run of epochs needs data whose length is known: say `.steps(…)` instead of `.epochs(…)`",
        )
    })?;
    let empty = match &batches {
        PerEpoch::Equal(number) => *number == 0,
        PerEpoch::Each(numbers) => numbers.contains(&0),
    };
    if empty {
        return Err(Error::invalid(NOTHING));
    }
    let steps = batches.div_ceil(settings.accumulation as u64);
    Ok((Length::of_epochs(epochs, steps), Some(batches)))
}

/// All tasks train the projections of the first that has them, which start as they were told to.
fn share(tasks: &mut [Named<'_>], settings: &Settings<'_>) -> Result<()> {
    for index in 1..tasks.len() {
        let before = learned_of(&tasks[..index]);
        tasks[index].work.share_projections(&before);
    }
    match &settings.projections {
        Some(given) => Projections::start(&projections_of(tasks), given),
        None => Ok(()),
    }
}

fn projections_of(tasks: &[Named<'_>]) -> Parameters {
    Parameters::union(
        tasks.iter().map(|named| (named.task.as_deref().unwrap_or(""), named.work.projections())),
    )
}

/// Which task each batch is drawn from.
fn draw(settings: &Settings<'_>, tasks: &[Named<'_>], tau: f64) -> Result<Draw> {
    let sizes: Option<Vec<u64>> =
        tasks.iter().map(|named| named.work.rows().map(|rows| rows as u64)).collect();
    let sizes = sizes.filter(|_| tasks.len() > 1);
    let empty = sizes.as_ref().and_then(|sizes| sizes.iter().position(|size| *size == 0));
    if let Some(task) = empty.and_then(|index| tasks[index].task.as_ref()) {
        return Err(Error::invalid(format!("task `{task}`: {NOTHING}")));
    }
    Ok(Draw::new(settings.seed, tasks.len(), sizes.as_deref(), tau))
}

/// What two rows of each task showed; everything that is wrong with them and with the evaluations.
fn probe(tasks: &[Named<'_>], draw: &Draw, caller: &dyn Caller) -> Result<Vec<String>> {
    let (mut found, mut problems, mut alone) = (Vec::new(), Vec::new(), None);
    for (index, named) in tasks.iter().enumerate() {
        match (&named.task, named.work.probe()) {
            (None, Ok(lines)) => found.extend(lines),
            (Some(task), Ok(lines)) => {
                found.push(format!("{task}: drawn with probability {:.3}", draw.probability(index)));
                found.extend(lines.into_iter().map(|line| format!("{task}: {line}")));
            }
            (None, Err(Error::Plan(wrong))) => problems.extend(wrong),
            (None, Err(error)) => {
                problems.push(Problem::Config(error.to_string()));
                alone = Some(error);
            }
            (Some(task), Err(Error::Plan(wrong))) => {
                let of_task =
                    |wrong: &Problem| Problem::Task { task: task.clone(), message: wrong.to_string() };
                problems.extend(wrong.iter().map(of_task));
            }
            (Some(task), Err(error)) => {
                problems.push(Problem::Task { task: task.clone(), message: error.to_string() });
                alone = Some(Error::other(format!("task `{task}`: {error}")));
            }
        }
    }
    // After the tasks, which may have told the student the names of its classes.
    problems.extend(caller.problems());
    match (problems.len(), alone) {
        (0, _) => Ok(found),
        // Data that cannot be read are no fault of the pipeline.
        (1, Some(error)) => Err(error),
        _ => Err(Error::Plan(problems)),
    }
}

/// Opens the teachers' caches, and says what they will cost.
fn cache_teachers(tasks: &mut [Named<'_>], settings: &Settings<'_>) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for named in tasks {
        let Some(cache) = &settings.teacher_cache else { continue };
        match (&named.task, named.work.cache_teachers(&**cache, named.task.as_deref())) {
            (None, lines) => found.extend(lines?),
            (Some(task), Ok(lines)) => found.extend(lines.into_iter().map(|line| format!("{task}: {line}"))),
            (Some(task), Err(error)) => return Err(Error::other(format!("task `{task}`: {error}"))),
        }
    }
    Ok(found)
}

/// The student's optimizer and that of what is learned beside it. A tensor that several tasks share is
/// in it once.
fn optimizers(
    settings: &Settings<'_>,
    semantics: Semantics,
    tasks: &[Named<'_>],
) -> Result<(Groups, Groups)> {
    let optimizer = || settings.optimizer.with(&OptimizerChanges::default());
    let parameters = student_of(tasks);
    let mut student = Groups::new(optimizer()?, semantics).moving(settings.sparse_updates);
    let factors = LayerFactors::of(&parameters, settings.layer_decay);
    student.add(&OptimizerChanges::default(), &parameters, &|name| factors.factor(name))?;
    if student.count() == 0 {
        return Err(Error::invalid(
            "the student has no parameter that requires a gradient: nothing would be trained",
        ));
    }
    let mut learned = Groups::new(optimizer()?, semantics);
    for (changes, parameters) in tasks.iter().flat_map(|named| named.work.learned_groups()) {
        learned.add(&changes, &parameters, &|_| 1.0)?;
    }
    Ok((student, learned))
}

/// What a person should know before the first step, each once.
fn warnings(settings: &Settings<'_>, tasks: &[Named<'_>]) -> Vec<String> {
    let mut warnings = settings.warnings();
    if tasks.len() > 1 && tasks.iter().any(|named| named.work.rows().is_none()) {
        warnings.push(
            "the number of examples is not known of every task: each is drawn with the same probability, whatever `tau` is"
                .to_owned(),
        );
    }
    for warning in tasks.iter().flat_map(|named| named.work.warnings(settings.accumulation)) {
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
    warnings
}
