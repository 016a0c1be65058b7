//! When checkpoints are written: a pure function of the optimizer step.
//!
//! The steps are TextBrewer's. In a run of epochs, with s steps an epoch and f checkpoints an epoch,
//! those whose position in the epoch is floor(s i / f) for an i in 0, …, f - 1, where 0 is the epoch's
//! end; only in every e-th epoch and in the last (`ckpt_frequency`, `ckpt_epoch_frequency`). In a run of
//! optimizer steps every k-th step and the last (`ckpt_steps`).

use serde::Serialize;

/// How long a run goes, counted in optimizer steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Length {
    /// Of the whole run.
    pub(super) steps: u64,
    /// Of an epoch, where the run goes by epochs.
    pub(super) steps_per_epoch: Option<u64>,
}

impl Length {
    /// Whether an epoch ends with this step (from 1).
    pub(super) fn ends_epoch(&self, step: u64) -> bool {
        self.steps_per_epoch.is_some_and(|an_epoch| step.is_multiple_of(an_epoch))
    }
}

/// When checkpoints are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Checkpoints {
    /// How many an epoch, in a run of epochs.
    pub(super) per_epoch: u64,
    /// From one epoch with checkpoints to the next.
    pub(super) every_epochs: u64,
    /// Steps from one to the next, in a run of optimizer steps; `None` for the last step alone.
    pub(super) every_steps: Option<u64>,
}

impl Default for Checkpoints {
    fn default() -> Self {
        Checkpoints { per_epoch: 1, every_epochs: 1, every_steps: None }
    }
}

impl Checkpoints {
    /// Whether one is written after this optimizer step (from 1) of a run of this length.
    pub(super) fn at(&self, step: u64, length: Length) -> bool {
        match length.steps_per_epoch {
            Some(an_epoch) => self.in_epoch(step, an_epoch, length.steps),
            None => step == length.steps || self.every_steps.is_some_and(|every| step.is_multiple_of(every)),
        }
    }

    fn in_epoch(&self, step: u64, an_epoch: u64, steps: u64) -> bool {
        let epoch = step.saturating_sub(1) / an_epoch;
        let last = steps.saturating_sub(1) / an_epoch;
        if epoch != last && !(epoch + 1).is_multiple_of(self.every_epochs) {
            return false;
        }
        // The smallest i with floor(s i / f) at or after this position; it is there if it is equal.
        let (position, an_epoch) = (u128::from(step % an_epoch), u128::from(an_epoch));
        let per_epoch = u128::from(self.per_epoch);
        let index = (position * per_epoch).div_ceil(an_epoch);
        index < per_epoch && an_epoch * index / per_epoch == position
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_epochs(an_epoch: u64, epochs: u64, per_epoch: u64, every_epochs: u64) -> Vec<u64> {
        let length = Length { steps: an_epoch * epochs, steps_per_epoch: Some(an_epoch) };
        let checkpoints = Checkpoints { per_epoch, every_epochs, every_steps: None };
        (1..=length.steps).filter(|step| checkpoints.at(*step, length)).collect()
    }

    fn of_steps(steps: u64, every: Option<u64>) -> Vec<u64> {
        let length = Length { steps, steps_per_epoch: None };
        let checkpoints = Checkpoints { every_steps: every, ..Checkpoints::default() };
        (1..=steps).filter(|step| checkpoints.at(*step, length)).collect()
    }

    // TextBrewer at commit 2c105fa, its own files `gs1.pkl`, …, from runs of its distillers.
    #[test]
    fn steps_are_textbrewers_in_a_run_of_epochs() {
        assert_eq!(of_epochs(5, 2, 1, 1), [5, 10]);
        assert_eq!(of_epochs(5, 2, 2, 1), [2, 5, 7, 10]);
        assert_eq!(of_epochs(5, 2, 3, 1), [1, 3, 5, 6, 8, 10]);
        assert_eq!(of_epochs(5, 3, 1, 2), [10, 15]);
    }

    #[test]
    fn steps_are_textbrewers_in_a_run_of_steps() {
        assert_eq!(of_steps(7, Some(3)), [3, 6, 7]);
        assert_eq!(of_steps(2, Some(3)), [2]);
    }

    #[test]
    fn without_a_number_of_steps_the_last_one_has_a_checkpoint() {
        assert_eq!(of_steps(7, None), [7]);
    }

    // The formula as TextBrewer computes it, the other way round: all positions of an epoch first.
    #[test]
    fn every_position_of_an_epoch_is_that_of_the_formula() {
        for an_epoch in 1..=12_u64 {
            for per_epoch in 1..=15 {
                let positions: std::collections::BTreeSet<u64> =
                    (0..per_epoch).map(|index| an_epoch * index / per_epoch).collect();
                let expected: Vec<u64> =
                    (1..=an_epoch * 2).filter(|step| positions.contains(&(step % an_epoch))).collect();
                assert_eq!(of_epochs(an_epoch, 2, per_epoch, 1), expected, "{an_epoch} {per_epoch}");
            }
        }
    }

    #[test]
    fn huge_numbers_do_not_overflow() {
        let length = Length { steps: u64::MAX, steps_per_epoch: Some(u64::MAX) };
        let checkpoints = Checkpoints { per_epoch: u64::MAX, every_epochs: u64::MAX, every_steps: None };
        assert!(checkpoints.at(u64::MAX - 1, length));
    }
}
