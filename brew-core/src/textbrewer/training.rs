//! Applying a training config to a trainer.

use super::config::TrainingConfig;
use crate::train::{Trainer, Trains};

impl<P: Trains> Trainer<'_, P> {
    /// Takes accumulation, checkpoints and the run folder from TextBrewer's config.
    pub fn training_config(self, config: &TrainingConfig) -> Self {
        let accumulation = usize::try_from(config.gradient_accumulation_steps).unwrap_or(usize::MAX);
        self.accumulate(accumulation)
            .checkpoints(config.ckpt_frequency, config.ckpt_epoch_frequency, config.ckpt_steps)
            .run_dir(&config.output_dir)
    }
}
