//! What a BiGRU is told of its task, and what of it is saved.

use super::{BiGru, BiGruConfig, Task};
use crate::model::told::told_of_its_task;

told_of_its_task!(BiGru, T: Task, T::NAME);

impl<T: Task> BiGru<T> {
    /// The config with what the model has learned of its task beside it.
    pub(super) fn told_config(&self) -> BiGruConfig {
        let mut config = self.config.clone();
        config.problem_type = self.problem.get();
        config.name_classes(match self.learned_names.get() {
            Some(names) => (0..).zip(names.iter().cloned()).collect(),
            None => config.names(),
        });
        config
    }
}
