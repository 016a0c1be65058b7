//! Meetings of threads, each with its own connection to one store, which keeps the keys of earlier meetings.

use std::net::TcpListener;
use std::os::fd::IntoRawFd;
use std::thread;

use super::*;
use crate::ranks::environment::StoreHost;

/// A store that outlives meetings, as torchrun's agent does, and its port.
fn hosted() -> (Store, u16) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let store =
        Store::open("127.0.0.1", port, true, Some(socket.into_raw_fd()), Duration::from_secs(20)).unwrap();
    (store, port)
}

/// One process, which starts after a delay in milliseconds.
fn process(port: u16, rank: usize, world_size: usize, delay: u64) -> thread::JoinHandle<Result<String>> {
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(delay));
        let address = "127.0.0.1".to_owned();
        let ranks = Ranks::at(rank, world_size, address, port, StoreHost::Launcher);
        let store = Store::open("127.0.0.1", port, false, None, Duration::from_secs(20))?;
        meet(&store, &ranks, &Agreement::new(), Duration::from_secs(20))
    })
}

#[test]
fn restarted_ranks_meet_on_a_store_with_the_keys_of_twenty_earlier_meetings() {
    let (_store, port) = hosted();
    let mut generations = Vec::new();
    for attempt in 0..20_u64 {
        // Any of them comes first or last.
        let delay = |rank: u64| (attempt * 7 + rank * 13) % 4 * 15;
        let all: Vec<_> = (0..3).map(|rank| process(port, rank, 3, delay(rank as u64))).collect();
        let met: Vec<String> = all.into_iter().map(|process| process.join().unwrap().unwrap()).collect();
        assert!(met.iter().all(|generation| *generation == met[0]), "attempt {attempt}: {met:?}");
        assert!(!generations.contains(&met[0]), "attempt {attempt} met an earlier one");
        generations.push(met[0].clone());
    }
}

#[test]
fn a_card_of_a_process_that_died_is_not_taken_for_a_living_one() {
    let (store, port) = hosted();
    let dead = Card {
        nonce: "dead".to_owned(),
        rank: 1,
        world_size: 2,
        host: "here".to_owned(),
        process: 1,
        agreement: Agreement::new(),
    };
    write(&store, "brew/join/1", &dead).unwrap();
    let host = process(port, 0, 2, 0);
    // Rank 0 has answered the dead process by now.
    thread::sleep(Duration::from_millis(200));
    assert!(store.get("brew/answer/dead").unwrap().is_some());
    let rank = process(port, 1, 2, 0);
    assert_eq!(host.join().unwrap().unwrap(), rank.join().unwrap().unwrap());
}

#[test]
fn two_processes_of_rank_0_are_refused() {
    let (_store, port) = hosted();
    let both = [process(port, 0, 2, 0), process(port, 0, 2, 100)];
    thread::sleep(Duration::from_millis(400));
    let mut both = both.into_iter();
    let error = both.next().unwrap().join().unwrap().unwrap_err().to_string();
    assert!(error.contains("both say that they are rank 0"), "{error}");
    // The other one meets whoever comes.
    let rank = process(port, 1, 2, 0);
    let met = both.next().unwrap().join().unwrap().unwrap();
    assert_eq!(rank.join().unwrap().unwrap(), met);
}
