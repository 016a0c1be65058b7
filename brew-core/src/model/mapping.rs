//! Layer maps: which teacher layer corresponds to each student layer, used both for matches and for the
//! student's initial weights.

use tch::Tensor;

use super::Keep;
use crate::error::{Error, Result};
use crate::loss::aligned;
use crate::words::shape;

/// A teacher layer for each student layer, both counted from 0, which is next to the embeddings.
///
/// ```
/// use brew_core::model::{Keep, LayerMap};
///
/// # fn main() -> brew_core::Result<()> {
/// let map = LayerMap::uniform(12, 4)?;
/// assert_eq!(map.layers(), [2, 5, 8, 11]);
/// // The student starts from those layers …
/// assert_eq!(map.keep(), Keep::layers([2, 5, 8, 11]));
/// // … and its hidden states, the embeddings first, learn from theirs: (teacher's, student's).
/// assert_eq!(map.hidden(), [(0, 0), (3, 1), (6, 2), (9, 3), (12, 4)]);
/// assert_eq!(map.attention(), [(2, 0), (5, 1), (8, 2), (11, 3)]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerMap(Vec<usize>);

impl LayerMap {
    /// Each student layer stands for a block of teacher layers, of equal size as far as possible, and is
    /// matched with the block's last layer: TinyBERT's g(m) = m N / M.
    ///
    /// # Errors
    /// A student without layers, or with more layers than its teacher.
    pub fn uniform(teacher: usize, student: usize) -> Result<Self> {
        checked(teacher, student)?;
        Ok(LayerMap((1..=student).map(|layer| layer * teacher / student - 1).collect()))
    }

    /// The teacher's last layers, one for each student layer.
    ///
    /// # Errors
    /// As [`uniform`](Self::uniform).
    pub fn last(teacher: usize, student: usize) -> Result<Self> {
        checked(teacher, student)?;
        Ok(LayerMap((teacher - student..teacher).collect()))
    }

    /// The layers, in order, whose hidden states are most similar on a sample: they maximize the sum over the
    /// student's layers of the linear centred kernel alignment (Kornblith et al. 2019), with one row per
    /// position.
    ///
    /// Hidden states of both sides start with the embeddings, `(batch, length, width)` each, for the same
    /// rows at the same length; the mask is `(batch, length)`.
    ///
    /// # Errors
    /// Those of [`uniform`](Self::uniform), and states that do not fit together.
    pub fn by_similarity(teacher: &[Tensor], student: &[Tensor], mask: Option<&Tensor>) -> Result<Self> {
        let _guard = tch::no_grad_guard();
        let (teachers, students) = (teacher.len().saturating_sub(1), student.len().saturating_sub(1));
        checked(teachers, students)?;
        let rows = |state: &Tensor| state.size().into_iter().take(2).collect::<Vec<_>>();
        let first = rows(&teacher[0]);
        if let Some(other) =
            teacher.iter().chain(student).find(|state| state.dim() != 3 || rows(state) != first)
        {
            return Err(Error::invalid(format!(
                "hidden states of {} and {} cannot be compared: give all layers of both sides, for the same rows at the same length",
                shape(&teacher[0].size()),
                shape(&other.size())
            )));
        }
        let mut alike = Vec::with_capacity(students);
        for of_student in &student[1..] {
            let row = teacher[1..].iter().map(|of_teacher| aligned(of_student, of_teacher, mask));
            alike.push(row.collect::<Result<Vec<f64>>>()?);
        }
        Ok(LayerMap(most_alike(&alike)))
    }

    /// The teacher layer for each student layer.
    pub fn layers(&self) -> &[usize] {
        &self.0
    }

    /// The layers to keep for a student that starts from them.
    pub fn keep(&self) -> Keep {
        Keep::layers(self.0.iter().copied())
    }

    /// Hidden states to match, (teacher's, student's): the embeddings, then the output of each layer.
    pub fn hidden(&self) -> Vec<(i64, i64)> {
        let after = self.attention().into_iter().map(|(teacher, student)| (teacher + 1, student + 1));
        std::iter::once((0, 0)).chain(after).collect()
    }

    /// Attention maps, queries, keys or values to match, (teacher's layer, student's).
    pub fn attention(&self) -> Vec<(i64, i64)> {
        (0_i64..)
            .zip(&self.0)
            .map(|(student, teacher)| (i64::try_from(*teacher).unwrap_or(i64::MAX), student))
            .collect()
    }
}

fn checked(teacher: usize, student: usize) -> Result<()> {
    if student == 0 || student > teacher {
        return Err(Error::invalid(format!(
            "a student of {student} layers cannot be mapped to a teacher of {teacher}: it needs at least one, and no more than its teacher"
        )));
    }
    Ok(())
}

/// The increasing choice of one column per row with the largest sum, by dynamic programming.
fn most_alike(alike: &[Vec<f64>]) -> Vec<usize> {
    let columns = alike.first().map_or(0, Vec::len);
    // best[c]: the largest sum over the rows so far if the last row's column is at most c.
    let mut best = vec![0.0; columns + 1];
    let mut taken = Vec::with_capacity(alike.len());
    for row in alike {
        let mut next = vec![f64::NEG_INFINITY; columns + 1];
        let mut takes = vec![false; columns + 1];
        for column in 1..=columns {
            let with = best[column - 1] + row[column - 1];
            takes[column] = with > next[column - 1];
            next[column] = with.max(next[column - 1]);
        }
        taken.push(takes);
        best = next;
    }
    let mut column = columns;
    let mut found: Vec<usize> = (taken.iter().rev())
        .map(|takes| {
            while column > 1 && !takes[column] {
                column -= 1;
            }
            column -= 1;
            column
        })
        .collect();
    found.reverse();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_alike_layers_in_order_are_chosen() {
        let alike = [vec![0.9, 0.1, 0.2, 0.1], vec![0.95, 0.3, 0.8, 0.2], vec![0.1, 0.2, 0.9, 0.7]];
        // 0.9 + 0.8 + 0.7; taking 0.95 for the second row would leave no column for the first.
        assert_eq!(most_alike(&alike), [0, 2, 3]);
        assert_eq!(most_alike(&[vec![0.1, 0.7, 0.3]]), [1]);
        assert_eq!(most_alike(&[vec![-1.0, -2.0], vec![-3.0, -0.5]]), [0, 1]);
    }

    #[test]
    fn states_that_are_a_teachers_own_are_found_again() {
        let _turn = crate::native::generator_alone();
        tch::manual_seed(3);
        let states: Vec<Tensor> =
            (0..7).map(|_| Tensor::randn([2, 6, 4], (tch::Kind::Double, tch::Device::Cpu))).collect();
        let student: Vec<Tensor> = [0, 2, 3, 6].iter().map(|layer| &states[*layer] * 3.0).collect();
        let map = LayerMap::by_similarity(&states, &student, None).unwrap();
        assert_eq!(map.layers(), [1, 2, 5]);
        assert_eq!(map.hidden(), [(0, 0), (2, 1), (3, 2), (6, 3)]);
    }

    #[test]
    fn maps_that_cannot_be_are_refused() {
        assert_eq!(LayerMap::last(6, 2).unwrap().layers(), [4, 5]);
        assert_eq!(LayerMap::uniform(7, 3).unwrap().layers(), [1, 3, 6]);
        for (teacher, student) in [(4, 5), (4, 0)] {
            let error = LayerMap::uniform(teacher, student).unwrap_err().to_string();
            assert!(error.contains("cannot be mapped"), "{error}");
        }
    }
}
