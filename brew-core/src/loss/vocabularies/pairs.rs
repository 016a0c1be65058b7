//! Pairs of tokens that are the same in two vocabularies.

use super::super::catalogue::{OptionRow, pairs};

/// The option for the tokens that both vocabularies have.
pub(super) const PAIRS: OptionRow = pairs("pairs", "the student's id and the teacher's of each shared token");

/// Pairs of the student's id and the teacher's.
#[derive(Debug, Clone)]
pub(super) struct IdPairs {
    pub(super) student: Vec<i64>,
    pub(super) teacher: Vec<i64>,
}

impl IdPairs {
    pub(super) fn of(pairs: impl IntoIterator<Item = (i64, i64)>) -> Self {
        let (student, teacher) = pairs.into_iter().unzip();
        IdPairs { student, teacher }
    }

    /// The problems of the pairs themselves.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.student.is_empty() {
            problems.push("no token is shared: use `Uld`, which needs no shared tokens".to_owned());
        }
        for (side, ids) in [("student", &self.student), ("teacher", &self.teacher)] {
            let mut sorted = ids.clone();
            sorted.sort_unstable();
            if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
                problems.push(format!(
                    "the {side}'s token {} is in two pairs: each may be in only one",
                    twice[0]
                ));
            }
            if let Some(negative) = sorted.first().filter(|id| **id < 0) {
                problems.push(format!("{negative} is not a token id of the {side}: ids start at 0"));
            }
        }
        problems
    }

    /// The problems of tokens that are outside of logits of these sizes.
    pub(super) fn mismatches(&self, sizes: (&[i64], &[i64])) -> Vec<String> {
        let sides = [("student", &self.student, sizes.0), ("teacher", &self.teacher, sizes.1)];
        sides
            .into_iter()
            .filter_map(|(side, ids, sizes)| {
                let (largest, tokens) = (ids.iter().max()?, sizes.last()?);
                (largest >= tokens).then(|| {
                    format!("the {side}'s token {largest} is in a pair, but its logits have {tokens} tokens")
                })
            })
            .collect()
    }
}
