//! A subscriber that adds up the time in the spans of each step.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use brew_core::prelude::*;
use serde_json::{Value, json};
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};

/// The span that holds all others.
const STEP: &str = "step";

/// The parts of a step that are reported separately; the rest, including losses and waiting for data, is "everything
/// else".
const PARTS: [&str; 5] = ["teacher", "student", "backward", "clip", "optimizer"];

/// Listens to the spans of brew's loop.
#[derive(Debug, Clone, Default)]
pub struct Clock(Arc<Mutex<Times>>);

#[derive(Debug, Default)]
struct Times {
    names: Vec<&'static str>,
    /// The spans that are entered, outermost first.
    open: Vec<(&'static str, Instant)>,
    /// The time in each span of the current step, by name.
    parts: BTreeMap<&'static str, Duration>,
    steps: Vec<BTreeMap<&'static str, Duration>>,
}

impl Clock {
    /// Starts listening.
    pub fn listen() -> Result<Self> {
        let clock = Clock::default();
        tracing::subscriber::set_global_default(clock.clone())
            .map_err(|error| Error::other(format!("cannot listen to the loop: {error}")))?;
        Ok(clock)
    }

    fn times<R>(&self, with: impl FnOnce(&mut Times) -> R) -> R {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The median of each part in milliseconds, over all steps after the warm-up.
    pub fn report(&self, warm_up: u64) -> Result<Value> {
        let steps = self.times(|times| std::mem::take(&mut times.steps));
        let steps = steps.get(warm_up as usize..).unwrap_or_default();
        if steps.is_empty() {
            return Err(Error::other("the loop made no step to measure"));
        }
        let of_step = |step: &BTreeMap<_, Duration>, name: &str| step.get(name).map_or(0.0, milliseconds);
        let over = |of: &dyn Fn(&BTreeMap<&'static str, Duration>) -> f64| median(steps.iter().map(of));
        let mut parts: BTreeMap<String, f64> = ["loss", "data", "all_reduce"]
            .iter()
            .chain(&PARTS)
            .map(|name| ((*name).to_owned(), over(&|step| of_step(step, name))))
            .collect();
        let rest = |step: &BTreeMap<_, Duration>| {
            of_step(step, STEP) - PARTS.iter().map(|name| of_step(step, name)).sum::<f64>()
        };
        parts.insert("rest".to_owned(), over(&rest));
        parts.insert(STEP.to_owned(), over(&|step| of_step(step, STEP)));
        Ok(json!({
            "steps": steps.len(),
            "threads": brew_core::tch::get_num_threads(),
            "milliseconds": parts,
            "peak_megabytes": peak_megabytes(),
        }))
    }
}

fn milliseconds(duration: &Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The peak memory of the process, if the system reports it.
fn peak_megabytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok()? * 1024.0 / 1e6)
}

impl Subscriber for Clock {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && metadata.target().starts_with("brew_core")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.times(|times| {
            times.names.push(span.metadata().name());
            Id::from_u64(times.names.len() as u64)
        })
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &tracing::Event<'_>) {}

    fn enter(&self, span: &Id) {
        self.times(|times| {
            let name = times.names[span.into_u64() as usize - 1];
            times.open.push((name, Instant::now()));
        });
    }

    fn exit(&self, _: &Id) {
        let now = Instant::now();
        self.times(|times| {
            let Some((name, since)) = times.open.pop() else { return };
            // The checks before the first step are not part of a step.
            if name == STEP || times.open.iter().any(|(open, _)| *open == STEP) {
                *times.parts.entry(name).or_default() += now - since;
            }
            if name == STEP {
                let parts = std::mem::take(&mut times.parts);
                times.steps.push(parts);
            }
        });
    }
}
