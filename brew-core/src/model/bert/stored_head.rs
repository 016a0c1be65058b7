//! Identifies the head in a folder's weights, and says what to do if it is not the requested one.

use super::architecture::Network;
use super::config::BertConfig;
use super::head::Head;
use crate::model::weights::Weights;

/// What brew's type for a task is called after `BertFor`, if there is one.
fn ours(task: &str) -> Option<&'static str> {
    match task {
        "SequenceClassification" => Some("SequenceClassification"),
        "TokenClassification" => Some("TokenClassification"),
        "QuestionAnswering" => Some("QuestionAnswering"),
        "MaskedLM" | "PreTraining" => Some("MaskedLm"),
        _ => None,
    }
}

/// Why these weights do not have this head; `None` if they may.
pub(super) fn other_head<H: Head>(config: &BertConfig, weights: &Weights) -> Option<String> {
    let output = format!("{}.weight", H::output_name(config));
    let named = named_task(config);
    let possible = possible_tasks(config, weights);
    let own = ours(H::TASK);
    // BERT's pretraining has two heads, of which one is that of a masked language model.
    let is_own = |task: &str| task == H::TASK || (own.is_some() && ours(task) == own);
    let found = match (named, possible.as_slice()) {
        // Heads of several tasks have the same tensors: the config says which task it was trained for.
        (Some(named), _) if possible.contains(&named) => Some(named),
        (None, several) if several.contains(&H::TASK) => Some(H::TASK),
        (_, several) => several.first().copied(),
    };
    if weights.has(&output) && (found.is_none_or(is_own) || named.is_some_and(is_own)) {
        return None;
    }
    let start = format!("put a new head on its encoder with BertFor{}::from_encoder", own.unwrap_or(H::TASK));
    Some(match (found, found.and_then(ours)) {
        (Some(task), Some(ours)) if !is_own(task) => format!(
            "it has a head for {}: load it with BertFor{ours}::from_pretrained, or {start}",
            described(task, config, weights)
        ),
        (Some(task), _) if !is_own(task) => format!("it is {}: {start}", described(task, config, weights)),
        _ => {
            let head =
                weights.left().filter(|name| !name.starts_with(&format!("{}.", config.model_type.prefix())));
            let others: Vec<_> = head.take(4).map(|name| format!("`{name}`")).collect();
            let others = match others.as_slice() {
                [] => String::new(),
                some => format!(" (beside the encoder it has: {})", some.join(", ")),
            };
            format!(
                "`{output}` is missing, so this is an encoder without a head for this task{others}: {start}"
            )
        }
    })
}

/// The task that the config names: what follows `BertFor` in its `architectures`.
fn named_task(config: &BertConfig) -> Option<&str> {
    let class = config.file.get("architectures")?.as_array()?.first()?.as_str()?;
    Some(class.split_once("For")?.1)
}

/// The tasks whose heads have these tensors, the most common first.
fn possible_tasks(config: &BertConfig, weights: &Weights) -> Vec<&'static str> {
    let has = |name: &str| weights.has(name);
    let starts = |start: &str| weights.left().any(|name| name.starts_with(start));
    let mut tasks = Vec::new();
    if has("classifier.weight") || has("classifier.out_proj.weight") {
        let network = config.model_type.network();
        let of_sequences = match network {
            Network::Bert => has("bert.pooler.dense.weight"),
            Network::Roberta => has("classifier.out_proj.weight"),
            Network::DistilBert => has("pre_classifier.weight"),
        };
        if of_sequences {
            tasks.push("SequenceClassification");
        }
        // Token classifiers of older versions of transformers have an unused pooler.
        if has("classifier.weight") && (!of_sequences || network == Network::Bert) {
            tasks.push("TokenClassification");
        }
        if weights.rows("classifier.weight") == Some(1) {
            tasks.push("MultipleChoice");
        }
    }
    if has("qa_outputs.weight") {
        tasks.push("QuestionAnswering");
    }
    if ["cls.predictions.", "lm_head.", "vocab_transform."].into_iter().any(starts) {
        tasks.extend(["MaskedLM", "PreTraining", "CausalLM"]);
    }
    if starts("cls.seq_relationship.") {
        tasks.push("NextSentencePrediction");
    }
    tasks
}

/// A description of a head for people.
fn described(task: &str, config: &BertConfig, weights: &Weights) -> String {
    let classes = || {
        let rows =
            ["classifier.weight", "classifier.out_proj.weight"].iter().find_map(|name| weights.rows(name));
        rows.map(|rows| format!(" of {rows} {}", if rows == 1 { "class" } else { "classes" }))
            .unwrap_or_default()
    };
    let class = format!("{}For{task}", config.model_type.class());
    match task {
        "SequenceClassification" => format!("sequences{} ({class})", classes()),
        "TokenClassification" => format!("tokens{} ({class})", classes()),
        "QuestionAnswering" => format!("spans that answer questions ({class})"),
        "MaskedLM" | "PreTraining" => format!("masked tokens ({class})"),
        "CausalLM" => format!("a language model ({class})"),
        "MultipleChoice" => format!("a model that chooses among answers ({class})"),
        _ => format!("a model of another task ({class})"),
    }
}
