//! What the launcher says about this process: its rank, how many there are, and where rank 0 is.

use super::address::first_host;
use crate::error::{Error, Result};
use crate::words::numbered;

/// The variables by which a launcher numbers its processes.
struct Launcher {
    name: &'static str,
    rank: &'static str,
    world_size: &'static str,
    local_rank: &'static str,
}

const TORCHRUN: Launcher =
    Launcher { name: "torchrun", rank: "RANK", world_size: "WORLD_SIZE", local_rank: "LOCAL_RANK" };
const OPEN_MPI: Launcher = Launcher {
    name: "Open MPI",
    rank: "OMPI_COMM_WORLD_RANK",
    world_size: "OMPI_COMM_WORLD_SIZE",
    local_rank: "OMPI_COMM_WORLD_LOCAL_RANK",
};
const SLURM: Launcher =
    Launcher { name: "srun", rank: "SLURM_PROCID", world_size: "SLURM_NTASKS", local_rank: "SLURM_LOCALID" };
const MPICH: Launcher =
    Launcher { name: "MPICH", rank: "PMI_RANK", world_size: "PMI_SIZE", local_rank: "MPI_LOCALRANKID" };

/// A listening socket that rank 0 inherits from `cargo xtask ranks`, so that nobody takes its port meanwhile.
const LISTENING: &str = "BREW_LISTEN_FD";

/// One process of several, as its launcher numbered it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranks {
    pub(super) rank: usize,
    pub(super) world_size: usize,
    local_rank: usize,
    pub(super) address: String,
    pub(super) port: u16,
    pub(super) store: StoreHost,
}

/// Who runs the store through which the ranks meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StoreHost {
    /// Rank 0, possibly on a socket that it inherited.
    Rank0 { socket: Option<i32> },
    /// The launcher.
    Launcher,
}

impl Ranks {
    /// Reads the variables of torchrun, Open MPI, `srun`, or MPICH, whichever started this process; `None` if it was
    /// started alone or as the only rank.
    ///
    /// Open MPI and MPICH do not say where rank 0 is: pass `MASTER_ADDR` and `MASTER_PORT` on to all ranks. Under `srun`
    /// they default to the first host of the job, and to 15000 plus the last four digits of the job's number.
    ///
    /// # Errors
    /// Variables that are missing, no numbers, or contradict each other; all of them are listed.
    pub fn from_environment() -> Result<Option<Self>> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// The same for any source of variables.
    fn from_variables(get: impl Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        let get =
            |name: &str| get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let Some(launcher) = launcher(&get) else { return Ok(None) };
        let mut problems = Vec::new();
        let mut number = |name: &str| {
            let value = get(name)?;
            let number = value.parse().ok();
            if number.is_none() {
                problems.push(format!("{name} is `{value}`, which is not a number from 0"));
            }
            number
        };
        let (rank, world_size): (Option<usize>, Option<usize>) =
            (number(launcher.rank), number(launcher.world_size));
        let local_rank = number(launcher.local_rank).unwrap_or(0);
        let socket = number(LISTENING).and_then(|number| i32::try_from(number).ok());
        problems.extend(halves(&get, &launcher));
        match (rank, world_size) {
            (_, Some(0)) => {
                problems.push(format!("{} is 0: there is at least one rank", launcher.world_size))
            }
            (Some(rank), Some(size)) if rank >= size => problems.push(format!(
                "{} is {rank} and {} is {size}: ranks are numbered from 0 to {}",
                launcher.rank,
                launcher.world_size,
                size - 1
            )),
            (Some(0), Some(1)) if problems.is_empty() => return Ok(None),
            _ => {}
        }
        let (address, port) = meeting_place(&get, launcher.name, &mut problems);
        match (rank, world_size, address, port) {
            (Some(rank), Some(world_size), Some(address), Some(port)) if problems.is_empty() => {
                let hosted = get("TORCHELASTIC_USE_AGENT_STORE").is_some_and(|value| value == "True");
                let store = if hosted { StoreHost::Launcher } else { StoreHost::Rank0 { socket } };
                Ok(Some(Ranks { rank, world_size, local_rank, address, port, store }))
            }
            _ => {
                let title = format!("the variables of {} do not say which rank this is", launcher.name);
                Err(Error::invalid(numbered(&title, &problems)))
            }
        }
    }

    /// A rank that no launcher numbered.
    #[cfg(test)]
    pub(super) fn at(rank: usize, world_size: usize, address: String, port: u16, store: StoreHost) -> Self {
        Ranks { rank, world_size, local_rank: 0, address, port, store }
    }

    /// The number of this process, from 0.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// How many processes there are, at least 2.
    pub fn world_size(&self) -> usize {
        self.world_size
    }

    /// The number of this process among those on the same machine, from 0; 0 if the launcher does not say.
    pub fn local_rank(&self) -> usize {
        self.local_rank
    }
}

/// Which launcher started this process. Open MPI starts its own daemons with `srun`, so its variables come before
/// Slurm's; `srun` may set MPICH's too, so Slurm's come before those if they agree.
fn launcher(get: &impl Fn(&str) -> Option<String>) -> Option<Launcher> {
    let half = |launcher: &Launcher| get(launcher.rank).is_some() || get(launcher.world_size).is_some();
    // A shell inside an allocation has Slurm's variables but is no step.
    let step = get("SLURM_STEP_ID").is_some() && get(SLURM.world_size).is_some_and(|tasks| tasks != "1");
    let same = |one: &str, other: &str| get(one).is_none() || get(one) == get(other);
    let slurm = step && same(MPICH.rank, SLURM.rank) && same(MPICH.world_size, SLURM.world_size);
    [(TORCHRUN, true), (OPEN_MPI, true), (SLURM, slurm), (MPICH, true)]
        .into_iter()
        .find(|(launcher, applies)| *applies && half(launcher))
        .map(|(launcher, _)| launcher)
}

/// Rank without world size, or the reverse.
fn halves(get: &impl Fn(&str) -> Option<String>, launcher: &Launcher) -> Option<String> {
    let (set, missing) = match (get(launcher.rank), get(launcher.world_size)) {
        (Some(_), None) => (launcher.rank, launcher.world_size),
        (None, Some(_)) => (launcher.world_size, launcher.rank),
        _ => return None,
    };
    Some(format!("{set} is set but {missing} is not: set both, or neither to run a single process"))
}

/// Where rank 0 waits for the others.
fn meeting_place(
    get: &impl Fn(&str) -> Option<String>,
    launcher: &str,
    problems: &mut Vec<String>,
) -> (Option<String>, Option<u16>) {
    let slurm = launcher == SLURM.name;
    let list = || get("SLURM_STEP_NODELIST").or_else(|| get("SLURM_JOB_NODELIST"));
    let address = get("MASTER_ADDR").or_else(|| slurm.then(list).flatten().map(|list| first_host(&list)));
    if address.is_none() {
        problems.push("MASTER_ADDR is not set: give all ranks the address of rank 0's machine".to_owned());
    }
    let of_job = || Some(15_000 + get("SLURM_JOB_ID")?.parse::<u64>().ok()? % 10_000);
    let port = match get("MASTER_PORT") {
        Some(text) => {
            let port = text.parse::<u16>().ok().filter(|port| *port > 0);
            if port.is_none() {
                problems.push(format!("MASTER_PORT is `{text}`, which is not a port from 1 to 65535"));
            }
            port
        }
        None => {
            let port = slurm.then(of_job).flatten().and_then(|port| u16::try_from(port).ok());
            if port.is_none() {
                let advice = "give all ranks the same free port of rank 0's machine";
                problems.push(format!("MASTER_PORT is not set: {advice}"));
            }
            port
        }
    };
    (address, port)
}

#[cfg(test)]
mod tests;
