//! The settings of a trainer that every run has.

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

    /// Whether the student keeps the activations of none of its layers for the backward pass, but computes
    /// them again there: memory goes down by most of the activations, and time up by the forward pass. Losses
    /// and gradients are equal to the last bit, with dropout and in a low precision too, and a run may go on
    /// with or without it. Of brew's own models those of BERT's family heed it; a model of your own does by
    /// [`Pass::recomputes`](crate::pass::Pass::recomputes). Off unless said otherwise.
    pub fn gradient_checkpointing(mut self, recompute: bool) -> Self {
        self.settings.gradient_checkpointing = recompute;
        self
    }

    /// Moves of an embedding only the rows of tokens that the step's batches have, so that its cost no
    /// longer grows with the vocabulary. Without it, as in PyTorch and TextBrewer, momentum and weight decay
    /// move all rows in every step: the numbers differ, the more the rarer a token is (docs/performance.md
    /// has what it gains and its effect on accuracy). Of brew's own encoders, and of models whose embeddings
    /// give sparse gradients; an optimizer whose state has not one value a weight (Adafactor) moves all rows.
    /// Source: torch.optim.SparseAdam, here with weight decay.
    pub fn sparse_embedding_updates(mut self) -> Self {
        self.settings.sparse_updates = SparseUpdates::RowsInUse;
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

    /// Starts a new run's learned projections from these tensors instead of the seed: every parameter by its
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

    /// Where the run is written: `config.json`, `plan.json`, `plan.dot`, `metrics.jsonl`, `tensorboard/`,
    /// `checkpoints/step-N/`, with an evaluation `best/`, and at the end `student/`, where there are
    /// projections `projections.safetensors`, `report.html` and `summary.json`; of several tasks
    /// `plans/<task>.json` and `.dot`. What cannot be written in the end, or of a checkpoint, is a warning:
    /// the caller still gets the student, and can save it elsewhere.
    ///
    /// A killed run resumes from its newest checkpoint when the same program runs again over the same data,
    /// and ends with the same student, on the CPU to the last bit. Whatever decides its numbers is compared:
    /// settings, plan, data, metrics, teachers, and what the student gives for the first two rows; where
    /// something differs the run is refused with all of it. (What a model of your own does in
    /// training alone and does not name in `Model::identity`, and a function of your own, show in none of
    /// these: keep them as they were.) A folder that
    /// holds a finished run is moved aside, to the same name with a number, and nothing of it is lost; one that
    /// holds no run but files that a run would overwrite is refused. Only one process at a time writes to a
    /// folder. SIGINT and SIGTERM write a checkpoint and end the run with
    /// [`Error::Interrupted`](crate::Error::Interrupted); a second one ends the process.
    ///
    /// A checkpoint holds `student.safetensors` with the student's buffers, `projections.safetensors` and
    /// `optimizer.safetensors` where there is what they hold, `outputs.safetensors`, and `state.json`; a
    /// folder without the last of these is none, and one with a byte that changed is not used: the one before
    /// it is.
    pub fn run_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.settings.run_dir = Some(folder.into());
        self
    }

    /// Moves aside what the run folder holds, finished or not, and begins anew.
    pub fn fresh(mut self) -> Self {
        self.settings.fresh = true;
        self
    }

    /// Writes a checkpoint too where the last one is older than this, after the step that is under way.
    pub fn checkpoint_every(mut self, time: std::time::Duration) -> Self {
        self.settings.save_every = Some(time);
        self
    }

    /// Keeps the newest so many checkpoints that are whole, and removes older ones; all are kept unless this is
    /// said.
    pub fn keep_checkpoints(mut self, newest: usize) -> Self {
        self.settings.keep_checkpoints = Some(newest);
        self
    }

    /// What to do where a loss is NaN or infinite: to stop, unless this is said.
    pub fn on_not_finite(mut self, policy: NotFinite) -> Self {
        self.settings.not_finite = policy;
        self
    }

    /// Ends the run where the first metric has not risen for so many evaluations in a row.
    pub fn stop_after(mut self, evaluations: u64) -> Self {
        self.settings.patience = Some(evaluations);
        self
    }

    /// Where checkpoints stand, whatever the run goes by: per epoch, epochs between those with checkpoints,
    /// steps between them.
    pub(crate) fn checkpoints(mut self, per_epoch: u64, every_epochs: u64, every_steps: Option<u64>) -> Self {
        self.settings.checkpoints = Checkpoints { per_epoch, every_epochs, every_steps };
        self
    }

    /// Reads the teachers' features from this cache and keeps there what they compute, so that they run
    /// in the first epoch alone: a [`MemoryCache`](crate::cache::MemoryCache), or with brew-data the path
    /// of a folder on disk. It serves one teacher or several, any of their features, in any distiller. With
    /// features kept as the teacher gives them the losses are those without a cache but for round-off,
    /// whatever the order and size of batches.
    ///
    /// Now and then the teacher computes two of the rows again that were read, and the run ends where they
    /// differ from the cache: see [`cache`](crate::cache).
    pub fn teacher_cache<Via>(mut self, cache: impl IntoTeacherCache<Via>) -> Self {
        self.settings.teacher_cache = Some(cache.into_teacher_cache());
        self
    }

    /// Adds an observer; without any a [`Progress`](crate::observe::Progress) shows the run.
    pub fn observe(mut self, observer: impl Observer + 'o) -> Self {
        self.settings.observers.push(Box::new(observer));
        self
    }
}
