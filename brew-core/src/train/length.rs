//! The length of a run in optimizer steps, and the place of a step within its epochs.

/// A count for each epoch of a run, such as of batches or of steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PerEpoch {
    /// The same count in every epoch.
    Equal(u64),
    /// A count for each epoch, such as when batches are cut by a number of tokens.
    Each(Vec<u64>),
}

impl PerEpoch {
    /// The count of this epoch (from 0).
    pub(super) fn of(&self, epoch: u64) -> u64 {
        match self {
            PerEpoch::Equal(number) => *number,
            PerEpoch::Each(numbers) => {
                usize::try_from(epoch).ok().and_then(|epoch| numbers.get(epoch)).copied().unwrap_or(0)
            }
        }
    }

    /// Every count divided by this, rounded up.
    pub(super) fn div_ceil(&self, divisor: u64) -> PerEpoch {
        match self {
            PerEpoch::Equal(number) => PerEpoch::Equal(number.div_ceil(divisor)),
            PerEpoch::Each(numbers) => {
                PerEpoch::Each(numbers.iter().map(|number| number.div_ceil(divisor)).collect())
            }
        }
    }
}

/// The length of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Length {
    /// Optimizer steps of the whole run.
    pub(super) steps: u64,
    /// In a run of epochs, their number and the steps of each.
    epochs: Option<(u64, PerEpoch)>,
}

/// The place of an optimizer step in a run of epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StepInEpoch {
    /// The epoch, from 0.
    pub(super) epoch: u64,
    /// Whether this is the run's last epoch.
    pub(super) last: bool,
    /// The step in the epoch, from 1.
    pub(super) step: u64,
    /// The steps of the epoch.
    pub(super) steps: u64,
}

impl Length {
    /// A run of this many optimizer steps.
    pub(super) fn of_steps(steps: u64) -> Self {
        Length { steps, epochs: None }
    }

    /// A run of this many epochs, with the optimizer steps of each.
    pub(super) fn of_epochs(epochs: u64, steps: PerEpoch) -> Self {
        let total = match &steps {
            PerEpoch::Equal(number) => number.saturating_mul(epochs),
            PerEpoch::Each(numbers) => numbers.iter().sum(),
        };
        Length { steps: total, epochs: Some((epochs, steps)) }
    }

    /// The place of this step (from 1), in a run of epochs.
    pub(super) fn place(&self, step: u64) -> Option<StepInEpoch> {
        let (epochs, per_epoch) = self.epochs.as_ref()?;
        let before = step.saturating_sub(1);
        let (epoch, begun) = match per_epoch {
            PerEpoch::Equal(number) => (before / number, before / number * number),
            PerEpoch::Each(numbers) => {
                let mut ends = numbers.iter().scan(0, |end, number| {
                    *end += number;
                    Some(*end)
                });
                let epoch = ends.position(|end| before < end)?;
                (epoch as u64, numbers.iter().take(epoch).sum())
            }
        };
        Some(StepInEpoch {
            epoch,
            last: epoch + 1 == *epochs,
            step: step - begun,
            steps: per_epoch.of(epoch),
        })
    }

    /// Whether this is a run of epochs.
    pub(super) fn goes_by_epochs(&self) -> bool {
        self.epochs.is_some()
    }

    /// Whether an epoch of the run ends with this step (from 1).
    pub(super) fn ends_epoch(&self, step: u64) -> bool {
        self.place(step).is_some_and(|place| place.step == place.steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_of_different_lengths_end_where_they_end() {
        let length = Length::of_epochs(3, PerEpoch::Each(vec![5, 3, 4]).div_ceil(2));
        assert_eq!(length.steps, 3 + 2 + 2);
        let ends: Vec<u64> = (1..=7).filter(|step| length.ends_epoch(*step)).collect();
        assert_eq!(ends, [3, 5, 7]);
        assert_eq!(length.place(4), Some(StepInEpoch { epoch: 1, last: false, step: 1, steps: 2 }));
        assert_eq!(length.place(8), None);
        let equal = Length::of_epochs(2, PerEpoch::Equal(3));
        assert_eq!(equal.place(6), Some(StepInEpoch { epoch: 1, last: true, step: 3, steps: 3 }));
        assert_eq!(Length::of_steps(6).place(3), None);
    }
}
