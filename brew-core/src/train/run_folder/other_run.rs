//! Whether a folder's unfinished run is the one that was asked for: its config and its plans are compared value
//! by value.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{CHECKPOINTS, CONFIG, plans, pretty};
use crate::error::{Error, Result};
use crate::train::task::Task;

/// Refuses to resume a run with another config or another plan.
pub(super) fn refuse_another(path: &Path, config: &Value, tasks: &[Task<'_>]) -> Result<()> {
    let read = |file: &Path| -> Value {
        let text = fs::read(path.join(file)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    };
    // How often checkpoints are written does not change the student.
    let lasting = |mut config: Value| {
        config.as_object_mut().map(|config| config.remove("checkpoints"));
        config
    };
    let mut problems = Vec::new();
    // Compared as it would be read back, so that what JSON cannot represent is no difference.
    let now = serde_json::from_str(&pretty(config)?).map_err(Error::other)?;
    differences("", &lasting(read(Path::new(CONFIG))), &lasting(now), &mut problems);
    // A run that was killed at its very start may have written its config only.
    let begun = path.join(CHECKPOINTS).exists();
    for (file, text) in plans(tasks)?
        .iter()
        .filter(|(file, _)| file.extension().is_some_and(|end| end == "json"))
        .filter(|(file, _)| begun || path.join(file).exists())
    {
        let now = serde_json::from_str(text).unwrap_or_default();
        differences(&format!("{}: ", file.display()), &read(file), &now, &mut problems);
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::OtherRun { path: path.to_owned(), differences: problems })
}

/// Every place where two values differ, with both values.
fn differences(at: &str, then: &Value, now: &Value, problems: &mut Vec<String>) {
    match (then, now) {
        (Value::Object(then), Value::Object(now)) => {
            let names: BTreeSet<&String> = then.keys().chain(now.keys()).collect();
            for name in names {
                let of =
                    |values: &serde_json::Map<String, Value>| values.get(name).cloned().unwrap_or_default();
                let at = if at.is_empty() || at.ends_with(": ") {
                    format!("{at}{name}")
                } else {
                    format!("{at}.{name}")
                };
                differences(&at, &of(then), &of(now), problems);
            }
        }
        (Value::Array(then), Value::Array(now)) if then.len() == now.len() => {
            for (index, (then, now)) in then.iter().zip(now).enumerate() {
                differences(&format!("{at}[{index}]"), then, now, problems);
            }
        }
        _ if then != now => problems.push(format!("{at} was {then}, now it is {now}")),
        _ => {}
    }
}
