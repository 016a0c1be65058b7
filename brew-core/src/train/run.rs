//! One run from start to end: preparation, training loop and final files.

use std::time::Instant;

use tch::{Device, Kind};

use super::asked::Asked;
use super::caller::{Caller, Tell};
use super::communicator::Communicator;
use super::layer_decay::LayerFactors;
use super::length::Length;
use super::observers::Observers;
use super::optimizer::Groups;
use super::outputs::{compare_over_ranks, outputs_of};
use super::precision::LossScale;
use super::prepare::{Ready, prepare};
use super::run_folder::RunFolder;
use super::same::agreement;
use super::settings::Settings;
use super::signals::Listening;
use super::task::{Task, student_of};
use super::tokens::Tokens;
use super::windows::Windows;
use super::work::NOTHING;
use super::{explain, sent_checkpoint, undivided};
use crate::error::{Error, Result};
use crate::observe::{Best, Event, Summary};
use crate::parameters::Parameters;
use crate::plan::OptimizerChanges;
use crate::semantics::Semantics;

/// Trains one pipeline, or several tasks that are drawn in turn by their sizes to the power `tau`.
///
/// # Errors
/// Those of [`prepare`], before anything is trained; those of a step, with its batch; those of an
/// evaluation.
pub(super) fn run(
    settings: &mut Settings<'_>,
    mut tasks: Vec<Task<'_>>,
    tau: f64,
    caller: &mut dyn Caller,
) -> Result<(Parameters, Summary)> {
    let ranks = Communicator::of_process()?;
    let outcome = run_on(&ranks, settings, &mut tasks, tau, caller);
    ranks.end(outcome.as_ref().err());
    outcome
}

fn run_on(
    ranks: &Communicator,
    settings: &mut Settings<'_>,
    tasks: &mut [Task<'_>],
    tau: f64,
    caller: &mut dyn Caller,
) -> Result<(Parameters, Summary)> {
    let ready = ranks.agree("preparing the run", prepare(settings, tasks, tau, &*caller))?;
    let mut observers = Observers::of(settings, ranks);
    let (settings, tasks) = (&*settings, &*tasks);
    let mut ready = ready;
    if !ranks.alone() {
        ready.found.push(explain::of_tasks(settings, ranks.world_size(), tasks)?.line());
    }
    let mut folder = open(ranks, settings, tasks, (tau, &ready), caller)?;
    let resumed = folder.as_mut().and_then(|folder| folder.resumed.take());
    let written = match &folder {
        Some(folder) => observers.write_to(folder, resumed.as_ref().map(|(_, read)| &read.state)),
        None => Ok(()),
    };
    ranks.agree("opening the run's files", written)?;
    let resumed = sent_checkpoint::send(ranks, resumed)?;
    let mut tell = |event: &Event<'_>| observers.on(event);
    let mut run = Run::new(ranks, settings, tasks, ready, folder.as_ref(), &mut tell)?;
    run.listen(&mut tell);
    if let Some((checkpoint, read)) = &resumed {
        let restored = run.resume(checkpoint, read, &mut tell);
        ranks.agree("resuming", restored)?;
    }
    run.go_on(caller, &mut tell)?;
    run.finish(caller, &mut tell)
}

/// Compares the run on all ranks, and opens its folder on rank 0.
fn open(
    ranks: &Communicator,
    settings: &Settings<'_>,
    tasks: &[Task<'_>],
    (tau, ready): (f64, &Ready),
    caller: &dyn Caller,
) -> Result<Option<RunFolder>> {
    if ranks.alone() && settings.run_dir.is_none() {
        return Ok(None);
    }
    let config = undivided::refuse(ranks, tasks).and_then(|()| {
        let evaluations = caller.evaluations()?;
        Asked { settings, tasks, tau, precision: ready.precision, evaluations }.config()
    });
    let config = if ranks.alone() {
        config?
    } else {
        let own = config.and_then(|config| Ok((config, outputs_of(tasks)?)));
        let (config, outputs) = ranks.agree("describing the run", own)?;
        let own = agreement(settings, tasks, ready.length.steps, (&config, &outputs));
        ranks.compare("comparing the ranks", own)?;
        compare_over_ranks(ranks, "comparing the students", Ok(outputs), ready.precision.is_some())?;
        config
    };
    let opened = if ranks.leads() { RunFolder::of(settings, tasks, &config) } else { Ok(None) };
    ranks.agree("opening the run", opened)
}

/// Everything that changes during a run.
pub(super) struct Run<'r, 'o> {
    pub(super) ranks: &'r Communicator,
    pub(super) settings: &'r Settings<'o>,
    pub(super) semantics: Semantics,
    pub(super) tasks: &'r [Task<'r>],
    pub(super) windows: Windows<'r>,
    /// The student's parameters with their optimizer state; `learned` has those of projections and losses.
    pub(super) student: Groups,
    pub(super) learned: Groups,
    /// The loss scale, in float16.
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
    /// Steps skipped because of a non-finite loss.
    pub(super) skipped: u64,
    /// The epoch of this step's evaluation, if it is still pending.
    pub(super) to_evaluate: Option<u64>,
    pub(super) device: Device,
    /// Whether the models compute in bfloat16 or float16.
    pub(super) low_precision: bool,
    /// When the last checkpoint was written, or else when the run began.
    pub(super) saved_at: Instant,
    /// Listens for signals, if there is a folder to write to.
    pub(super) signals: Option<Listening>,
    /// Warnings of a rank other than 0, which rank 0 tells.
    pub(super) warnings: Vec<String>,
    /// Whether, on several ranks, a signal to any of them asks the run to end, and a checkpoint is due by the clock.
    pub(super) asked: bool,
    pub(super) due: bool,
}

impl<'r, 'o> Run<'r, 'o> {
    /// A run before its first step, and notes to the user.
    fn new(
        ranks: &'r Communicator,
        settings: &'r Settings<'o>,
        tasks: &'r [Task<'r>],
        ready: Ready,
        folder: Option<&'r RunFolder>,
        tell: &mut Tell<'_>,
    ) -> Result<Self> {
        let Ready { length, per_epoch, draw, device, precision, found } = ready;
        let plan = tasks.first().ok_or_else(|| Error::invalid(NOTHING))?.work.executor().plan();
        let (student, learned) = optimizers(settings, plan.semantics(), tasks)?;
        tell(&Event::Started { plan, found: &found, steps: length.steps, epochs: settings.epochs() });
        let of_folder = folder.iter().flat_map(|folder| folder.notes.clone());
        let notes = settings.precision.notes(device);
        let idle = undivided::idle(ranks, settings);
        for warning in of_folder.chain(notes).chain(warnings(settings, tasks)).chain(idle) {
            tell(&Event::Warning(&warning));
        }
        Ok(Run {
            ranks,
            settings,
            semantics: plan.semantics(),
            tasks,
            windows: Windows::new(tasks, (ranks, settings.accumulation), draw, per_epoch)?,
            student,
            learned,
            scale: (precision == Some(Kind::Half)).then(|| LossScale::new(device)).transpose()?,
            length,
            folder,
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
            warnings: Vec::new(),
            asked: false,
            due: false,
        })
    }

    /// Listens for signals from now on, if there is a folder to write a checkpoint to.
    fn listen(&mut self, tell: &mut Tell<'_>) {
        if self.settings.run_dir.is_none() {
            return;
        }
        match Listening::begin() {
            Ok(listening) => self.signals = Some(listening),
            Err(error) => {
                tell(&Event::Warning(&format!("signals end the run without a checkpoint: {error}")));
            }
        }
    }
}

/// The optimizers of the student and of the parameters learned beside it. A tensor that several tasks share
/// appears once.
fn optimizers(settings: &Settings<'_>, semantics: Semantics, tasks: &[Task<'_>]) -> Result<(Groups, Groups)> {
    let optimizer = || settings.optimizer.with(&OptimizerChanges::default());
    let parameters = student_of(tasks);
    let mut student = Groups::new(optimizer()?, semantics).moving(settings.sparse_updates);
    let factors = LayerFactors::of(&parameters, settings.layer_decay);
    student.add(&OptimizerChanges::default(), &parameters, &|name| factors.factor(name))?;
    if student.count() == 0 {
        return Err(Error::invalid(
            "no parameter of the student requires a gradient, so nothing would be trained",
        ));
    }
    let mut learned = Groups::new(optimizer()?, semantics);
    for (changes, parameters) in tasks.iter().flat_map(|task| task.work.executor().learned_groups()) {
        learned.add(&changes, &parameters, &|_| 1.0)?;
    }
    Ok((student, learned))
}

/// Notes to the user before the first step, without repetition.
fn warnings(settings: &Settings<'_>, tasks: &[Task<'_>]) -> Vec<String> {
    let mut warnings = settings.warnings();
    if tasks.len() > 1 && tasks.iter().any(|task| task.work.rows().is_none()) {
        warnings.push(
            "not every task knows its number of examples: all are drawn with the same probability, and `tau` has no effect"
                .to_owned(),
        );
    }
    for warning in tasks.iter().flat_map(|task| task.work.warnings(settings.accumulation)) {
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
    warnings
}
