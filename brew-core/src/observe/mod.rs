//! Events of a run and who listens: the loop tells, observers show.
//!
//! An observer cannot stop a run: what it cannot do it says once, on standard error.
//!
//! Where the time of a run goes, its spans say, which any subscriber of the crate `tracing` can follow. At
//! the level `DEBUG` each optimizer step is a span `step` (with its `number`, from 1), and in it are
//!
//! | span | what it covers |
//! |---|---|
//! | `data` | waiting for the batches, and moving them to the device |
//! | `teacher` (`index`) | a teacher's forward pass, or its features from the cache |
//! | `student` | the student's forward pass |
//! | `loss` (`name`) | one loss of the plan, forward |
//! | `backward` | the gradients of one batch |
//! | `clip` | the gradients' global norm, and scaling them |
//! | `optimizer` | the update of the student and of what is learned beside it |
//!
//! at the level `INFO` there are `evaluation` and `checkpoint` (each with its `step`), between the steps. On
//! a GPU a span ends when its work is asked for, not when it is done. A span that nobody listens to costs
//! some nanoseconds.

mod inputs;
mod metric;
mod metrics_file;
mod predictions;
mod progress;
mod report;
mod tensorboard;

use std::path::Path;

use crate::cache::CacheReport;
use crate::plan::Plan;

pub(crate) use metric::labels_within_classes;
pub use metric::{
    Accuracy, Entity, EntityF1, F1, Matthews, Metric, Pearson, Scheme, Spearman, SquadAnswers,
    SquadExactMatch, SquadF1, entities, entity_f1, exact_match, token_f1,
};
pub use metrics_file::MetricsFile;
pub use predictions::Predictions;
pub use progress::Progress;
pub use report::Report;
pub use tensorboard::TensorBoard;

/// What happens in a run.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Two rows went through; the first step follows.
    Started {
        /// The plan that is run; of several tasks the first one's.
        plan: &'a Plan,
        /// What the two rows showed, a line each.
        found: &'a [String],
        /// Optimizer steps in the whole run.
        steps: u64,
        /// Epochs in the whole run; `None` where it goes by optimizer steps.
        epochs: Option<u64>,
    },
    /// The run goes on from a checkpoint; it follows [`Event::Started`].
    Resumed {
        /// The optimizer steps that are done.
        step: u64,
        /// The checkpoint.
        checkpoint: &'a Path,
    },
    /// A batch of an optimizer step went through; only on steps that are logged.
    Batch(&'a BatchReport),
    /// An optimizer step is done.
    Step(&'a StepReport),
    /// The development data was evaluated.
    Evaluated {
        /// The epoch of the data, from 0: in a run of epochs the one that ended.
        epoch: u64,
        /// Optimizer steps so far.
        step: u64,
        /// The metric's name; of several tasks `task/metric`.
        metric: &'a str,
        /// Its value.
        value: f64,
    },
    /// So much came from a teacher's cache since it was last told: after each epoch, in a run of steps
    /// at each checkpoint.
    TeacherCache {
        /// Optimizer steps so far.
        step: u64,
        /// What the cache did.
        report: &'a CacheReport,
    },
    /// Something was written.
    Saved(&'a Path),
    /// Something a person should know, though the run goes on.
    Warning(&'a str),
    /// The run is over.
    Finished(&'a Summary),
}

/// One optimizer step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepReport {
    /// The epoch of its first batch, from 0.
    pub epoch: u64,
    /// Optimizer steps so far, this one included.
    pub step: u64,
    /// Optimizer steps in the whole run.
    pub steps: u64,
    /// The learning rate of this step.
    pub learning_rate: f64,
    /// `total` and each loss before its weight, of several tasks as `task/loss`; only on steps that are
    /// logged, since reading a value makes the device wait.
    pub losses: Option<Vec<(String, f64)>>,
    /// Examples a second, over the run so far.
    pub examples_per_second: f64,
    /// Tokens a second that the inputs' mask keeps, over the run so far; only on steps that are logged, and
    /// where the student's adaptor reads `inputs_mask` of the batch.
    pub tokens_per_second: Option<f64>,
    /// Bytes of memory in use: of the GPU where the student is on one, else of the process.
    pub memory: Option<u64>,
}

/// One batch of an optimizer step.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchReport {
    /// The epoch, from 0.
    pub epoch: u64,
    /// The optimizer step it belongs to, from 1.
    pub step: u64,
    /// Its position in the window of accumulated batches, from 0.
    pub index: usize,
    /// How many batches the window has.
    pub batches: usize,
    /// Its share of the step's losses: `total` and each loss before its weight. In TextBrewer's
    /// semantics `batches` times the share is the batch's own mean.
    pub losses: Vec<(String, f64)>,
}

/// What a run did. In JSON, as in `summary.json`, a number that is not finite is `"NaN"`, `"Infinity"` or
/// `"-Infinity"`.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Summary {
    /// Optimizer steps.
    pub steps: u64,
    /// Examples the student saw, each epoch's counted.
    pub examples: u64,
    /// Tokens among them that the inputs' mask keeps; `None` where the student's adaptor reads no
    /// `inputs_mask` of the batch.
    #[serde(default)]
    pub tokens: Option<u64>,
    /// Seconds of training, evaluation left out.
    #[serde(with = "crate::json::float")]
    pub seconds: f64,
    /// Examples a second of training.
    #[serde(with = "crate::json::float")]
    pub examples_per_second: f64,
    /// Tokens a second of training, where they are counted.
    #[serde(default, with = "crate::json::optional")]
    pub tokens_per_second: Option<f64>,
    /// Every metric in the order it was evaluated: after each epoch, or in a run of optimizer steps at
    /// each checkpoint; empty without evaluation.
    #[serde(with = "crate::json::floats")]
    pub evaluations: Vec<f64>,
    /// Steps that were left out because a loss was not finite: see
    /// [`NotFinite::Skip`](crate::train::NotFinite::Skip).
    pub skipped: u64,
    /// The best value of the first metric; `None` without evaluation. The student that had it is in
    /// `best/` of the run folder.
    pub best: Option<Best>,
}

/// The best value of a metric in a run.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Best {
    /// Optimizer steps done then.
    pub step: u64,
    /// The value.
    #[serde(with = "crate::json::float")]
    pub value: f64,
}

/// Listens to a run.
///
/// ```
/// use brew_core::observe::{Event, Observer};
///
/// struct Count(u64);
/// impl Observer for Count {
///     fn on(&mut self, event: &Event<'_>) {
///         if let Event::Step(_) = event {
///             self.0 += 1;
///         }
///     }
/// }
/// ```
pub trait Observer {
    /// Called for each event, in order.
    fn on(&mut self, event: &Event<'_>);
}
