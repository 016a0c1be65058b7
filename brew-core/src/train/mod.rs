//! Training: the one loop that every distiller shares, with its settings.
//!
//! ```no_run
//! # use brew_core::prelude::*;
//! # fn example<A: Adaptor>(pipeline: Pipeline<A::Batch, A>, reviews: Vec<A::Batch>) -> Result<()> {
//! let student = Trainer::new(pipeline)
//!     .optimizer(AdamW::with_lr(1e-4))
//!     .schedule(Warmup::linear(0.1))
//!     .clip(1.0)
//!     .epochs(3)
//!     .seed(7)
//!     .run(reviews)?;
//! student.save("models/student")
//! # }
//! ```

mod checkpoint;
mod checkpoints;
mod clip;
mod layer_decay;
mod length;
mod optimizer;
mod precision;
mod random;
mod run;
mod run_folder;
mod settings;
mod source;
mod steps;
mod tasks;
mod trained;
mod work;

use std::fmt;
use std::path::{Path, PathBuf};

use tch::Tensor;

use crate::adaptor::{Adaptor, Provides};
use crate::batch::{Batches, Feeds};
use crate::config::TrainingConfig;
use crate::distill::Pipeline;
use crate::error::{Error, Result};
use crate::model::{Model as _, Seen};
use crate::observe::{Metric, Observer, Predictions};
use crate::role::Logits;
use crate::schedule::Schedule;
use settings::{Duration, Settings};
use source::Named;
use work::Worker;

pub use optimizer::{Adafactor, Adam, AdamW, Lion, Optimizer, Sgd, Slots, Step};
pub use precision::Precision;
pub use tasks::MultiTask;
pub use trained::{Trained, TrainedTasks};

/// What a trainer trains: a [`Pipeline`], or the tasks of a [`MultiTask`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be trained",
    label = "not a pipeline, nor several tasks",
    note = "a pipeline is what `.plan()?` gives: `Distill::new(…).soft_targets(…).plan()?`"
)]
pub trait Trains {
    /// What is trained: a student as its adaptor sees it, or the tasks that share one.
    type Student;
    /// It, as it stands.
    fn student(&self) -> &Self::Student;
    /// Writes it to a folder.
    fn save(&self, folder: &Path) -> Result<()>;
}

impl<T: 'static, A: Adaptor> Trains for Pipeline<T, A> {
    type Student = Seen<A>;
    fn student(&self) -> &Seen<A> {
        &self.student
    }
    fn save(&self, folder: &Path) -> Result<()> {
        self.student.save(folder)
    }
}

impl<'d> Trains for MultiTask<'d> {
    type Student = MultiTask<'d>;
    fn student(&self) -> &Self {
        self
    }
    fn save(&self, folder: &Path) -> Result<()> {
        MultiTask::save(self, folder)
    }
}

/// How a pipeline, or several tasks of one student, are trained.
#[must_use = "a trainer does nothing until `.run(…)`"]
pub struct Trainer<'o, P: Trains> {
    trained: P,
    settings: Settings<'o>,
    evaluations: Vec<Evaluation<'o, P::Student>>,
    on_checkpoint: Option<OnCheckpoint<'o, P::Student>>,
}

/// The name of a metric and how it is had of a student.
struct Evaluation<'o, S> {
    metric: String,
    of: Evaluate<'o, S>,
}

type Evaluate<'o, S> = Box<dyn Fn(&S) -> Result<f64> + 'o>;
type OnCheckpoint<'o, S> = Box<dyn FnMut(&S, u64) -> Result<()> + 'o>;

impl<P: Trains> fmt::Debug for Trainer<'_, P> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Trainer")
            .field("optimizer", &self.settings.optimizer)
            .field("schedule", &self.settings.schedule)
            .field("duration", &self.settings.duration)
            .finish_non_exhaustive()
    }
}

impl<'o, P: Trains> Trainer<'o, P> {
    /// AdamW at 1e-4, constant, one epoch, no clipping, no accumulation, seed 0.
    pub fn new(trained: P) -> Self {
        Trainer { trained, settings: Settings::default(), evaluations: Vec::new(), on_checkpoint: None }
    }

    /// The optimizer and its learning rate.
    pub fn optimizer(mut self, optimizer: impl Optimizer) -> Self {
        self.settings.optimizer = Box::new(optimizer);
        self
    }

    /// Lets the student's layers learn slower the nearer they are to the input: the learning rate of
    /// layer l of n (`….layer.l.…`, from 0) is multiplied by this to the power n - l, that of the
    /// embeddings by it to the power n + 1, and that of what comes after the layers not at all. In
    /// (0, 1]; 1 unless said otherwise. Source: Clark et al., "ELECTRA", 2020.
    pub fn layer_decay(mut self, factor: f64) -> Self {
        self.settings.layer_decay = factor;
        self
    }

    /// The dtype that teacher and student compute in; float32 unless said otherwise. In a low one the
    /// teacher's weights are held in it too, and stay so.
    pub fn precision(mut self, precision: Precision) -> Self {
        self.settings.precision = precision;
        self
    }

    /// How the learning rate changes from step to step.
    pub fn schedule(mut self, schedule: impl Schedule + 'static) -> Self {
        self.settings.schedule = Box::new(schedule);
        self
    }

    /// Batches an optimizer step. In a run of epochs the rest of an epoch makes a shorter last step:
    /// an epoch has ceil(batches / accumulation) steps. In a run of steps no step is shorter: the batches
    /// of one may be of two epochs.
    pub fn accumulate(mut self, batches: usize) -> Self {
        self.settings.accumulation = batches;
        self
    }

    /// Scales gradients so that their global norm is at most this: student and projections together,
    /// in TextBrewer's semantics the student alone.
    pub fn clip(mut self, max_gradient_norm: f64) -> Self {
        self.settings.max_gradient_norm = Some(max_gradient_norm);
        self
    }

    /// Optimizer steps, in place of epochs: the data is walked again and again, whether its length is
    /// known or not, and the run ends after exactly so many steps, which learning rate and weights go by.
    pub fn steps(mut self, steps: u64) -> Self {
        self.settings.duration = Duration::Steps(steps);
        self
    }

    /// Where dropout and projections start from, and the draws of tasks. The order of the data is the
    /// data's own. libtorch's generator belongs to the whole process: two runs at once in one process
    /// disturb each other.
    pub fn seed(mut self, seed: i64) -> Self {
        self.settings.seed = seed;
        self
    }

    /// Starts the learned projections from these tensors instead of the seed: every parameter by its
    /// name, `projection_hidden_mse_t4_s2.weight`, `(teacher width, student width)`, and `.bias`.
    pub fn projections(mut self, named: impl IntoIterator<Item = (String, Tensor)>) -> Self {
        self.settings.projections = Some(named.into_iter().collect());
        self
    }

    /// Optimizer steps from one reading of the losses to the next.
    pub fn log_every(mut self, steps: u64) -> Self {
        self.settings.log_every = steps;
        self
    }

    /// Checkpoints in every optimizer step that is a multiple of this one, and in the last; of a run of
    /// `.steps(…)`, which otherwise has one in its last step. TextBrewer's `ckpt_steps`.
    pub fn checkpoint_every_steps(mut self, steps: u64) -> Self {
        self.settings.checkpoints.every_steps = Some(steps);
        self
    }

    /// Called after each checkpoint, and on the same steps where there is no run folder to write one
    /// to, with the student and the number of optimizer steps done. Training goes on as if it had not
    /// been called.
    ///
    /// An error of it ends the run; what was written up to then stays.
    pub fn on_checkpoint(mut self, call: impl FnMut(&P::Student, u64) -> Result<()> + 'o) -> Self {
        self.on_checkpoint = Some(Box::new(call));
        self
    }

    /// Where the run is written: `config.json`, `plan.json`, `plan.dot`, `metrics.jsonl`,
    /// `checkpoints/step-N/` and, at the end, `student/` and, where there are projections,
    /// `projections.safetensors`; of several tasks `plans/<task>.json` and `.dot`. A folder that holds
    /// a run already is moved aside, to the same name with a number, and nothing of it is lost. What
    /// cannot be written in the end, or of a checkpoint, is a warning: the caller still gets the student,
    /// and can save it elsewhere.
    ///
    /// A checkpoint holds `student.safetensors`, `projections.safetensors` where there are any, and
    /// `state.json`; a folder without the last of these is none.
    pub fn run_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.settings.run_dir = Some(folder.into());
        self
    }

    /// Takes what TextBrewer's config says: accumulation, checkpoints and the run folder.
    pub fn training_config(mut self, config: &TrainingConfig) -> Self {
        self.settings.accumulation =
            usize::try_from(config.gradient_accumulation_steps).unwrap_or(usize::MAX);
        self.settings.checkpoints.per_epoch = config.ckpt_frequency;
        self.settings.checkpoints.every_epochs = config.ckpt_epoch_frequency;
        self.settings.checkpoints.every_steps = config.ckpt_steps;
        self.run_dir(&config.output_dir)
    }

    /// Adds an observer; without any a [`Progress`](crate::observe::Progress) shows the run.
    pub fn observe(mut self, observer: impl Observer + 'o) -> Self {
        self.settings.observers.push(Box::new(observer));
        self
    }

    fn evaluated(mut self, metric: String, of: impl Fn(&P::Student) -> Result<f64> + 'o) -> Self {
        self.evaluations.push(Evaluation { metric, of: Box::new(of) });
        self
    }
}

impl<'o, T: 'static, A: Adaptor> Trainer<'o, Pipeline<T, A>> {
    /// Passes over the data, whose length must be known.
    pub fn epochs(mut self, epochs: u64) -> Self {
        self.settings.duration = Duration::Epochs(epochs);
        self
    }

    /// Checkpoints an epoch, in a run of epochs; 1 unless said otherwise. With s steps an epoch they
    /// stand floor(s i / n) steps after the epoch's begin, for i = 1, …, n. TextBrewer's
    /// `ckpt_frequency`.
    pub fn checkpoints_per_epoch(mut self, checkpoints: u64) -> Self {
        self.settings.checkpoints.per_epoch = checkpoints;
        self
    }

    /// Epochs from one with checkpoints to the next, in a run of epochs; the last has them too. 1 unless
    /// said otherwise. TextBrewer's `ckpt_epoch_frequency`.
    pub fn checkpoint_every_epochs(mut self, epochs: u64) -> Self {
        self.settings.checkpoints.every_epochs = epochs;
        self
    }

    /// Evaluates the student on these batches: after each epoch, in a run of steps at each checkpoint.
    /// Said again it adds another metric.
    pub fn evaluate<D>(self, data: D, metric: impl Metric + 'o) -> Self
    where
        A: Provides<Logits>,
        D: Batches<Batch = A::Batch> + 'o,
    {
        self.evaluated(metric.name().to_owned(), move |student: &Seen<A>| {
            metric.value(&Predictions::of(student, &data)?)
        })
    }

    /// Checks two rows, trains, and gives the student back.
    ///
    /// # Errors
    /// [`Error::Plan`] with all that two rows show to be wrong, before anything is trained; errors of
    /// the data, such as data that yields no batch; errors of a step, with the stage, the epoch and the
    /// batch; an error of the callback, with the step.
    pub fn run<B, D>(mut self, data: D) -> Result<Trained<A>>
    where
        B: Feeds<T, A::Batch>,
        D: Batches<Batch = B>,
    {
        refuse(&self.settings.problems())?;
        let work = Box::new(Worker::new(&self.trained, &data, self.settings.seed)?);
        let mut caller = Student {
            trained: &self.trained,
            evaluations: &self.evaluations,
            on_checkpoint: &mut self.on_checkpoint,
        };
        let tasks = vec![Named { task: None, work }];
        let (projections, summary) = run::run(&mut self.settings, tasks, 1.0, &mut caller)?;
        Ok(Trained { student: self.trained.into_student(), projections, summary })
    }
}

impl<'o, 'd> Trainer<'o, MultiTask<'d>> {
    /// Evaluates the student of a task on these batches at each checkpoint; the metric is logged as
    /// `task/metric`.
    pub fn evaluate<A, D>(self, task: &str, student: Seen<A>, data: D, metric: impl Metric + 'o) -> Self
    where
        A: Adaptor + Provides<Logits>,
        D: Batches<Batch = A::Batch> + 'o,
    {
        self.evaluated(format!("{task}/{}", metric.name()), move |_| {
            metric.value(&Predictions::of(&student, &data)?)
        })
    }

    /// Checks two rows of each task and trains for so many `.steps(…)`.
    ///
    /// # Errors
    /// As those of a single pipeline, with the task's name.
    pub fn run(mut self) -> Result<TrainedTasks<'d>> {
        let mut problems = self.settings.problems();
        problems.extend(self.trained.problems());
        if let Duration::Epochs(_) = self.settings.duration {
            problems.push("several tasks have no common epoch: say how many `.steps(…)`".to_owned());
        }
        refuse(&problems)?;
        let mut caller = Student {
            trained: &self.trained,
            evaluations: &self.evaluations,
            on_checkpoint: &mut self.on_checkpoint,
        };
        let tasks = self.trained.open(self.settings.seed)?;
        let (projections, summary) = run::run(&mut self.settings, tasks, self.trained.tau, &mut caller)?;
        Ok(TrainedTasks { tasks: self.trained, projections, summary })
    }
}

fn refuse(problems: &[String]) -> Result<()> {
    if problems.is_empty() { Ok(()) } else { Err(Error::invalid(problems.join("; "))) }
}

/// What is trained, with what is asked of it during the run.
struct Student<'c, 'o, P: Trains> {
    trained: &'c P,
    evaluations: &'c [Evaluation<'o, P::Student>],
    on_checkpoint: &'c mut Option<OnCheckpoint<'o, P::Student>>,
}

impl<P: Trains> run::Caller for Student<'_, '_, P> {
    fn evaluate(&mut self, tell: &mut dyn FnMut(&str, f64)) -> Result<()> {
        for evaluation in self.evaluations {
            tell(&evaluation.metric, (evaluation.of)(self.trained.student())?);
        }
        Ok(())
    }

    fn at_checkpoint(&mut self, step: u64) -> Result<()> {
        match &mut self.on_checkpoint {
            Some(call) => call(self.trained.student(), step),
            None => Ok(()),
        }
    }

    fn save(&self, folder: &Path) -> Result<()> {
        self.trained.save(folder)
    }
}
