//! How the ranks find each other through the store, and compare themselves before they connect.
//!
//! A store may outlive the processes that used it: torchrun restarts them on the same one, with the old keys. So every
//! process draws a number, the *nonce*. Rank r writes its card with its nonce, and rank 0 answers under that nonce with
//! its own, which names the *generation*: all later keys begin with it. A key that somebody waits for has the nonce of a
//! living process in it, so an old key is never mistaken for a new one.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant, SystemTime};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::address::host_name;
use super::agreement::{Agreement, named};
use super::environment::Ranks;
use crate::error::{Error, Result};
use crate::native::ffi::Store;
use crate::words::numbered;

const PAUSE: Duration = Duration::from_millis(20);
/// For how long rank 0 keeps the store for those who have not read its answer.
const READING: Duration = Duration::from_secs(2);

/// What a process says about itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Card {
    nonce: String,
    rank: usize,
    world_size: usize,
    host: String,
    process: u32,
    agreement: Agreement,
}

impl Card {
    fn who(&self) -> String {
        format!("process {} on {}", self.process, self.host)
    }
}

/// Meets the other ranks and returns the name of the generation.
pub(super) fn meet(store: &Store, ranks: &Ranks, agreement: &Agreement, timeout: Duration) -> Result<String> {
    let card = Card {
        nonce: nonce(),
        rank: ranks.rank,
        world_size: ranks.world_size,
        host: host_name(),
        process: std::process::id(),
        agreement: agreement.clone(),
    };
    let generation = if ranks.rank == 0 {
        receive(store, &card, timeout)?
    } else {
        arrive(store, &card, timeout, format!("{}:{}", ranks.address, ranks.port))?
    };
    Ok(generation)
}

/// Rank 0: collects the cards of all, compares them, and tells the outcome.
fn receive(store: &Store, own: &Card, timeout: Duration) -> Result<String> {
    let until = Instant::now() + timeout;
    let generation = &own.nonce;
    write(store, "brew/host", own)?;
    let mut cards = BTreeMap::from([(0, own.clone())]);
    let mut present = BTreeMap::new();
    let mut answered = 0;
    let problems = loop {
        for rank in 1..own.world_size {
            let Some(card) = read::<Card>(store, &format!("brew/join/{rank}"))? else { continue };
            if cards.get(&rank).is_none_or(|known| known.nonce != card.nonce) {
                store.set(&format!("brew/answer/{}", card.nonce), generation.as_bytes())?;
                cards.insert(rank, card.clone());
                answered += 1;
            }
            if store.get(&format!("brew/{generation}/here/{}", card.nonce))?.is_some() {
                present.insert(rank, card);
            }
        }
        if let Some(text) = read::<String>(store, &format!("brew/{generation}/problem"))? {
            break vec![text];
        }
        if read::<Card>(store, "brew/host")?.is_some_and(|host| host.nonce != own.nonce) {
            break vec![twice(store, "brew/host", own)?];
        }
        if present.len() + 1 == own.world_size {
            let all: Vec<&Card> = std::iter::once(own).chain(present.values()).collect();
            break differences(&all);
        }
        if Instant::now() > until {
            let missing: Vec<usize> =
                (1..own.world_size).filter(|rank| !present.contains_key(rank)).collect();
            break vec![format!("{} did not join within {} s", named(&missing), timeout.as_secs_f64())];
        }
        std::thread::sleep(PAUSE);
    };
    write(store, &format!("brew/{generation}/go"), &problems)?;
    if problems.is_empty() {
        return Ok(generation.clone());
    }
    let until = Instant::now() + READING;
    while Instant::now() < until && store.add(&format!("brew/{generation}/read"), 0)? < answered {
        std::thread::sleep(PAUSE);
    }
    Err(refused(&problems))
}

/// Every other rank: waits for rank 0's answer, then for its verdict on all of them.
fn arrive(store: &Store, own: &Card, timeout: Duration, place: String) -> Result<String> {
    let until = Instant::now() + timeout;
    let join = format!("brew/join/{}", own.rank);
    write(store, &join, own)?;
    let generation = loop {
        if let Some(answer) = store.get(&format!("brew/answer/{}", own.nonce))? {
            break String::from_utf8_lossy(&answer).into_owned();
        }
        if read::<Card>(store, &join)?.is_some_and(|card| card.nonce != own.nonce) {
            return Err(refused(&[twice(store, &join, own)?]));
        }
        if Instant::now() > until {
            let host = read::<Card>(store, "brew/host")?;
            let known = host.map_or_else(String::new, |host| {
                format!("; the last rank 0 there is {}, with {} ranks", host.who(), host.world_size)
            });
            let seconds = timeout.as_secs_f64();
            return Err(refused(&[format!("rank 0 at {place} did not answer within {seconds} s{known}")]));
        }
        std::thread::sleep(PAUSE);
    };
    let holder = format!("brew/{generation}/holder/{}", own.rank);
    if store.add(&format!("brew/{generation}/ticket/{}", own.rank), 1)? == 1 {
        write(store, &holder, own)?;
    } else {
        write(store, &format!("brew/{generation}/problem"), &twice(store, &holder, own)?)?;
    }
    store.set(&format!("brew/{generation}/here/{}", own.nonce), b"")?;
    // Rank 0 may have begun to wait for the others later than this rank did.
    let until = Instant::now() + timeout + READING;
    loop {
        if let Some(problems) = read::<Vec<String>>(store, &format!("brew/{generation}/go"))? {
            store.add(&format!("brew/{generation}/read"), 1)?;
            return if problems.is_empty() { Ok(generation) } else { Err(refused(&problems)) };
        }
        if Instant::now() > until {
            let seconds = timeout.as_secs_f64();
            return Err(refused(&[format!(
                "rank 0 at {place} answered and then said nothing for {seconds} s"
            )]));
        }
        std::thread::sleep(PAUSE);
    }
}

fn refused(problems: &[String]) -> Error {
    Error::invalid(numbered("the ranks cannot start", problems))
}

/// What two processes of one rank are told.
fn twice(store: &Store, key: &str, own: &Card) -> Result<String> {
    let other = read::<Card>(store, key)?.filter(|card| card.nonce != own.nonce);
    let other = other.map_or_else(|| "another process".to_owned(), |card| card.who());
    Ok(format!("{} and {other} both say that they are rank {}", own.who(), own.rank))
}

/// How the ranks differ.
fn differences(cards: &[&Card]) -> Vec<String> {
    let agreements: Vec<Agreement> =
        cards.iter().map(|card| Agreement::new().value("world size", card.world_size)).collect();
    let mut found = Agreement::differences(&agreements.iter().collect::<Vec<_>>());
    found.extend(Agreement::differences(&cards.iter().map(|card| &card.agreement).collect::<Vec<_>>()));
    found
}

/// A number that no other process draws.
fn nonce() -> String {
    let mut hasher = blake3::Hasher::new();
    // The standard library seeds it from the system's source of random numbers.
    hasher.update(&RandomState::new().hash_one(std::process::id()).to_le_bytes());
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    hasher.update(&since.as_nanos().to_le_bytes()).update(host_name().as_bytes());
    hasher.update(&std::process::id().to_le_bytes());
    hasher.finalize().to_hex()[..16].to_owned()
}

fn write(store: &Store, key: &str, value: &impl Serialize) -> Result<()> {
    store.set(key, &serde_json::to_vec(value).map_err(Error::other)?)
}

fn read<T: DeserializeOwned>(store: &Store, key: &str) -> Result<Option<T>> {
    let Some(bytes) = store.get(key)? else { return Ok(None) };
    let value = serde_json::from_slice(&bytes);
    value.map(Some).map_err(|error| {
        Error::invalid(format!(
            "the store's key `{key}` was not written by this version of brew: {error}; start all ranks with the same program"
        ))
    })
}

#[cfg(test)]
mod tests;
