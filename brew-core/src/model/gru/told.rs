//! The task settings of a BiGRU, and how they are saved.

use super::{BiGru, BiGruConfig, BiGruTask};
use crate::model::told::told_of_its_task;

told_of_its_task!(BiGru, T: BiGruTask, T::NAME);

impl<T: BiGruTask> BiGru<T> {
    /// The config, updated with what the model has learned about its task.
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
