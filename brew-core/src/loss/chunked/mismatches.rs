//! Checks of hidden states and output matrices.

use tch::Tensor;

use super::super::Features;
use super::super::logit_shapes::one_logit;
use super::output_layer::learned;
use crate::role::{LogitScale, LogitSoftcap, OutputBias, OutputWeight, Role as _};
use crate::words::shape;

/// The mismatches of hidden states and output matrices.
pub(super) fn hidden_mismatches(student: &Features, teacher: &Features) -> Vec<String> {
    let sizes = (student.shape(), teacher.shape());
    let rows = |sizes: &[i64]| sizes[..sizes.len().saturating_sub(1)].to_vec();
    let mut problems = Vec::new();
    if !matches!(sizes.0.len(), 2 | 3) || rows(&sizes.0) != rows(&sizes.1) {
        problems.push(format!(
            "the student's hidden states are {}, the teacher's {}: both must be (batch, length, width), or (batch, width), of the same rows at the same length",
            shape(&sizes.0),
            shape(&sizes.1)
        ));
    }
    let mut vocabularies = Vec::new();
    for (side, read, sizes) in [("student", student, &sizes.0), ("teacher", teacher, &sizes.1)] {
        match read.also::<OutputWeight>().map(Tensor::size) {
            Ok(weight) if weight.len() == 2 && weight.last() == sizes.last() => {
                vocabularies.push(weight[0]);
                problems.extend(layer_mismatches(side, read, weight[0]));
            }
            Ok(weight) => problems.push(format!(
                "the {side}'s output_weight is {}, its hidden states {}: it must be (vocabulary, width)",
                shape(&weight),
                shape(sizes)
            )),
            Err(error) => problems.push(error.to_string()),
        }
    }
    problems.extend(learned(student));
    if let [student, teacher] = vocabularies.as_slice()
        && student != teacher
    {
        problems.push(format!(
            "the student's output_weight has {student} tokens, the teacher's {teacher}: if both are padded matrices of one tokenizer, wrap the loss in `within_vocabulary` with the number of its tokens"
        ));
    }
    problems.extend(vocabularies.first().and_then(|tokens| one_logit("the logits of a chunk", &[*tokens])));
    match &student.mask {
        Some(mask) if sizes.0.len() == 3 && mask.size() != sizes.0[..2] => problems.push(format!(
            "the student's mask is {}; it must be (batch, length), here {}",
            shape(&mask.size()),
            shape(&sizes.0[..2])
        )),
        _ => {}
    }
    problems
}

/// The mismatches of the other parts of an output layer with this many tokens.
fn layer_mismatches(side: &str, read: &Features, tokens: i64) -> Vec<String> {
    let mut problems = Vec::new();
    match read.also.get(OutputBias::NAME).map(Tensor::size) {
        Some(bias) if bias != [tokens] => problems.push(format!(
            "the {side}'s output_bias is {}; it must be (vocabulary,), here {}",
            shape(&bias),
            shape(&[tokens])
        )),
        _ => {}
    }
    for (role, fits) in [
        (LogitScale::NAME, (|scale| scale != 0.0) as fn(f64) -> bool),
        (LogitSoftcap::NAME, |softcap| softcap > 0.0),
    ] {
        let Some(number) = read.also.get(role) else { continue };
        let value = number.f_detach().and_then(|number| number.f_reshape([-1])).ok();
        let value =
            value.filter(|value| value.numel() == 1).and_then(|value| value.f_double_value(&[0]).ok());
        if !value.is_some_and(|value| value.is_finite() && fits(value)) {
            let wanted = if role == LogitSoftcap::NAME { "above 0" } else { "other than 0" };
            problems.push(format!("the {side}'s {role} must be one finite number {wanted}"));
        }
    }
    problems
}
