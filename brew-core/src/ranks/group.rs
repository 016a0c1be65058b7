//! The connected ranks and the calls by which they exchange tensors.

use std::time::Duration;

use tch::Tensor;

use super::environment::Ranks;
use super::exchange::{compare, gather_bytes, lines, unsuitable};
use super::failure::account;
use crate::error::{Error, Result};
use crate::native::ffi::{Exchange, Gloo, Started, Store};

/// All ranks, connected.
///
/// Every rank must make the same calls in the same order with tensors of equal shapes and dtypes, dense and on the CPU.
/// Each call first compares this on all ranks, which takes a fraction of a millisecond on one machine, so a difference is
/// an error on every rank that says how they differ. If the ranks differ, or one of
/// them is gone, the group ends, and later calls are errors.
///
/// Results are bit-identical on all ranks, and the same each time a program runs; with another number of ranks, a sum
/// differs by rounding.
#[derive(Debug)]
pub struct Group {
    pub(super) ranks: Ranks,
    // Fields are dropped in this order: connections before the store.
    pub(super) connections: Option<Connections>,
    pub(super) store: Store,
    pub(super) generation: String,
    pub(super) timeout: Duration,
}

#[derive(Debug)]
pub(super) struct Connections {
    /// For the comparison before each call: a message of its own cannot meet one of another size.
    pub(super) control: Gloo,
    pub(super) data: Gloo,
}

/// A call that has started; [`Group::wait`] ends it.
#[derive(Debug)]
#[must_use = "the result is written by `Group::wait`"]
pub struct Pending {
    call: &'static str,
    started: Started,
}

impl Group {
    /// The number of this process, from 0.
    pub fn rank(&self) -> usize {
        self.ranks.rank
    }

    /// How many ranks there are.
    pub fn world_size(&self) -> usize {
        self.ranks.world_size
    }

    /// Limits each later call: a rank that takes longer to make it ends the group on all ranks. It must be equal on all
    /// ranks, or the shortest counts.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// Replaces each tensor by its sum over all ranks. Floating-point numbers are added in their own dtype.
    ///
    /// # Errors
    /// Ranks that make another call, are gone, or do not make this one within the timeout; tensors that are not dense
    /// on the CPU, and dtypes that gloo does not add up.
    pub fn all_reduce(&mut self, tensors: &mut [Tensor]) -> Result<()> {
        let pending = self.start("all_reduce", Exchange::Sum, tensors)?;
        self.wait(pending)
    }

    /// Starts [`Group::all_reduce`] and returns as soon as all ranks have started it. The tensors are copied, and
    /// [`Group::wait`] writes the sums into them.
    ///
    /// # Errors
    /// As for [`Group::all_reduce`].
    pub fn start_all_reduce(&mut self, tensors: &[Tensor]) -> Result<Pending> {
        self.start("all_reduce", Exchange::Sum, tensors)
    }

    /// Waits for a call that this group started, and writes its result.
    ///
    /// # Errors
    /// Ranks that are gone, or do not send their part within the timeout.
    pub fn wait(&mut self, pending: Pending) -> Result<()> {
        self.finish(pending).map(drop)
    }

    /// Replaces each tensor by that of rank `root`.
    ///
    /// # Errors
    /// As for [`Group::all_reduce`], and a root that is not a rank.
    pub fn broadcast(&mut self, tensors: &mut [Tensor], root: usize) -> Result<()> {
        let pending = self.start("broadcast", Exchange::Broadcast { root }, tensors)?;
        self.wait(pending)
    }

    /// The tensors of every rank, by rank.
    ///
    /// # Errors
    /// As for [`Group::all_reduce`].
    pub fn all_gather(&mut self, tensors: &[Tensor]) -> Result<Vec<Vec<Tensor>>> {
        let pending = self.start("all_gather", Exchange::Gather, tensors)?;
        let mut all = self.finish(pending)?.into_iter();
        Ok((0..self.world_size()).map(|_| all.by_ref().take(tensors.len()).collect()).collect())
    }

    /// The bytes of every rank, by rank; lengths may differ.
    ///
    /// # Errors
    /// As for [`Group::all_reduce`].
    pub fn all_gather_bytes(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
        self.gather_for("all_gather_bytes", bytes)
    }

    /// The same for a purpose that is compared on all ranks, and that errors name.
    pub(crate) fn gather_for(&mut self, purpose: &str, bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
        self.agree_on(purpose, &lines(purpose, &[]))?;
        let (world_size, timeout) = (self.world_size(), self.timeout);
        let all = (self.connected(purpose))
            .and_then(|connections| gather_bytes(&connections.data, bytes, world_size, timeout));
        all.map_err(|error| self.fail(purpose, error))
    }

    /// Returns when all ranks have called it.
    ///
    /// # Errors
    /// As for [`Group::all_reduce`].
    pub fn barrier(&mut self) -> Result<()> {
        self.agree_on("barrier", &lines("barrier", &[]))
    }

    pub(super) fn start(
        &mut self,
        call: &'static str,
        exchange: Exchange,
        tensors: &[Tensor],
    ) -> Result<Pending> {
        let mut lines = lines(call, tensors);
        if let Exchange::Broadcast { root } = exchange {
            lines[0].push_str(&format!(" from rank {root}"));
        }
        self.agree_on(call, &lines)?;
        // Only now: the others make the same call, and get the same error.
        if let Exchange::Broadcast { root } = exchange
            && root >= self.world_size()
        {
            return Err(self.ranks.error(call, format!("there is no rank {root} to send the tensors")));
        }
        if let Some(text) = unsuitable(tensors) {
            return Err(self.ranks.error(call, text));
        }
        let (world_size, timeout) = (self.world_size(), self.timeout);
        let started = (self.connected(call))
            .and_then(|connections| connections.data.start(exchange, tensors, world_size, timeout));
        let started = started.map_err(|error| self.fail(call, error))?;
        Ok(Pending { call, started })
    }

    pub(super) fn finish(&mut self, pending: Pending) -> Result<Vec<Tensor>> {
        pending.started.wait().map_err(|error| self.fail(pending.call, error))
    }

    /// Compares a call on all ranks.
    fn agree_on(&mut self, call: &str, lines: &[String]) -> Result<()> {
        let (world_size, timeout) = (self.world_size(), self.timeout);
        let control = &self.connected(call)?.control;
        let difference = compare(control, lines, world_size, timeout);
        match difference {
            Ok(None) => Ok(()),
            Ok(Some(text)) => {
                self.connections = None;
                Err(self.ranks.error(call, text))
            }
            Err(error) => Err(self.fail(call, error)),
        }
    }

    fn connected(&self, call: &str) -> Result<&Connections> {
        self.connections.as_ref().ok_or_else(|| {
            self.ranks.error(call, "an earlier call failed, and the group ended with it".to_owned())
        })
    }

    /// Ends the group and says which ranks are gone.
    fn fail(&mut self, call: &str, error: Error) -> Error {
        if self.connections.take().is_none() {
            return error;
        }
        let told = account(&self.store, &self.generation, self.rank(), self.world_size(), call);
        self.ranks.error(call, format!("{told}; {error}"))
    }
}
