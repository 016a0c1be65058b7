//! Gradients against central finite differences.

use brew_core::tch::Tensor;
use tests::{finite_difference_error, mask};

use crate::cases::{Case, cases};

#[test]
fn gradients_agree_with_finite_differences() {
    // Of two examples all angles are the same: `features.rs` has six.
    let has_a_gradient = |case: &&Case| case.is_differentiated_whole() && case.loss.name() != "rkd_angle";
    for case in cases().iter().filter(has_a_gradient) {
        for mask in [None, Some(mask())] {
            for layer in 0..case.student.len() {
                let error = finite_difference_error(&case.student[layer], |moved| {
                    let mut student: Vec<Tensor> = case.student.iter().map(Tensor::shallow_clone).collect();
                    student[layer] = moved.shallow_clone();
                    let teacher = case.teacher_read(&case.teacher, mask.as_ref());
                    case.loss
                        .term(&case.student_read(&student, mask.as_ref()), &teacher)
                        .unwrap()
                        .mean()
                        .unwrap()
                });
                assert!(error < 1e-7, "{}, masked {}, layer {layer}: {error}", case.name, mask.is_some());
            }
        }
    }
}
