//! Deleting: each token is deleted with the same probability.

use super::Draws;

/// Deletes each token with this probability.
///
/// If all would be deleted, a random one is kept; TextBrewer returns an empty list, from which a model cannot
/// learn.
///
/// ```
/// use brew_data::augment::{Draws, deleting};
///
/// let mut tokens = vec![5, 6, 7];
/// deleting(&mut tokens, 1.0, &mut Draws::of(7, 0, 0));
/// assert_eq!(tokens.len(), 1);
/// ```
pub fn deleting<T>(tokens: &mut Vec<T>, probability: f64, draws: &mut Draws) {
    let mut kept: Vec<bool> = tokens.iter().map(|_| !draws.happens(probability)).collect();
    if !kept.contains(&true) && !kept.is_empty() {
        let place = draws.below(kept.len());
        kept[place] = true;
    }
    let mut kept = kept.into_iter();
    tokens.retain(|_| kept.next().unwrap_or(true));
}

#[cfg(test)]
mod tests {
    use super::{Draws, deleting};

    // The margin is four standard errors of 10,000 draws.
    #[test]
    fn as_many_tokens_go_as_the_probability_says_and_the_others_keep_their_order() {
        let mut tokens: Vec<i64> = (0..10_000).collect();
        deleting(&mut tokens, 0.1, &mut Draws::of(7, 0, 0));
        assert!((8880..9120).contains(&tokens.len()), "{}", tokens.len());
        assert!(tokens.is_sorted());
        let mut whole = vec![1, 2, 3];
        deleting(&mut whole, 0.0, &mut Draws::of(7, 0, 0));
        assert_eq!(whole, [1, 2, 3]);
    }

    #[test]
    fn an_empty_list_stays_empty() {
        let mut tokens: Vec<i64> = Vec::new();
        deleting(&mut tokens, 1.0, &mut Draws::of(7, 0, 0));
        assert!(tokens.is_empty());
    }
}
