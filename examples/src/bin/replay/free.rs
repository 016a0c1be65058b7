//! What round-off decides: the student's parameters that no loss depends on, and a logged loss that sees them.
//!
//! Beside these, a recording is comparable to 1e-4 only where round-off is not amplified. TextBrewer itself,
//! run again on some of 327 random recordings of its own with another order of the rows, without oneDNN or in float64,
//! is farther than that from the recording on four of the six where brew is:
//! - The first steps of Adam move an element by the learning rate times g / (|g| + eps). Where a gradient of
//!   1e-9 to 1e-8 stands in a tensor whose largest is 1e-4 to 1e-3, its float32 sum is off by some percent,
//!   and so is the step: 9.2e-4 of the tensor in TextBrewer without oneDNN where brew is off by 6.5e-4
//!   (a gradient of -1.15e-9 that is -1.19e-9 in float32), 0.7e-4 where brew is off by 2.1e-4 (1.44e-8).
//! - `flsw`'s temperatures see the bias of a span finder's scores, of which no loss has a gradient, so that
//!   all that is learned depends on it: 2.4e-3 in TextBrewer where brew is off by 7.0e-4. In the same way a
//!   bias that is free until the weight of `kd_mse` grows from 0: 0.7e-4 where brew is off by 1.2e-4.
//! - A logged `kd_mse` of weight 0 sees that bias too: 7.4e-4 and 2.9e-4 in TextBrewer where brew is off by
//!   3.5e-4 and 1.2e-3. Only this one is a number that the run's true gradients do not decide from the first
//!   step on, and is printed without being judged.

use std::collections::BTreeMap;

use brew_core::prelude::*;
use brew_core::textbrewer::config::DistillationConfig;

/// The parameters whose true gradient is 0: what is computed is round-off, which Adam amplifies to whole
/// steps. A softmax cannot see what is added to all of its scores.
pub(crate) struct Free {
    /// The last layer whose states are compared with nothing, and whose scores meet a softmax over the
    /// positions only.
    last_layer: Option<usize>,
    spans: bool,
    /// Whether the logged soft targets compare scores that nothing else compares.
    scores_logged: bool,
}

impl Free {
    /// `parameters` are the student's.
    pub(crate) fn of(parameters: &BTreeMap<String, Tensor>, config: &DistillationConfig) -> Self {
        // A loss on the scores themselves depends on what is added to them, from the first step on.
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
        let never_counts = config.kd_loss_weight == 0.0 && config.kd_loss_weight_scheduler == "none";
        Free {
            last_layer: (spans && !matched && layers > 0).then(|| layers - 1),
            spans,
            scores_logged: spans && never_counts && config.kd_loss_type.name != "ce",
        }
    }

    /// Whether a logged loss sees a parameter that no gradient holds, and is in no gradient itself: soft
    /// targets of weight 0 that compare the scores of spans, with the bias that all of them have.
    pub(crate) fn decides(&self, loss: &str) -> bool {
        self.scores_logged && loss == "unweighted_kd_loss"
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
