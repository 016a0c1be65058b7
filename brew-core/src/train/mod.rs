//! Training: the one loop that every distiller shares, with its settings.
//!
//! ```no_run
//! # use brew_core::prelude::*;
//! # fn example<A: Adaptor>(pipeline: Pipeline<A::Batch, A>, reviews: Vec<A::Batch>) -> Result<()> {
//! let student = Trainer::new(pipeline)
//!     .optimizer(AdamW::with_lr(1e-4))
//!     .schedule(Decay::linear().with_warmup(0.1))
//!     .clip(1.0)
//!     .epochs(3)
//!     .seed(7)
//!     .run(reviews)?;
//! student.save("models/student")
//! # }
//! ```

mod asked;
mod buffers;
mod builder;
mod caller;
mod checkpoint;
mod checkpoints;
mod clip;
mod communicator;
mod drawn;
mod erased_executor;
mod evaluate;
mod evaluation;
mod explain;
mod finish;
mod label_names;
mod layer_decay;
mod length;
mod multi_task;
mod not_finite;
mod noted;
mod observers;
mod optimizer;
mod outputs;
mod pass;
mod passes;
mod pipeline;
mod precision;
mod prepare;
mod probe;
mod random;
mod resume;
mod rollout;
mod run;
mod run_folder;
mod same;
mod save;
mod sent_checkpoint;
mod settings;
mod signals;
mod steps;
mod stream;
mod task;
mod tasks;
mod tokens;
mod trained;
mod undivided;
mod window;
mod windows;
mod work;
mod worker;

use std::fmt;
use std::path::Path;

use crate::adaptor::Adaptor;
use crate::distill::Pipeline;
use crate::error::{Error, Problem, Result};
use crate::model::{Model as _, Seen};
use caller::Measured;
use communicator::Communicator;
use evaluation::{Evaluates, Evaluation};
use settings::Settings;

pub use multi_task::MultiTask;
pub use not_finite::NotFinite;
pub use optimizer::{Adafactor, Adam, AdamW, Lion, Optimizer, Sgd, Slots, Step};
pub use precision::Precision;
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
    /// The current student.
    fn student(&self) -> &Self::Student;
    /// Writes what is trained to a folder.
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

/// Trains a pipeline, or several tasks of one student: settings first, then `.run(…)`.
#[must_use = "a trainer does nothing until `.run(…)`"]
pub struct Trainer<'o, P: Trains> {
    trained: P,
    settings: Settings<'o>,
    evaluations: Vec<Evaluation<'o, P::Student>>,
    on_checkpoint: Option<OnCheckpoint<'o, P::Student>>,
}

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
    /// A trainer with the defaults: AdamW with a constant learning rate of 1e-4, one epoch, no clipping, no
    /// accumulation, seed 0.
    pub fn new(trained: P) -> Self {
        Trainer { trained, settings: Settings::default(), evaluations: Vec::new(), on_checkpoint: None }
    }

    fn evaluated(mut self, metric: String, of: impl Evaluates<P::Student> + 'o) -> Self {
        self.evaluations.push(Evaluation { metric, of: Box::new(of) });
        self
    }

    /// Checks the settings and reports all problems at once. Every run does this first; call it to find out
    /// early.
    ///
    /// # Errors
    /// Every invalid setting, with its valid values.
    pub fn check(&self) -> Result<()> {
        self.refuse(Vec::new())
    }

    fn refuse(&self, more: Vec<String>) -> Result<()> {
        let mut problems = self.settings.problems();
        problems.extend(more);
        if problems.is_empty() { Ok(()) } else { Err(Error::invalid(problems.join("; "))) }
    }

    /// What is trained, the settings, and the loop's view of the student.
    fn parts(&mut self) -> (&P, &mut Settings<'o>, Student<'_, 'o, P>) {
        let Trainer { trained, settings, evaluations, on_checkpoint } = self;
        (trained, settings, Student { trained, evaluations, on_checkpoint })
    }
}

/// What is trained, with the evaluations and callbacks of the run.
struct Student<'c, 'o, P: Trains> {
    trained: &'c P,
    evaluations: &'c [Evaluation<'o, P::Student>],
    on_checkpoint: &'c mut Option<OnCheckpoint<'o, P::Student>>,
}

impl<P: Trains> caller::Caller for Student<'_, '_, P> {
    fn problems(&self) -> Vec<Problem> {
        evaluation::problems(self.evaluations, self.trained.student())
    }

    fn evaluates(&self) -> bool {
        !self.evaluations.is_empty()
    }

    fn evaluate(&mut self, over: (&Communicator, &str), tell: &mut dyn FnMut(Measured<'_>)) -> Result<()> {
        for Evaluation { metric, of } in self.evaluations {
            let value = of.value(self.trained.student(), over)?;
            tell(Measured { metric, value, less_is_better: of.less_is_better() });
        }
        Ok(())
    }

    fn evaluations(&self) -> Result<Vec<serde_json::Value>> {
        let described = self.evaluations.iter().map(|evaluation| {
            let Evaluation { metric, of } = evaluation;
            Ok(serde_json::json!({ "metric": metric, "options": of.options(), "data": of.settings()? }))
        });
        described.collect()
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
