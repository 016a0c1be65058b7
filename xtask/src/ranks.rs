//! `cargo xtask ranks`: starts a program several times on this machine, as ranks that find each other.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::failure::{Failure, Result};
use crate::process::not_started;

/// How long the other ranks have to report the first failure themselves.
const OWN_WORDS: Duration = Duration::from_secs(5);
/// How long they have to end after SIGTERM.
const LAST_WISHES: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);

/// Starts the ranks, shows their output with their numbers, and returns the exit code of the first that fails.
pub(crate) fn command(count: usize, program: &str, arguments: &[String]) -> Result<u8> {
    if count == 0 {
        return Err(Failure::new("0 ranks: start at least one"));
    }
    // Rank 0 inherits the socket, so nobody takes the port before its store listens.
    let socket = TcpListener::bind("127.0.0.1:0")
        .map_err(|error| Failure::new(format!("cannot listen on a port of 127.0.0.1: {error}")))?;
    let port = socket.local_addr().map_err(|error| Failure::new(error.to_string()))?.port();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = std::env::var("OMP_NUM_THREADS").unwrap_or_else(|_| (cores / count).max(1).to_string());
    let mut socket = Some(OwnedFd::from(socket));
    let mut ranks = Vec::new();
    let mut outputs = Vec::new();
    for rank in 0..count {
        let mut command = Command::new(program);
        command.args(arguments).env("OMP_NUM_THREADS", &threads);
        for (name, value) in
            [("RANK", rank), ("LOCAL_RANK", rank), ("WORLD_SIZE", count), ("LOCAL_WORLD_SIZE", count)]
        {
            command.env(name, value.to_string());
        }
        command.env("MASTER_ADDR", "127.0.0.1").env("MASTER_PORT", port.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(socket) = socket.take() {
            command.env("BREW_LISTEN_FD", "0").stdin(Stdio::from(socket));
        }
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                end(&mut ranks);
                return Err(not_started(&command, &error));
            }
        };
        outputs.extend(child.stdout.take().map(|from| show(rank, from, std::io::stdout())));
        outputs.extend(child.stderr.take().map(|from| show(rank, from, std::io::stderr())));
        ranks.push((rank, child));
    }
    let code = watch(&mut ranks)?;
    for output in outputs {
        let _ = output.join();
    }
    Ok(code)
}

/// Waits for all ranks; the first failure ends them all, and its code is returned.
fn watch(ranks: &mut Vec<(usize, Child)>) -> Result<u8> {
    let mut failed: Option<(u8, Instant)> = None;
    while !ranks.is_empty() {
        let mut running = Vec::new();
        for (rank, mut child) in ranks.drain(..) {
            match child.try_wait().map_err(|error| Failure::new(format!("rank {rank}: {error}")))? {
                None => running.push((rank, child)),
                Some(status) if status.success() => {}
                Some(status) => {
                    eprintln!("xtask: rank {rank} failed: {status}");
                    failed.get_or_insert((code(status), Instant::now()));
                }
            }
        }
        *ranks = running;
        if failed.is_some_and(|(_, since)| since.elapsed() > OWN_WORDS) {
            end(ranks);
        }
        std::thread::sleep(PAUSE);
    }
    Ok(failed.map_or(0, |(code, _)| code))
}

/// Asks the ranks to end, and ends those that do not.
fn end(ranks: &mut Vec<(usize, Child)>) {
    for (rank, child) in ranks.iter() {
        eprintln!("xtask: rank {rank} is asked to end");
        // The standard library sends only SIGKILL.
        let _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    }
    let until = Instant::now() + LAST_WISHES;
    while !ranks.is_empty() && Instant::now() < until {
        ranks.retain_mut(|(_, child)| matches!(child.try_wait(), Ok(None)));
        std::thread::sleep(PAUSE);
    }
    for (rank, mut child) in ranks.drain(..) {
        eprintln!("xtask: rank {rank} did not end within {} s and is killed", LAST_WISHES.as_secs());
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// The exit code as a shell gives it: 128 plus the signal.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

/// Prints each line of a rank with its number in front.
fn show(
    rank: usize,
    from: impl Read + Send + 'static,
    mut to: impl Write + Send + 'static,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut lines = BufReader::new(from);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            let text = String::from_utf8_lossy(&line);
            // One write, so that lines of several ranks do not mix.
            let shown = format!("[{rank}] {}\n", text.trim_end_matches('\n'));
            let _ = to.write_all(shown.as_bytes());
            let _ = to.flush();
            line.clear();
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(count: usize, script: &str) -> u8 {
        command(count, "sh", &["-c".to_owned(), script.to_owned()]).unwrap()
    }

    #[test]
    fn every_rank_gets_its_number_and_rank_0_the_socket() {
        let script = r#"
            test "$WORLD_SIZE $LOCAL_WORLD_SIZE $MASTER_ADDR" = "3 3 127.0.0.1" || exit 9
            test "$RANK" = "$LOCAL_RANK" && test "$MASTER_PORT" -gt 0 && test "$OMP_NUM_THREADS" -gt 0 || exit 8
            if test "$RANK" = 0; then test "$BREW_LISTEN_FD" = 0; else test -z "$BREW_LISTEN_FD"; fi || exit 7
            echo "this is rank $RANK"
        "#;
        assert_eq!(shell(3, script), 0);
    }

    #[test]
    fn the_first_failure_ends_all_ranks_and_gives_its_code() {
        let begun = Instant::now();
        assert_eq!(shell(2, r#"if test "$RANK" = 1; then exit 7; fi; exec sleep 60"#), 7);
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
        assert_eq!(shell(1, "kill -KILL $$"), 137);
    }

    #[test]
    fn a_program_that_does_not_exist_is_named() {
        let error = command(2, "no-such-program", &[]).unwrap_err().to_string();
        assert!(error.contains("cannot start `no-such-program`"), "{error}");
        assert!(command(0, "sh", &[]).unwrap_err().to_string().contains("at least one"));
    }
}
