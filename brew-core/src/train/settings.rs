//! The settings of a trainer, for one pipeline or several tasks.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tch::Tensor;

use super::checkpoints::Checkpoints;
use super::optimizer::SparseUpdates;
use super::{AdamW, NotFinite, Optimizer, Precision};
use crate::cache::TeacherCache;
use crate::observe::Observer;
use crate::schedule::{Decay, Schedule};

/// The settings of a run.
pub(super) struct Settings<'o> {
    pub(super) optimizer: Box<dyn Optimizer>,
    pub(super) layer_decay: f64,
    pub(super) precision: Precision,
    pub(super) gradient_checkpointing: bool,
    pub(super) student_dropout: Option<f64>,
    pub(super) sparse_updates: SparseUpdates,
    pub(super) schedule: Box<dyn Schedule>,
    pub(super) accumulation: usize,
    pub(super) exact_sums: bool,
    pub(super) max_gradient_norm: Option<f64>,
    pub(super) duration: Duration,
    pub(super) checkpoints: Checkpoints,
    pub(super) seed: i64,
    pub(super) projections: Option<BTreeMap<String, Tensor>>,
    pub(super) log_every: u64,
    pub(super) run_dir: Option<PathBuf>,
    pub(super) teacher_cache: Option<Box<dyn TeacherCache>>,
    pub(super) fresh: bool,
    pub(super) save_every: Option<std::time::Duration>,
    pub(super) keep_checkpoints: Option<usize>,
    pub(super) patience: Option<u64>,
    pub(super) not_finite: NotFinite,
    pub(super) observers: Vec<Box<dyn Observer + 'o>>,
}

/// The requested length of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Duration {
    /// Passes over the data.
    Epochs(u64),
    /// Optimizer steps.
    Steps(u64),
}

impl Default for Settings<'_> {
    fn default() -> Self {
        Settings {
            optimizer: Box::new(AdamW::with_lr(1e-4)),
            layer_decay: 1.0,
            precision: Precision::default(),
            gradient_checkpointing: false,
            student_dropout: None,
            sparse_updates: SparseUpdates::default(),
            schedule: Box::new(Decay::constant()),
            accumulation: 1,
            exact_sums: false,
            max_gradient_norm: None,
            duration: Duration::Epochs(1),
            checkpoints: Checkpoints::default(),
            seed: 0,
            projections: None,
            log_every: 10,
            run_dir: None,
            teacher_cache: None,
            fresh: false,
            save_every: None,
            keep_checkpoints: None,
            patience: None,
            not_finite: NotFinite::default(),
            observers: Vec::new(),
        }
    }
}

impl Settings<'_> {
    /// The number of epochs, in a run of epochs.
    pub(super) fn epochs(&self) -> Option<u64> {
        match self.duration {
            Duration::Epochs(epochs) => Some(epochs),
            Duration::Steps(_) => None,
        }
    }

    /// The invalid settings, each with its fix.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = self.optimizer.problems();
        problems.extend(self.schedule.problems());
        let (epochs, steps) = match self.duration {
            Duration::Epochs(epochs) => (Some(epochs), None),
            Duration::Steps(steps) => (None, Some(steps)),
        };
        let counts = [
            ("accumulate", Some(self.accumulation as u64)),
            ("epochs", epochs),
            ("steps", steps),
            ("log_every", Some(self.log_every)),
            ("checkpoints_per_epoch", Some(self.checkpoints.per_epoch)),
            ("checkpoint_every_epochs", Some(self.checkpoints.every_epochs)),
            ("checkpoint_every_steps", self.checkpoints.every_steps),
            ("keep_checkpoints", self.keep_checkpoints.map(|newest| newest as u64)),
            ("stop_after", self.patience),
        ];
        problems.extend(
            counts
                .iter()
                .filter(|(_, value)| *value == Some(0))
                .map(|(name, _)| format!("`{name}` is 0; it must be at least 1")),
        );
        if !(self.layer_decay > 0.0 && self.layer_decay <= 1.0) {
            problems.push(format!("`layer_decay` is {}; it must lie in (0, 1]", self.layer_decay));
        }
        if let Some(norm) = self.max_gradient_norm
            && !(norm.is_finite() && norm > 0.0)
        {
            problems.push(format!("`clip` is {norm}; it must be finite and above 0"));
        }
        if let Some(dropout) = self.student_dropout.filter(|dropout| !(0.0..1.0).contains(dropout)) {
            problems.push(format!("`student_dropout` is {dropout}; it must be at least 0 and below 1"));
        }
        problems
    }

    /// Settings that have no effect in this run.
    pub(super) fn warnings(&self) -> Vec<String> {
        let (default, asked) = (Checkpoints::default(), self.checkpoints);
        let by_epochs = (asked.per_epoch, asked.every_epochs) != (default.per_epoch, default.every_epochs);
        match self.duration {
            Duration::Epochs(_) if asked.every_steps.is_some() => {
                vec!["this is a run of epochs: `.checkpoint_every_steps(…)` only works in a run of `.steps(…)`".to_owned()]
            }
            Duration::Steps(_) if by_epochs => vec![
                "this is a run of steps: it only writes the checkpoints of `.checkpoint_every_steps(…)` and of the last step".to_owned(),
            ],
            _ => Vec::new(),
        }
    }

    /// The settings that depend on nothing else, as `config.json` stores them.
    pub(super) fn config(&self) -> serde_json::Map<String, serde_json::Value> {
        let (duration, count) = match self.duration {
            Duration::Epochs(epochs) => ("epochs", epochs),
            Duration::Steps(steps) => ("steps", steps),
        };
        let settings = serde_json::json!({
            "optimizer": { self.optimizer.name(): self.optimizer.settings() },
            "layer_decay": self.layer_decay,
            "sparse_embedding_updates": self.sparse_updates == SparseUpdates::RowsInUse,
            "student_dropout": self.student_dropout,
            "precision": self.precision,
            "accumulation": self.accumulation,
            "max_gradient_norm": self.max_gradient_norm,
            duration: count,
            "stop_after": self.patience,
            "not_finite": self.not_finite,
            "checkpoints": self.checkpoints,
            "seed": self.seed,
            "teacher_cache": self.teacher_cache.as_ref().map(|cache| cache.payload().to_string()),
        });
        let mut settings = match settings {
            serde_json::Value::Object(settings) => settings,
            _ => serde_json::Map::new(),
        };
        // Absent where it is off, so that runs begun before it existed resume.
        if self.exact_sums {
            settings.insert("exact_sums".to_owned(), true.into());
        }
        settings
    }
}
