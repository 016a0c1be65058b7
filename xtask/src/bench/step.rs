//! The time of a training step by its parts, next to plain PyTorch on the same batches, in the same session.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::bench::measured::{number, parsed, python};
use crate::failure::{Failure, Result};
use crate::{sentiment, setup, workspace};

/// What is measured, in this order.
pub(crate) const PRECISIONS: [&str; 2] = ["f32", "bf16"];

/// Layers of the student.
const LAYERS: &str = "3";

/// The rows of the table: a name, and the programs' name for the part.
const PARTS: [(&str, &str); 9] = [
    ("teacher, forward", "teacher"),
    ("student, forward", "student"),
    ("backward", "backward"),
    ("clip", "clip"),
    ("optimizer", "optimizer"),
    ("everything else", "rest"),
    ("of which losses", "loss"),
    ("of which data", "data"),
    ("**step**", "step"),
];

/// What was measured in one precision: brew's numbers, and PyTorch's if available.
struct Measured {
    precision: &'static str,
    ours: Value,
    theirs: Option<Value>,
}

/// `cargo xtask bench step`.
pub(crate) fn command(precision: Option<&str>, [steps, warm_up, threads]: [u64; 3]) -> Result<()> {
    setup::run()?;
    let folder = workspace::runs("step");
    let batches = folder.join("batches.safetensors");
    let python = python("safetensors, torch, transformers");
    if let Err(why) = &python {
        println!("PyTorch is skipped: {why}");
    }
    let [steps, warm_up, threads] = [steps, warm_up, threads].map(|number| number.to_string());
    let mut measured = Vec::new();
    for precision in PRECISIONS.into_iter().filter(|known| precision.is_none_or(|asked| asked == *known)) {
        println!("{steps} steps of brew in {precision}, {threads} threads");
        let mut program = bench_step();
        program.arg("--run-dir").arg(&folder).arg("--batches").arg(&batches);
        program.args(["--steps", &steps, "--warm-up", &warm_up, "--layers", LAYERS, "--threads", &threads]);
        program.args(sentiment::sources().iter().flat_map(|(flag, value)| [*flag, value.as_str()]));
        if precision == "bf16" {
            program.arg("--bf16");
        }
        let ours = parsed(&mut program)?;
        let theirs = match &python {
            Ok(python) => Some(of_pytorch(python, &batches, precision, [&warm_up, &threads])?),
            Err(_) => None,
        };
        measured.push(Measured { precision, ours, theirs });
        // After each precision, since the next may take long on a CPU without instructions for it.
        println!("\n{}\n", table(&measured)?);
    }
    Ok(())
}

fn of_pytorch(
    python: &Path,
    batches: &Path,
    precision: &str,
    [warm_up, threads]: [&str; 2],
) -> Result<Value> {
    println!("the same steps of PyTorch in {precision}");
    parsed(&mut step_of_pytorch(python, batches, [LAYERS, precision, warm_up, threads]))
}

/// The same steps in plain PyTorch: layers of the student, precision, warm-up steps, threads.
pub(super) fn step_of_pytorch(python: &Path, batches: &Path, arguments: [&str; 4]) -> Command {
    let mut program = Command::new(python);
    program.args(["-c", concat!(include_str!("memory.py"), include_str!("step.py"))]);
    program.arg(workspace::minilm()).arg(batches).args(arguments).env("HF_HUB_OFFLINE", "1");
    program
}

pub(super) fn bench_step() -> Command {
    let mut cargo = workspace::cargo();
    cargo.args(["run", "-q", "-p", "examples", "--bin", "bench_step", "--"]);
    cargo
}

/// Milliseconds of each part, the share of everything else, and memory.
fn table(measured: &[Measured]) -> Result<String> {
    let mut head = "| milliseconds per step |".to_owned();
    for Measured { precision, .. } in measured {
        head += &format!(" brew, {precision} | PyTorch, {precision} | PyTorch / brew |");
    }
    let mut lines = vec![head, format!("|{}", "---|".repeat(1 + 3 * measured.len()))];
    for (name, part) in PARTS {
        let cells = measured.iter().map(|measured| {
            let ours = milliseconds(&measured.ours, part)?;
            let theirs = measured.theirs.as_ref().map(|theirs| milliseconds(theirs, part)).transpose()?;
            Ok(cells(ours, theirs, 1))
        });
        lines.push(format!("| {name} |{}", cells.collect::<Result<String>>()?));
    }
    let shares = measured.iter().map(|measured| {
        let share = |value: &Value| Ok(100.0 * milliseconds(value, "rest")? / milliseconds(value, "step")?);
        let theirs = measured.theirs.as_ref().map(share).transpose()?;
        let theirs = theirs.map(|theirs| format!("{theirs:.1} %")).unwrap_or_default();
        Ok(format!(" {:.1} % | {theirs} | |", share(&measured.ours)?))
    });
    lines.push(format!("| everything else, of a step |{}", shares.collect::<Result<String>>()?));
    let memory = measured.iter().map(|measured| {
        let ours = number(&measured.ours, "peak_megabytes")?;
        let theirs = measured.theirs.as_ref().map(|theirs| number(theirs, "peak_megabytes")).transpose()?;
        Ok(cells(ours, theirs, 0))
    });
    lines.push(format!("| peak memory, MB |{}", memory.collect::<Result<String>>()?));
    Ok(lines.join("\n"))
}

/// brew's number, PyTorch's, and their ratio.
fn cells(ours: f64, theirs: Option<f64>, digits: usize) -> String {
    match theirs {
        Some(theirs) => format!(" {ours:.digits$} | {theirs:.digits$} | {:.2} |", theirs / ours),
        None => format!(" {ours:.digits$} | | |"),
    }
}

pub(super) fn milliseconds(measured: &Value, part: &str) -> Result<f64> {
    let all = measured.get("milliseconds");
    number(all.ok_or_else(|| Failure::new(format!("there is no `milliseconds` in {measured}")))?, part)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(step: f64, rest: f64) -> Value {
        let mut parts: serde_json::Map<String, Value> =
            PARTS.iter().map(|(_, part)| ((*part).to_owned(), json!(1.0))).collect();
        parts.insert("step".to_owned(), json!(step));
        parts.insert("rest".to_owned(), json!(rest));
        json!({"milliseconds": parts, "peak_megabytes": 512.2})
    }

    #[test]
    fn the_table_has_ratios_where_pytorch_was_measured() {
        let both = [
            Measured { precision: "f32", ours: of(200.0, 5.0), theirs: Some(of(300.0, 30.0)) },
            Measured { precision: "bf16", ours: of(100.0, 2.0), theirs: None },
        ];
        let drawn = table(&both).unwrap();
        for line in [
            "| **step** | 200.0 | 300.0 | 1.50 | 100.0 | | |",
            "| everything else, of a step | 2.5 % | 10.0 % | | 2.0 % |  | |",
            "| peak memory, MB | 512 | 512 | 1.00 | 512 | | |",
        ] {
            assert!(drawn.contains(line), "{line} is not in\n{drawn}");
        }
        let without = [Measured { precision: "f32", ours: json!({"milliseconds": {}}), theirs: None }];
        let failure = table(&without).unwrap_err().to_string();
        assert!(failure.contains("there is no number `teacher`"), "{failure}");
    }
}
