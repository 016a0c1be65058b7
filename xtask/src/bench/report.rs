//! Reads what `sentiment --report` writes: an object of numbers for each stage it ran.

use std::path::Path;

use serde_json::Value;

use crate::failure::{Failure, Result};

/// The accuracy of `stage` in the report `text`; `path` is for the error.
pub(crate) fn accuracy(text: &str, stage: &str, path: &Path) -> Result<f64> {
    let wrong = |what: String| {
        Failure::new(format!("the report `{}` {what}; remove it and run the command again", path.display()))
    };
    let report: Value = serde_json::from_str(text).map_err(|error| wrong(format!("is no JSON: {error}")))?;
    let value = report.get(stage).and_then(|numbers| numbers.get("accuracy"));
    let accuracy =
        value.and_then(Value::as_f64).ok_or_else(|| wrong(format!("has no number at `{stage}.accuracy`")))?;
    if !(0.0..=1.0).contains(&accuracy) {
        return Err(wrong(format!("gives {accuracy} at `{stage}.accuracy`, which is not between 0 and 1")));
    }
    Ok(accuracy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<f64, String> {
        accuracy(text, "plain", Path::new("runs/report.json")).map_err(|failure| failure.to_string())
    }

    #[test]
    fn the_accuracy_of_the_stage_is_read() {
        let text = r#"{"teacher": {"accuracy": 0.9}, "plain": {"accuracy": 0.8221, "steps": 897}}"#;
        assert_eq!(read(text), Ok(0.8221));
    }

    #[test]
    fn bad_reports_are_named_with_the_place() {
        for (text, said) in [
            ("", "is no JSON: EOF"),
            ("{\"plain\": {\"accuracy\": 0.8", "is no JSON: EOF"),
            ("[]", "has no number at `plain.accuracy`"),
            (r#"{"teacher": {"accuracy": 0.9}}"#, "has no number at `plain.accuracy`"),
            (r#"{"plain": {"accuracy": null}}"#, "has no number at `plain.accuracy`"),
            (r#"{"plain": {"accuracy": "0.8"}}"#, "has no number at `plain.accuracy`"),
            (r#"{"plain": {"accuracy": 82.2}}"#, "gives 82.2 at `plain.accuracy`"),
        ] {
            let line = read(text).unwrap_err();
            assert!(line.contains("`runs/report.json`") && line.contains(said), "{text}: {line}");
        }
    }
}
