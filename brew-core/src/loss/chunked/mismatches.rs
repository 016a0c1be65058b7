//! Checks of hidden states and output matrices.

use tch::Tensor;

use super::super::Features;
use super::super::logit_shapes::one_logit;
use crate::role::OutputWeight;
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
            Ok(weight) if weight.len() == 2 && weight.last() == sizes.last() => vocabularies.push(weight[0]),
            Ok(weight) => problems.push(format!(
                "the {side}'s output_weight is {}, its hidden states {}: it must be (vocabulary, width)",
                shape(&weight),
                shape(sizes)
            )),
            Err(error) => problems.push(error.to_string()),
        }
    }
    if let [student, teacher] = vocabularies.as_slice()
        && student != teacher
    {
        problems.push(format!(
            "the student's output_weight has {student} tokens, the teacher's {teacher}: give as many rows of both as the tokenizer has tokens"
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
