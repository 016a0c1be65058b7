//! How long a run goes, in optimizer steps, and where in its epochs a step stands.

/// How many of something each epoch of a run has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PerEpoch {
    /// As many in every epoch.
    Equal(u64),
    /// As many as this in each, such as batches that are cut by a number of tokens.
    Each(Vec<u64>),
}

impl PerEpoch {
    /// How many in this epoch (from 0).
    pub(super) fn of(&self, epoch: u64) -> u64 {
        match self {
            PerEpoch::Equal(number) => *number,
            PerEpoch::Each(numbers) => {
                usize::try_from(epoch).ok().and_then(|epoch| numbers.get(epoch)).copied().unwrap_or(0)
            }
        }
    }

    /// Each number divided, rounded up.
    pub(super) fn div_ceil(&self, divisor: u64) -> PerEpoch {
        match self {
            PerEpoch::Equal(number) => PerEpoch::Equal(number.div_ceil(divisor)),
            PerEpoch::Each(numbers) => {
                PerEpoch::Each(numbers.iter().map(|number| number.div_ceil(divisor)).collect())
            }
        }
    }
}

/// How long a run goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Length {
    /// Optimizer steps of the whole run.
    pub(super) steps: u64,
    /// Those of its epochs, where it goes by epochs.
    epochs: Option<(u64, PerEpoch)>,
}

/// Where an optimizer step stands in a run of epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The epoch, from 0.
    pub(super) epoch: u64,
    /// Whether it is the run's last.
    pub(super) last: bool,
    /// The step in the epoch, from 1.
    pub(super) step: u64,
    /// The steps of the epoch.
    pub(super) steps: u64,
}

impl Length {
    /// So many optimizer steps.
    pub(super) fn of_steps(steps: u64) -> Self {
        Length { steps, epochs: None }
    }

    /// So many epochs of these optimizer steps each.
    pub(super) fn of_epochs(epochs: u64, steps: PerEpoch) -> Self {
        let total = match &steps {
            PerEpoch::Equal(number) => number.saturating_mul(epochs),
            PerEpoch::Each(numbers) => numbers.iter().sum(),
        };
        Length { steps: total, epochs: Some((epochs, steps)) }
    }

    /// Where this step (from 1) stands, in a run of epochs.
    pub(super) fn place(&self, step: u64) -> Option<Place> {
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
        Some(Place { epoch, last: epoch + 1 == *epochs, step: step - begun, steps: per_epoch.of(epoch) })
    }

    /// Whether the run goes by epochs.
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
        assert_eq!(length.place(4), Some(Place { epoch: 1, last: false, step: 1, steps: 2 }));
        assert_eq!(length.place(8), None);
        let equal = Length::of_epochs(2, PerEpoch::Equal(3));
        assert_eq!(equal.place(6), Some(Place { epoch: 1, last: true, step: 3, steps: 3 }));
        assert_eq!(Length::of_steps(6).place(3), None);
    }
}
