//! Finds the rank that made a call fail: libtorch's messages name an address at best.

use std::time::{Duration, Instant};

use super::agreement::named;
use crate::error::Result;
use crate::native::ffi::Store;

/// For how long the ranks of a failed call have time to say that it failed for them too.
const GRACE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(20);

/// Leaves a note about the failed call in the store, waits for the notes of the others, and says who left none.
///
/// The connections must be closed before, so that ranks that still wait fail at once.
pub(super) fn account(store: &Store, generation: &str, rank: usize, world_size: usize, call: &str) -> String {
    let key = |rank: usize| format!("brew/{generation}/failed/{rank}");
    match ask(store, &key, rank, world_size, call) {
        Ok(silent) if silent.is_empty() => "it failed on all ranks".to_owned(),
        Ok(silent) => {
            let since = GRACE.as_secs();
            format!("{} gave no sign of life within {since} s of the failure", named(&silent))
        }
        Err(_) => "the store that the ranks meet in, which rank 0 or the launcher runs, is gone".to_owned(),
    }
}

fn ask(
    store: &Store,
    key: &impl Fn(usize) -> String,
    rank: usize,
    world_size: usize,
    call: &str,
) -> Result<Vec<usize>> {
    let until = Instant::now() + GRACE;
    store.set(&key(rank), call.as_bytes())?;
    let mut silent: Vec<usize> = (0..world_size).filter(|other| *other != rank).collect();
    loop {
        let mut left = Vec::new();
        for other in silent {
            if store.get(&key(other))?.is_none() {
                left.push(other);
            }
        }
        silent = left;
        if silent.is_empty() || Instant::now() > until {
            break;
        }
        std::thread::sleep(PAUSE);
    }
    // Rank 0 may run the store: it stays until those who left a note have read the others'.
    let done = key(world_size);
    let mut readers = store.add(&done, 1)?;
    let others = i64::try_from(world_size - silent.len()).unwrap_or(i64::MAX);
    while rank == 0 && readers < others && Instant::now() < until + GRACE {
        std::thread::sleep(PAUSE);
        readers = store.add(&done, 0)?;
    }
    Ok(silent)
}
