//! Applies the steps to one row: which tokens remain, in which order, and which are masked.

use super::{
    Augmentation, AugmentationStep, Draws, deleting, long_disorder, masking, n_gram_sampling, short_disorder,
};

/// A token of the augmented row: its place in the original row, and whether it is masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) place: usize,
    pub(crate) masked: bool,
}

impl Augmentation {
    /// Augments a row of tokens.
    pub(crate) fn row(&self, tokens: &[i64], epoch: u64, row: u64) -> Vec<Token> {
        let mut draws = Draws::of(self.seed, epoch, row);
        let mut left = Vec::with_capacity(tokens.len());
        let special = |place: &usize| self.special.contains(&tokens[*place]);
        let places: Vec<usize> = (0..tokens.len()).collect();
        for run in places.chunk_by(|one, next| !special(one) && !special(next)) {
            let mut run: Vec<Token> = run.iter().map(|&place| Token { place, masked: false }).collect();
            if run.first().is_some_and(|token| !special(&token.place)) {
                self.steps.iter().for_each(|step| step.take(&mut run, &mut draws));
            }
            left.append(&mut run);
        }
        left
    }

    /// The mask token.
    pub(crate) fn mask(&self) -> Option<i64> {
        self.mask
    }
}

impl AugmentationStep {
    fn take(&self, run: &mut Vec<Token>, draws: &mut Draws) {
        match self {
            AugmentationStep::Masking(probability) => {
                masking(run, *probability, |token| token.masked = true, draws)
            }
            AugmentationStep::Deleting(probability) => deleting(run, *probability, draws),
            AugmentationStep::NGramSampling(lengths) => n_gram_sampling(run, lengths, draws),
            AugmentationStep::ShortDisorder(probabilities) => short_disorder(run, *probabilities, draws),
            AugmentationStep::LongDisorder(probability, span) => {
                long_disorder(run, *probability, *span, draws)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Augmentation, Span};

    /// CLS, three words, SEP, four words, SEP.
    const TOKENS: [i64; 10] = [101, 5, 6, 7, 102, 8, 9, 10, 11, 102];

    fn steps() -> Augmentation {
        Augmentation::of_tokens([101, 102], Some(103))
    }

    fn places(augmentation: &Augmentation) -> Vec<usize> {
        augmentation.row(&TOKENS, 0, 0).iter().map(|token| token.place).collect()
    }

    #[test]
    fn special_tokens_stay_and_runs_between_them_do_not_mix() {
        let swapped = places(&steps().long_disorder(1.0, Span::Tokens(2)));
        assert_eq!(swapped, [0, 2, 1, 3, 4, 6, 5, 8, 7, 9]);
        let bigrams = places(&steps().n_gram_sampling([(2, 1.0)]));
        assert_eq!((bigrams[0], bigrams[3], bigrams[6], bigrams.len()), (0, 4, 9, 7));
        let masked = steps().masking(1.0).row(&TOKENS, 0, 0);
        let unmasked: Vec<usize> =
            masked.iter().filter(|token| !token.masked).map(|token| token.place).collect();
        assert_eq!(unmasked, [0, 4, 9]);
    }

    #[test]
    fn a_row_is_a_function_of_seed_epoch_and_row() {
        let steps = steps().deleting(0.5).short_disorder([0.5, 0.5, 0.0, 0.0, 0.0]).seed(3);
        let long: Vec<i64> = (200..300).collect();
        assert_eq!(steps.row(&long, 4, 5), steps.row(&long, 4, 5));
        assert_ne!(steps.row(&long, 4, 5), steps.row(&long, 4, 6));
        assert_ne!(steps.row(&long, 4, 5), steps.row(&long, 5, 5));
        assert_ne!(steps.row(&long, 4, 5), steps.clone().seed(4).row(&long, 4, 5));
        assert!(steps.row(&[], 0, 0).is_empty());
    }

    #[test]
    fn what_cannot_be_is_said_all_at_once() {
        let wrong = Augmentation::of_tokens([], None)
            .masking(1.5)
            .n_gram_sampling([(0, 0.5)])
            .short_disorder([0.9, 0.2, 0.0, 0.0, 0.0])
            .long_disorder(0.1, Span::Share(2.0));
        let problems = wrong.problems().join("\n");
        for words in [
            "a probability is 1.5",
            "no mask token",
            "sum to 0.5",
            "a length is 0",
            "sum to 1.1",
            "a share is 2",
        ] {
            assert!(problems.contains(words), "{words} is not in\n{problems}");
        }
        assert!(steps().masking(0.1).deleting(0.1).problems().is_empty());
    }
}
