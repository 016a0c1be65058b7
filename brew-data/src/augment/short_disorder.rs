//! Short disorder: reorders neighbours.

use super::Draws;

/// At each place, draws one of five cases: nothing, or the tokens `abc` from there become `bac`, `cba`,
/// `cab`, or `bca`. Continues after the moved tokens. For the last two tokens, every case but the first swaps
/// them.
///
/// ```
/// use brew_data::augment::{Draws, short_disorder};
///
/// let mut tokens = ['a', 'b', 'c'];
/// short_disorder(&mut tokens, [0.0, 0.0, 0.0, 1.0, 0.0], &mut Draws::of(7, 0, 0));
/// assert_eq!(tokens, ['c', 'a', 'b']);
/// ```
pub fn short_disorder<T>(tokens: &mut [T], probabilities: [f64; 5], draws: &mut Draws) {
    let mut place = 0;
    while place + 1 < tokens.len() {
        let here = &mut tokens[place..];
        place += match (draws.choose(probabilities), here.len()) {
            (0, _) => 1,
            (1, _) | (_, 2) => {
                here.swap(0, 1);
                2
            }
            (2, _) => {
                here.swap(0, 2);
                3
            }
            (3, _) => {
                here[..3].rotate_right(1);
                3
            }
            _ => {
                here[..3].rotate_left(1);
                3
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::{Draws, short_disorder};

    fn case(case: usize, tokens: &str) -> String {
        let mut probabilities = [0.0; 5];
        probabilities[case] = 1.0;
        let mut tokens: Vec<char> = tokens.chars().collect();
        short_disorder(&mut tokens, probabilities, &mut Draws::of(7, 0, 0));
        tokens.into_iter().collect()
    }

    // textbrewer 0.2.1.post1:
    // p = [0] * 5; p[case] = 1; "".join(short_disorder(list(tokens), p=p))
    #[test]
    fn each_case_is_that_of_textbrewer() {
        for (number, golden) in
            ["abcdefgh", "badcfehg", "cbafedhg", "cabfdehg", "bcaefdhg"].iter().enumerate()
        {
            assert_eq!(case(number, "abcdefgh"), *golden, "case {number}");
        }
        assert_eq!((case(3, "abc"), case(4, "abc")), ("cab".to_owned(), "bca".to_owned()));
        assert_eq!(case(2, "abcd"), "cbad");
    }

    #[test]
    fn short_lists_work() {
        for number in 0..5 {
            assert_eq!((case(number, ""), case(number, "a")), (String::new(), "a".to_owned()));
            assert_eq!(case(number, "ab"), if number == 0 { "ab" } else { "ba" });
        }
    }
}
