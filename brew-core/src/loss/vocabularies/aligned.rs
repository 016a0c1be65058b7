//! Universal logit distillation of positions that cover the same bytes of a text.

use serde_json::{Value, json};
use tch::{Kind, Tensor};

use super::super::logits::{Softening, softened};
use super::super::temperature::Softened;
use super::super::term::shape;
use super::super::{AlsoReads, Average, Loss, Masks, Read, Side, Term};
use super::alignment::{groups, numbers, valid};
use super::sorted::sorted_distance;
use super::uld::{flat, own_term, rows_at, soften_apart, two_vocabularies, unscheduled};
use crate::error::Result;
use crate::role::{ByteEnds, Role as _, TokenIds};

/// How the distributions of several tokens that are one piece of text become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge {
    /// The first position's, times the probability of each later token that is there.
    Observed,
    /// The last position's, times the probability of each earlier token that is there.
    Bayesian,
}

/// `aligned_uld`: mean_g( sum_i |Q_(i) - P_(i)| ) over groups g of tokens of both sides that cover the same
/// bytes of the text, Q and P being each side's merged distribution ([`Merge`]) in order of size, the
/// smaller vocabulary with 0 in the end; at T.
///
/// A group closes where a token of the student and one of the teacher end at the same byte. Tokens behind
/// the last such byte are left out. Logits are `(batch, length, tokens)` of each side's own length and
/// vocabulary. Both sides give [`TokenIds`](crate::role::TokenIds), the token that the logits of a
/// position are about, and [`ByteEnds`](crate::role::ByteEnds), where it ends in the text that both read,
/// `(batch, length)` int64; a position with a mask of 0 or an end of -1 is no part of it. For a model whose
/// position i is about token i + 1 wrap it in [`next_token`](crate::loss::next_token). The merged
/// distributions need not sum to 1. The denominator is the number of groups, batch by batch. T squared on
/// request.
///
/// Source: Patiño et al., "Unlocking On-Policy Distillation for Any Model Family" (GOLD, 2025); TRL's
/// `gold_trainer.py`, which also takes what is left over at the end for a group, does not let a token's
/// probability below 1e-8, and averages each example's mean.
///
/// ```
/// use brew_core::loss::{AlignedUld, Loss, Read};
/// use brew_core::role::{ByteEnds, TokenIds};
/// use brew_core::tch::{Device, Kind, Tensor};
///
/// let side = |tokens: i64, ids: &[i64], ends: &[i64]| {
///     let length = ids.len() as i64;
///     Read::one(Tensor::randn([1, length, tokens], (Kind::Float, Device::Cpu)))
///         .with::<TokenIds>(Tensor::from_slice(ids).view([1, length]))
///         .with::<ByteEnds>(Tensor::from_slice(ends).view([1, length]))
/// };
/// let (student, teacher) = (side(11, &[3, 1, 7], &[1, 4, 5]), side(9, &[4, 0], &[4, 5]));
/// let term = AlignedUld::observed().term(&student, &teacher)?;
/// assert_eq!(term.count.double_value(&[]), 2.0); // bytes 0 to 4, and 4 to 5
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct AlignedUld {
    softening: Softening,
    merge: Merge,
}

impl AlignedUld {
    /// Merging by [`Merge::Observed`], at temperature 1.
    pub fn observed() -> Self {
        AlignedUld { softening: Softening::at(1.0), merge: Merge::Observed }
    }

    /// Merging by [`Merge::Bayesian`], at temperature 1.
    pub fn bayesian() -> Self {
        AlignedUld { softening: Softening::at(1.0), merge: Merge::Bayesian }
    }

    /// At a temperature in (0, inf).
    #[must_use]
    pub fn at(self, temperature: f64) -> Self {
        AlignedUld { softening: Softening::at(temperature), ..self }
    }

    /// The merged distributions, `(groups, tokens)`: `log` and `ids` are of the positions in the groups,
    /// one group after another, of these sizes.
    fn merged(&self, log: &Tensor, ids: &[i64], sizes: &[usize]) -> Result<Tensor> {
        let mut bases = Vec::new();
        let (mut others, mut other_groups) = (Vec::new(), Vec::new());
        let mut start = 0;
        for (group, size) in (0_i64..).zip(sizes) {
            let positions = start..start + i64::try_from(*size).unwrap_or(0);
            let base = match self.merge {
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
        Ok(log.f_index_select(0, &bases)?.f_add(&factors.f_unsqueeze(-1)?)?.f_exp()?)
    }
}

softened!(AlignedUld);

/// One side's positions in groups, one after another.
#[derive(Default)]
struct Grouped {
    positions: Vec<i64>,
    ids: Vec<i64>,
    sizes: Vec<usize>,
}

impl Grouped {
    fn push(&mut self, read: &Read, row: usize, ids: &[i64], group: &[i64]) {
        self.sizes.push(group.len());
        for position in group {
            self.positions.push(flat(read, row, *position));
            self.ids.push(usize::try_from(*position).ok().and_then(|at| ids.get(at)).copied().unwrap_or(0));
        }
    }
}

impl Loss for AlignedUld {
    fn name(&self) -> &'static str {
        "aligned_uld"
    }

    fn options(&self) -> Value {
        let mut options = self.softening.options();
        let merge = match self.merge {
            Merge::Observed => "observed",
            Merge::Bayesian => "bayesian",
        };
        options.insert("merge".to_owned(), json!(merge));
        Value::Object(options)
    }

    fn problems(&self) -> Vec<String> {
        unscheduled(&self.softening)
    }

    fn masks(&self) -> Masks {
        Masks::Own
    }

    fn temperature(&self) -> Option<f64> {
        self.softening.of_teacher()
    }

    fn average(&self, _: bool) -> Average {
        Average::Own
    }

    fn also_reads(&self) -> &'static [AlsoReads] {
        const {
            &[
                AlsoReads { side: Side::Student, role: TokenIds::NAME },
                AlsoReads { side: Side::Student, role: ByteEnds::NAME },
                AlsoReads { side: Side::Teacher, role: TokenIds::NAME },
                AlsoReads { side: Side::Teacher, role: ByteEnds::NAME },
            ]
        }
    }

    fn mismatches(&self, student: &Read, teacher: &Read) -> Vec<String> {
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

    fn term(&self, student: &Read, teacher: &Read) -> Result<Term> {
        let side = |read: &Read| -> Result<_> {
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
        let Softened { student, teacher, squared } = soften_apart(&self.softening, &rows.0, &rows.1)?;
        let student = self.merged(&student, &left.ids, &left.sizes)?;
        let teacher = self.merged(&teacher, &right.ids, &right.sizes)?;
        own_term(&self.softening.scale(&sorted_distance(&student, &teacher)?, &squared)?)
    }
}

/// The positions that are a part of the text, each with its end.
fn ended(positions: &[i64], ends: &[i64]) -> Vec<(i64, i64)> {
    let end = |at: &i64| usize::try_from(*at).ok().and_then(|at| ends.get(at)).copied().unwrap_or(-1);
    positions.iter().map(|at| (*at, end(at))).filter(|(_, end)| *end >= 0).collect()
}
