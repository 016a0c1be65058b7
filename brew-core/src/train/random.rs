//! Random numbers as pure functions of a run's position, so that there is no generator state to save and no
//! order to keep.

use crate::random::finish;

/// One seed from three numbers (SplitMix64's finalizer over their sum with odd factors).
pub(super) fn mix(seed: i64, step: u64, batch: u64) -> i64 {
    let state = (seed as u64)
        .wrapping_add(step.wrapping_mul(0x9E37_79B9_7F4A_7C15))
        .wrapping_add(batch.wrapping_mul(0xD1B5_4A32_D192_ED03));
    finish(state) as i64
}

/// Draws one of several tasks for every batch.
///
/// Task d has probability n_d^tau / sum n^tau, where n are the sizes.
#[derive(Debug, Clone)]
pub(super) struct TaskDraw {
    seed: u64,
    /// Cumulative probabilities of the tasks; the last is 1.
    sums: Vec<f64>,
}

impl TaskDraw {
    /// Draws by these sizes, each at least 1; with equal probability if they are unknown.
    pub(super) fn new(seed: i64, tasks: usize, sizes: Option<&[u64]>, tau: f64) -> Self {
        // Logarithms avoid overflow for large sizes raised to a large power.
        let logarithms: Vec<f64> = match sizes {
            Some(sizes) => sizes.iter().map(|size| tau * (*size as f64).ln()).collect(),
            None => vec![0.0; tasks],
        };
        let largest = logarithms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let powers: Vec<f64> = logarithms.iter().map(|logarithm| (logarithm - largest).exp()).collect();
        let total: f64 = powers.iter().sum();
        let sums = powers.iter().scan(0.0, |sum, power| {
            *sum += power / total;
            Some(*sum)
        });
        // Kept apart from the seeds of dropout, which derive from the same number.
        TaskDraw { seed: finish((seed as u64) ^ 0x5851_F42D_4C95_7F2D), sums: sums.collect() }
    }

    /// The probability of a task.
    pub(super) fn probability(&self, task: usize) -> f64 {
        let before = task.checked_sub(1).map_or(0.0, |before| self.sums[before]);
        self.sums[task] - before
    }

    /// The task of the batch with this number (from 0).
    pub(super) fn task(&self, batch: u64) -> usize {
        let bits = mix(self.seed as i64, batch.wrapping_add(1), 0) as u64 >> 11;
        let uniform = bits as f64 / (1_u64 << 53) as f64;
        self.sums.iter().position(|sum| uniform < *sum).unwrap_or(self.sums.len().saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(sizes: Option<&[u64]>, tau: f64, draws: u64) -> [u64; 2] {
        let draw = TaskDraw::new(7, 2, sizes, tau);
        (0..draws).fold([0, 0], |mut counts, batch| {
            counts[draw.task(batch)] += 1;
            counts
        })
    }

    // The expected counts are n p; three standard deviations of a binomial are 3 sqrt(n p (1 - p)):
    // 120 at p = 0.8 and n = 10,000, 150 at p = 0.5, 141 at p = 2/3.
    #[test]
    fn tasks_are_drawn_by_their_sizes_to_the_power_tau() {
        let near = |found: [u64; 2], first: u64, off: u64| {
            assert!(found[0].abs_diff(first) < off, "{found:?}, expected {first}");
        };
        near(counts(Some(&[8, 2]), 1.0, 10_000), 8_000, 120);
        near(counts(Some(&[8, 2]), 0.5, 10_000), 6_667, 141);
        near(counts(Some(&[8, 2]), 0.0, 10_000), 5_000, 150);
        near(counts(None, 1.0, 10_000), 5_000, 150);
        assert_eq!(counts(Some(&[1_000_000_000, 1]), 1_000.0, 100), [100, 0]);
    }

    #[test]
    fn a_draw_depends_on_seed_and_batch_alone() {
        let draw = TaskDraw::new(3, 3, None, 1.0);
        let forwards: Vec<usize> = (0..50).map(|batch| draw.task(batch)).collect();
        let mut backwards: Vec<usize> = (0..50).rev().map(|batch| draw.task(batch)).collect();
        backwards.reverse();
        assert_eq!(forwards, backwards);
        let other = TaskDraw::new(4, 3, None, 1.0);
        assert_ne!(forwards, (0..50).map(|batch| other.task(batch)).collect::<Vec<_>>());
    }
}
