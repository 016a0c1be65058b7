//! Observing a run: the loop emits events, and observers show or record them.
//!
//! An observer cannot stop a run: it reports its own failures once, on standard error.
//!
//! Tracing spans show where the time of a run goes; any subscriber of the crate `tracing` can follow them. At
//! level `DEBUG` each optimizer step is a span `step` (with its `number`, from 1) that contains
//!
//! | span | what it covers |
//! |---|---|
//! | `data` | waiting for the batches, and moving them to the device |
//! | `teacher` (`index`) | a teacher's forward pass, or its features from the cache |
//! | `student` | the student's forward pass |
//! | `loss` (`name`) | one loss of the plan, forward |
//! | `backward` | the gradients of one batch |
//! | `all_reduce` | the sum of the gradients over all [ranks](crate::ranks) |
//! | `clip` | the gradients' global norm, and scaling them |
//! | `optimizer` | the update of the student and of the parameters learned beside it |
//!
//! At level `INFO` there are `evaluation` and `checkpoint` (each with its `step`), between the steps. On a
//! GPU a span ends when its work is queued, not when it is done. A span without subscribers costs a few
//! nanoseconds.

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
    Accuracy, Entity, EntityF1, ExactMatch, F1, Matthews, Metric, Pearson, Perplexity, R2, Scheme, Spearman,
    SquadAnswers, SquadExactMatch, SquadF1, entities, entity_f1, exact_match, token_f1,
};
pub use metrics_file::MetricsFile;
pub(crate) use predictions::Parts;
pub use predictions::Predictions;
pub use progress::Progress;
pub use report::Report;
pub use tensorboard::TensorBoard;

/// An event of a run.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The probe passed; the first step follows.
    Started {
        /// The plan that runs; with several tasks that of the first.
        plan: &'a Plan,
        /// The findings of the probe, one line each.
        found: &'a [String],
        /// Optimizer steps in the whole run.
        steps: u64,
        /// Epochs in the whole run; `None` for a run of optimizer steps.
        epochs: Option<u64>,
    },
    /// The run resumes from a checkpoint; follows [`Event::Started`].
    Resumed {
        /// The optimizer steps already done.
        step: u64,
        /// The checkpoint.
        checkpoint: &'a Path,
    },
    /// A batch of an optimizer step is done; only on logged steps.
    Batch(&'a BatchReport),
    /// An optimizer step is done.
    Step(&'a StepReport),
    /// The development data was evaluated.
    Evaluated {
        /// The epoch of the data, from 0: in a run of epochs the one that ended.
        epoch: u64,
        /// Optimizer steps so far.
        step: u64,
        /// The metric's name; with several tasks `task/metric`.
        metric: &'a str,
        /// Its value.
        value: f64,
    },
    /// Statistics of a teacher's cache since the last such event: after each epoch, or in a run of steps at
    /// each checkpoint.
    TeacherCache {
        /// Optimizer steps so far.
        step: u64,
        /// The cache's statistics.
        report: &'a CacheReport,
    },
    /// A file or folder was written.
    Saved(&'a Path),
    /// A warning to the user; the run continues.
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
    /// `total` and each loss before weighting, with several tasks as `task/loss`; only on logged steps, since
    /// reading a value synchronizes with the device.
    pub losses: Option<Vec<(String, f64)>>,
    /// Examples per second, over the run so far.
    pub examples_per_second: f64,
    /// Tokens per second, counting those that the inputs' mask keeps, over the run so far; only on logged
    /// steps, and if the student's adaptor reads `inputs_mask` from the batch.
    pub tokens_per_second: Option<f64>,
    /// Bytes of memory in use: on the GPU if the student is on one, else by the process.
    pub memory: Option<u64>,
}

/// One batch of an optimizer step.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct BatchReport {
    /// The epoch, from 0.
    pub epoch: u64,
    /// The optimizer step it belongs to, from 1.
    pub step: u64,
    /// Its position in the window of accumulated batches, from 0.
    pub index: usize,
    /// How many batches the window has.
    pub batches: usize,
    /// Its share of the step's losses: `total` and each loss before weighting. In TextBrewer's semantics
    /// `batches` times the share is the batch's own mean.
    #[serde(with = "crate::json::named")]
    pub losses: Vec<(String, f64)>,
}

/// The summary of a run. In JSON, as in `summary.json`, a non-finite number is `"NaN"`, `"Infinity"` or
/// `"-Infinity"`.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Summary {
    /// Optimizer steps.
    pub steps: u64,
    /// Examples the student saw, counted in every epoch.
    pub examples: u64,
    /// Tokens in them that the inputs' mask keeps; `None` if the student's adaptor does not read
    /// `inputs_mask` from the batch.
    #[serde(default)]
    pub tokens: Option<u64>,
    /// Seconds of training, without evaluation.
    #[serde(with = "crate::json::float")]
    pub seconds: f64,
    /// Examples per second of training.
    #[serde(with = "crate::json::float")]
    pub examples_per_second: f64,
    /// Tokens per second of training, if they are counted.
    #[serde(default, with = "crate::json::optional")]
    pub tokens_per_second: Option<f64>,
    /// Every metric value in the order of evaluation: after each epoch, or in a run of optimizer steps at
    /// each checkpoint; empty without evaluation.
    #[serde(with = "crate::json::floats")]
    pub evaluations: Vec<f64>,
    /// Steps skipped because of a non-finite loss: see [`NotFinite::Skip`](crate::train::NotFinite::Skip).
    pub skipped: u64,
    /// The best value of the first metric; `None` without evaluation. The student that reached it is in
    /// `best/` in the run folder.
    pub best: Option<Best>,
}

/// The best value of a metric in a run.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Best {
    /// The number of optimizer steps done at that point.
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
