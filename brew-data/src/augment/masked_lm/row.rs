//! Masks one row: draws which tokens are chosen, and what replaces them.

use brew_core::role::IGNORED;

use super::MaskedLm;
use crate::augment::Draws;

impl MaskedLm {
    /// Masks a row in place. `labels` holds the original tokens, and -100 at padding; afterwards, only those of
    /// the chosen tokens are left. `words` holds the word of each token, if whole words are chosen.
    pub(super) fn row(
        &self,
        (ids, labels): (&mut [i64], &mut [i64]),
        words: Option<&[i64]>,
        (epoch, row): (u64, u64),
    ) {
        let mut draws = Draws::of_masks(self.seed, epoch, row);
        let words: Vec<Option<i64>> = labels
            .iter()
            .enumerate()
            .map(|(place, label)| {
                let counts = *label != IGNORED && !self.special.contains(label);
                counts.then(|| words.map_or(-1, |words| words[place]))
            })
            .collect();
        let (by_mask, by_random) = self.shares;
        let shares = [by_mask, by_random, (1.0 - by_mask - by_random).max(0.0)];
        let mut start = 0;
        // A token without a word stands alone.
        for group in words.chunk_by(|one, next| one == next && one.is_some_and(|word| word >= 0)) {
            let chosen = group[0].is_some() && draws.happens(self.probability);
            for place in start..start + group.len() {
                if !chosen {
                    labels[place] = IGNORED;
                    continue;
                }
                match (draws.choose(shares), self.mask) {
                    (0, Some(mask)) => ids[place] = mask,
                    (1, _) => {
                        if let Some(drawn) = self.drawn.get(draws.below(self.drawn.len())) {
                            ids[place] = *drawn;
                        }
                    }
                    _ => {}
                }
            }
            start += group.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use brew_core::role::IGNORED;

    use super::MaskedLm;

    /// CLS, words of one, two and three tokens, SEP; then padding.
    const TOKENS: [i64; 10] = [101, 5, 6, 7, 8, 9, 10, 102, 0, 0];
    const WORDS: [i64; 10] = [-1, 0, 1, 1, 2, 2, 2, -1, -1, -1];

    fn settings() -> MaskedLm {
        MaskedLm::of_tokens([0, 101, 102, 103], Some(103), 0..200)
    }

    /// Tokens and labels of a row.
    fn masked(
        settings: &MaskedLm,
        tokens: &[i64],
        words: Option<&[i64]>,
        at: (u64, u64),
    ) -> (Vec<i64>, Vec<i64>) {
        let (mut ids, mut labels) = (tokens.to_vec(), tokens.to_vec());
        labels
            .iter_mut()
            .zip(tokens)
            .filter(|(_, token)| **token == 0)
            .for_each(|(label, _)| *label = IGNORED);
        settings.row((&mut ids, &mut labels), words, at);
        (ids, labels)
    }

    #[test]
    fn special_tokens_and_padding_are_never_chosen_and_labels_are_the_original_tokens() {
        let (ids, labels) = masked(&settings().probability(1.0).replacing(1.0, 0.0), &TOKENS, None, (0, 0));
        assert_eq!(ids, [101, 103, 103, 103, 103, 103, 103, 102, 0, 0]);
        assert_eq!(labels, [-100, 5, 6, 7, 8, 9, 10, -100, -100, -100]);
        let (ids, labels) = masked(&settings().probability(0.0), &TOKENS, None, (0, 0));
        assert_eq!((ids.as_slice(), labels), (&TOKENS[..], vec![IGNORED; 10]));
    }

    // All margins are four standard errors; 3.29 squared deviations of a uniform distribution over 196 classes have a
    // chi-square with 195 degrees of freedom, mean 195 and deviation 19.7.
    #[test]
    fn tokens_are_chosen_and_replaced_as_often_as_the_settings_say() {
        let settings = settings().probability(0.3).replacing(0.6, 0.25).seed(3);
        let tokens: Vec<i64> = (0..500).map(|place| 5 + place % 90).collect();
        let (mut chosen, mut mask, mut random, mut kept) = (0.0, 0.0, 0.0, 0.0);
        let mut drawn = vec![0_u32; 200];
        for row in 0..1000 {
            let (ids, labels) = masked(&settings, &tokens, None, (1, row));
            for ((id, label), token) in ids.iter().zip(&labels).zip(&tokens) {
                if *label == IGNORED {
                    assert_eq!(id, token);
                    continue;
                }
                assert_eq!(label, token);
                chosen += 1.0;
                match *id {
                    103 => mask += 1.0,
                    id if id == *token => kept += 1.0,
                    id => {
                        random += 1.0;
                        drawn[usize::try_from(id).unwrap()] += 1;
                    }
                }
            }
        }
        let near = |found: f64, share: f64, of: f64| {
            let error = (share * (1.0 - share) / of).sqrt();
            assert!((found / of - share).abs() < 4.0 * error, "{found} of {of}, expected {share}");
        };
        near(chosen, 0.3, 500_000.0);
        near(mask, 0.6, chosen);
        // One random token in 196 is the original.
        near(random, 0.25 * 195.0 / 196.0, chosen);
        near(kept, 0.15 + 0.25 / 196.0, chosen);
        assert!([0, 101, 102, 103].iter().all(|special| drawn[*special] == 0));
        // The tokens of the row are drawn a little less often, because an original one counts as kept.
        let outside: Vec<f64> = (95..200)
            .filter(|token| !(101..104).contains(token))
            .map(|token| f64::from(drawn[token]))
            .collect();
        let expected = outside.iter().sum::<f64>() / outside.len() as f64;
        let chi_square: f64 = outside.iter().map(|count| (count - expected).powi(2) / expected).sum();
        let freedom = (outside.len() - 1) as f64;
        assert!((chi_square - freedom).abs() < 4.0 * (2.0 * freedom).sqrt(), "{chi_square} of {freedom}");
    }

    #[test]
    fn choices_are_independent_from_place_to_place_and_from_epoch_to_epoch() {
        let settings = settings().probability(0.5);
        let tokens: Vec<i64> = vec![7; 400];
        let of = |epoch| masked(&settings, &tokens, None, (epoch, 9)).1;
        let (mut neighbours, mut epochs, mut pairs) = (0.0, 0.0, 0.0);
        for epoch in 0..200 {
            let (this, next) = (of(epoch), of(epoch + 1));
            for place in 1..tokens.len() {
                let both = |one: i64, other: i64| f64::from(u8::from((one == 7) == (other == 7)));
                neighbours += both(this[place], this[place - 1]);
                epochs += both(this[place], next[place]);
                pairs += 1.0;
            }
        }
        for equal in [neighbours, epochs] {
            assert!((equal / pairs - 0.5_f64).abs() < 4.0 * 0.5 / f64::sqrt(pairs), "{equal} of {pairs}");
        }
    }

    #[test]
    fn of_a_word_all_tokens_are_chosen_or_none() {
        let settings = settings().probability(0.4).whole_words();
        let mut chosen = [0_u32; 3];
        for row in 0..5000 {
            let labels = masked(&settings, &TOKENS, Some(&WORDS), (0, row)).1;
            for (word, places) in [(0, 1..2), (1, 2..4), (2, 4..7)] {
                let found: Vec<bool> = labels[places].iter().map(|label| *label != IGNORED).collect();
                assert!(found.iter().all(|one| *one == found[0]), "{labels:?}");
                chosen[word] += u32::from(found[0]);
            }
            assert!([0, 7, 8, 9].iter().all(|place| labels[*place] == IGNORED), "{labels:?}");
        }
        let error = (0.4_f64 * 0.6 / 5000.0).sqrt();
        for count in chosen {
            assert!((f64::from(count) / 5000.0 - 0.4).abs() < 4.0 * error, "{chosen:?}");
        }
        // Two texts both have a word 0, and special tokens between them.
        let pair = [101, 5, 102, 6, 102];
        let apart = (0..200).map(|row| masked(&settings, &pair, Some(&[-1, 0, -1, 0, -1]), (0, row)).1);
        assert!(apart.into_iter().any(|labels| (labels[1] == IGNORED) != (labels[3] == IGNORED)));
    }

    #[test]
    fn a_row_is_a_function_of_seed_epoch_and_row_and_of_nothing_behind_it() {
        let long: Vec<i64> = (200..300).collect();
        let settings = settings().seed(3);
        let first = masked(&settings, &long, None, (4, 5));
        assert_eq!(first, masked(&settings, &long, None, (4, 5)));
        assert_ne!(first, masked(&settings, &long, None, (4, 6)));
        assert_ne!(first, masked(&settings, &long, None, (5, 5)));
        assert_ne!(first, masked(&settings.clone().seed(4), &long, None, (4, 5)));
        let padded: Vec<i64> = long.iter().copied().chain([0; 30]).collect();
        let padded = masked(&settings, &padded, None, (4, 5));
        assert_eq!((&padded.0[..100], &padded.1[..100]), (&first.0[..], &first.1[..]));
    }
}
