//! The sides of a distillation, teacher and student, with or without a teacher's index.

use serde::{Deserialize, Serialize};

/// The owner of features: a teacher or the student.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// The teacher with this index.
    Teacher(usize),
    /// The student.
    Student,
}

/// One of the two sides that a loss compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The teacher, or each of the teachers.
    Teacher,
    /// The student.
    Student,
}

impl Side {
    /// The side of a model.
    pub(crate) fn of(owner: Owner) -> Self {
        match owner {
            Owner::Teacher(_) => Side::Teacher,
            Owner::Student => Side::Student,
        }
    }
}
