//! What each of several ranks would hold and send, from the settings and the executors alone.

use std::collections::BTreeSet;

use tch::{Device, Kind, Tensor};

use super::erased_executor::ErasedExecutor;
use super::prepare::share_projections;
use super::settings::Settings;
use super::task::{Task, student_of};
use super::{MultiTask, Trainer};
use crate::adaptor::Adaptor;
use crate::distill::Pipeline;
use crate::error::Result;
use crate::execute::Executor;
use crate::native::{generator_state, set_generator_state};
use crate::parameters::Parameters;
use crate::plan::OptimizerChanges;
use crate::ranks::{Estimate, sent};

impl<T: 'static, A: Adaptor> Trainer<'_, Pipeline<T, A>> {
    /// What each of this many ranks would hold in memory and send per step, with these settings: print it next to the
    /// pipeline's [`explain`](Pipeline::explain) to decide how many ranks are worth it. Nothing runs, and no ranks need to
    /// be there. A run on several ranks says the same in one line when it starts.
    ///
    /// ```no_run
    /// # use brew_core::prelude::*;
    /// # fn example<A: Adaptor>(pipeline: Pipeline<A::Batch, A>) -> Result<()> {
    /// println!("{}", pipeline.explain());
    /// let trainer = Trainer::new(pipeline).optimizer(AdamW::with_lr(1e-4)).accumulate(8);
    /// // Four ranks, and a network of 10 Gbit/s between them.
    /// println!("{}", trainer.explain_on(4)?.with_bandwidth(1.25e9));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// No ranks; invalid settings; errors of losses that create their parameters.
    pub fn explain_on(&self, ranks: usize) -> Result<Estimate> {
        self.refuse(none(ranks))?;
        without_draws(|| {
            let executor = Executor::new(&self.trained, self.settings.seed)?;
            let student = ErasedExecutor::student(&executor);
            estimate(&self.settings, ranks, &Held::of(student, &[&executor]))
        })
    }
}

impl Trainer<'_, MultiTask<'_>> {
    /// What each of this many ranks would hold in memory and send per step. Nothing runs, and no ranks need to be there.
    ///
    /// # Errors
    /// No ranks; invalid settings; errors of losses that create their parameters.
    pub fn explain_on(&self, ranks: usize) -> Result<Estimate> {
        let mut problems = self.trained.problems();
        problems.extend(none(ranks));
        self.refuse(problems)?;
        without_draws(|| {
            let mut tasks = self.trained.open(self.settings.seed)?;
            share_projections(&mut tasks);
            of_tasks(&self.settings, ranks, &tasks)
        })
    }
}

fn none(ranks: usize) -> Vec<String> {
    if ranks == 0 { vec!["0 ranks hold nothing: explain at least 1".to_owned()] } else { Vec::new() }
}

/// Leaves libtorch's generator as it was: initial weights are drawn to know their sizes.
fn without_draws<R>(work: impl FnOnce() -> Result<R>) -> Result<R> {
    let state = generator_state(Device::Cpu)?;
    let done = work();
    set_generator_state(Device::Cpu, &state)?;
    done
}

/// The tensors of a run.
struct Held {
    student: Parameters,
    /// What the student holds and does not list, for each task.
    unlisted: Vec<Parameters>,
    learned: Vec<(OptimizerChanges, Parameters)>,
    /// Parameters with buffers, and what is not listed.
    teachers: Vec<[Parameters; 2]>,
}

impl Held {
    fn of(student: Parameters, executors: &[&dyn ErasedExecutor]) -> Self {
        Held {
            student,
            unlisted: executors.iter().map(|executor| executor.student_unlisted()).collect(),
            learned: executors.iter().flat_map(|executor| executor.learned_groups()).collect(),
            teachers: executors.iter().flat_map(|executor| executor.teachers_hold()).collect(),
        }
    }
}

/// The estimate of a run whose tasks are open.
pub(super) fn of_tasks(settings: &Settings<'_>, ranks: usize, tasks: &[Task<'_>]) -> Result<Estimate> {
    let executors: Vec<&dyn ErasedExecutor> = tasks.iter().map(|task| task.work.executor()).collect();
    estimate(settings, ranks, &Held::of(student_of(tasks), &executors))
}

fn estimate(settings: &Settings<'_>, ranks: usize, held: &Held) -> Result<Estimate> {
    // A tensor that several models or names share is held once.
    let mut seen = BTreeSet::new();
    let mut fresh = |tensor: &Tensor| tensor.numel() > 0 && seen.insert(tensor.data_ptr() as usize);
    let (mut student, mut frozen, mut learned, mut teachers) = (0, 0, 0, 0);
    let (mut gradients, mut optimizer_state) = (0, 0);
    let mut trained = |tensor: &Tensor, changes: &OptimizerChanges| -> Result<()> {
        gradients += bytes(tensor, None);
        let slots = settings.optimizer.with(changes)?.slots(tensor)?;
        optimizer_state += slots.iter().map(|(_, slot)| bytes(slot, None)).sum::<u64>();
        Ok(())
    };
    for (_, tensor) in held.student.distinct().filter(|(_, tensor)| fresh(tensor)) {
        student += bytes(tensor, None);
        if tensor.requires_grad() {
            trained(tensor, &OptimizerChanges::default())?;
        } else {
            frozen += bytes(tensor, None);
        }
    }
    for (_, tensor) in held.student.buffers().filter(|(_, tensor)| fresh(tensor)) {
        student += bytes(tensor, None);
    }
    for (_, tensor) in held.unlisted.iter().flat_map(Parameters::iter).filter(|(_, tensor)| fresh(tensor)) {
        student += bytes(tensor, None);
        frozen += bytes(tensor, None);
    }
    for (changes, parameters) in &held.learned {
        for (_, tensor) in parameters.iter().filter(|(_, tensor)| fresh(tensor)) {
            learned += bytes(tensor, None);
            if tensor.requires_grad() {
                trained(tensor, changes)?;
            }
        }
    }
    let converted = settings.precision.on(held.student.device());
    let mut copied = BTreeSet::new();
    for [listed, unlisted] in &held.teachers {
        // As the executor converts them, which copies what another model shares: `Executor::compute_in`.
        let weights = listed.without_buffers().map(|(_, weight)| (weight, converted));
        let others = listed.buffers().chain(unlisted.iter()).map(|(_, tensor)| (tensor, None));
        for (tensor, kind) in weights.chain(others) {
            let is_fresh = match kind.filter(|_| tensor.kind() == Kind::Float) {
                Some(_) => copied.insert(tensor.data_ptr() as usize),
                None => fresh(tensor),
            };
            if is_fresh {
                teachers += bytes(tensor, kind.filter(|_| tensor.kind() == Kind::Float));
            }
        }
    }
    let (sent, formula) = sent(gradients, settings.accumulation, ranks, settings.exact_sums);
    Ok(Estimate {
        ranks,
        batches: settings.accumulation,
        student,
        frozen,
        teachers,
        learned,
        gradients,
        optimizer: settings.optimizer.name(),
        optimizer_state,
        sent,
        bandwidth: None,
        formula,
    })
}

/// The bytes of a tensor's numbers, in this dtype or its own.
fn bytes(tensor: &Tensor, kind: Option<Kind>) -> u64 {
    (tensor.numel() * kind.unwrap_or(tensor.kind()).elt_size_in_bytes()) as u64
}
