//! The settings of a classifier's task.

use super::{Bert, ClassHead};
use crate::model::told::told_of_its_task;

told_of_its_task!(Bert, H: ClassHead, H::TASK);
