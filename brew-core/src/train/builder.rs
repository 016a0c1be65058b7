//! The trainer settings that apply to every run.

use std::path::PathBuf;

use tch::Tensor;

use super::checkpoints::Checkpoints;
use super::optimizer::SparseUpdates;
use super::settings::Duration;
use super::{NotFinite, Optimizer, Precision, Trainer, Trains};
use crate::cache::IntoTeacherCache;
use crate::error::Result;
use crate::observe::Observer;
use crate::schedule::Schedule;

impl<'o, P: Trains> Trainer<'o, P> {
    /// The optimizer and its learning rate.
    pub fn optimizer(mut self, optimizer: impl Optimizer) -> Self {
        self.settings.optimizer = Box::new(optimizer);
        self
    }

    /// Lowers the student's learning rate layer by layer towards the input: the learning rate of layer l of n
    /// (`….layer.l.…`, from 0) is multiplied by `factor` to the power n - l, that of the embeddings by
    /// `factor` to the power n + 1; whatever comes after the layers keeps the full learning rate. In (0, 1];
    /// default 1. Source: Clark et al., "ELECTRA", 2020.
    pub fn layer_decay(mut self, factor: f64) -> Self {
        self.settings.layer_decay = factor;
        self
    }

    /// The dtype that teacher and student compute in; default float32. With a low-precision dtype the
    /// teacher's weights are also converted to it, and are not converted back after the run.
    pub fn precision(mut self, precision: Precision) -> Self {
        self.settings.precision = precision;
        self
    }

    /// Whether the student recomputes its layers' activations in the backward pass instead of storing them:
    /// this saves most of the activation memory and costs one more forward pass. Losses and gradients are
    /// bit-identical either way, also with dropout and in low precision, and a run may resume with a
    /// different choice. Among brew's own models the BERT family supports it; your own model supports it by
    /// heeding [`Pass::recomputes`](crate::pass::Pass::recomputes). Default off.
    pub fn gradient_checkpointing(mut self, recompute: bool) -> Self {
        self.settings.gradient_checkpointing = recompute;
        self
    }

    /// Trains with this probability for all of the student's dropout, in place of those in its config: embeddings,
    /// attention, feed-forward blocks, head, and adapters; in [0, 1). By default the student keeps its own, except in a
    /// pipeline that is [`on_policy`](crate::distill::Pipeline::on_policy), where it has none.
    ///
    /// A student taken from a pretrained teacher has the dropout of the teacher's config, usually 0.1. A small
    /// student that imitates a teacher seldom overfits; with few rows or few epochs 0 may serve it better. Where the
    /// architecture has no dropout, none is added. Evaluation is not affected, and the saved student has its own
    /// config. brew's own models support it; your own model supports it by heeding
    /// [`Pass::dropout`](crate::pass::Pass::dropout) and saying so in
    /// [`Model::takes_dropout`](crate::model::Model::takes_dropout); others are refused before the first step.
    ///
    /// ```no_run
    /// # use brew_core::prelude::*;
    /// # fn example<A: Adaptor>(pipeline: Pipeline<A::Batch, A>, reviews: Vec<A::Batch>) -> Result<()> {
    /// let student = Trainer::new(pipeline).student_dropout(0.0).epochs(3).run(reviews)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn student_dropout(mut self, probability: f64) -> Self {
        self.settings.student_dropout = Some(probability);
        self
    }

    /// Updates only the embedding rows whose tokens occur in the current step, so that the cost no longer
    /// grows with the vocabulary. By default, as in PyTorch and TextBrewer, momentum and weight decay update
    /// all rows in every step, so results differ, and more so the rarer a token is (docs/performance.md shows
    /// the speedup and the effect on accuracy). Applies to brew's own encoders and to any model whose
    /// embeddings produce sparse gradients; optimizers without per-weight state (Adafactor) still update all
    /// rows. Source: torch.optim.SparseAdam, here with weight decay.
    pub fn sparse_embedding_updates(mut self) -> Self {
        self.settings.sparse_updates = SparseUpdates::RowsInUse;
        self
    }

    /// How the learning rate changes from step to step.
    pub fn schedule(mut self, schedule: impl Schedule + 'static) -> Self {
        self.settings.schedule = Box::new(schedule);
        self
    }

    /// Batches per optimizer step. In a run of epochs the leftover batches of an epoch form a shorter last
    /// step: an epoch has ceil(batches / accumulation) steps. In a run of steps every step is full, and its
    /// batches may come from two epochs.
    pub fn accumulate(mut self, batches: usize) -> Self {
        self.settings.accumulation = batches;
        self
    }

    /// Adds up the gradients of a step's batches in a fixed tree, so that one rank and any other number of
    /// [`ranks`](crate::ranks) write the same bytes; by default, ranks give the same student up to rounding. A run alone
    /// needs the same setting to be compared with, since the order of additions differs from PyTorch's. It holds a copy
    /// of the gradients for each doubling of the batches that a rank computes, and ranks send more:
    /// [`Trainer::explain_on`] tells how much.
    ///
    /// ```no_run
    /// # use brew_core::prelude::*;
    /// # fn example<A: Adaptor>(pipeline: Pipeline<A::Batch, A>, reviews: Vec<A::Batch>) -> Result<()> {
    /// // Equal bytes of `student/model.safetensors` on 1, 2 and 4 ranks.
    /// Trainer::new(pipeline).accumulate(4).exact_sums().run_dir("runs/reviews").run(reviews)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn exact_sums(mut self) -> Self {
        self.settings.exact_sums = true;
        self
    }

    /// Clips gradients to this global norm, taken over student and projections together; in TextBrewer's
    /// semantics over the student alone.
    pub fn clip(mut self, max_gradient_norm: f64) -> Self {
        self.settings.max_gradient_norm = Some(max_gradient_norm);
        self
    }

    /// The length of the run in optimizer steps instead of epochs: the data, of known length or not, is
    /// repeated as often as needed, and the run ends after exactly this many steps. Learning rate and loss
    /// weights are scheduled over them.
    pub fn steps(mut self, steps: u64) -> Self {
        self.settings.duration = Duration::Steps(steps);
        self
    }

    /// Seeds dropout, the initial projections and the drawing of tasks. The data decides its own order.
    /// libtorch's random generator is global to the process: two concurrent runs in one process disturb each
    /// other.
    pub fn seed(mut self, seed: i64) -> Self {
        self.settings.seed = seed;
        self
    }

    /// Starts a new run's learned projections from these tensors instead of from the seed. Every parameter
    /// must be given by its name, `projection_hidden_mse_t4_s2.weight`, `(teacher width, student width)`, and
    /// `.bias`.
    pub fn projections(mut self, named: impl IntoIterator<Item = (String, Tensor)>) -> Self {
        self.settings.projections = Some(named.into_iter().collect());
        self
    }

    /// The number of optimizer steps between two readings of the losses.
    pub fn log_every(mut self, steps: u64) -> Self {
        self.settings.log_every = steps;
        self
    }

    /// Writes a checkpoint after every `steps` optimizer steps and after the last one. For runs of
    /// `.steps(…)`; by default they write only the last. TextBrewer's `ckpt_steps`.
    pub fn checkpoint_every_steps(mut self, steps: u64) -> Self {
        self.settings.checkpoints.every_steps = Some(steps);
        self
    }

    /// Calls a function after each checkpoint (without a run folder, at the same steps) with the student and
    /// the number of optimizer steps done. The call does not affect training.
    ///
    /// An error it returns ends the run; everything written so far is kept.
    pub fn on_checkpoint(mut self, call: impl FnMut(&P::Student, u64) -> Result<()> + 'o) -> Self {
        self.on_checkpoint = Some(Box::new(call));
        self
    }

    /// The folder that the run writes: `config.json`, `plan.json`, `plan.dot`, `metrics.jsonl`,
    /// `tensorboard/`, `checkpoints/step-N/`, `best/` if the run evaluates, and at the end `student/`,
    /// `projections.safetensors` if there are projections, `report.html` and `summary.json`; with several
    /// tasks `plans/<task>.json` and `.dot`. Failing to write a checkpoint or any of the final files is only
    /// a warning: the caller still gets the student and can save it elsewhere. `student/` and `best/` are what
    /// [`Model::save`](crate::model::Model::save) writes: the folder of an adapter if the student learns by adapters.
    ///
    /// A killed run resumes from its newest checkpoint when the same program runs again over the same data,
    /// and ends with the same student, on the CPU to the last bit. Everything that affects the results is
    /// compared: settings, plan, data, metrics, teachers, and the student's outputs for the first two rows.
    /// If anything differs, the run is refused and every difference is listed. (This cannot see functions of
    /// your own, nor what your own model does only in training and does not report in `Model::identity`:
    /// leave those unchanged.) A folder that holds a finished run is renamed by appending a number, and
    /// nothing in it is lost; a folder that holds no run but files that a run would overwrite is refused.
    /// Only one process at a time can write to a folder. On SIGINT or SIGTERM the run writes a checkpoint and
    /// ends with [`Error::Interrupted`](crate::Error::Interrupted); a second signal ends the process.
    ///
    /// A checkpoint holds `student.safetensors` (parameters and buffers), `projections.safetensors` and
    /// `optimizer.safetensors` if they have any content, `outputs.safetensors`, and `state.json`. A folder
    /// without `state.json` is not a checkpoint. If any byte of a checkpoint has changed, the previous
    /// checkpoint is used instead.
    pub fn run_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.settings.run_dir = Some(folder.into());
        self
    }

    /// Starts over: renames an existing run folder, finished or not, and begins a new run.
    pub fn fresh(mut self) -> Self {
        self.settings.fresh = true;
        self
    }

    /// Also writes a checkpoint when the last one is older than this, once the current step is done.
    pub fn checkpoint_every(mut self, time: std::time::Duration) -> Self {
        self.settings.save_every = Some(time);
        self
    }

    /// Keeps only this many of the newest intact checkpoints and removes older ones; by default all are kept.
    pub fn keep_checkpoints(mut self, newest: usize) -> Self {
        self.settings.keep_checkpoints = Some(newest);
        self
    }

    /// What to do when a loss is NaN or infinite; by default the run stops.
    pub fn on_not_finite(mut self, policy: NotFinite) -> Self {
        self.settings.not_finite = policy;
        self
    }

    /// Ends the run when the first metric has not improved for this many consecutive evaluations.
    pub fn stop_after(mut self, evaluations: u64) -> Self {
        self.settings.patience = Some(evaluations);
        self
    }

    /// When checkpoints are written, for runs of epochs and of steps: checkpoints per epoch, epochs from one
    /// with checkpoints to the next, steps from one checkpoint to the next.
    pub(crate) fn checkpoints(mut self, per_epoch: u64, every_epochs: u64, every_steps: Option<u64>) -> Self {
        self.settings.checkpoints = Checkpoints { per_epoch, every_epochs, every_steps };
        self
    }

    /// Stores the teachers' features in this cache and reads them back, so that teachers run only in the
    /// first epoch. Give a [`MemoryCache`](crate::cache::MemoryCache) or, with brew-data, the path of a
    /// folder on disk. It works with one or several teachers, any of their features, and every distiller. If
    /// features are stored as the teacher computed them, the losses equal those without a cache up to
    /// round-off, whatever the order and size of the batches.
    ///
    /// From time to time the teacher recomputes two of the rows that were read, and the run ends if they
    /// differ from the cache: see [`cache`](crate::cache).
    pub fn teacher_cache<Via>(mut self, cache: impl IntoTeacherCache<Via>) -> Self {
        self.settings.teacher_cache = Some(cache.into_teacher_cache());
        self
    }

    /// Adds an observer; without any, [`Progress`](crate::observe::Progress) shows the run.
    pub fn observe(mut self, observer: impl Observer + 'o) -> Self {
        self.settings.observers.push(Box::new(observer));
        self
    }
}
