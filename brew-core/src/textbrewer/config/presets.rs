//! Named lists of matches: those of TextBrewer's examples.
//!
//! A name encodes the student's layers (`L3`, `L4`, `L6`, `small`), its width if it differs from the
//! teacher's (`t` 312, `n` 384, `small` 256, `l` 1024 against 768), and what is compared. All weights are 1.
//! The layers are those of a teacher of 12 layers: hidden states count from the embeddings. `TinyBERT_4_312`
//! and `TinyBERT_6_768` are the first stage of TinyBERT (Jiao et al. 2020), general or of a task, with
//! `kd_loss_weight` 0: embeddings, hidden states and attention maps of probabilities. Its second stage has no
//! matches, `kd_loss_type` `ce` and a temperature of 1.

use super::{IntermediateMatch, Layers, LossConfig, ProjectionConfig};
use crate::error::{Error, Result};
use crate::plan::OptimizerChanges;
use crate::words::suggest;

type LayerPairs = &'static [(i64, i64)];

const L3: LayerPairs = &[(0, 0), (4, 1), (8, 2), (12, 3)];
const L4: LayerPairs = &[(0, 0), (3, 1), (6, 2), (9, 3), (12, 4)];
const L6: LayerPairs = &[(0, 0), (2, 1), (4, 2), (6, 3), (8, 4), (10, 5), (12, 6)];
const SMALL: LayerPairs = &[(0, 0), (2, 2), (4, 4), (6, 6), (8, 8), (10, 10), (12, 12)];

/// Pairs of teacher and student layers, the loss, and the widths of a linear projection.
struct Preset {
    name: &'static str,
    pairs: LayerPairs,
    loss: &'static str,
    projection: Option<(i64, i64)>,
    /// Whether attention maps are probabilities, with layers counted from 0.
    probabilities: bool,
}

const fn row(
    name: &'static str,
    pairs: LayerPairs,
    loss: &'static str,
    projection: Option<(i64, i64)>,
) -> Preset {
    Preset { name, pairs, loss, projection, probabilities: false }
}

/// Maps of probabilities, as the models of Hugging Face and brew return them.
const fn maps(name: &'static str, pairs: LayerPairs) -> Preset {
    Preset { name, pairs, loss: "attention_mse", projection: None, probabilities: true }
}

/// TinyBERT's choice: the last layer of each block.
const MAPS_4: LayerPairs = &[(2, 0), (5, 1), (8, 2), (11, 3)];
const MAPS_6: LayerPairs = &[(1, 0), (3, 1), (5, 2), (7, 3), (9, 4), (11, 5)];

const PRESETS: &[Preset] = &[
    row("L3_attention_mse", L3, "attention_mse", None),
    row("L3_attention_mse_sum", L3, "attention_mse_sum", None),
    row("L3_attention_ce", L3, "attention_ce", None),
    row("L3_attention_ce_mean", L3, "attention_ce_mean", None),
    row("L3_hidden_mse", L3, "hidden_mse", None),
    row("L3_hidden_smmd", L3, "mmd", None),
    row("L3n_hidden_mse", L3, "hidden_mse", Some((384, 768))),
    row("L3l_hidden_mse", L3, "hidden_mse", Some((1024, 768))),
    row("L4_attention_mse", L4, "attention_mse", None),
    row("L4_attention_mse_sum", L4, "attention_mse_sum", None),
    row("L4_attention_ce", L4, "attention_ce", None),
    row("L4_attention_ce_mean", L4, "attention_ce_mean", None),
    row("L4_hidden_smmd", L4, "mmd", None),
    row("L4t_hidden_mse", L4, "hidden_mse", Some((312, 768))),
    row("L4t_hidden_sgram", L4, "gram", Some((312, 768))),
    row("L6_hidden_mse", L6, "hidden_mse", None),
    row("L6_hidden_smmd", L6, "mmd", None),
    row("small_hidden_mse", SMALL, "hidden_mse", Some((256, 768))),
    row("small_hidden_smmd", SMALL, "mmd", None),
    row("TinyBERT_4_312", L4, "hidden_mse", Some((312, 768))),
    maps("TinyBERT_4_312", MAPS_4),
    row("TinyBERT_6_768", L6, "hidden_mse", None),
    maps("TinyBERT_6_768", MAPS_6),
];

/// The list of matches with this name, such as `L3_hidden_mse`.
///
/// The numbers are TextBrewer's. Attention maps count from 1, for an adaptor whose list has an empty entry
/// before the first layer. In the lists of Hugging Face and brew the first layer is number 0, so a teacher of
/// 12 layers refuses number 12 before the first step.
///
/// ```
/// use brew_core::textbrewer::config::preset;
///
/// let matches = preset("L4t_hidden_mse")?;
/// assert_eq!(serde_json::to_value(&matches[1]).unwrap(), serde_json::json!({
///     "layer_T": 3, "layer_S": 1, "feature": "hidden", "loss": "hidden_mse", "weight": 1.0,
///     "proj": ["linear", 312, 768],
/// }));
/// # Ok::<(), brew_core::Error>(())
/// ```
///
/// # Errors
/// An unknown name, with the nearest known one.
pub fn preset(name: &str) -> Result<Vec<IntermediateMatch>> {
    let presets: Vec<&Preset> = PRESETS.iter().filter(|preset| preset.name == name).collect();
    if presets.is_empty() {
        let near = suggest(name, PRESETS.iter().map(|preset| preset.name));
        return Err(Error::invalid(format!("`{name}` is not a list of matches{near}")));
    }
    Ok(presets.into_iter().flat_map(Preset::matches).collect())
}

impl Preset {
    fn matches(&self) -> Vec<IntermediateMatch> {
        let attention = self.loss.starts_with("attention");
        // TextBrewer's lists have no attention maps for the embeddings.
        let all = !attention || self.probabilities;
        let pairs = self.pairs.iter().filter(|(_, student)| all || *student > 0);
        pairs.map(|(teacher, student)| self.of(*teacher, *student, attention)).collect()
    }

    fn of(&self, teacher: i64, student: i64, attention: bool) -> IntermediateMatch {
        let layers = |layer: i64| match self.loss {
            "mmd" | "gram" => Layers::Two([layer, layer]),
            _ => Layers::One(layer),
        };
        IntermediateMatch {
            layer_t: layers(teacher),
            layer_s: layers(student),
            feature: if attention { "attention" } else { "hidden" }.to_owned(),
            loss: match self.probabilities {
                true => LossConfig::with(self.loss, serde_json::json!({ "maps": "probabilities" })),
                false => self.loss.into(),
            },
            weight: 1.0,
            teacher: None,
            weight_scheduler: None,
            proj: self.projection.map(|(student, teacher)| ProjectionConfig {
                name: "linear".to_owned(),
                student,
                teacher,
                optimizer: OptimizerChanges::default(),
                shared: None,
            }),
        }
    }
}
