//! What a run says its losses add up to.

#![expect(clippy::expect_used, reason = "a test fails where a helper does")]

use std::sync::{Arc, Mutex, PoisonError};

use brew_core::observe::{Event, Observer};

/// Collects the total of every batch; clones share what they see.
#[derive(Debug, Clone, Default)]
pub struct Totals(Arc<Mutex<Vec<f64>>>);

impl Totals {
    /// All of them. Not `seen`: the method of models would come before it.
    pub fn so_far(&self) -> Vec<f64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Observer for Totals {
    fn on(&mut self, event: &Event<'_>) {
        if let Event::Batch(report) = event {
            let total =
                report.losses.iter().find(|(name, _)| name == "total").expect("every batch has a total");
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(total.1);
        }
    }
}
