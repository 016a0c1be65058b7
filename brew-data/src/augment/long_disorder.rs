//! Long disorder: swaps the halves of a span.

use super::Draws;

/// The length of a span, rounded up to an even number of tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Span {
    /// This many tokens.
    Tokens(usize),
    /// This share of the tokens, 0 to 1, rounded down first.
    Share(f64),
}

impl Span {
    /// Half the length, for this many tokens.
    fn half(self, tokens: usize) -> usize {
        let length = match self {
            Span::Tokens(length) => length,
            Span::Share(share) => (share * tokens as f64) as usize,
        };
        length.div_ceil(2)
    }
}

/// At each place, swaps the halves of the span that begins there with this probability, and continues after
/// the span. A span that does not fit is left unchanged.
///
/// If the share rounds to 0 tokens, nothing happens; TextBrewer then loops forever (its defect 10). Tokens
/// and shares have different types here; TextBrewer treats a length of 1.9 as a share.
///
/// ```
/// use brew_data::augment::{Draws, Span, long_disorder};
///
/// let mut tokens: Vec<i64> = (0..=10).collect();
/// long_disorder(&mut tokens, 1.0, Span::Share(0.4), &mut Draws::of(7, 0, 0));
/// assert_eq!(tokens, [2, 3, 0, 1, 6, 7, 4, 5, 8, 9, 10]);
/// ```
pub fn long_disorder<T>(tokens: &mut [T], probability: f64, span: Span, draws: &mut Draws) {
    let half = span.half(tokens.len());
    if half == 0 {
        return;
    }
    let mut place = 0;
    while place + 2 * half <= tokens.len() {
        if draws.happens(probability) {
            tokens[place..place + 2 * half].rotate_left(half);
            place += 2 * half;
        } else {
            place += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Draws, Span, long_disorder};

    fn always(tokens: i64, span: Span) -> Vec<i64> {
        let mut tokens: Vec<i64> = (0..tokens).collect();
        long_disorder(&mut tokens, 1.0, span, &mut Draws::of(7, 0, 0));
        tokens
    }

    // textbrewer 0.2.1.post1: long_disorder(list(range(n)), p=1, length=…)
    #[test]
    fn spans_are_those_of_textbrewer() {
        assert_eq!(always(11, Span::Share(0.4)), [2, 3, 0, 1, 6, 7, 4, 5, 8, 9, 10]);
        assert_eq!(always(11, Span::Tokens(5)), [3, 4, 5, 0, 1, 2, 6, 7, 8, 9, 10]);
        assert_eq!(always(10, Span::Tokens(2)), [1, 0, 3, 2, 5, 4, 7, 6, 9, 8]);
        assert_eq!(always(3, Span::Tokens(20)), [0, 1, 2]);
    }

    // TextBrewer's defect 10: a relative length that rounds to 0 with p = 1 loops forever.
    #[test]
    fn a_share_of_zero_tokens_ends_and_changes_nothing() {
        assert_eq!(always(2, Span::Share(0.4)), [0, 1]);
        assert_eq!(always(0, Span::Share(1.0)), [0_i64; 0]);
        assert_eq!(always(2, Span::Tokens(0)), [0, 1]);
    }

    #[test]
    fn tokens_are_neither_lost_nor_doubled_and_probability_0_changes_nothing() {
        let mut tokens: Vec<i64> = (0..1000).collect();
        long_disorder(&mut tokens, 0.1, Span::Tokens(20), &mut Draws::of(7, 0, 0));
        assert!(!tokens.is_sorted());
        tokens.sort_unstable();
        assert_eq!(tokens, (0..1000).collect::<Vec<_>>());
        long_disorder(&mut tokens, 0.0, Span::Tokens(20), &mut Draws::of(7, 0, 0));
        assert!(tokens.is_sorted());
    }
}
