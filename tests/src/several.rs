//! Several processes of one program of this package, numbered as a launcher does it.

#![expect(clippy::unwrap_used, reason = "a test fails where a helper does")]

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Output, Stdio};

/// A place where ranks meet: a listening socket that rank 0 inherits, so that nobody else takes the port.
#[derive(Debug)]
pub struct Meeting {
    socket: TcpListener,
}

impl Meeting {
    /// On a free port of this machine.
    ///
    /// # Panics
    /// Without a free port.
    pub fn new() -> Self {
        Meeting { socket: TcpListener::bind("127.0.0.1:0").unwrap() }
    }

    /// Starts a program as this rank of this many, with one thread.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(&self, program: &str, arguments: &[&str], rank: usize, world_size: usize) -> Child {
        let mut command = self.command(program, arguments, rank, world_size);
        if rank == 0 {
            let socket = OwnedFd::from(self.socket.try_clone().unwrap());
            command.env("BREW_LISTEN_FD", "0").stdin(Stdio::from(socket));
        }
        command.spawn().unwrap()
    }

    /// Starts rank 0, which does not inherit the socket and finds the port taken.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_without_socket(&self, program: &str, arguments: &[&str], world_size: usize) -> Child {
        self.command(program, arguments, 0, world_size).spawn().unwrap()
    }

    fn command(&self, program: &str, arguments: &[&str], rank: usize, world_size: usize) -> Command {
        let port = self.socket.local_addr().unwrap().port();
        let mut command = Command::new(program);
        command.args(arguments).env("OMP_NUM_THREADS", "1");
        command.env("RANK", rank.to_string()).env("WORLD_SIZE", world_size.to_string());
        command.env("LOCAL_RANK", rank.to_string());
        command.env("MASTER_ADDR", "127.0.0.1").env("MASTER_PORT", port.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts all ranks.
    pub fn start_all(&self, program: &str, arguments: &[&str], world_size: usize) -> Vec<Child> {
        (0..world_size).map(|rank| self.start(program, arguments, rank, world_size)).collect()
    }
}

impl Default for Meeting {
    fn default() -> Self {
        Self::new()
    }
}

/// How each process ended, and what it printed, by rank.
///
/// # Panics
/// If the system loses one of them.
pub fn ended(children: Vec<Child>) -> Vec<(ExitStatus, String)> {
    let end = |child: Child| {
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        (status, String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
    };
    children.into_iter().map(end).collect()
}

/// What each process printed, by rank.
///
/// # Panics
/// If one of them failed.
pub fn printed(children: Vec<Child>) -> Vec<String> {
    let told = |(index, (status, text)): (usize, (ExitStatus, String))| {
        assert!(status.success(), "process {index}, {status}: {text}");
        text
    };
    ended(children).into_iter().enumerate().map(told).collect()
}
