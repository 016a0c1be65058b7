//! One measurement: a process of brew or PyTorch at one point, with its saved report.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::axis::Point;
use super::{Asked, Outcome};
use crate::bench::measured::{number, parsed_or_reason};
use crate::bench::remembered::Remembered;
use crate::bench::step::{bench_step, step_of_pytorch};
use crate::failure::{AtPath, Result};
use crate::workspace;

/// Whose steps are measured, and in which precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Series {
    BrewF32,
    BrewBf16,
    PyTorchF32,
}

impl Series {
    /// The series' name in tables and charts.
    pub(super) fn name(self) -> &'static str {
        match self {
            Series::BrewF32 => "brew, f32",
            Series::BrewBf16 => "brew, bf16",
            Series::PyTorchF32 => "PyTorch, f32",
        }
    }

    fn key(self) -> &'static str {
        match self {
            Series::BrewF32 => "brew-f32",
            Series::BrewBf16 => "brew-bf16",
            Series::PyTorchF32 => "pytorch-f32",
        }
    }
}

/// What a run reports.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measured {
    /// Microseconds per token of the median step.
    pub(super) microseconds: f64,
    /// Of these, waiting for data, at the median.
    pub(super) waiting: f64,
    /// The peak of anonymous memory, in megabytes of 10^6 bytes.
    pub(super) megabytes: f64,
}

impl Measured {
    fn read(report: &Value, point: Point) -> Result<Measured> {
        let of_step = &report["milliseconds"];
        let a_token = |milliseconds: f64| 1e3 * milliseconds / point.tokens() as f64;
        Ok(Measured {
            microseconds: a_token(number(of_step, "step")?),
            waiting: a_token(number(of_step, "data")?),
            megabytes: number(report, "anonymous_megabytes")?,
        })
    }
}

/// A measurement to make, or a saved one.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) series: Series,
    pub(super) point: Point,
    report: Remembered,
    batches: PathBuf,
}

impl Run {
    pub(super) fn new(folder: &Path, series: Series, point: Point, asked: &Asked) -> Run {
        let name = format!("{}-{}", series.key(), point.key());
        let arguments = json!({ "steps": asked.steps, "warm_up": asked.warm_up, "threads": asked.threads });
        let batches = folder.join(format!("{}.safetensors", point.key()));
        Run { series, point, report: Remembered::new(folder, &name, arguments), batches }
    }

    /// What an earlier run measured.
    pub(super) fn found(&self) -> Result<Option<Measured>> {
        self.report.found()?.map(|report| Measured::read(&report, self.point)).transpose()
    }

    /// Measures and saves the report; only what would make the other runs fail too is an error.
    pub(super) fn measure(&self, folder: &Path, asked: &Asked, python: &Path) -> Result<Outcome> {
        // Otherwise brew would move the last run aside, a quarter of a gigabyte each time.
        let run = folder.join("run");
        if run.exists() {
            fs::remove_dir_all(&run).at("remove", &run)?;
        }
        let mut program = match self.series {
            Series::BrewF32 | Series::BrewBf16 => self.of_brew(folder, asked),
            Series::PyTorchF32 => self.of_pytorch(asked, python),
        };
        match parsed_or_reason(&mut program) {
            Ok(report) => {
                let measured = Measured::read(&report, self.point)?;
                self.report.keep(&report)?;
                Ok(Ok(measured))
            }
            Err(reason) => Ok(Err(reason)),
        }
    }

    fn of_brew(&self, folder: &Path, asked: &Asked) -> Command {
        let Point { length, batch, layers, rows } = self.point;
        let mut program = bench_step();
        program.arg("--minilm").arg(workspace::minilm()).arg("--run-dir").arg(folder);
        for (flag, value) in [
            ("--length", length),
            ("--batch", batch),
            ("--layers", layers),
            ("--teacher-layers", self.point.teacher_layers()),
            ("--synthetic-rows", rows),
            ("--steps", asked.steps),
            ("--warm-up", asked.warm_up),
            ("--threads", asked.threads),
        ] {
            program.args([flag, &value.to_string()]);
        }
        if self.series == Series::BrewBf16 {
            program.arg("--bf16");
        } else {
            // For PyTorch, which trains on the same batches.
            program.arg("--batches").arg(&self.batches);
        }
        program
    }

    fn of_pytorch(&self, asked: &Asked, python: &Path) -> Command {
        let [layers, warm_up, threads, teacher_layers] =
            [self.point.layers, asked.warm_up, asked.threads, self.point.teacher_layers()]
                .map(|number| number.to_string());
        let mut program = step_of_pytorch(python, &self.batches, [&layers, "f32", &warm_up, &threads]);
        program.arg(teacher_layers);
        program
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::growth::axis::BASE;

    #[test]
    fn times_are_of_one_token_in_microseconds() {
        let report = json!({"milliseconds": {"step": 204.8, "data": 0.512}, "anonymous_megabytes": 600.5});
        // A step of the base has 32 * 64 = 2,048 tokens.
        let expected = Measured { microseconds: 100.0, waiting: 0.25, megabytes: 600.5 };
        assert_eq!(Measured::read(&report, BASE), Ok(expected));
        let failure = Measured::read(&json!({"milliseconds": {"step": 1}}), BASE).unwrap_err().to_string();
        assert!(failure.contains("there is no number `data`"), "{failure}");
    }
}
