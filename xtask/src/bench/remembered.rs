//! Reports of runs are kept, so an interrupted benchmark resumes.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::failure::{AtPath, Failure, Result};

/// Where one run's report is, and the arguments of the run.
#[derive(Debug)]
pub(crate) struct Remembered {
    path: PathBuf,
    arguments: Value,
}

impl Remembered {
    pub(crate) fn new(folder: &Path, name: &str, arguments: Value) -> Remembered {
        Remembered { path: folder.join(format!("{name}.json")), arguments }
    }

    /// What an earlier run with the same arguments measured.
    ///
    /// # Errors
    ///
    /// If it had other arguments: it may have taken hours, so it is not discarded without asking.
    pub(crate) fn found(&self) -> Result<Option<Value>> {
        let Ok(text) = fs::read_to_string(&self.path) else { return Ok(None) };
        let report: Value = serde_json::from_str(&text)
            .map_err(|error| Failure::new(format!("`{}` is no JSON: {error}", self.path.display())))?;
        if report.get("arguments") != Some(&self.arguments) {
            return Err(Failure::new(format!(
                "`{}` was made with other arguments: repeat them, or add --fresh to start over",
                self.path.display()
            )));
        }
        Ok(Some(report["measured"].clone()))
    }

    /// Saves what was measured.
    pub(crate) fn keep(&self, measured: &Value) -> Result<()> {
        let report = json!({ "arguments": self.arguments, "measured": measured });
        fs::write(&self.path, format!("{report:#}\n")).at("write", &self.path)
    }

    /// What an earlier run measured, or else a new run, which is then saved.
    pub(crate) fn or_run(&self, run: impl FnOnce() -> Result<Value>) -> Result<Value> {
        if let Some(measured) = self.found()? {
            return Ok(measured);
        }
        let name = self.path.file_stem().unwrap_or_default().to_string_lossy();
        println!("\n== {name}");
        let measured = run()?;
        self.keep(&measured)?;
        Ok(measured)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_found_again_with_the_same_arguments_alone() {
        let folder = std::env::temp_dir().join(format!("brew-xtask-{}-remembered", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let first = Remembered::new(&folder, "run", json!(["--seed", "1"]));
        assert_eq!(first.found(), Ok(None));
        assert_eq!(first.or_run(|| Ok(json!({"speed": 3}))), Ok(json!({"speed": 3})));
        assert_eq!(first.or_run(|| Ok(json!({"speed": 4}))), Ok(json!({"speed": 3})), "it ran again");
        let other = Remembered::new(&folder, "run", json!(["--seed", "2"])).found().unwrap_err().to_string();
        assert!(other.contains("run.json` was made with other arguments"), "{other}");
        let failed = Remembered::new(&folder, "failed", json!(null));
        assert!(failed.or_run(|| Err(Failure::new("no"))).is_err());
        assert_eq!(failed.found(), Ok(None), "a failure is tried again");
        fs::remove_dir_all(&folder).unwrap();
    }
}
