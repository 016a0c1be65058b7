//! The ranks of a run: what they tell one another at fixed places, so that they continue, stop, or fail together.
//!
//! Alone, every call returns at once and costs nothing.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tch::Tensor;

use crate::error::{Error, Result};
use crate::parameters::Parameters;
use crate::ranks::{Agreement, Group, Tree, process};
use crate::words::numbered;

/// For work that takes as long as it takes, such as an evaluation: a rank that dies is noticed at once nevertheless.
const ENDLESS: Duration = Duration::from_secs(30 * 24 * 3600);

/// The connected ranks of a run, or a process that is alone.
#[derive(Debug)]
pub(super) struct Communicator {
    group: Option<RefCell<Group>>,
    /// Whether all ranks know of the error that ends the run.
    told: Cell<bool>,
}

impl Communicator {
    /// The ranks that this process belongs to.
    ///
    /// # Errors
    /// Those of joining them.
    pub(super) fn of_process() -> Result<Self> {
        Ok(Communicator { group: process::take()?.map(RefCell::new), told: Cell::new(false) })
    }

    /// Ends a run. Tells the other ranks of an error that they do not know yet.
    pub(super) fn end(mut self, error: Option<&Error>) {
        let Some(group) = self.group.take().map(RefCell::into_inner) else { return };
        match error {
            Some(error) if !self.told.get() => {
                process::end();
                group.abandon(&error.to_string());
            }
            _ => process::put_back(group),
        }
    }

    /// Whether there are no other ranks.
    pub(super) fn alone(&self) -> bool {
        self.group.is_none()
    }

    /// How many ranks there are.
    pub(super) fn world_size(&self) -> usize {
        self.group.as_ref().map_or(1, |group| group.borrow().world_size())
    }

    /// Whether this rank writes files and notifies observers.
    pub(super) fn leads(&self) -> bool {
        self.group.as_ref().is_none_or(|group| group.borrow().rank() == 0)
    }

    /// This rank and how many there are, if there are several.
    pub(super) fn shares(&self) -> Option<(usize, usize)> {
        self.group.as_ref().map(|group| (group.borrow().rank(), group.borrow().world_size()))
    }

    /// Which of the batches of a step are this rank's.
    pub(super) fn share(&self, batches: usize) -> Range<usize> {
        self.group.as_ref().map_or(0..batches, |group| group.borrow().share(batches))
    }

    /// Notes that all ranks end the run here.
    pub(super) fn end_together(&self) {
        self.told.set(true);
    }

    /// What each rank has, by rank; an error of one is an error of all, which names the rank.
    pub(super) fn exchange<T>(&self, doing: &str, own: Result<T>) -> Result<Vec<T>>
    where
        T: Serialize + DeserializeOwned,
    {
        let Some(group) = &self.group else { return own.map(|own| vec![own]) };
        let mut group = group.borrow_mut();
        let sent: Result<&T, String> = own.as_ref().map_err(ToString::to_string);
        let bytes = serde_json::to_vec(&sent).map_err(Error::other)?;
        let received = match (group.gather_for(doing, &bytes), own) {
            (Err(_), Err(own)) => return Err(own),
            (Err(lost), Ok(_)) => return Err(lost),
            (Ok(received), own) => {
                let received: Vec<Result<T, String>> = received
                    .iter()
                    .map(|bytes| serde_json::from_slice(bytes))
                    .collect::<Result<_, _>>()
                    .map_err(Error::other)?;
                if received.iter().any(Result::is_err) {
                    self.told.set(true);
                    own?;
                }
                received
            }
        };
        let failed: Vec<String> = (received.iter().enumerate())
            .filter_map(|(rank, of)| Some(format!("rank {rank} failed: {}", of.as_ref().err()?)))
            .collect();
        if failed.is_empty() {
            return Ok(received.into_iter().flatten().collect());
        }
        Err(group.error(doing, failed.join("; ")))
    }

    /// Waits until all ranks have done something; an error of one is an error of all.
    pub(super) fn agree<T>(&self, doing: &str, own: Result<T>) -> Result<T> {
        if self.alone() {
            return own;
        }
        let mut value = None;
        let told = own.map(|own| value = Some(own));
        self.patiently(|| self.exchange(doing, told))?;
        value.ok_or_else(|| Error::invalid(format!("{doing}: a rank has no result of its own")))
    }

    /// What rank 0 does while the others wait; all get its result.
    pub(super) fn lead<T>(&self, doing: &str, work: impl FnOnce() -> Result<T>) -> Result<T>
    where
        T: Serialize + DeserializeOwned,
    {
        // A list, because JSON does not tell a missing result from one that is `None`.
        let own = if self.leads() { work().map(|done| vec![done]) } else { Ok(Vec::new()) };
        let all = self.patiently(|| self.exchange(doing, own))?;
        all.into_iter()
            .flatten()
            .next()
            .ok_or_else(|| Error::invalid(format!("{doing}: rank 0 sent no result")))
    }

    fn patiently<T>(&self, work: impl FnOnce() -> T) -> T {
        let wait = |timeout| {
            if let Some(group) = &self.group {
                group.borrow_mut().set_timeout(timeout);
            }
        };
        wait(ENDLESS);
        let done = work();
        wait(process::PATIENCE);
        done
    }

    /// Refuses ranks that differ in any entry.
    pub(super) fn compare(&self, doing: &str, own: Result<Agreement>) -> Result<()> {
        let all = self.patiently(|| self.exchange(doing, own))?;
        let differences = Agreement::differences(&all.iter().collect::<Vec<_>>());
        let (false, Some(group)) = (differences.is_empty(), &self.group) else { return Ok(()) };
        // Every rank finds the same differences.
        self.told.set(true);
        Err(group
            .borrow()
            .error(doing, numbered("the ranks are not training the same student", &differences)))
    }

    /// The bytes of every rank, by rank; none if this process is alone.
    pub(super) fn gather(&self, doing: &str, bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
        self.group.as_ref().map_or(Ok(Vec::new()), |group| group.borrow_mut().gather_for(doing, bytes))
    }

    /// The bytes of every rank, by rank, however long each takes to make them; an error of one is an error of all.
    pub(super) fn collect(&self, doing: &str, own: Result<Vec<u8>>) -> Result<Vec<Vec<u8>>> {
        let own = self.agree(doing, own)?;
        self.gather(doing, &own)
    }

    /// Gives every parameter the sum of its gradients over all ranks, in an order that does not depend on their number.
    pub(super) fn sum_exactly(&self, tree: Tree) -> Result<()> {
        match &self.group {
            Some(group) => group.borrow_mut().sum_exactly(tree),
            None => tree.put_back(),
        }
    }

    /// Replaces each gradient by its sum over all ranks.
    pub(super) fn sum_gradients(&self, parameters: &Parameters) -> Result<()> {
        self.group.as_ref().map_or(Ok(()), |group| group.borrow_mut().sum_gradients(parameters))
    }

    /// Replaces each tensor by that of rank 0.
    pub(super) fn receive(&self, tensors: &mut [Tensor]) -> Result<()> {
        self.group.as_ref().map_or(Ok(()), |group| group.borrow_mut().broadcast(tensors, 0))
    }
}

impl Drop for Communicator {
    fn drop(&mut self) {
        // Only a panic leaves the group here: its connections close, and the other ranks notice.
        if self.group.is_some() {
            process::end();
        }
    }
}
