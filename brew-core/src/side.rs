//! Whose: the sides of a distillation, with or without the number of a teacher.

use serde::{Deserialize, Serialize};

/// Whose features: a teacher's or the student's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// The teacher of this index.
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
