//! Progress of the bench: which run it is, and how long the rest takes, estimated from the runs so far.

use std::time::Instant;

use super::Outcome;
use crate::failure::Result;

/// Progress of the bench.
#[derive(Debug)]
pub(super) struct Progress {
    /// The cost of each run, in arbitrary units.
    costs: Vec<f64>,
    done: usize,
    /// Cost and seconds of successful runs: a failed one did not do all its work.
    measured: (f64, f64),
}

impl Progress {
    pub(super) fn new(costs: Vec<f64>) -> Progress {
        Progress { costs, done: 0, measured: (0.0, 0.0) }
    }

    /// The next run.
    pub(super) fn told(&self) -> String {
        let place = format!("run {} of {}", self.done + 1, self.costs.len());
        match self.seconds_left() {
            Some(seconds) if seconds < 90.0 => format!("{place}, about {seconds:.0} s left"),
            Some(seconds) => format!("{place}, about {:.0} min left", seconds / 60.0),
            None => place,
        }
    }

    /// Makes the run.
    pub(super) fn timed(&mut self, run: impl FnOnce() -> Result<Outcome>) -> Result<Outcome> {
        let begun = Instant::now();
        let outcome = run()?;
        self.end(outcome.is_ok().then(|| begun.elapsed().as_secs_f64()));
        Ok(outcome)
    }

    fn end(&mut self, seconds: Option<f64>) {
        if let Some(seconds) = seconds {
            self.measured.0 += self.costs[self.done];
            self.measured.1 += seconds;
        }
        self.done += 1;
    }

    fn seconds_left(&self) -> Option<f64> {
        let (cost, seconds) = self.measured;
        (cost > 0.0).then(|| seconds / cost * self.costs[self.done..].iter().sum::<f64>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_that_is_left_follows_from_what_succeeded() {
        let mut progress = Progress::new(vec![1.0, 5.0, 4.0, 20.0]);
        assert_eq!(progress.told(), "run 1 of 4");
        progress.end(Some(10.0));
        assert_eq!(progress.told(), "run 2 of 4, about 5 min left");
        progress.end(None);
        assert_eq!(progress.told(), "run 3 of 4, about 4 min left");
        progress.end(Some(10.0));
        assert_eq!(progress.told(), "run 4 of 4, about 80 s left");
    }
}
