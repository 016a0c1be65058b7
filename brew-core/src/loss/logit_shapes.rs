//! Checks of logits: shapes that differ, and single logits.
//!
//! Losses over a softmax refuse a single logit: its probability is always 1, so their value would not depend
//! on the student and nothing would be learned.

use super::Features;
use crate::words::shape;

/// The losses to use instead.
pub(super) const ONE_LOGIT_MEND: &str =
    "take `RegressionMse` or `KdMse` (`kd_mse`) for numbers, `BinaryKl` for a yes or no";

/// The mismatches of logits for a loss over their softmax.
pub(super) fn softmax_mismatches(student: &Features, teacher: &Features) -> Vec<String> {
    let mut problems = logits_mismatches(student, teacher);
    if problems.is_empty() {
        problems.extend(one_logit("the logits", &student.shape()));
    }
    problems
}

/// Refuses probabilities over a single class; `what` names the tensor whose last dimension is the classes.
pub(super) fn one_logit(what: &str, sizes: &[i64]) -> Option<String> {
    (sizes.last() == Some(&1)).then(|| {
        format!(
            "{what} are {}: the softmax of one logit is always 1, so nothing would be learned; {ONE_LOGIT_MEND}",
            shape(sizes)
        )
    })
}

/// The mismatches of logits that are compared row by row.
pub(super) fn logits_mismatches(student: &Features, teacher: &Features) -> Vec<String> {
    let (of_student, of_teacher) = (student.shape(), teacher.shape());
    if of_student != of_teacher {
        return vec![format!(
            "the student's logits are {}, the teacher's {}: both must have the same batch, length and classes",
            shape(&of_student),
            shape(&of_teacher)
        )];
    }
    if !matches!(of_student.len(), 2 | 3) {
        return vec![format!(
            "the logits are {}; they must be (batch, classes) or (batch, length, classes)",
            shape(&of_student)
        )];
    }
    match &student.mask {
        Some(mask) if of_student.len() == 3 && mask.size() != of_student[..2] => vec![format!(
            "logits_mask is {}; it must be (batch, length), here {}",
            shape(&mask.size()),
            shape(&of_student[..2])
        )],
        _ => Vec::new(),
    }
}
