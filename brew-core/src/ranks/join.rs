//! From the launcher's variables to connected ranks.

use std::time::Duration;

use super::address::towards;
use super::agreement::Agreement;
use super::environment::{Ranks, StoreHost};
use super::group::{Connections, Group};
use super::meeting::meet;
use crate::error::{Error, Result};
use crate::native::ffi::{Gloo, Store};

impl Ranks {
    /// Waits for all ranks, compares what they must have in common, and connects them.
    ///
    /// `timeout` limits this, and then each call of the group ([`Group::set_timeout`] changes that).
    ///
    /// # Errors
    /// A rank that does not come in time, two processes with one number, a program or an entry of `agreement` that
    /// differs between ranks, and a port or an address that does not work. All ranks get the same error if they reach
    /// rank 0.
    pub fn join(&self, agreement: &Agreement, timeout: Duration) -> Result<Group> {
        let named = |error: Error| self.error("join", error.to_string());
        let agreement = program()?.and(agreement);
        let address = towards(&self.address, self.port).map_err(named)?;
        let (server, socket) = match self.store {
            StoreHost::Rank0 { socket } => (self.rank == 0, socket),
            StoreHost::Launcher => (false, None),
        };
        // libtorch tries twice.
        let store = Store::open(&self.address, self.port, server, socket, timeout / 2).map_err(|error| {
            let role = if server { "runs" } else { "looks for" };
            let text = format!(
                "{error}; this rank {role} the store at {}:{} (MASTER_ADDR and MASTER_PORT)",
                self.address, self.port
            );
            self.error("join", text)
        })?;
        let generation = meet(&store, self, &agreement, timeout).map_err(named)?;
        let connect = |purpose: &str| {
            let name = format!("brew/{generation}/{purpose}");
            Gloo::join(&store, &name, &address, (self.rank, self.world_size), timeout).map_err(named)
        };
        let connections = Connections { control: connect("control")?, data: connect("data")? };
        Ok(Group { ranks: self.clone(), connections: Some(connections), store, generation, timeout })
    }

    /// An error that names this rank.
    pub(super) fn error(&self, call: &str, message: String) -> Error {
        Error::Ranks { rank: self.rank, world_size: self.world_size, call: call.to_owned(), message }
    }
}

/// The program, which is compared in every run.
fn program() -> Result<Agreement> {
    let path = std::env::current_exe().map_err(Error::other)?;
    let bytes = std::fs::read(&path).map_err(|error| Error::file(&path, error))?;
    Ok(Agreement::new().bytes("program", &bytes))
}
