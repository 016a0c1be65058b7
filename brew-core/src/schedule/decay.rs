//! Learning rate schedules that decay over a run, each with an optional warm-up.

use std::f64::consts::PI;

use super::Schedule;

/// Rises to the full learning rate over the warm-up, then decays along a curve.
///
/// With n steps, a warm-up of the fraction f (w = f n steps) and the end e, at step s from 0:
///
/// - up, while s < w: (s + 1) / (w + 1)
/// - down, with x = (s - w) / (n - w) in [0, 1): e + (1 - e) c(x), where c is 1 - x = (n - s) / (n - w)
///   ([`Decay::linear`]), (1 - x)^p ([`Decay::polynomial`]) or (1 + cos πx) / 2 ([`Decay::cosine`];
///   Loshchilov and Hutter, "SGDR", 2017)
/// - [`Decay::inverse_square_root`] (Vaswani et al., "Attention Is All You Need", 2017) ignores n and e:
///   √((w + 1) / (s + 1))
/// - [`Decay::constant`] stays at 1
///
/// ```
/// use brew_core::schedule::{Decay, Schedule};
///
/// let schedule = Decay::cosine().with_warmup(0.1).down_to(0.1);
/// assert_eq!(schedule.multiplier(0, 100), 1.0 / 11.0);
/// assert_eq!(schedule.multiplier(10, 100), 1.0);
/// assert_eq!(schedule.multiplier(55, 100), 0.55);
///
/// // As BERT is fine-tuned: up over a tenth of the run, then down to 0.
/// let schedule = Decay::linear().with_warmup(0.1);
/// assert_eq!(schedule.multiplier(0, 10), 0.5);
/// assert_eq!(schedule.multiplier(1, 10), 1.0);
/// assert!((schedule.multiplier(9, 10) - 1.0 / 9.0).abs() < 1e-12);
/// ```
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decay {
    curve: Curve,
    warmup: f64,
    end: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Curve {
    Constant,
    Linear,
    Polynomial(f64),
    Cosine,
    InverseSquareRoot,
}

impl Decay {
    /// No decay: a constant learning rate, after the warm-up if there is one.
    pub fn constant() -> Self {
        Decay::along(Curve::Constant)
    }

    /// Linear decay.
    pub fn linear() -> Self {
        Decay::along(Curve::Linear)
    }

    /// Polynomial decay: this power, above 0, of the linear one.
    pub fn polynomial(power: f64) -> Self {
        Decay::along(Curve::Polynomial(power))
    }

    /// Cosine decay: half a period.
    pub fn cosine() -> Self {
        Decay::along(Curve::Cosine)
    }

    /// Decays with the inverse square root of the step after the warm-up, independent of the run's length.
    pub fn inverse_square_root() -> Self {
        Decay::along(Curve::InverseSquareRoot)
    }

    /// Warms up over this fraction of the steps, in [0, 1).
    pub fn with_warmup(self, fraction: f64) -> Self {
        Decay { warmup: fraction, ..self }
    }

    /// Ends the curve at this fraction of the learning rate, in [0, 1]; default 0.
    pub fn down_to(self, fraction: f64) -> Self {
        Decay { end: fraction, ..self }
    }

    fn along(curve: Curve) -> Self {
        Decay { curve, warmup: 0.0, end: 0.0 }
    }
}

impl Schedule for Decay {
    fn multiplier(&self, step: u64, steps: u64) -> f64 {
        let (step, steps) = (step as f64, steps.max(1) as f64);
        let warmup = self.warmup * steps;
        if step < warmup {
            return (step + 1.0) / (warmup + 1.0);
        }
        let done = (step - warmup) / (steps - warmup).max(f64::MIN_POSITIVE);
        let down = match self.curve {
            Curve::Constant => return 1.0,
            Curve::InverseSquareRoot => return ((warmup + 1.0) / (step + 1.0)).sqrt(),
            Curve::Linear => (steps - step) / ((1.0 - self.warmup) * steps).max(f64::MIN_POSITIVE),
            Curve::Polynomial(power) => (1.0 - done).max(0.0).powf(power),
            Curve::Cosine => (1.0 + (PI * done).cos()) / 2.0,
        };
        self.end + (1.0 - self.end) * down.clamp(0.0, 1.0)
    }

    fn problems(&self) -> Vec<String> {
        let warmup = (!(0.0..1.0).contains(&self.warmup))
            .then(|| format!("the warm-up is {}; it must lie in [0, 1)", self.warmup));
        let end = (!(0.0..=1.0).contains(&self.end))
            .then(|| format!("the schedule ends at {}; it must lie in [0, 1]", self.end));
        let power = match self.curve {
            Curve::Polynomial(power) if !(power.is_finite() && power > 0.0) => {
                Some(format!("the power of the schedule is {power}; it must be finite and above 0"))
            }
            _ => None,
        };
        [warmup, end, power].into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_values(schedule: impl Schedule, steps: u64, at: &[(u64, f64)]) {
        for &(step, expected) in at {
            let found = schedule.multiplier(step, steps);
            assert!((found - expected).abs() < 1e-12, "step {step}: found {found}, expected {expected}");
        }
    }

    // transformers 5.24.0, with o = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0): s =
    // get_cosine_schedule_with_warmup(o, 2, 10) s = get_polynomial_decay_schedule_with_warmup(o, 2, 10,
    // lr_end=0.1, power=2.0) s = get_linear_schedule_with_warmup(o, 2, 10) [s.lr_lambdas[0](k) for k in (2,
    // 3, 6, 9)] after the warm-up, which starts at 0 there and above 0 here.
    #[test]
    fn decays_are_those_of_transformers_after_the_warmup() {
        let warm = Decay::cosine().with_warmup(0.2);
        assert_values(warm, 10, &[(2, 1.0), (3, 0.9619397662556434), (6, 0.5), (9, 0.03806023374435663)]);
        let warm = Decay::polynomial(2.0).with_warmup(0.2).down_to(0.1);
        assert_values(warm, 10, &[(2, 1.0), (3, 0.7890625), (6, 0.325), (9, 0.1140625)]);
        let warm = Decay::linear().with_warmup(0.2);
        assert_values(
            warm,
            10,
            &[(0, 1.0 / 3.0), (1, 2.0 / 3.0), (2, 1.0), (3, 0.875), (6, 0.5), (9, 0.125)],
        );
    }

    #[test]
    fn the_inverse_root_needs_no_end() {
        let schedule = Decay::inverse_square_root().with_warmup(0.0);
        assert_values(schedule, 0, &[(0, 1.0), (3, 0.5), (99, 0.1)]);
    }

    #[test]
    fn fractions_out_of_range_are_reported() {
        assert_eq!(Decay::polynomial(0.0).with_warmup(1.0).down_to(2.0).problems().len(), 3);
    }
}
