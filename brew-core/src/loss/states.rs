//! Shared code of the losses over positions: masking of padding, and checks with common messages.

use tch::Tensor;

use super::Features;
use super::term::{keep, positions};
use crate::error::Result;
use crate::words::shape;

/// Per-position values with 0 in the padding; all of them without a mask.
///
/// `states` is `(batch, length, …)`, `mask` is `(batch, length)`.
pub(super) fn kept(states: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
    let Some(mask) = mask else { return Ok(states.shallow_clone()) };
    let counts = (2..states.dim()).try_fold(positions(mask)?, |counts, _| counts.f_unsqueeze(-1))?;
    keep(states, &counts)
}

/// The problem of widths that differ, with the projection that fixes it.
pub(super) fn width_problem(student: i64, teacher: i64) -> Option<String> {
    (student != teacher).then(|| {
        format!(
            "the student's hidden states are {student} wide, the teacher's {teacher}: add `.project(Projection::linear({student}, {teacher}))`"
        )
    })
}

/// The problem of rows or lengths that differ.
pub(super) fn rows_problem(student: &[i64], teacher: &[i64]) -> String {
    format!(
        "the student's hidden states are {}, the teacher's {}: both sides must read the same rows at the same length",
        shape(student),
        shape(teacher)
    )
}

/// The problem of a mask that does not fit its side's features, which are `(batch, length, width)`.
pub(super) fn mask_problem(side: &str, read: &Features) -> Option<String> {
    let (features, mask) = (read.shape(), read.mask.as_ref()?.size());
    let expected = features.get(..2)?;
    (features.len() == 3 && mask != expected).then(|| {
        format!(
            "the {side}'s `inputs_mask` is {}; it must be (batch, length), here {}",
            shape(&mask),
            shape(expected)
        )
    })
}

/// The mismatches of hidden states, `(batch, length, width)`, or vectors, `(batch, width)`, that are compared
/// elementwise.
pub(super) fn mismatches(student: &Features, teacher: &Features) -> Vec<String> {
    let (of_student, of_teacher) = (student.shape(), teacher.shape());
    let (rank, teacher_rank) = (of_student.len(), of_teacher.len());
    if rank != teacher_rank || !matches!(rank, 2 | 3) {
        return vec![format!(
            "hidden states must be (batch, length, width), or (batch, width), on both sides; the student's are {}, the teacher's {}",
            shape(&of_student),
            shape(&of_teacher)
        )];
    }
    let last = rank - 1;
    let mut problems: Vec<String> = width_problem(of_student[last], of_teacher[last]).into_iter().collect();
    if of_student[..last] != of_teacher[..last] {
        problems.push(rows_problem(&of_student, &of_teacher));
    }
    problems.extend(mask_problem("student", student));
    problems
}

/// The sizes of a side's two layers, `[batch, length, width]` each.
pub(super) type SizesOfTwo = [[i64; 3]; 2];

/// The sizes of both sides' two layers, the student's first, or all of their problems.
pub(super) fn two_layers(
    student: &Features,
    teacher: &Features,
) -> Result<(SizesOfTwo, SizesOfTwo), Vec<String>> {
    match (two_layers_of("student", student), two_layers_of("teacher", teacher)) {
        (Ok(student), Ok(teacher)) => Ok((student, teacher)),
        (student, teacher) => Err(student.err().into_iter().chain(teacher.err()).collect()),
    }
}

fn two_layers_of(side: &str, read: &Features) -> Result<SizesOfTwo, String> {
    let sizes: Vec<Vec<i64>> = read.tensors.iter().map(Tensor::size).collect();
    let [first, second] = sizes.as_slice() else {
        return Err(format!(
            "it compares two layers per side, but the {side} gives {}: choose two, such as `{side}_layer([0, 2])`",
            sizes.len()
        ));
    };
    match (<[i64; 3]>::try_from(first.as_slice()), <[i64; 3]>::try_from(second.as_slice())) {
        (Ok(first), Ok(second)) if first[..2] == second[..2] => Ok([first, second]),
        _ => Err(format!(
            "the {side}'s two layers are {} and {}; both must be (batch, length, width) of one batch and length",
            shape(first),
            shape(second)
        )),
    }
}
