//! The parameters of the student that no loss depends on.

use std::collections::BTreeMap;

use brew_core::prelude::*;

/// The parameters whose true gradient is 0: what is computed is round-off, which Adam amplifies to whole
/// steps. A softmax cannot see what is added to all of its scores.
pub(crate) struct Free {
    /// The last layer whose states are compared with nothing, and whose scores meet a softmax over the
    /// positions only.
    last_layer: Option<usize>,
    spans: bool,
}

impl Free {
    /// `parameters` are the student's.
    pub(crate) fn of(parameters: &BTreeMap<String, Tensor>, config: &DistillationConfig) -> Self {
        // A loss that compares the scores themselves sees what is added to them, from the first step on.
        let compared = config.kd_loss_type.name != "ce" && config.kd_loss_weight != 0.0;
        let spans = parameters.contains_key("qa_outputs.bias") && !compared;
        let layers = parameters.keys().filter_map(|name| layer_of(name)).max().map_or(0, |last| last + 1);
        let reads_last =
            |index: i64| index == -1 || usize::try_from(index).is_ok_and(|index| index == layers);
        let matched = config.intermediate_matches.iter().any(|found| {
            found.feature == "hidden"
                && (found.weight != 0.0 || found.weight_scheduler.is_some())
                && found.layer_s.indices().into_iter().any(reads_last)
        });
        Free { last_layer: (spans && !matched && layers > 0).then(|| layers - 1), spans }
    }

    /// The keys' biases are added to all scores of a query; the bias of the last layer's norm, by the
    /// head, to the scores of all positions.
    pub(crate) fn includes(&self, name: &str) -> bool {
        let keys = name.ends_with(".key.bias") || name.ends_with(".k_lin.bias");
        let norm = name.ends_with(".output.LayerNorm.bias") && !name.contains(".attention.")
            || name.ends_with(".output_layer_norm.bias");
        keys || (self.spans && name == "qa_outputs.bias")
            || (norm && self.last_layer.is_some() && layer_of(name) == self.last_layer)
    }
}

/// The number after `layer.` in a parameter's name.
fn layer_of(name: &str) -> Option<usize> {
    name.split_once(".layer.")?.1.split('.').next()?.parse().ok()
}
