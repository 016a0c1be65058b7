//! Hidden states, width by width (TextBrewer's `hidden_mse`, `hid_mse_loss`).
//!
//! With hidden states S and T of `(batch, length, width)` and the mask m of `(batch, length)`:
//!
//! - without a mask: mean( (S - T)^2 )
//! - with a mask: sum_{b,i} m_bi * sum_h (S - T)^2_bih / ( width * sum_{b,i} m_bi )
//!
//! Where the widths differ the student's side goes through a projection first. Source: Romero et
//! al., "FitNets" (2015); Jiao et al., "TinyBERT" (2020).

use super::term::shape;
use super::{Loss, Read, Term, states};
use crate::error::Result;

/// Mean squared difference of two layers' hidden states.
///
/// ```
/// use brew_core::loss::{HiddenMse, Loss, Read};
/// use brew_core::tch::{Kind, Device, Tensor};
///
/// let student = Read::one(Tensor::zeros([1, 2, 4], (Kind::Float, Device::Cpu)));
/// let teacher = Read::one(Tensor::ones([1, 2, 4], (Kind::Float, Device::Cpu)) * 3.0);
/// assert_eq!(HiddenMse.term(&student, &teacher)?.mean()?.double_value(&[]), 9.0);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HiddenMse;

impl Loss for HiddenMse {
    fn name(&self) -> &'static str {
        "hidden_mse"
    }

    fn mismatches(&self, student: &Read, teacher: &Read) -> Vec<String> {
        let (of_student, of_teacher) = (student.shape(), teacher.shape());
        let (&[batch, length, width], &[teacher_batch, teacher_length, teacher_width]) =
            (of_student.as_slice(), of_teacher.as_slice())
        else {
            return vec![format!(
                "hidden states must be (batch, length, width); the student's are {}, the teacher's {}",
                shape(&of_student),
                shape(&of_teacher)
            )];
        };
        let mut problems: Vec<String> = states::width_problem(width, teacher_width).into_iter().collect();
        if (batch, length) != (teacher_batch, teacher_length) {
            problems.push(states::rows_problem(&of_student, &of_teacher));
        }
        problems.extend(states::mask_problem("student", student));
        problems
    }

    fn term(&self, student: &Read, teacher: &Read) -> Result<Term> {
        let difference = states::kept(&student.first()?.f_sub(&teacher.first()?)?, student.mask.as_ref())?;
        let per_position = difference.f_square()?.f_mean_dim(-1, false, difference.kind())?;
        Term::positions(&per_position, student.mask.as_ref())
    }
}
