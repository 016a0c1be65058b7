//! Aligns the positions of two tokenizations of the same text.

use tch::{Kind, Tensor};

use super::super::Features;
use crate::error::Result;

/// The indices of the positions of each row that count: by the mask, or all.
pub(super) fn valid(read: &Features) -> Result<Vec<Vec<i64>>> {
    let sizes = read.shape();
    // Rows without a position dimension have one position.
    let (rows, length) = match sizes.as_slice() {
        [rows, length, _] => (*rows, *length),
        [rows, ..] => (*rows, 1),
        [] => (0, 0),
    };
    let Some(mask) = read.mask.as_ref().filter(|_| sizes.len() == 3) else {
        return Ok((0..rows).map(|_| (0..length).collect()).collect());
    };
    let counts = numbers(&mask.f_ne(0)?)?;
    Ok(counts
        .iter()
        .map(|row| (0..).zip(row).filter(|(_, counts)| **counts != 0).map(|(at, _)| at).collect())
        .collect())
}

/// The rows of an integer tensor `(rows, length)`.
pub(super) fn numbers(tensor: &Tensor) -> Result<Vec<Vec<i64>>> {
    let length = tensor.size().get(1).copied().unwrap_or(1).max(1);
    let flat =
        Vec::<i64>::try_from(tensor.f_to_kind(Kind::Int64)?.f_to_device(tch::Device::Cpu)?.f_reshape([-1])?)?;
    Ok(flat.chunks(usize::try_from(length).unwrap_or(1)).map(<[i64]>::to_vec).collect())
}

/// Groups of positions of both sides that cover the same bytes: each closes where tokens of both sides end
/// together. Both arguments are positions with their byte ends, in order. A group that never closes is
/// dropped.
pub(super) fn groups(student: &[(i64, i64)], teacher: &[(i64, i64)]) -> Vec<(Vec<i64>, Vec<i64>)> {
    let mut found = Vec::new();
    let (mut of_student, mut of_teacher) = (Vec::new(), Vec::new());
    let (mut left, mut right) = (student.iter().peekable(), teacher.iter().peekable());
    while let (Some((at_student, student_end)), Some((at_teacher, teacher_end))) = (left.peek(), right.peek())
    {
        if student_end <= teacher_end {
            of_student.push(*at_student);
        }
        if teacher_end <= student_end {
            of_teacher.push(*at_teacher);
        }
        match student_end.cmp(teacher_end) {
            std::cmp::Ordering::Less => {
                left.next();
            }
            std::cmp::Ordering::Greater => {
                right.next();
            }
            std::cmp::Ordering::Equal => {
                left.next();
                right.next();
                found.push((std::mem::take(&mut of_student), std::mem::take(&mut of_teacher)));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::groups;

    fn of(student: &[i64], teacher: &[i64]) -> Vec<(Vec<i64>, Vec<i64>)> {
        let at = |ends: &[i64]| (0..).zip(ends.iter().copied()).collect::<Vec<_>>();
        groups(&at(student), &at(teacher))
    }

    // TRL's gold_trainer.py on these ends.
    #[test]
    fn groups_close_where_both_sides_end() {
        assert_eq!(of(&[1, 4, 5, 9], &[4, 6, 7, 9]), [(vec![0, 1], vec![0]), (vec![2, 3], vec![1, 2, 3])]);
        assert_eq!(of(&[2, 4], &[2, 4]), [(vec![0], vec![0]), (vec![1], vec![1])]);
    }

    #[test]
    fn what_does_not_close_is_left_out() {
        assert_eq!(of(&[2, 4, 7], &[2, 5, 6]), [(vec![0], vec![0])]);
        assert_eq!(of(&[3], &[]), []);
    }
}
