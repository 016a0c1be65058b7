//! When checkpoints are written: a pure function of the optimizer step.
//!
//! The rule is TextBrewer's. In a run of epochs, with s steps and f checkpoints per epoch, a checkpoint is
//! written at the steps whose position in the epoch is floor(s i / f) for some i in 0, …, f - 1, where 0
//! means the epoch's end; only in every e-th epoch and in the last (`ckpt_frequency`,
//! `ckpt_epoch_frequency`). In a run of optimizer steps, at every k-th step and the last (`ckpt_steps`).

use serde::Serialize;

use super::length::Length;

/// When checkpoints are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Checkpoints {
    /// Checkpoints per epoch, in a run of epochs.
    pub(super) per_epoch: u64,
    /// Epochs from one with checkpoints to the next.
    pub(super) every_epochs: u64,
    /// Steps from one checkpoint to the next, in a run of optimizer steps; `None` for only the last step.
    pub(super) every_steps: Option<u64>,
}

impl Default for Checkpoints {
    fn default() -> Self {
        Checkpoints { per_epoch: 1, every_epochs: 1, every_steps: None }
    }
}

impl Checkpoints {
    /// Whether a checkpoint is written after this optimizer step (from 1) of a run of this length.
    pub(super) fn at(&self, step: u64, length: &Length) -> bool {
        let Some(place) = length.place(step) else {
            return step == length.steps || self.every_steps.is_some_and(|every| step.is_multiple_of(every));
        };
        if !place.last && !(place.epoch + 1).is_multiple_of(self.every_epochs) {
            return false;
        }
        // The smallest i with floor(s i / f) at or after this position; there is a checkpoint if they are
        // equal.
        let (position, steps) = (u128::from(place.step % place.steps), u128::from(place.steps));
        let per_epoch = u128::from(self.per_epoch);
        let index = (position * per_epoch).div_ceil(steps);
        index < per_epoch && steps * index / per_epoch == position
    }
}

#[cfg(test)]
mod tests {
    use super::super::length::PerEpoch;
    use super::*;

    fn of_epochs(an_epoch: u64, epochs: u64, per_epoch: u64, every_epochs: u64) -> Vec<u64> {
        let length = Length::of_epochs(epochs, PerEpoch::Equal(an_epoch));
        let checkpoints = Checkpoints { per_epoch, every_epochs, every_steps: None };
        (1..=length.steps).filter(|step| checkpoints.at(*step, &length)).collect()
    }

    fn of_steps(steps: u64, every: Option<u64>) -> Vec<u64> {
        let length = Length::of_steps(steps);
        let checkpoints = Checkpoints { every_steps: every, ..Checkpoints::default() };
        (1..=steps).filter(|step| checkpoints.at(*step, &length)).collect()
    }

    // From runs of TextBrewer's distillers at commit 2c105fa: the files `gs1.pkl`, … that they wrote.
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

    // TextBrewer evaluates the formula the other way round: it lists all positions of an epoch first.
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
    fn epochs_of_different_lengths_have_checkpoints_of_their_own() {
        let length = Length::of_epochs(2, PerEpoch::Each(vec![4, 6]));
        let checkpoints = Checkpoints { per_epoch: 2, ..Checkpoints::default() };
        let steps: Vec<u64> = (1..=10).filter(|step| checkpoints.at(*step, &length)).collect();
        assert_eq!(steps, [2, 4, 7, 10]);
    }

    #[test]
    fn huge_numbers_do_not_overflow() {
        let length = Length::of_epochs(1, PerEpoch::Equal(u64::MAX));
        let checkpoints = Checkpoints { per_epoch: u64::MAX, every_epochs: u64::MAX, every_steps: None };
        assert!(checkpoints.at(u64::MAX - 1, &length));
    }
}
