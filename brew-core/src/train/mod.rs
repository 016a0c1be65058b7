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

mod clip;
mod epochs;
mod optimizer;
mod run_folder;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use tch::Tensor;

use crate::adaptor::{Adaptor, Provides};
use crate::batch::{Batches, Feeds};
use crate::cache::{IntoTeacherCache, TeacherCache};
use crate::distill::Pipeline;
use crate::error::{Error, Result};
use crate::model::{Model, Parameters, Seen};
use crate::observe::{Metric, Observer, Predictions, Summary};
use crate::plan::Semantics;
use crate::role::Logits;
use crate::schedule::{Constant, Schedule};

pub use optimizer::AdamW;

/// How a pipeline is trained.
#[must_use = "a trainer does nothing until `.run(…)`"]
pub struct Trainer<'o, T: 'static, A: Adaptor> {
    pipeline: Pipeline<T, A>,
    optimizer: AdamW,
    schedule: Box<dyn Schedule>,
    accumulation: usize,
    max_gradient_norm: Option<f64>,
    epochs: u64,
    seed: i64,
    projections: Option<BTreeMap<String, Tensor>>,
    log_every: u64,
    evaluation: Option<Evaluation<'o, A>>,
    run_dir: Option<PathBuf>,
    teacher_cache: Option<Box<dyn TeacherCache>>,
    observers: Vec<Box<dyn Observer + 'o>>,
}

/// The name of a metric and how it is had of a student.
struct Evaluation<'o, A: Adaptor> {
    metric: &'static str,
    #[expect(clippy::type_complexity, reason = "a student to its metric")]
    of: Box<dyn Fn(&Seen<A>) -> Result<f64> + 'o>,
}

impl<T: 'static, A: Adaptor> fmt::Debug for Trainer<'_, T, A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Trainer")
            .field("optimizer", &self.optimizer)
            .field("schedule", &self.schedule)
            .field("epochs", &self.epochs)
            .finish_non_exhaustive()
    }
}

impl<'o, T: 'static, A: Adaptor> Trainer<'o, T, A> {
    /// AdamW at 1e-4, constant, one epoch, no clipping, no accumulation, seed 0.
    pub fn new(pipeline: Pipeline<T, A>) -> Self {
        Trainer {
            pipeline,
            optimizer: AdamW::with_lr(1e-4),
            schedule: Box::new(Constant),
            accumulation: 1,
            max_gradient_norm: None,
            epochs: 1,
            seed: 0,
            projections: None,
            log_every: 10,
            evaluation: None,
            run_dir: None,
            teacher_cache: None,
            observers: Vec::new(),
        }
    }

    /// The optimizer and its learning rate.
    pub fn optimizer(self, optimizer: AdamW) -> Self {
        Trainer { optimizer, ..self }
    }

    /// How the learning rate changes from step to step.
    pub fn schedule(self, schedule: impl Schedule + 'static) -> Self {
        Trainer { schedule: Box::new(schedule), ..self }
    }

    /// Batches an optimizer step; the rest of an epoch makes a shorter last step.
    pub fn accumulate(self, batches: usize) -> Self {
        Trainer { accumulation: batches, ..self }
    }

    /// Scales gradients so that their global norm is at most this: student and projections together,
    /// in TextBrewer's semantics the student alone.
    pub fn clip(self, max_gradient_norm: f64) -> Self {
        Trainer { max_gradient_norm: Some(max_gradient_norm), ..self }
    }

    /// Passes over the data.
    pub fn epochs(self, epochs: u64) -> Self {
        Trainer { epochs, ..self }
    }

    /// Where dropout and projections start from. The order of the data is the data's own. libtorch's
    /// generator belongs to the whole process: two runs at once in one process disturb each other.
    pub fn seed(self, seed: i64) -> Self {
        Trainer { seed, ..self }
    }

    /// Starts the learned projections from these tensors instead of the seed: every parameter by its
    /// name, `projection_hidden_mse_t4_s2.weight`, `(teacher width, student width)`, and `.bias`.
    pub fn projections(self, named: impl IntoIterator<Item = (String, Tensor)>) -> Self {
        Trainer { projections: Some(named.into_iter().collect()), ..self }
    }

    /// Optimizer steps from one reading of the losses to the next.
    pub fn log_every(self, steps: u64) -> Self {
        Trainer { log_every: steps, ..self }
    }

    /// Evaluates the student on these batches after each epoch.
    pub fn evaluate<D>(self, data: D, metric: impl Metric + 'o) -> Self
    where
        A: Provides<Logits>,
        D: Batches<Batch = A::Batch> + 'o,
    {
        let name = metric.name();
        let of = Box::new(move |student: &Seen<A>| metric.value(&Predictions::of(student, &data)?));
        Trainer { evaluation: Some(Evaluation { metric: name, of }), ..self }
    }

    /// Where the run is written: `config.json`, `plan.json`, `plan.dot`, `metrics.jsonl` and, at the
    /// end, `student/` and, where there are projections, `projections.safetensors`. A folder that holds
    /// a run already is moved aside, to the same name with a number, and nothing of it is lost. What
    /// cannot be written at the end is a warning: the caller still gets the student, and can save it
    /// elsewhere.
    pub fn run_dir(self, folder: impl Into<PathBuf>) -> Self {
        Trainer { run_dir: Some(folder.into()), ..self }
    }

    /// Reads the teachers' features from this cache and keeps there what they compute, so that they run
    /// in the first epoch alone: a [`MemoryCache`](crate::cache::MemoryCache), or with brew-data the path
    /// of a folder on disk. The losses are those without it, whatever the order and size of batches; of
    /// one teacher or several, any of their features, in any distiller.
    pub fn teacher_cache<Via>(mut self, cache: impl IntoTeacherCache<Via>) -> Self {
        self.teacher_cache = Some(cache.into_teacher_cache());
        self
    }

    /// Adds an observer; without any a [`Progress`](crate::observe::Progress) shows the run.
    pub fn observe(mut self, observer: impl Observer + 'o) -> Self {
        self.observers.push(Box::new(observer));
        self
    }

    /// Checks two rows, trains, and gives the student back.
    ///
    /// # Errors
    /// [`Error::Plan`] with all that two rows show to be wrong, before anything is trained; errors of
    /// the data; errors of a step, with the stage, the epoch and the batch.
    pub fn run<B, D>(self, data: D) -> Result<Trained<A>>
    where
        B: Feeds<T, A::Batch>,
        D: Batches<Batch = B>,
    {
        let problems = self.problems();
        if !problems.is_empty() {
            return Err(Error::invalid(problems.join("; ")));
        }
        epochs::run(self, &data)
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = self.optimizer.problems();
        let zeros = [
            ("accumulate", self.accumulation as u64),
            ("epochs", self.epochs),
            ("log_every", self.log_every),
        ];
        problems.extend(
            zeros
                .iter()
                .filter(|(_, value)| *value == 0)
                .map(|(name, _)| format!("`{name}` is 0; it must be at least 1")),
        );
        if let Some(norm) = self.max_gradient_norm
            && !(norm.is_finite() && norm > 0.0)
        {
            problems.push(format!("`clip` is {norm}; it must be finite and above 0"));
        }
        problems
    }

    /// What a person should know before the first step.
    fn warnings(&self) -> Vec<String> {
        let mut warnings = self.pipeline.warnings.clone();
        if self.accumulation > 1 && self.semantics() == Semantics::Exact {
            warnings.extend(self.pipeline.whole_batch_losses().map(|name| {
                format!("`{name}` depends on all rows of a batch: {} accumulated batches are not one batch of as many rows", self.accumulation)
            }));
        }
        warnings
    }

    /// The settings as `config.json` holds them.
    fn config(&self) -> serde_json::Value {
        serde_json::json!({
            "optimizer": { "adamw": self.optimizer },
            "schedule": format!("{:?}", self.schedule),
            "accumulation": self.accumulation,
            "max_gradient_norm": self.max_gradient_norm,
            "epochs": self.epochs,
            "seed": self.seed,
            "semantics": self.semantics(),
        })
    }

    fn semantics(&self) -> Semantics {
        self.pipeline.plan().semantics()
    }
}

/// A trained student.
#[derive(Debug)]
pub struct Trained<A: Adaptor> {
    student: Seen<A>,
    projections: Parameters,
    summary: Summary,
}

impl<A: Adaptor> Trained<A> {
    /// The student, to go on with.
    pub fn student(&self) -> &Seen<A> {
        &self.student
    }

    /// The student alone.
    pub fn into_student(self) -> Seen<A> {
        self.student
    }

    /// The learned projections, by the names of their stages; empty without any.
    pub fn projections(&self) -> &Parameters {
        &self.projections
    }

    /// What the run did.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Writes the student to a folder, as its model does.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        self.student.save(folder.as_ref())
    }
}
