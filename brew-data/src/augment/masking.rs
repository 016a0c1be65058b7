//! Masking: each token is replaced by the mask with the same probability.

use super::Draws;

/// Applies `mask` to each token with this probability.
///
/// ```
/// use brew_data::augment::{Draws, masking};
///
/// let mut tokens = [5, 6, 7];
/// masking(&mut tokens, 1.0, |token| *token = 103, &mut Draws::of(7, 0, 0));
/// assert_eq!(tokens, [103, 103, 103]);
/// ```
pub fn masking<T>(tokens: &mut [T], probability: f64, mask: impl Fn(&mut T), draws: &mut Draws) {
    for token in tokens {
        if draws.happens(probability) {
            mask(token);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Draws, masking};

    // The margin is four standard errors of 10,000 draws.
    #[test]
    fn as_many_tokens_are_masked_as_the_probability_says_and_the_others_stay() {
        let mut tokens: Vec<i64> = (0..10_000).collect();
        masking(&mut tokens, 0.1, |token| *token = -1, &mut Draws::of(7, 0, 0));
        let masked = tokens.iter().filter(|token| **token == -1).count();
        assert!((880..1120).contains(&masked), "{masked}");
        assert!((0..).zip(&tokens).all(|(place, token)| *token == -1 || *token == place));
    }
}
