//! TextBrewer's `TrainingConfig`: the settings of a run other than its losses.

use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::fields::{self, Fields};
use crate::error::{Error, Result};

const WHAT: &str = "training config";

/// The settings of a run, with TextBrewer's names and defaults.
///
/// Batches are moved to the student's device, whatever `device` says, and no folder is created before a run
/// begins.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrainingConfig {
    /// Batches per optimizer step, at least 1. 1 by default.
    pub gradient_accumulation_steps: u64,
    /// Checkpoints per epoch. 1 by default.
    pub ckpt_frequency: u64,
    /// Epochs from one with checkpoints to the next. 1 by default.
    pub ckpt_epoch_frequency: u64,
    /// Optimizer steps from one checkpoint to the next in a run of `.steps(…)`, which ignores the two
    /// settings above.
    pub ckpt_steps: Option<u64>,
    /// Where TextBrewer writes TensorBoard events. brew writes them to the run folder, and warns.
    pub log_dir: Option<String>,
    /// The run folder. `./saved_models` by default.
    pub output_dir: String,
    /// `cpu`, `cuda` or `cuda:0`. `cuda` by default.
    pub device: String,
    /// Half precision with Apex. False by default; true is refused: use
    /// [`Trainer::precision`](crate::train::Trainer::precision).
    pub fp16: bool,
    /// Apex's optimization level, `O0` to `O3`. `O1` by default. Checked, but without effect.
    pub fp16_opt_level: String,
    /// Several devices in one process; false by default.
    pub data_parallel: bool,
    /// The rank of this process among several; -1, for a single process, by default.
    pub local_rank: i64,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        TrainingConfig {
            gradient_accumulation_steps: 1,
            ckpt_frequency: 1,
            ckpt_epoch_frequency: 1,
            ckpt_steps: None,
            log_dir: None,
            output_dir: "./saved_models".to_owned(),
            device: "cuda".to_owned(),
            fp16: false,
            fp16_opt_level: "O1".to_owned(),
            data_parallel: false,
            local_rank: -1,
        }
    }
}

impl TrainingConfig {
    /// Reads a JSON file.
    ///
    /// # Errors
    /// Names the file and every problem in it: unknown keys, with the nearest valid one, and values
    /// of the wrong type or out of range.
    pub fn from_json_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::checked(fields::parse_file(path)?).map_err(|message| Error::file(path, message))
    }

    /// Reads JSON.
    ///
    /// # Errors
    /// As [`from_json_file`](Self::from_json_file), without the file.
    pub fn from_json(json: &str) -> Result<Self> {
        Self::checked(fields::parse(WHAT, json)?).map_err(Error::invalid)
    }

    fn checked(value: Value) -> Result<Self, String> {
        let default = TrainingConfig::default();
        let mut problems = Vec::new();
        let mut fields = Fields::of("", "a training config", value, &mut problems);
        let config = TrainingConfig {
            gradient_accumulation_steps: fields
                .take("gradient_accumulation_steps", default.gradient_accumulation_steps),
            ckpt_frequency: fields.take("ckpt_frequency", default.ckpt_frequency),
            ckpt_epoch_frequency: fields.take("ckpt_epoch_frequency", default.ckpt_epoch_frequency),
            ckpt_steps: fields.take("ckpt_steps", default.ckpt_steps),
            log_dir: fields.take("log_dir", default.log_dir),
            output_dir: fields.take("output_dir", default.output_dir),
            device: fields.take("device", default.device),
            fp16: fields.take("fp16", default.fp16),
            fp16_opt_level: fields.take("fp16_opt_level", default.fp16_opt_level),
            data_parallel: fields.take("data_parallel", default.data_parallel),
            local_rank: fields.take("local_rank", default.local_rank),
        };
        fields.finish();
        problems.extend(config.problems());
        if problems.is_empty() { Ok(config) } else { Err(fields::refusal(WHAT, &problems)) }
    }

    /// The problems of the values, each with its key and its fix.
    pub fn problems(&self) -> Vec<String> {
        let counts = [
            ("gradient_accumulation_steps", Some(self.gradient_accumulation_steps)),
            ("ckpt_frequency", Some(self.ckpt_frequency)),
            ("ckpt_epoch_frequency", Some(self.ckpt_epoch_frequency)),
            ("ckpt_steps", self.ckpt_steps),
        ];
        let mut problems: Vec<String> = (counts.iter())
            .filter(|(_, value)| *value == Some(0))
            .map(|(key, _)| format!("`{key}` is 0; it must be at least 1"))
            .collect();
        let level = self.fp16_opt_level.as_str();
        if !["O0", "O1", "O2", "O3"].contains(&level) {
            problems.push(format!("`fp16_opt_level` is `{level}`; it must be `O0`, `O1`, `O2` or `O3`"));
        }
        let number = self.device.strip_prefix("cuda:").map(str::parse::<u16>);
        if !(["cpu", "cuda"].contains(&self.device.as_str()) || matches!(number, Some(Ok(_)))) {
            problems.push(format!("`device` is `{}`; it must be `cpu`, `cuda` or `cuda:0`", self.device));
        }
        if self.fp16 {
            problems.push(
                "`fp16` is true, which needs Apex: remove the key and call `.precision(Precision::F16)` on the trainer, or `Precision::Bf16` if the device is fast at it"
                    .to_owned(),
            );
        }
        for (key, value, asked) in [
            ("data_parallel", self.data_parallel.to_string(), self.data_parallel),
            ("local_rank", self.local_rank.to_string(), self.local_rank != -1),
        ] {
            if asked {
                problems.push(format!(
                    "`{key}` is {value}: remove the key; the trainer finds out by itself whether the program was started as several processes, such as by torchrun (see `brew_core::ranks`)"
                ));
            }
        }
        problems
    }

    /// Settings in the file that a run does not follow.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.log_dir.is_some() {
            warnings.push(
                "`log_dir` is ignored: TensorBoard events and `metrics.jsonl` are in the run folder"
                    .to_owned(),
            );
        }
        warnings
    }
}

impl<'de> Deserialize<'de> for TrainingConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::checked(Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
