//! Several processes that work on one run, each of them a *rank*: which rank this process is, whether all ranks run the
//! same thing, and the calls by which they exchange tensors.
//!
//! The processes are started by torchrun, `srun`, Open MPI, MPICH, or `cargo xtask ranks`. [`Ranks::from_environment`]
//! reads what the launcher says, and [`Ranks::join`] connects the ranks through libtorch's own store and gloo.
//!
//! # Training
//!
//! The [`Trainer`](crate::train::Trainer) does all of this by itself: start a program that trains as several processes,
//! such as by `torchrun --nproc-per-node 4 --no-python program`, and it trains the same student as a single process does,
//! up to rounding. The ranks divide the batches of each optimizer step, so a step must accumulate at least as many batches
//! as there are ranks ([`accumulate`](crate::train::Trainer::accumulate)): four ranks and `.accumulate(4)` compute one
//! batch each where a single process computes four in turn.
//!
//! - [`Trainer::explain_on`](crate::train::Trainer::explain_on) tells, without any ranks, what each of several would hold
//!   in memory and send per step.
//! - With [`Trainer::exact_sums`](crate::train::Trainer::exact_sums), any number of ranks gives the same bytes.
//! - Losses with state (such as TAID, and CRD's memory) are told of the batches of all ranks, in the order of the step, so
//!   their state is that of a single process, on every rank. See
//!   [`Learns::reads_own_step`](crate::loss::Learns::reads_own_step) for your own.
//! - Rank 0 alone notifies observers, writes the run folder, and calls the function of
//!   [`on_checkpoint`](crate::train::Trainer::on_checkpoint); the others wait meanwhile. All get the same trained student.
//! - An evaluation is divided: rank r predicts the batches r, r + w, and so on, of w ranks, and rank 0 computes the metric of
//!   all predictions in the order of the data, so any metric has its value of a single process. Data that does not say what
//!   it depends on ([`Batches::settings`](crate::batch::Batches::settings)) is evaluated by rank 0 alone. What the program does outside of the run, every rank does: each prints and saves.
//! - Before the first step the ranks compare program, settings, plan, data, teachers, weights, the student's outputs, and
//!   the number of threads, and each difference is an error that names the ranks.
//! - A run may resume with another number of ranks.
//! - An error, a signal, or a loss that is not finite on one rank ends the run on all of them at the same step, with the
//!   reason and the rank. A rank that dies is noticed at once; one that hangs during a step, after five minutes.
//! - The teachers' cache is each rank's own: with a folder, a run that starts later finds the rows of all ranks.
//!
//! Not supported yet, and refused by name: a student on a GPU, and buffers that change in training (such as the running
//! statistics of a batch norm). In a run of several tasks every rank makes all batches, though it runs only its own.
//!
//! # Training loops of your own
//!
//! To train the same student on any number of ranks, divide the micro-batches of a step, not the rows of a batch
//! ([`Group::share`]): each keeps its padding, its dropout (seeded by its number in the step), and its relation losses.
//! Sum the counts of the whole step over the ranks before the first division, then sum the gradients
//! ([`Group::sum_gradients`]); clip and update afterwards, on every rank alike.
//!
//! ```
//! use std::time::Duration;
//!
//! use brew_core::prelude::*;
//! use brew_core::ranks::{Agreement, Group, Ranks};
//!
//! /// One step over these micro-batches: gradients as if one process had seen all of them.
//! fn step(mut group: Option<&mut Group>, parameters: &Parameters, batches: &[Tensor]) -> Result<()> {
//!     let weight = &parameters.iter().next().expect("a parameter").1;
//!     let share = group.as_ref().map_or(0..batches.len(), |group| group.share(batches.len()));
//!     let mine = &batches[share];
//!     let mut rows = [Tensor::from(mine.iter().map(|batch| batch.size()[0]).sum::<i64>())];
//!     if let Some(group) = &mut group {
//!         group.all_reduce(&mut rows)?;
//!     }
//!     for batch in mine {
//!         (batch.matmul(weight).sum(None) / &rows[0]).f_backward()?;
//!     }
//!     group.map_or(Ok(()), |group| group.sum_gradients(parameters))
//! }
//!
//! # fn main() -> Result<()> {
//! let weight = Tensor::from_slice(&[1.0_f32, 2.0]).set_requires_grad(true);
//! let parameters = Parameters::new([("weight".to_owned(), weight)]);
//! // `None` if this process was started alone.
//! let mut group = match Ranks::from_environment()? {
//!     Some(ranks) => {
//!         let agreement = Agreement::new().value("seed", 7).parameters("student", &parameters)?;
//!         Some(ranks.join(&agreement, Duration::from_secs(60))?)
//!     }
//!     None => None,
//! };
//! let batches = [3, 5].map(|rows| Tensor::ones([rows, 2], (Kind::Float, Device::Cpu)));
//! step(group.as_mut(), &parameters, &batches)
//! # }
//! ```

mod address;
mod agreement;
mod environment;
mod estimate;
mod exact;
mod exchange;
mod failure;
mod gradients;
mod group;
mod join;
mod meeting;
pub(crate) mod process;
mod tree;

pub use agreement::Agreement;
pub use environment::Ranks;
pub use estimate::Estimate;
pub(crate) use estimate::sent;
pub(crate) use gradients::share;
pub use group::{Group, Pending};
pub(crate) use tree::Tree;
