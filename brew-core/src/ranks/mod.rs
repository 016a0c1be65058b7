//! Several processes that work on one run, each of them a *rank*: which rank this process is, whether all ranks run the
//! same thing, and the calls by which they exchange tensors.
//!
//! The processes are started by torchrun, `srun`, Open MPI, MPICH, or `cargo xtask ranks`. [`Ranks::from_environment`]
//! reads what the launcher says, and [`Ranks::join`] connects the ranks through libtorch's own store and gloo. The
//! [`Trainer`](crate::train::Trainer) does not divide its work over ranks yet: this is for training loops of your own.
//!
//! ```
//! use std::time::Duration;
//!
//! use brew_core::prelude::*;
//! use brew_core::ranks::{Agreement, Ranks};
//!
//! # fn example() -> Result<()> {
//! let mut gradients = [Tensor::from_slice(&[1.0_f32, 2.0])];
//! // `None` if this process was started alone.
//! if let Some(ranks) = Ranks::from_environment()? {
//!     let agreement = Agreement::new().value("seed", 7);
//!     let mut group = ranks.join(&agreement, Duration::from_secs(60))?;
//!     group.all_reduce(&mut gradients)?; // now the sum over all ranks, on each of them
//! }
//! # Ok(())
//! # }
//! # example()?;
//! # Ok::<(), Error>(())
//! ```

mod address;
mod agreement;
mod environment;
mod exchange;
mod failure;
mod group;
mod join;
mod meeting;

pub use agreement::Agreement;
pub use environment::Ranks;
pub use group::{Group, Pending};
