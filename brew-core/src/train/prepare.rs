//! Preparation before the first step of a run: its length, its dtype, the probe of the data and the teacher
//! caches.

use tch::{Device, Kind};

use super::caller::Caller;
use super::length::{Length, PerEpoch};
use super::probe::probe;
use super::random::TaskDraw;
use super::settings::{Duration, Settings};
use super::task::{Task, learned_of, projections_of, student_of};
use super::work::NOTHING;
use crate::error::{Error, Result};
use crate::execute::Projections;

/// A run that is ready to begin.
pub(super) struct Ready {
    pub(super) length: Length,
    /// In a run of epochs, the batches of each.
    pub(super) per_epoch: Option<PerEpoch>,
    pub(super) draw: TaskDraw,
    pub(super) device: Device,
    /// The autocast dtype chosen for the current device.
    pub(super) precision: Option<Kind>,
    /// The findings of the probe and the caches, one line each.
    pub(super) found: Vec<String>,
}

/// Determines the length of the run, chooses the dtype, tries the tasks on a few rows, and opens the caches.
///
/// # Errors
/// Everything that would fail later, all at once where possible.
pub(super) fn prepare(
    settings: &Settings<'_>,
    tasks: &mut [Task<'_>],
    tau: f64,
    caller: &dyn Caller,
) -> Result<Ready> {
    let dropout = dropout(settings, tasks)?;
    let (length, per_epoch) = length(settings, tasks)?;
    let draw = draw(settings, tasks, tau)?;
    let device = student_of(tasks).device();
    let precision = settings.precision.on(device);
    for task in tasks.iter_mut() {
        task.work.executor_mut().compute_in(precision)?;
    }
    share(tasks, settings)?;
    let mut found = probe(tasks, &draw, caller)?;
    found.extend(cache_teachers(tasks, settings)?);
    found.extend(dropout);
    Ok(Ready { length, per_epoch, draw, device, precision, found })
}

/// A line about the student's dropout, if the run sets it.
///
/// # Errors
/// A student that would not heed it.
fn dropout(settings: &Settings<'_>, tasks: &[Task<'_>]) -> Result<Option<String>> {
    let Some(dropout) = settings.student_dropout else { return Ok(None) };
    let Some(task) = tasks.iter().find(|task| !task.work.executor().student_takes_dropout()) else {
        return Ok(Some(format!("the student's dropout is {dropout}, in place of its own")));
    };
    let error = Error::invalid(format!(
        "`.student_dropout({dropout})`: this student's `Model::takes_dropout` is false, so it would keep its own dropout. If it is your model, let `forward` take each probability from `pass.dropout(own)` and `takes_dropout` return true; or remove the setting"
    ));
    Err(match &task.name {
        Some(name) => error.of_task(name),
        None => error,
    })
}

/// The optimizer steps of the run, and in a run of epochs the batches of each: an epoch has ceil(batches /
/// accumulation) steps.
fn length(settings: &Settings<'_>, tasks: &[Task<'_>]) -> Result<(Length, Option<PerEpoch>)> {
    let epochs = match settings.duration {
        Duration::Steps(steps) => return Ok((Length::of_steps(steps), None)),
        Duration::Epochs(epochs) => epochs,
    };
    let batches = match tasks.first() {
        Some(task) => task.work.batches_per_epoch(epochs)?,
        None => None,
    };
    let batches = batches.ok_or_else(|| {
        Error::invalid("a run of epochs needs data of known length: use `.steps(…)` instead of `.epochs(…)`")
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

/// Shares projections between tasks: each is that of the first task that has it, with the initial values from
/// the settings.
fn share(tasks: &mut [Task<'_>], settings: &Settings<'_>) -> Result<()> {
    share_projections(tasks);
    match &settings.projections {
        Some(given) => Projections::start(&projections_of(tasks), given),
        None => Ok(()),
    }
}

/// Shares projections between tasks.
pub(super) fn share_projections(tasks: &mut [Task<'_>]) {
    for index in 1..tasks.len() {
        let before = learned_of(&tasks[..index]);
        tasks[index].work.executor_mut().share_projections(&before);
    }
}

/// The draw that decides which task each batch comes from.
fn draw(settings: &Settings<'_>, tasks: &[Task<'_>], tau: f64) -> Result<TaskDraw> {
    let sizes: Option<Vec<u64>> = tasks.iter().map(|task| task.work.rows().map(|rows| rows as u64)).collect();
    let sizes = sizes.filter(|_| tasks.len() > 1);
    let empty = sizes.as_ref().and_then(|sizes| sizes.iter().position(|size| *size == 0));
    if let Some(task) = empty.and_then(|index| tasks[index].name.as_ref()) {
        return Err(Error::invalid(format!("task `{task}`: {NOTHING}")));
    }
    Ok(TaskDraw::new(settings.seed, tasks.len(), sizes.as_deref(), tau))
}

/// Opens the teachers' caches, and reports their expected cost.
fn cache_teachers(tasks: &mut [Task<'_>], settings: &Settings<'_>) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for task in tasks {
        let Some(cache) = &settings.teacher_cache else { continue };
        match (&task.name, task.work.cache_teachers(&**cache, task.name.as_deref())) {
            (None, lines) => found.extend(lines?),
            (Some(task), Ok(lines)) => found.extend(lines.into_iter().map(|line| format!("{task}: {line}"))),
            (Some(task), Err(error)) => return Err(error.of_task(task)),
        }
    }
    Ok(found)
}
