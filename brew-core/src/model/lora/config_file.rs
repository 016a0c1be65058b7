//! `adapter_config.json`, as Python's peft writes it.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::adaptable::Facts;
use super::{Lora, Targets};
use crate::error::{Error, Result};
use crate::words::numbered;

/// Keys that change nothing of what an adapter computes: where it came from, how it is trained on, and settings of
/// features that have their own key. Whether linear layers are stored `(inputs, outputs)` is known by the architecture.
const WITHOUT_EFFECT: [&str; 12] = [
    "auto_mapping",
    "base_model_name_or_path",
    "ensure_weight_tying",
    "fan_in_fan_out",
    "inference_mode",
    "layers_pattern",
    "megatron_core",
    "peft_version",
    "qalora_group_size",
    "revision",
    "runtime_config",
    "task_type",
];

/// Initial values that leave the base as it is; those of a stored adapter are in its file.
const INITIAL: [&str; 3] = ["gaussian", "orthogonal", "eva"];

/// What to do about an adapter of another kind.
const MEND: &str =
    "merge the adapter in Python (merge_and_unload, save_pretrained) and load the merged model";

/// Reads the settings from the keys of the file at `path`.
///
/// # Errors
/// Every key that would change the result and is not supported.
pub(super) fn read(path: &Path, config: &Map<String, Value>) -> Result<Lora> {
    let mut problems = Vec::new();
    let mut lora = Lora::rank(8).alpha(8.0);
    if config.get("peft_type").and_then(Value::as_str) != Some("LORA") {
        let found = config.get("peft_type").unwrap_or(&Value::Null);
        problems.push(format!("`peft_type` is {found}; only \"LORA\" is supported: {MEND}"));
    }
    for (key, value) in config {
        let problem = match (key.as_str(), value) {
            ("peft_type", _) => None,
            ("r", value) => set(&mut lora.rank, value.as_i64(), "a whole number"),
            ("lora_alpha", value) => set(&mut lora.alpha, value.as_f64(), "a number"),
            ("lora_dropout", value) => set(&mut lora.dropout, value.as_f64(), "a number"),
            ("use_rslora", value) => set(&mut lora.rs_lora, value.as_bool(), "true or false"),
            ("target_modules", value) => targets(&mut lora, value),
            ("modules_to_save", Value::Null) => None,
            ("modules_to_save", value) => set(&mut lora.modules_to_save, strings(value), "a list of names"),
            ("bias", Value::String(bias)) if bias == "none" => None,
            ("init_lora_weights", Value::Bool(_) | Value::Null) => None,
            ("init_lora_weights", Value::String(initial)) if INITIAL.contains(&initial.as_str()) => None,
            ("init_lora_weights", _) => {
                Some(format!("it changes the weights of the base, which is not supported: {MEND}"))
            }
            ("exclude_modules", value) if !is_neutral(value) => {
                Some("it is not supported yet: list the adapted layers by their full names in `target_modules` instead".to_owned())
            }
            (key, value) if WITHOUT_EFFECT.contains(&key) || is_neutral(value) => None,
            _ => Some(format!("it is not supported yet: {MEND}")),
        };
        problems.extend(problem.map(|problem| format!("`{key}` is {value}: {problem}")));
    }
    if problems.is_empty() {
        problems = lora.problems();
    }
    if problems.is_empty() {
        return Ok(lora);
    }
    Err(Error::file(path, numbered("this adapter cannot be loaded", &problems)))
}

/// Whether a feature is off.
fn is_neutral(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(items) => items.is_empty(),
        _ => false,
    }
}

fn set<T>(field: &mut T, value: Option<T>, must_be: &str) -> Option<String> {
    match value {
        Some(value) => *field = value,
        None => return Some(format!("it must be {must_be}")),
    }
    None
}

fn strings(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|item| Some(item.as_str()?.to_owned())).collect()
}

fn targets(lora: &mut Lora, value: &Value) -> Option<String> {
    lora.targets = match value {
        Value::Null => Targets::Usual,
        Value::String(text) if text.eq_ignore_ascii_case("all-linear") => Targets::AllLinear,
        Value::String(_) => {
            return Some(
                "regular expressions are not supported yet: list the adapted layers by their names instead"
                    .to_owned(),
            );
        }
        value => match strings(value) {
            Some(suffixes) => Targets::Suffixes(suffixes),
            None => return Some("it must be a list of names".to_owned()),
        },
    };
    None
}

/// The keys that describe an adapter of these layers.
pub(super) fn written(lora: &Lora, targeted: &[String], facts: &Facts) -> Value {
    let bare = |names: &[String]| -> Vec<String> {
        names.iter().map(|name| name.strip_prefix(&facts.prefix).unwrap_or(name).to_owned()).collect()
    };
    // For its own tasks peft saves the head whether the config says so or not.
    let saves_head = facts.head.iter().all(|module| lora.modules_to_save.iter().any(|known| known == module));
    json!({
        "alpha_pattern": {},
        "auto_mapping": null,
        "base_model_name_or_path": facts.folder.as_deref().map(Path::to_string_lossy),
        "bias": "none",
        "fan_in_fan_out": facts.inputs_first,
        "inference_mode": true,
        "init_lora_weights": true,
        "layers_pattern": null,
        "layers_to_transform": null,
        "lora_alpha": whole(lora.alpha),
        "lora_dropout": lora.dropout,
        "modules_to_save": (!lora.modules_to_save.is_empty()).then(|| bare(&lora.modules_to_save)),
        "peft_type": "LORA",
        "r": lora.rank,
        "rank_pattern": {},
        "revision": null,
        "target_modules": match &lora.targets {
            Targets::Suffixes(suffixes) => bare(suffixes),
            Targets::Usual | Targets::AllLinear => bare(targeted),
        },
        "task_type": facts.task_type.filter(|_| saves_head),
        "use_dora": false,
        "use_rslora": lora.rs_lora,
    })
}

/// A whole number as peft writes it, without a decimal point.
fn whole(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 1e15 { json!(number as i64) } else { json!(number) }
}
