//! Shared code of the losses from vision, which compare channels over positions.
//!
//! Feature maps are `(batch, channels, height, width)`, and every pixel is a position. Hidden states,
//! `(batch, length, width)`, are treated as maps too: tokens are positions, the width is the channels, and
//! the mask says which positions count. Padding counts as 0.

use tch::Tensor;

use super::{Features, states};
use crate::error::Result;
use crate::words::shape;

/// What two sides must have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Equal {
    /// The rows and the channels.
    Channels,
    /// The rows and the positions.
    Positions,
    /// The rows, the channels and the positions.
    Both,
}

/// A side as `(batch, channels, positions)`, in float32 or wider.
pub(super) fn channels(read: &Features, mask: Option<&Tensor>) -> Result<Tensor> {
    let features = read.first()?;
    if features.dim() == 4 {
        return Ok(features.f_flatten(2, 3)?);
    }
    Ok(states::kept(&features, mask)?.f_transpose(1, 2)?)
}

/// The mismatches of both sides' features.
pub(super) fn mismatches(student: &Features, teacher: &Features, equal: Equal) -> Vec<String> {
    let (of_student, of_teacher) = (student.shape(), teacher.shape());
    let (Some(sizes), Some(teacher_sizes)) = (sizes(&of_student), sizes(&of_teacher)) else {
        return vec![format!(
            "features must be (batch, channels, height, width), or hidden states of (batch, length, width), on both sides; the student's are {}, the teacher's {}",
            shape(&of_student),
            shape(&of_teacher)
        )];
    };
    let mut problems = Vec::new();
    let ([rows, channels, positions], [teacher_rows, teacher_channels, teacher_positions]) =
        (sizes, teacher_sizes);
    if equal != Equal::Positions && channels != teacher_channels {
        problems.push(if of_student.len() == 3 {
            states::width_problem(channels, teacher_channels).unwrap_or_default()
        } else {
            format!("the student's maps have {channels} channels, the teacher's {teacher_channels}: bring both to one number")
        });
    }
    if rows != teacher_rows || (equal != Equal::Channels && positions != teacher_positions) {
        problems.push(format!(
            "the student's features are {}, the teacher's {}: both sides must have the same rows{}",
            shape(&of_student),
            shape(&of_teacher),
            if equal == Equal::Channels { "" } else { " and positions" }
        ));
    }
    for (side, read) in [("student", student), ("teacher", teacher)] {
        if read.mask.is_some() && read.shape().len() == 4 {
            problems.push(format!(
                "the {side} gives an `inputs_mask` for feature maps, whose positions all count: leave the mask out"
            ));
        }
        problems.extend(states::mask_problem(side, read));
    }
    problems
}

/// `[batch, channels, positions]`.
fn sizes(features: &[i64]) -> Option<[i64; 3]> {
    match *features {
        [batch, channels, height, width] => Some([batch, channels, height * width]),
        [batch, length, width] => Some([batch, width, length]),
        _ => None,
    }
}
