//! What keeps a plan from running, one variant per kind, so that all of them can be listed at once.

use std::fmt;

/// Something that keeps a plan from running.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// A stage reads a role that the adaptor it reads from does not give.
    MissingRole {
        /// The stage that reads.
        stage: String,
        /// The role.
        role: String,
        /// The adaptor.
        adaptor: String,
        /// The nearest role it gives, as a question.
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
        /// How many flows it was given.
        given: usize,
    },
    /// A setting of a config that cannot be used; the text names its key and its value.
    Config(String),
    /// A problem of one of several tasks.
    Task {
        /// The task.
        task: String,
        /// What is wrong, and the mend.
        message: String,
    },
    /// An evaluation that cannot be made: its batches, its metric and the student do not suit one another.
    Evaluation {
        /// The metric.
        metric: String,
        /// What is wrong, where it is, and the mend.
        message: String,
    },
    /// No loss: nothing would be learned.
    NoLoss,
    /// A value, shape or option does not fit.
    Unfit {
        /// The stage.
        stage: String,
        /// What is wrong, and the mend.
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
                "two stages are named `{name}`: metrics and checkpoints need names of their own; give one another with `.named(\"…\")`"
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
