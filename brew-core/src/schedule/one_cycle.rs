//! The one-cycle schedule: one rise and one fall of the learning rate over a run.

use std::f64::consts::PI;

use super::Schedule;

/// Rises to the full learning rate and falls to almost 0, each along half a period of the cosine.
///
/// With n steps, the peak at fraction f, s from 0, and the last step of the rise a = f n - 1: from 1/25
/// up to 1 over a steps, then down to 1/250,000 at step n - 1. Source: Smith and Topin,
/// "Super-Convergence", 2018; PyTorch's `OneCycleLR` with its defaults.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OneCycle {
    peak: f64,
}

impl OneCycle {
    /// The fraction of the steps after which the learning rate peaks, in (0, 1); PyTorch's is 0.3.
    pub fn peak_at(fraction: f64) -> Self {
        OneCycle { peak: fraction }
    }
}

impl Schedule for OneCycle {
    fn multiplier(&self, step: u64, steps: u64) -> f64 {
        const START: f64 = 1.0 / 25.0;
        const END: f64 = START / 1e4;
        let (step, last) = (step as f64, steps.max(2) as f64 - 1.0);
        let top = (self.peak * steps as f64 - 1.0).max(0.0);
        let wave = |from: f64, to: f64, x: f64| to + (from - to) * (1.0 + (PI * x).cos()) / 2.0;
        if step <= top {
            wave(START, 1.0, if top > 0.0 { step / top } else { 1.0 })
        } else {
            wave(1.0, END, ((step - top) / (last - top).max(f64::MIN_POSITIVE)).min(1.0))
        }
    }

    fn problems(&self) -> Vec<String> {
        let fine = self.peak > 0.0 && self.peak < 1.0;
        (!fine).then(|| format!("the peak is at {}; it must lie in (0, 1)", self.peak)).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // torch 2.11: s = torch.optim.lr_scheduler.OneCycleLR(o, max_lr=1.0, total_steps=10), then
    // o.param_groups[0]["lr"] before each s.step()
    #[test]
    fn one_cycle_is_pytorchs() {
        let golden = [0.04, 0.52, 1.0, 0.9504846320134737, 0.8117456539497631, 0.6112620219362893];
        let at = golden.iter().enumerate().map(|(step, value)| (step as u64, *value));
        let rest = [(6, 0.38874197806371075), (7, 0.18825834605023697), (8, 0.049519367986526286), (9, 4e-6)];
        for (step, expected) in at.chain(rest) {
            let found = OneCycle::peak_at(0.3).multiplier(step, 10);
            assert!((found - expected).abs() < 1e-12, "step {step}: found {found}, expected {expected}");
        }
    }

    #[test]
    fn a_peak_outside_the_run_is_reported() {
        assert_eq!(OneCycle::peak_at(1.0).problems().len(), 1);
    }
}
