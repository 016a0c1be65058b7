//! N-gram sampling: keeps a short span of the text.

use super::Draws;

/// Keeps a random span of tokens: draws a length by its probability, then a uniform start. A list shorter
/// than the length is kept whole.
///
/// TextBrewer raises a `ValueError` for such a list (its defect 10).
///
/// ```
/// use brew_data::augment::{Draws, n_gram_sampling};
///
/// let mut tokens = vec![5, 6, 7, 8];
/// n_gram_sampling(&mut tokens, &[(2, 1.0)], &mut Draws::of(7, 0, 0));
/// assert_eq!(tokens.len(), 2);
/// assert_eq!(tokens[0] + 1, tokens[1]);
/// ```
pub fn n_gram_sampling<T>(tokens: &mut Vec<T>, lengths: &[(usize, f64)], draws: &mut Draws) {
    let drawn = lengths.get(draws.choose(lengths.iter().map(|(_, probability)| *probability)));
    let length = drawn.map_or(tokens.len(), |(length, _)| *length).min(tokens.len());
    let start = draws.below(tokens.len() - length + 1);
    tokens.truncate(start + length);
    tokens.drain(..start);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Draws, n_gram_sampling};

    fn sampled(tokens: usize, lengths: &[(usize, f64)], row: u64) -> Vec<usize> {
        let mut tokens: Vec<usize> = (0..tokens).collect();
        n_gram_sampling(&mut tokens, lengths, &mut Draws::of(7, 0, row));
        tokens
    }

    #[test]
    fn every_span_of_the_lengths_is_drawn_and_no_other() {
        let spans: BTreeSet<Vec<usize>> =
            (0..500).map(|row| sampled(5, &[(2, 0.5), (4, 0.5), (3, 0.0)], row)).collect();
        let of = |length: usize| (0..=5 - length).map(move |start| (start..start + length).collect());
        assert_eq!(spans, of(2).chain(of(4)).collect());
    }

    // TextBrewer's defect 10: a ValueError on input that is shorter than the span.
    #[test]
    fn a_list_shorter_than_the_span_is_kept_whole() {
        assert_eq!(sampled(2, &[(5, 1.0)], 0), [0, 1]);
        assert!(sampled(0, &[(5, 1.0)], 0).is_empty());
    }
}
