//! Finds the rank that made a call fail, and why if it says so: libtorch's messages name an address at best.

use std::time::{Duration, Instant};

use super::agreement::named;
use super::group::Group;
use crate::error::{Error, Result};
use crate::native::ffi::Store;

/// For how long the ranks of a failed call have time to say that it failed for them too.
const GRACE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(20);

/// Begins the note of a rank that failed by itself; other notes are the name of a call that failed.
const FAILED: &str = "failed: ";

/// Leaves a note in the store, waits for the notes of the others, and says who left none or failed by itself.
///
/// The connections must be closed before, so that ranks that still wait fail at once.
pub(super) fn account(store: &Store, generation: &str, rank: usize, world_size: usize, note: &str) -> String {
    let key = |rank: usize| format!("brew/{generation}/failed/{rank}");
    match ask(store, &key, rank, world_size, note) {
        Ok(notes) => {
            let reason = |(rank, note): (usize, &Option<String>)| {
                Some(format!("rank {rank} failed: {}", note.as_ref()?.strip_prefix(FAILED)?))
            };
            let of_others = || notes.iter().enumerate().filter(|(other, _)| *other != rank);
            let reasons: Vec<String> = of_others().filter_map(reason).collect();
            let silent: Vec<usize> =
                of_others().filter(|(_, note)| note.is_none()).map(|(other, _)| other).collect();
            match (reasons.is_empty(), silent.is_empty()) {
                (false, _) => reasons.join("; "),
                (true, true) => "it failed on all ranks".to_owned(),
                (true, false) => {
                    let since = GRACE.as_secs();
                    format!("{} gave no sign of life within {since} s of the failure", named(&silent))
                }
            }
        }
        Err(_) => "the store that the ranks meet in, which rank 0 or the launcher runs, is gone".to_owned(),
    }
}

impl Group {
    /// Leaves the group with a note about the reason: calls of the other ranks fail and say it. A call that failed has left
    /// its note already, and has waited for those of the others.
    pub(crate) fn abandon(mut self, reason: &str) {
        if self.connections.take().is_none() {
            return;
        }
        let note = format!("{FAILED}{reason}");
        account(&self.store, &self.generation, self.rank(), self.world_size(), &note);
    }

    /// An error of this rank.
    pub(crate) fn error(&self, call: &str, message: impl Into<String>) -> Error {
        self.ranks.error(call, message.into())
    }
}

/// The notes of all ranks.
fn ask(
    store: &Store,
    key: &impl Fn(usize) -> String,
    rank: usize,
    world_size: usize,
    note: &str,
) -> Result<Vec<Option<String>>> {
    let until = Instant::now() + GRACE;
    store.set(&key(rank), note.as_bytes())?;
    let mut notes: Vec<Option<String>> = vec![None; world_size];
    loop {
        for (other, note) in notes.iter_mut().enumerate().filter(|(_, note)| note.is_none()) {
            *note = store.get(&key(other))?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        }
        if notes.iter().all(Option::is_some) || Instant::now() > until {
            break;
        }
        std::thread::sleep(PAUSE);
    }
    // Rank 0 may run the store: it stays until those who left a note have read the others'.
    let done = key(world_size);
    let mut readers = store.add(&done, 1)?;
    let others = i64::try_from(notes.iter().flatten().count()).unwrap_or(i64::MAX);
    while rank == 0 && readers < others && Instant::now() < until + GRACE {
        std::thread::sleep(PAUSE);
        readers = store.add(&done, 0)?;
    }
    Ok(notes)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::IntoRawFd as _;

    use super::super::agreement::Agreement;
    use super::super::environment::{Ranks, StoreHost};
    use super::*;

    #[test]
    fn a_rank_whose_call_failed_keeps_its_note_and_does_not_wait_again() {
        // The store outlives the ranks, as torchrun's does.
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let patience = Duration::from_secs(20);
        let store = Store::open("127.0.0.1", port, true, Some(socket.into_raw_fd()), patience).unwrap();
        let join = |rank| {
            let ranks = Ranks::at(rank, 2, "127.0.0.1".to_owned(), port, StoreHost::Launcher);
            ranks.join(&Agreement::new(), patience).unwrap()
        };
        let mut group = std::thread::scope(|scope| {
            let other = scope.spawn(|| join(1));
            let group = join(0);
            // It leaves without a word.
            drop(other.join().unwrap());
            group
        });
        let reason = group.gather_for("step 5", b"").unwrap_err().to_string();
        assert!(reason.contains("`step 5`: rank 1 gave no sign of life"), "{reason}");
        let key = format!("brew/{}/failed/0", group.generation);
        let begun = Instant::now();
        group.abandon(&reason);
        assert!(begun.elapsed() < GRACE, "{:?}", begun.elapsed());
        assert_eq!(store.get(&key).unwrap().unwrap(), b"step 5");
    }
}
