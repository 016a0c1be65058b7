//! What all ranks must have in common before the first step: settings, plans, data, and weights.

use serde_json::Value;

use super::outputs::ROWS;
use super::settings::Settings;
use super::task::{Task, learned_of, student_of};
use crate::error::{Error, Result};
use crate::parameters::Parameters;
use crate::ranks::Agreement;

/// Everything that ranks compare, by name; `config` is what `config.json` stores, and `outputs` are those of two rows.
pub(super) fn agreement(
    settings: &Settings<'_>,
    tasks: &[Task<'_>],
    steps: u64,
    (config, outputs): (&Value, &Parameters),
) -> Result<Agreement> {
    let mut facts = Vec::new();
    flatten("", config, &mut facts);
    for task in tasks {
        let plan = serde_json::to_value(task.work.executor().declared()).map_err(Error::other)?;
        flatten(&task.full_name("plan"), &plan, &mut facts);
        for (name, value) in task.work.start()?.settings {
            facts.push((task.full_name(&format!("data.{name}")), value));
        }
        // Data that does not say what it depends on; also, a part of each batch per rank.
        let prefix = format!("{ROWS}{}", task.full_name(""));
        let of_rows = |(name, tensor): (&str, &tch::Tensor)| {
            let name = name.strip_prefix(&prefix)?;
            Some((name.to_owned(), tensor.shallow_clone()))
        };
        let rows = Parameters::new(outputs.iter().filter_map(of_rows));
        facts.push((task.full_name("the first two rows of the data (hash)"), rows.hash()?[..16].to_owned()));
        if let Some(rows) = task.work.rows() {
            facts.push((task.full_name("rows of the data"), rows.to_string()));
        }
    }
    facts.push(("optimizer steps".to_owned(), steps.to_string()));
    // The norm that gradients are clipped by, and some optimizers' means, are added up in an order that depends on it.
    facts.push(("threads of libtorch (OMP_NUM_THREADS)".to_owned(), tch::get_num_threads().to_string()));
    // They decide which messages ranks exchange.
    facts.push(("log_every".to_owned(), settings.log_every.to_string()));
    facts.push(("run_dir is set".to_owned(), settings.run_dir.is_some().to_string()));
    let agreement = facts.iter().fold(Agreement::new(), |all, (name, value)| all.value(name, value));
    with_weights(agreement, tasks)
}

/// Adds the weights that ranks train, and the state that losses carry.
pub(super) fn with_weights(agreement: Agreement, tasks: &[Task<'_>]) -> Result<Agreement> {
    let agreement = agreement.parameters("the student's parameters", &student_of(tasks))?;
    let mut agreement =
        agreement.parameters("the parameters learned beside the student", &learned_of(tasks))?;
    for task in tasks {
        for (name, tensor) in task.work.executor().carried()? {
            let name = format!("the state `{}`", task.full_name(&name));
            agreement = agreement.parameters(&name, &Parameters::new([(name.clone(), tensor)]))?;
        }
    }
    Ok(agreement)
}

/// The values in a JSON value, each with its path.
fn flatten(at: &str, value: &Value, facts: &mut Vec<(String, String)>) {
    match value {
        Value::Object(entries) => {
            for (name, value) in entries {
                let at = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                flatten(&at, value, facts);
            }
        }
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                flatten(&format!("{at}[{index}]"), value, facts);
            }
        }
        value => facts.push((at.to_owned(), value.to_string())),
    }
}
