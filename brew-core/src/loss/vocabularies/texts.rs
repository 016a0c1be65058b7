//! Merges the distributions of two tokenizations over the pieces of text that both cover.

use tch::{Kind, Tensor};

use super::super::catalogue::{OptionRow, choice};
use super::super::logits::Softening;
use super::super::temperature::Softened;
use super::super::{AlsoReads, Features};
use super::alignment::{groups, numbers, valid};
use super::uld::{flat, rows_at, soften_apart, two_vocabularies};
use crate::error::Result;
use crate::role::{ByteEnds, Role as _, TokenIds};
use crate::side::Side;
use crate::words::shape;

/// How several tokens' probabilities become one.
pub(super) const MERGE: OptionRow =
    choice("merge", &["observed", "bayesian"], "observed", "how several tokens' probabilities become one");

/// How the distributions of several tokens that form one piece of text are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge {
    /// The first position's distribution, times the probability of each later token in the piece.
    Observed,
    /// The last position's distribution, times the probability of each earlier token in the piece.
    Bayesian,
}

impl Merge {
    /// Its name in JSON.
    pub(super) fn name(self) -> &'static str {
        match self {
            Merge::Observed => "observed",
            Merge::Bayesian => "bayesian",
        }
    }

    /// The logarithms of the merged distributions, `(groups, tokens)`: `log` and `ids` are of the positions in the groups,
    /// one group after another, of these sizes.
    fn merged(self, log: &Tensor, ids: &[i64], sizes: &[usize]) -> Result<Tensor> {
        let mut bases = Vec::new();
        let (mut others, mut other_groups) = (Vec::new(), Vec::new());
        let mut start = 0;
        for (group, size) in (0_i64..).zip(sizes) {
            let positions = start..start + i64::try_from(*size).unwrap_or(0);
            let base = match self {
                Merge::Observed => positions.start,
                Merge::Bayesian => positions.end - 1,
            };
            start = positions.end;
            for position in positions {
                if position == base {
                    bases.push(position);
                } else {
                    others.push(position);
                    other_groups.push(group);
                }
            }
        }
        let index = |numbers: &[i64]| Tensor::f_from_slice(numbers)?.f_to_device(log.device());
        let (bases, others, other_groups) = (index(&bases)?, index(&others)?, index(&other_groups)?);
        let of_tokens = log.f_gather(-1, &index(ids)?.f_unsqueeze(-1)?, false)?.f_squeeze_dim(-1)?;
        let factors = Tensor::f_zeros([sizes.len() as i64], (log.kind(), log.device()))?;
        let factors = factors.f_index_add(0, &other_groups, &of_tokens.f_index_select(0, &others)?)?;
        Ok(log.f_index_select(0, &bases)?.f_add(&factors.f_unsqueeze(-1)?)?)
    }
}

/// One side's positions in groups, one after another.
#[derive(Default)]
struct Grouped {
    positions: Vec<i64>,
    ids: Vec<i64>,
    sizes: Vec<usize>,
}

impl Grouped {
    fn push(&mut self, read: &Features, row: usize, ids: &[i64], group: &[i64]) {
        self.sizes.push(group.len());
        for position in group {
            self.positions.push(flat(read, row, *position));
            self.ids.push(usize::try_from(*position).ok().and_then(|at| ids.get(at)).copied().unwrap_or(0));
        }
    }
}

/// The roles that are read in addition to the logits.
pub(super) const TEXTS: [AlsoReads; 4] = [
    AlsoReads { side: Side::Student, role: TokenIds::NAME },
    AlsoReads { side: Side::Student, role: ByteEnds::NAME },
    AlsoReads { side: Side::Teacher, role: TokenIds::NAME },
    AlsoReads { side: Side::Teacher, role: ByteEnds::NAME },
];

/// The logarithms of both sides' distributions, `(groups, tokens)` of each side's own vocabulary, over the
/// groups of tokens that cover the same bytes of a text.
pub(super) fn merged(
    student: &Features,
    teacher: &Features,
    softening: &Softening,
    merge: Merge,
) -> Result<Softened> {
    let side = |read: &Features| -> Result<_> {
        Ok((valid(read)?, numbers(read.also::<TokenIds>()?)?, numbers(read.also::<ByteEnds>()?)?))
    };
    let ((of_student, student_ids, student_ends), (of_teacher, teacher_ids, teacher_ends)) =
        (side(student)?, side(teacher)?);
    let (mut left, mut right) = (Grouped::default(), Grouped::default());
    for row in 0..of_student.len().min(of_teacher.len()) {
        let found = groups(
            &ended(&of_student[row], &student_ends[row]),
            &ended(&of_teacher[row], &teacher_ends[row]),
        );
        for (of_student, of_teacher) in found {
            left.push(student, row, &student_ids[row], &of_student);
            right.push(teacher, row, &teacher_ids[row], &of_teacher);
        }
    }
    let rows = (rows_at(student, &left.positions)?, rows_at(teacher, &right.positions)?);
    let Softened { student, teacher, squared } = soften_apart(softening, &rows.0, &rows.1)?;
    Ok(Softened {
        student: merge.merged(&student, &left.ids, &left.sizes)?,
        teacher: merge.merged(&teacher, &right.ids, &right.sizes)?,
        squared,
    })
}

/// The mismatches of logits, tokens and ends.
pub(super) fn text_mismatches(student: &Features, teacher: &Features) -> Vec<String> {
    let mut problems = two_vocabularies(student, teacher);
    for (side, read) in [("student", student), ("teacher", teacher)] {
        let sizes = read.shape();
        if sizes.len() != 3 {
            problems.push(format!(
                "the {side}'s logits are {}; they must be (batch, length, tokens)",
                shape(&sizes)
            ));
            continue;
        }
        for (role, found) in
            [(TokenIds::NAME, read.also::<TokenIds>()), (ByteEnds::NAME, read.also::<ByteEnds>())]
        {
            match found {
                Ok(found) if found.size() == sizes[..2] && found.kind() != Kind::Float => {}
                Ok(found) => problems.push(format!(
                    "the {side}'s {role} is {} of {:?}; it must be (batch, length) of integers, here {}",
                    shape(&found.size()),
                    found.kind(),
                    shape(&sizes[..2])
                )),
                Err(error) => problems.push(error.to_string()),
            }
        }
    }
    problems
}

/// The positions that are part of the text, each with its end.
fn ended(positions: &[i64], ends: &[i64]) -> Vec<(i64, i64)> {
    let end = |at: &i64| usize::try_from(*at).ok().and_then(|at| ends.get(at)).copied().unwrap_or(-1);
    positions.iter().map(|at| (*at, end(at))).filter(|(_, end)| *end >= 0).collect()
}
