//! The problems that keep a plan from running, one variant per kind, so that all can be listed at once.

use std::fmt;

/// A problem that keeps a plan from running.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// A stage reads a role that its adaptor does not provide.
    MissingRole {
        /// The stage that reads.
        stage: String,
        /// The role.
        role: String,
        /// The adaptor.
        adaptor: String,
        /// The nearest role that it provides, as a question.
        hint: String,
    },
    /// Stages wait for one another.
    Cycle(Vec<String>),
    /// Two stages have one name.
    SameName(String),
    /// A stage has too few or too many inputs.
    Inputs {
        /// The stage.
        stage: String,
        /// What its kind reads.
        reads: String,
        /// The number of flows it has.
        given: usize,
    },
    /// An invalid setting in a config; the text names its key and value.
    Config(String),
    /// A problem of one of several tasks.
    Task {
        /// The task.
        task: String,
        /// The problem, and its fix.
        message: String,
    },
    /// An impossible evaluation: its batches, metric and student do not fit together.
    Evaluation {
        /// The metric.
        metric: String,
        /// The problem, where it is, and its fix.
        message: String,
    },
    /// No loss: nothing would be learned.
    NoLoss,
    /// A value, shape or option does not fit.
    Unfit {
        /// The stage.
        stage: String,
        /// The problem, and its fix.
        message: String,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::MissingRole { stage, role, adaptor, hint } => {
                write!(formatter, "stage `{stage}` reads `{role}`, which `{adaptor}` does not provide{hint}")
            }
            Problem::Cycle(names) => write!(formatter, "stages wait for one another: {}", names.join(" -> ")),
            Problem::SameName(name) => write!(
                formatter,
                "two stages are named `{name}`: metrics and checkpoints need unique names; rename one with `.named(\"…\")`"
            ),
            Problem::Inputs { stage, reads, given } => {
                write!(formatter, "stage `{stage}` reads {reads}, but has {given} inputs")
            }
            Problem::Config(message) => formatter.write_str(message),
            Problem::Task { task, message } => write!(formatter, "task `{task}`: {message}"),
            Problem::Evaluation { metric, message } => write!(formatter, "evaluation `{metric}`: {message}"),
            Problem::NoLoss => formatter.write_str(
                "the pipeline has no loss: add one of `.soft_targets(…)`, `.matching(…)`, `.hard_labels(…)`",
            ),
            Problem::Unfit { stage, message } => write!(formatter, "stage `{stage}`: {message}"),
        }
    }
}
