//! Speed and memory of the loader and the teacher store; the loader next to Python's `datasets` and PyTorch's DataLoader
//! on the same file.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::bench::measured::{number, parsed, python};
use crate::bench::store;
use crate::failure::{AtPath, Failure, Result};
use crate::{machine, process, sentiment, setup, workspace};

/// Rows per batch.
pub(super) const BATCH: &str = "32";

/// The small table, in megabytes.
const SMALL: u64 = 100;

/// What is measured on the small table: a name, `bench_data`'s order, and Python's if it has one.
const WAYS: [(&str, &str, &str, Option<&str>); 5] = [
    ("Arrow, mapped, sequential", "tokens.arrow", "sequential", Some("sequential")),
    ("Arrow, mapped, shuffled", "tokens.arrow", "shuffled", Some("shuffled")),
    ("Arrow, mapped, shuffled and bucketed", "tokens.arrow", "bucketed", None),
    ("Arrow, mapped, shuffled in blocks", "tokens.arrow", "blocks", None),
    ("Parquet, shuffled", "tokens.parquet", "shuffled", None),
];

/// `cargo xtask bench data`.
pub(crate) fn command(gigabytes: Option<u64>, seconds: f64) -> Result<()> {
    setup::run()?;
    let folder = workspace::runs("data");
    fs::create_dir_all(&folder).at("create", &folder)?;
    let python = python("datasets, pyarrow, torch");
    if let Err(why) = &python {
        println!("Python's loader is skipped: {why}");
    }
    for file in ["tokens.arrow", "tokens.parquet"] {
        make(&folder.join(file), SMALL)?;
    }
    let mut lines = vec![
        "| batches of 32 | rows per second | Python's loader | times Python's | anonymous memory | resident |"
            .to_owned(),
        "|---|---|---|---|---|---|".to_owned(),
    ];
    for (name, file, way, of_python) in WAYS {
        let path = folder.join(file);
        let ours = read(&path, way, seconds)?;
        let theirs = match (of_python, &python) {
            (Some(way), Ok(python)) => Some(read_in_python(python, &path, way, seconds)?),
            _ => None,
        };
        lines.push(row(name, &ours, theirs)?);
    }
    let of_store = store::table(&folder)?;
    println!("\n{}\n\n{of_store}", lines.join("\n"));
    if let Some(gigabytes) = gigabytes {
        println!("\n{}", large(&folder, gigabytes, seconds)?);
    }
    Ok(())
}

/// The memory of a large table next to that of the small one; the large file is removed again.
fn large(folder: &Path, gigabytes: u64, seconds: f64) -> Result<String> {
    let path = folder.join("large.arrow");
    if let Some(problem) = machine::disk_problem(folder, gigabytes * 1000 + 1000) {
        return Err(Failure::new(problem));
    }
    let measured = make(&path, gigabytes * 1000).and_then(|()| {
        ["sequential", "shuffled", "bucketed"]
            .map(|way| compared(folder, &path, way, seconds))
            .into_iter()
            .collect::<Result<Vec<_>>>()
    });
    fs::remove_file(&path).at("remove", &path)?;
    let mut lines = vec![
        format!(
            "| {gigabytes} GB beside {SMALL} MB | rows | first batch after | rows per second | anonymous memory | of the small one | allowed |"
        ),
        "|---|---|---|---|---|---|---|".to_owned(),
    ];
    lines.extend(measured?);
    Ok(lines.join("\n"))
}

/// One row of the memory table: 50 MB and 4 bytes per row more than the small table are allowed.
fn compared(folder: &Path, path: &Path, way: &str, seconds: f64) -> Result<String> {
    let small = read(&folder.join("tokens.arrow"), way, seconds)?;
    let large = read(path, way, seconds)?;
    let rows = number(&large, "table_rows")?;
    let before = number(&small, "anonymous_megabytes")?;
    let of_rows = if way == "sequential" { 0.0 } else { 4.0 * rows / 1e6 };
    Ok(format!(
        "| {way} | {rows:.0} | {:.1} s | {:.0} | {:.0} MB | {before:.0} MB | {:.0} MB |",
        number(&large, "first_batch_seconds")?,
        number(&large, "rows_per_second")?,
        number(&large, "anonymous_megabytes")?,
        before + 50.0 + of_rows
    ))
}

fn row(name: &str, ours: &Value, theirs: Option<f64>) -> Result<String> {
    let speed = number(ours, "rows_per_second")?;
    let (of_python, times) = match theirs {
        Some(theirs) => (format!("{theirs:.0}"), format!("{:.1}", speed / theirs)),
        None => ("".to_owned(), "".to_owned()),
    };
    Ok(format!(
        "| {name} | {speed:.0} | {of_python} | {times} | {:.0} MB | {:.0} MB |",
        number(ours, "anonymous_megabytes")?,
        number(ours, "resident_megabytes")?
    ))
}

fn make(path: &Path, megabytes: u64) -> Result<()> {
    println!("writing {megabytes} MB of token ids: {}", sentiment::shown(path));
    process::run(bench_data().arg("make").arg(path).args(["--megabytes", &megabytes.to_string()]))
}

/// What `bench_data` measures, in a separate process.
fn read(path: &Path, way: &str, seconds: f64) -> Result<Value> {
    println!("reading {}, {way}", sentiment::shown(path));
    let mut program = bench_data();
    program.arg("read").arg(path).args(["--way", way, "--batch", BATCH, "--seconds", &seconds.to_string()]);
    parsed(&mut program)
}

/// Rows per second of Python's loader, with zero or two worker processes, whichever is faster.
fn read_in_python(python: &Path, path: &Path, way: &str, seconds: f64) -> Result<f64> {
    let mut best = 0.0_f64;
    for workers in ["0", "2"] {
        println!("reading {}, {way}, in Python with {workers} workers", sentiment::shown(path));
        let mut program = Command::new(python);
        program.args(["-c", include_str!("data.py")]).arg(path);
        program.args([way, BATCH, &seconds.to_string(), workers]);
        best = best.max(number(&parsed(&mut program)?, "rows_per_second")?);
    }
    Ok(best)
}

pub(super) fn bench_data() -> Command {
    let mut cargo = workspace::cargo();
    cargo.args(["run", "-q", "-p", "examples", "--bin", "bench_data", "--"]);
    cargo
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_has_the_ratio_where_python_was_measured() {
        let ours =
            json!({"rows_per_second": 250_000.4, "anonymous_megabytes": 41.6, "resident_megabytes": 150.0});
        assert_eq!(
            row("a", &ours, Some(10_000.0)),
            Ok("| a | 250000 | 10000 | 25.0 | 42 MB | 150 MB |".to_owned())
        );
        assert_eq!(row("a", &ours, None), Ok("| a | 250000 |  |  | 42 MB | 150 MB |".to_owned()));
        let failure = row("a", &json!({}), None).unwrap_err().to_string();
        assert!(failure.contains("there is no number `rows_per_second` in {}"), "{failure}");
    }
}
