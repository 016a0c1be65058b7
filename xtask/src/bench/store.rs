//! The cost of the teacher store: storing a first epoch's features, and looking up batches of them.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::data::{BATCH, bench_data};
use crate::bench::measured::{number, parsed};
use crate::failure::{AtPath, Failure, Result};
use crate::sentiment;

/// What is stored, `bench_data`'s name for it, and how many rows: some hundred megabytes each.
const KEPT: [(&str, &str, &str); 3] = [
    ("2 logits, 4 hidden states, float32", "float32", "2048"),
    ("the same in bfloat16", "bfloat16", "2048"),
    ("8 greatest logits of each token", "top-logits", "65536"),
];

/// What is done with them, one process each: `bench_data`'s name, and the table's name for each pass.
const TURNS: [(&str, &[&str]); 3] = [
    ("write", &["write"]),
    ("sequential", &["read, sequential"]),
    ("shuffled", &["read, shuffled", "again, shuffled"]),
];

/// Measures in a folder that is removed again, and returns the table.
pub(super) fn table(folder: &Path) -> Result<String> {
    let mut lines = vec![
        "| teacher store, batches of 32 | | rows per second | MB per second | ms per batch | bytes per row | anonymous memory |"
            .to_owned(),
        "|---|---|---|---|---|---|---|".to_owned(),
    ];
    for (name, kept, rows) in KEPT {
        let place = folder.join(format!("store-{kept}"));
        let forget = || if place.exists() { fs::remove_dir_all(&place).at("remove", &place) } else { Ok(()) };
        forget()?;
        let measured = TURNS.map(|(turn, passes)| measure(&place, (name, kept), (turn, passes), rows));
        forget()?;
        for rows in measured {
            lines.extend(rows?);
        }
    }
    Ok(lines.join("\n"))
}

fn measure(
    place: &Path,
    (name, kept): (&str, &str),
    (turn, passes): (&str, &[&str]),
    rows: &str,
) -> Result<Vec<String>> {
    println!("teacher store, {name}: {turn}, {}", sentiment::shown(place));
    let mut program = bench_data();
    program.arg("store").arg(place).args(["--kept", kept, "--turn", turn, "--rows", rows, "--batch", BATCH]);
    let measured = parsed(&mut program)?;
    passes.iter().enumerate().map(|(number, pass)| row(name, pass, number, &measured)).collect()
}

/// One row of the table: one measured pass.
fn row(name: &str, pass: &str, index: usize, measured: &Value) -> Result<String> {
    let of_pass = measured.get("passes").and_then(|passes| passes.get(index));
    let of_pass = of_pass.ok_or_else(|| Failure::new(format!("there is no pass {index} in {measured}")))?;
    Ok(format!(
        "| {name} | {pass} | {:.0} | {:.0} | {:.1} | {:.0} | {:.0} MB |",
        number(of_pass, "rows_per_second")?,
        number(of_pass, "megabytes_per_second")?,
        number(of_pass, "milliseconds_a_batch")?,
        number(measured, "bytes_a_row")?,
        number(measured, "anonymous_megabytes")?
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_is_one_pass_of_what_was_measured() {
        let pass =
            json!({"rows_per_second": 1990.1, "megabytes_per_second": 556.6, "milliseconds_a_batch": 16.08});
        let measured = json!({"passes": [pass], "bytes_a_row": 279_892.2, "anonymous_megabytes": 119.1});
        let expected = "| a | write | 1990 | 557 | 16.1 | 279892 | 119 MB |";
        assert_eq!(row("a", "write", 0, &measured), Ok(expected.to_owned()));
        let failure = row("a", "write", 1, &measured).unwrap_err().to_string();
        assert!(failure.contains("there is no pass 1 in"), "{failure}");
    }
}
