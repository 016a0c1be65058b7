//! Draws tokens by numbers that are functions of (seed, row, answer, position), so there is no generator to save and no
//! order to keep.

use tch::{Kind, Tensor};

use crate::error::{InStage, Result};
use crate::random;

/// Which answer to which prompt, for draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    /// The prompt's number.
    pub(super) prompt: u64,
    /// The answer's number among those to this prompt.
    pub(super) answer: u64,
}

/// The number from 0 to below 1 that decides a token.
pub(super) fn uniform(seed: i64, row: Row, position: u64) -> f64 {
    random::uniform([seed as u64, row.prompt, row.answer, position])
}

/// The token of each row at which the sum of the probabilities first exceeds the row's number, `(rows,)`.
///
/// `scores` is `(rows, tokens)`; a token of score -inf is never drawn.
pub(super) fn drawn(scores: &Tensor, numbers: &[f64]) -> Result<Tensor> {
    let draw = || -> Result<Tensor> {
        let sums = scores.f_softmax(-1, Kind::Float)?.f_cumsum(-1, Kind::Double)?;
        let numbers = Tensor::f_from_slice(numbers)?.f_to_device(scores.device())?.f_unsqueeze(1)?;
        // The last sum is 1 except for rounding.
        let limits = numbers.f_mul(&sums.f_narrow(1, -1, 1)?)?;
        Ok(limits.f_searchsorted(&sums, false, true, "right", None::<&Tensor>)?.f_squeeze_dim(1)?)
    };
    draw().in_stage("draw")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_depends_on_each_part_and_on_their_order() {
        let of = |seed, prompt, answer, position| uniform(seed, Row { prompt, answer }, position);
        let all =
            [of(1, 2, 3, 4), of(2, 1, 3, 4), of(1, 3, 2, 4), of(1, 2, 4, 3), of(0, 0, 0, 0), of(-1, 2, 3, 4)];
        for (index, number) in all.iter().enumerate() {
            assert!((0.0..1.0).contains(number));
            assert!(!all[..index].contains(number));
        }
        assert_eq!(of(1, 2, 3, 4), all[0]);
    }

    // Ends of the range: the first token with a probability, and the last.
    #[test]
    fn a_removed_token_is_never_drawn() {
        let removed = f32::NEG_INFINITY;
        let scores = Tensor::from_slice(&[removed, 0.3, removed, 1.0, removed]).repeat([3, 1]);
        let largest = ((1_u64 << 52) - 1) as f64 / (1_u64 << 52) as f64;
        let ids = drawn(&scores, &[0.0, 0.332, largest]).unwrap();
        // softmax(0.3, 1.0) = 0.3318, 0.6682
        assert_eq!(Vec::<i64>::try_from(ids).unwrap(), [1, 3, 3]);
    }

    // 100,000 draws of six tokens; 20.5 is the 0.999 quantile of the chi-square distribution with 5 degrees of freedom.
    #[test]
    fn draws_have_the_frequencies_of_the_distribution() {
        let scores = Tensor::from_slice(&[0.5_f32, -1.0, 2.0, f32::NEG_INFINITY, 1.0, 0.0, -2.0]);
        let probabilities = Vec::<f64>::try_from(scores.softmax(-1, Kind::Double)).unwrap();
        for along in ["rows", "positions", "answers", "seeds"] {
            let draws = 100_000_u64;
            let numbers: Vec<f64> = (0..draws)
                .map(|number| match along {
                    "rows" => uniform(7, Row { prompt: number, answer: 0 }, 0),
                    "positions" => uniform(7, Row { prompt: 3, answer: 0 }, number),
                    "answers" => uniform(7, Row { prompt: 3, answer: number }, 5),
                    _ => uniform(number as i64, Row { prompt: 3, answer: 1 }, 5),
                })
                .collect();
            let ids = drawn(&scores.repeat([draws as i64, 1]), &numbers).unwrap();
            let counts = Vec::<i64>::try_from(ids.bincount::<&Tensor>(None, 7)).unwrap();
            let mut chi_square = 0.0;
            for (count, probability) in counts.iter().zip(&probabilities) {
                if *probability == 0.0 {
                    assert_eq!(*count, 0);
                    continue;
                }
                let expected = probability * draws as f64;
                chi_square += (*count as f64 - expected).powi(2) / expected;
            }
            assert!(chi_square < 20.5, "{along}: {chi_square}");
        }
    }
}
