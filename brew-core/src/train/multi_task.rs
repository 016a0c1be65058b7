//! Multi-task training: one student learns several tasks, each with its own teacher, losses and data.

use std::fmt;
use std::path::Path;

use super::task::Task;
use super::work::Work;
use super::worker::Worker;
use crate::adaptor::Adaptor;
use crate::batch::{Batches, Feeds};
use crate::distill::Pipeline;
use crate::error::Result;
use crate::model::Model as _;
use crate::parameters::Parameters;
use crate::semantics::Semantics;

/// Tasks that one student learns together.
///
/// A task is a pipeline with one teacher, several or none, and its own data, whose batches may have their own
/// type. The pipelines have one student because their students share parameters: a model in an
/// `Arc<Mutex<…>>` can be seen by one adaptor per task, and models of different types can hold the tensors of
/// one encoder. A parameter that several tasks share is trained once; so is a projection with the same name
/// and size in several tasks.
///
/// Every batch of a run is drawn from one task: from task d with probability n_d^tau / sum n^tau, where n is
/// the number of examples (TextBrewer counts batches). If any task does not know its number, all tasks have
/// the same probability. The draw depends only on the run's seed and the batch's number.
///
/// Losses are logged under their task's name: `movies/kd_ce`. In exact semantics each task's loss is taken
/// over all its rows in a window of accumulated batches, and weighted by the task's share of the window's
/// batches.
///
/// ```no_run
/// # use std::sync::{Arc, Mutex};
/// # use brew_core::prelude::*;
/// # use brew_core::adaptor::Provides;
/// # use brew_core::train::MultiTask;
/// # fn example<A, B, M>(movie_teacher: Seen<A>, movies: Vec<A::Batch>, product_teacher: Seen<B>, products: Vec<B::Batch>, student: Arc<Mutex<M>>, view: A, other_view: B) -> Result<()>
/// # where
/// #     A: Adaptor + Provides<role::Logits>,
/// #     B: Adaptor + Provides<role::Logits> + Provides<role::Losses>,
/// #     M: Model + Forward<A::Batch, Output = A::Output> + Forward<B::Batch, Output = B::Output>,
/// # {
/// let of_movies = Distill::new(movie_teacher, Arc::clone(&student).seen_by(view))
///     .soft_targets(loss::KdCe::at(8.0))
///     .plan()?;
/// let of_products = Distill::new(product_teacher, Arc::clone(&student).seen_by(other_view))
///     .soft_targets(loss::KdCe::at(8.0))
///     .hard_labels(0.5)
///     .plan()?;
/// let tasks = MultiTask::new().task("movies", of_movies, movies).task("products", of_products, products).tau(0.5);
/// let trained = Trainer::new(tasks).steps(10_000).run()?;
/// trained.save("models/student")
/// # }
/// ```
#[must_use = "tasks do nothing until a trainer runs them"]
pub struct MultiTask<'d> {
    tasks: Vec<(String, Box<dyn OwnedTask + 'd>)>,
    pub(super) tau: f64,
}

/// A type-erased pipeline with its data.
trait OwnedTask {
    /// Builds the pipeline's executor.
    fn open(&self, seed: i64) -> Result<Box<dyn Work + '_>>;
    fn semantics(&self) -> Semantics;
    fn student(&self) -> Parameters;
    fn save(&self, folder: &Path) -> Result<()>;
}

struct TaskOf<T: 'static, A: Adaptor, D> {
    pipeline: Pipeline<T, A>,
    data: D,
}

impl<T: 'static, A: Adaptor, D: Batches> OwnedTask for TaskOf<T, A, D>
where
    D::Batch: Feeds<T, A::Batch>,
{
    fn open(&self, seed: i64) -> Result<Box<dyn Work + '_>> {
        Ok(Box::new(Worker::new(&self.pipeline, &self.data, seed)?))
    }
    fn semantics(&self) -> Semantics {
        self.pipeline.plan.semantics()
    }
    fn student(&self) -> Parameters {
        self.pipeline.student.parameters()
    }
    fn save(&self, folder: &Path) -> Result<()> {
        self.pipeline.student.save(folder)
    }
}

impl fmt::Debug for MultiTask<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.tasks.iter().map(|(name, _)| name.as_str()).collect();
        formatter.debug_struct("MultiTask").field("tasks", &names).field("tau", &self.tau).finish()
    }
}

impl Default for MultiTask<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'d> MultiTask<'d> {
    /// No tasks yet; tau is 1.
    pub fn new() -> Self {
        MultiTask { tasks: Vec::new(), tau: 1.0 }
    }

    /// Adds a task. Its name prefixes its losses and appears in the run folder.
    pub fn task<T: 'static, A: Adaptor, D: Batches + 'd>(
        mut self,
        name: impl Into<String>,
        pipeline: Pipeline<T, A>,
        data: D,
    ) -> Self
    where
        D::Batch: Feeds<T, A::Batch>,
    {
        self.add(name.into(), pipeline, data);
        self
    }

    pub(crate) fn add<T: 'static, A: Adaptor, D: Batches + 'd>(
        &mut self,
        name: String,
        pipeline: Pipeline<T, A>,
        data: D,
    ) where
        D::Batch: Feeds<T, A::Batch>,
    {
        self.tasks.push((name, Box::new(TaskOf { pipeline, data })));
    }

    /// How strongly the sizes of the tasks affect the drawing of batches: 1 draws in proportion to the sizes,
    /// 0 draws all tasks equally; at least 0.
    pub fn tau(self, tau: f64) -> Self {
        MultiTask { tau, ..self }
    }

    /// The student's parameters, each tensor once. If two tasks have different tensors of the same name, the
    /// second is prefixed with its task's name: `products/head.weight`.
    pub fn parameters(&self) -> Parameters {
        Parameters::union(self.tasks.iter().map(|(name, task)| (name.as_str(), task.student())))
    }

    /// Writes the student to a folder: in its model's format if all tasks have the same parameters, else each
    /// task's student to a subfolder named after the task.
    ///
    /// # Errors
    /// Errors of the models.
    pub fn save(&self, folder: &Path) -> Result<()> {
        let Some((_, first)) = self.tasks.first() else { return Ok(()) };
        let one = pointers(&first.student());
        if self.tasks.iter().all(|(_, task)| pointers(&task.student()) == one) {
            return first.save(folder);
        }
        self.tasks.iter().try_for_each(|(name, task)| task.save(&folder.join(name)))
    }

    /// The tasks' executors.
    pub(super) fn open(&self, seed: i64) -> Result<Vec<Task<'_>>> {
        let mut opened = Vec::new();
        for (name, task) in &self.tasks {
            let work = task.open(seed).map_err(|error| error.of_task(name))?;
            opened.push(Task { name: Some(name.clone()), work });
        }
        Ok(opened)
    }

    /// The problems, each with its fix.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.tasks.is_empty() {
            problems.push("no tasks: add one with `.task(…)`".to_owned());
        }
        if !(self.tau.is_finite() && self.tau >= 0.0) {
            problems.push(format!("`tau` is {}; it must be finite and not negative", self.tau));
        }
        for (index, (name, task)) in self.tasks.iter().enumerate() {
            let unfit = |character: char| !(character.is_alphanumeric() || "-_. ".contains(character));
            if name.is_empty() || name.starts_with('.') || name.contains(unfit) {
                problems.push(format!(
                    "`{name}` is not a valid task name: files are named after it, so use letters, digits, `-`, `_`, `.` and spaces, and do not start with a dot"
                ));
            }
            let before = &self.tasks[..index];
            if before.iter().any(|(other, _)| other == name) {
                problems.push(format!("two tasks are named `{name}`: rename one of them"));
            }
            if let Some((other, _)) =
                before.first().filter(|(_, other)| other.semantics() != task.semantics())
            {
                problems.push(format!(
                    "`{other}` and `{name}` use different semantics, {:?} and {:?}: set the same semantics for both",
                    before[0].1.semantics(),
                    task.semantics()
                ));
            }
            let own = pointers(&task.student());
            let shared =
                before.iter().any(|(_, other)| pointers(&other.student()).iter().any(|at| own.contains(at)));
            if index > 0 && !shared {
                problems.push(format!(
                    "the student of `{name}` shares no parameter with the students of the tasks before it: give all tasks handles of one model, `let student = Arc::new(Mutex::new(student));` and `Arc::clone(&student).seen_by(…)`"
                ));
            }
        }
        problems
    }
}

/// The memory addresses of parameters.
fn pointers(parameters: &Parameters) -> Vec<usize> {
    parameters.iter().map(|(_, tensor)| tensor.data_ptr() as usize).collect()
}
