//! The group of this process: joined before the first training run, and kept for the later ones.
//!
//! Rank 0 may have inherited the socket that the ranks meet at, and it can listen on that only once.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::agreement::Agreement;
use super::environment::Ranks;
use super::group::Group;
use crate::error::{Error, Result};

/// How long ranks wait for each other to start, and later for each other's part of a step.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

enum Joined {
    NotYet,
    Idle(Group),
    InUse,
    Ended,
}

static GROUP: Mutex<Joined> = Mutex::new(Joined::NotYet);

fn joined() -> MutexGuard<'static, Joined> {
    GROUP.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The group of this process for one run, joined if this is the first; `None` if the process was started alone.
///
/// # Errors
/// Those of [`Ranks::from_environment`] and [`Ranks::join`]; another run of this process that is under way, or that lost
/// its ranks.
pub(crate) fn take() -> Result<Option<Group>> {
    let Some(ranks) = Ranks::from_environment()? else { return Ok(None) };
    let mut joined = joined();
    let group = match std::mem::replace(&mut *joined, Joined::InUse) {
        Joined::Idle(group) => Ok(group),
        Joined::NotYet => ranks.join(&Agreement::new(), PATIENCE),
        Joined::InUse => {
            let text = "another run of this process is under way, and the ranks work on one run at a time: wait for it, or start this process alone";
            return Err(Error::invalid(text));
        }
        Joined::Ended => {
            let text = "an earlier run of this process failed and left the ranks: start all ranks again";
            Err(Error::invalid(text))
        }
    };
    if group.is_err() {
        *joined = Joined::Ended;
    }
    group.map(Some)
}

/// Keeps a group for the next run.
pub(crate) fn put_back(group: Group) {
    *joined() = Joined::Idle(group);
}

/// Notes that the group is lost.
pub(crate) fn end() {
    *joined() = Joined::Ended;
}
