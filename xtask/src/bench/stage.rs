//! One run of `sentiment` within a benchmark, saved so that an interrupted benchmark resumes.
//!
//! `sentiment` writes its report; afterwards the arguments are written next to it. A report without them belongs to an
//! interrupted run.

use std::fs;
use std::path::{Path, PathBuf};

use crate::bench::report;
use crate::failure::{AtPath, Failure, Result};
use crate::sentiment;

/// What a run trains, by `sentiment`'s name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Teacher,
    Plain,
    Distill,
}

impl Kind {
    /// The value of `--stage`, and the report's key.
    fn name(self) -> &'static str {
        match self {
            Kind::Teacher => "teacher",
            Kind::Plain => "plain",
            Kind::Distill => "distill",
        }
    }
}

/// One training run with its files.
#[derive(Debug)]
pub(crate) struct Stage {
    kind: Kind,
    arguments: Vec<String>,
    report: PathBuf,
    done: PathBuf,
}

impl Stage {
    /// A run whose files go to `folder`; `extra` are the user's arguments.
    pub(crate) fn new(kind: Kind, seed: u64, folder: &Path, extra: &[String]) -> Stage {
        let name = match kind {
            Kind::Teacher => kind.name().to_owned(),
            Kind::Plain | Kind::Distill => format!("{}-seed-{seed}", kind.name()),
        };
        let report = folder.join(format!("{name}.report.json"));
        let mut arguments = vec!["--stage".into(), kind.name().into(), "--seed".into(), seed.to_string()];
        arguments.extend(["--run-dir".into(), sentiment::shown(folder)]);
        arguments.extend(["--report".into(), sentiment::shown(&report)]);
        arguments.extend_from_slice(extra);
        Stage { kind, arguments, report, done: folder.join(format!("{name}.arguments")) }
    }

    /// Whether an earlier run with the same arguments finished.
    ///
    /// # Errors
    ///
    /// If one with other arguments did: it may have taken hours, so it is not discarded without asking.
    pub(crate) fn is_done(&self) -> Result<bool> {
        match fs::read_to_string(&self.done) {
            Ok(note) if note == self.note() => Ok(self.report.is_file()),
            Ok(_) => Err(Failure::new(format!(
                "`{}` was made with other arguments: repeat them, or add --fresh to start over",
                self.report.display()
            ))),
            Err(_) => Ok(false),
        }
    }

    /// Runs it, even if it is done.
    pub(crate) fn run(&self) -> Result<()> {
        println!("\n== sentiment {}", self.arguments.join(" "));
        for file in [&self.done, &self.report] {
            if file.exists() {
                fs::remove_file(file).at("remove", file)?;
            }
        }
        sentiment::run(&self.arguments, &sentiment::sources())?;
        fs::write(&self.done, self.note()).at("write", &self.done)
    }

    /// The accuracy in the report.
    pub(crate) fn accuracy(&self) -> Result<f64> {
        let text = fs::read_to_string(&self.report).at("read", &self.report)?;
        report::accuracy(&text, self.kind.name(), &self.report)
    }

    /// The arguments, one per line.
    fn note(&self) -> String {
        self.arguments.iter().map(|argument| format!("{argument}\n")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_done_only_with_a_report_of_the_same_arguments() {
        let folder = std::env::temp_dir().join(format!("brew-xtask-{}-stage", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let stage = Stage::new(Kind::Plain, 1, &folder, &["--epochs".into(), "3".into()]);
        assert_eq!(stage.is_done(), Ok(false));
        fs::write(folder.join("plain-seed-1.report.json"), "{}").unwrap();
        assert_eq!(stage.is_done(), Ok(false), "the run was interrupted");
        fs::write(folder.join("plain-seed-1.arguments"), stage.note()).unwrap();
        assert_eq!(stage.is_done(), Ok(true));
        let other = Stage::new(Kind::Plain, 1, &folder, &["--epochs".into(), "4".into()]);
        let failure = other.is_done().unwrap_err().to_string();
        assert!(failure.contains("plain-seed-1.report.json` was made with other arguments"), "{failure}");
        fs::remove_dir_all(&folder).unwrap();
    }
}
