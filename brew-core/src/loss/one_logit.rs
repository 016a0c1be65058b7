//! Losses over a softmax refuse a single logit: its probability is 1 whatever the student says, so that
//! their value could not depend on the student and nothing would be learned.

use super::Features;
use super::kd::logits_mismatches;
use crate::words::shape;

/// What takes their place.
pub(super) const ONE_LOGIT_MEND: &str =
    "take `RegressionMse` or `KdMse` (`kd_mse`) for numbers, `BinaryKl` for a yes or no";

/// What is wrong with logits for a loss over their softmax.
pub(super) fn softmax_mismatches(student: &Features, teacher: &Features) -> Vec<String> {
    let mut problems = logits_mismatches(student, teacher);
    if problems.is_empty() {
        problems.extend(one_logit("the logits", &student.shape()));
    }
    problems
}

/// Refuses probabilities over one class alone; `what` names the tensor whose last dimension are the classes.
pub(super) fn one_logit(what: &str, sizes: &[i64]) -> Option<String> {
    (sizes.last() == Some(&1)).then(|| {
        format!(
            "{what} are {}: the softmax of one logit is 1 whatever the student says, so that nothing would be learned; {ONE_LOGIT_MEND}",
            shape(sizes)
        )
    })
}
