//! The time spent training, including writing the cache but not evaluating.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use brew_core::observe::{Event, Observer};
use serde::Serialize;

/// What an evaluation found, and when.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Evaluation {
    /// Optimizer steps before it.
    pub(crate) step: u64,
    /// Seconds of training before it.
    pub(crate) seconds: f64,
    pub(crate) accuracy: f64,
    pub(crate) agreement: f64,
}

/// What a run's events report.
#[derive(Debug, Default)]
pub(crate) struct Times {
    pub(crate) seconds: f64,
    pub(crate) evaluations: Vec<Evaluation>,
    /// Rows and bytes of the teacher's cache.
    pub(crate) cached: Option<(usize, u64)>,
    /// Rows that the teacher computed for its cache.
    pub(crate) computed: u64,
    last: Option<Instant>,
}

/// An observer whose times outlive the run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clock(pub(crate) Rc<RefCell<Times>>);

impl Observer for Clock {
    fn on(&mut self, event: &Event<'_>) {
        let mut times = self.0.borrow_mut();
        let now = Instant::now();
        let passed = times.last.replace(now).map_or(0.0, |last| (now - last).as_secs_f64());
        if !matches!(event, Event::Started { .. } | Event::Evaluated { .. }) {
            times.seconds += passed;
        }
        match event {
            Event::TeacherCache { report, .. } => {
                times.cached = Some((report.rows, report.bytes));
                times.computed += report.computed;
            }
            Event::Evaluated { step, metric, value, .. } => match *metric {
                "accuracy" => {
                    let seconds = times.seconds;
                    times.evaluations.push(Evaluation {
                        step: *step,
                        seconds,
                        accuracy: *value,
                        agreement: f64::NAN,
                    });
                }
                _ => {
                    if let Some(evaluation) = times.evaluations.last_mut() {
                        evaluation.agreement = *value;
                    }
                }
            },
            _ => {}
        }
    }
}
