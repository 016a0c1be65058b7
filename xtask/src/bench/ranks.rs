//! The same training step on one rank with all threads, and on several with a thread each: what dividing a step gains, and
//! what sending the gradients costs.

use std::process::{Command, Stdio};

use serde_json::Value;

use super::measured::{number, parsed};
use super::step::{bench_step, milliseconds};
use crate::failure::{Failure, Result};
use crate::{process, sentiment, setup, workspace};

/// The rows of the table: a name, and the program's name for the part.
const PARTS: [(&str, &str); 7] = [
    ("teacher, forward", "teacher"),
    ("student, forward", "student"),
    ("backward", "backward"),
    ("sums over ranks", "all_reduce"),
    ("clip", "clip"),
    ("optimizer", "optimizer"),
    ("**step**", "step"),
];

/// `cargo xtask bench ranks`.
pub(crate) fn command(count: usize, [steps, warm_up]: [u64; 2]) -> Result<()> {
    if count < 2 {
        return Err(Failure::new("compare one rank with at least 2"));
    }
    setup::run()?;
    println!("{steps} steps of {count} batches on one rank with {count} threads");
    let alone = parsed(&mut program(count, [steps, warm_up], count))?;
    println!("the same on {count} ranks with one thread each");
    let several = on_ranks(count, &program(count, [steps, warm_up], 1))?;
    println!("\n{}", table(count, &alone, &several)?);
    println!("\nThe ranks share one machine: its cores compute, and also carry the gradients.");
    Ok(())
}

fn program(batches: usize, [steps, warm_up]: [u64; 2], threads: usize) -> Command {
    let mut program = bench_step();
    program.arg("--run-dir").arg(workspace::runs("ranks"));
    program.args(["--accumulate", &batches.to_string(), "--threads", &threads.to_string()]);
    program.args(["--steps", &steps.to_string(), "--warm-up", &warm_up.to_string()]);
    program.args(sentiment::sources().iter().flat_map(|(flag, value)| [*flag, value.as_str()]));
    program
}

/// What rank 0 measured.
fn on_ranks(count: usize, program: &Command) -> Result<Value> {
    let own = std::env::current_exe().map_err(|error| Failure::new(format!("where am I? {error}")))?;
    let mut launcher = Command::new(own);
    launcher.args(["ranks", &count.to_string(), "--"]).arg(program.get_program()).args(program.get_args());
    // All ranks compute with as many threads, so that they round alike.
    launcher.env("OMP_NUM_THREADS", "1").stderr(Stdio::inherit());
    let output = launcher.output().map_err(|error| process::not_started(&launcher, &error))?;
    if !output.status.success() {
        return Err(process::failed(&launcher, output.status));
    }
    of_rank_0(&String::from_utf8_lossy(&output.stdout))
}

/// The line of JSON among what all ranks printed.
fn of_rank_0(printed: &str) -> Result<Value> {
    let lines = printed.lines().filter_map(|line| line.strip_prefix("[0] "));
    let found = lines.filter_map(|line| serde_json::from_str(line).ok()).next_back();
    found.ok_or_else(|| Failure::new(format!("rank 0 printed no measurement:\n{printed}")))
}

fn table(count: usize, alone: &Value, several: &Value) -> Result<String> {
    let mut lines = vec![
        format!("| milliseconds per step | 1 rank, {count} threads | {count} ranks, 1 thread each | ratio |"),
        "|---|---|---|---|".to_owned(),
    ];
    for (name, part) in PARTS {
        let (one, other) = (milliseconds(alone, part)?, milliseconds(several, part)?);
        let ratio = if part == "all_reduce" { String::new() } else { format!("{:.2}", one / other) };
        lines.push(format!("| {name} | {one:.1} | {other:.1} | {ratio} |"));
    }
    let sent = number(several, "sent_megabytes")?;
    lines.push(format!("| sent per rank, MB, if dense | 0 | {sent:.1} | |"));
    Ok(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_table_compares_each_part() {
        let of = |value: f64, sent: f64| {
            let parts: serde_json::Map<String, Value> =
                PARTS.iter().map(|(_, part)| ((*part).to_owned(), json!(value))).collect();
            json!({"milliseconds": parts, "sent_megabytes": sent})
        };
        let drawn = table(2, &of(30.0, 0.0), &of(20.0, 90.9)).unwrap();
        for line in [
            "| backward | 30.0 | 20.0 | 1.50 |",
            "| sums over ranks | 30.0 | 20.0 |  |",
            "| sent per rank, MB, if dense | 0 | 90.9 | |",
        ] {
            assert!(drawn.contains(line), "{line} is not in\n{drawn}");
        }
    }

    #[test]
    fn rank_0s_measurement_is_found_among_the_output_of_all() {
        let printed = "[1] {\"a\": 1}\n[0] warming up\n[0] {\"a\": 2}\n[1] done\n";
        assert_eq!(of_rank_0(printed).unwrap(), json!({"a": 2}));
        assert!(of_rank_0("[0] nothing").unwrap_err().to_string().contains("no measurement"));
    }
}
