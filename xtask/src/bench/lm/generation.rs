//! Generation: one greedy batch of prompts of different lengths.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::{Asked, bench_lm};
use crate::bench::measured::{number, parsed, parsed_or_reason, python};
use crate::failure::{AtPath, Failure, Result};

/// Times per side; the median counts.
const ROUNDS: &str = "3";

/// Seconds and tokens per second of each side, as Markdown.
pub(super) fn table(asked: &Asked, folder: &Path, place: &Path) -> Result<String> {
    let file = place.join("prompts.json");
    let prompts = prompts(asked.rows);
    std::fs::write(&file, serde_json::json!(prompts).to_string()).at("write", &file)?;
    let [new_tokens, threads] = [asked.new_tokens, asked.threads].map(|number| number.to_string());
    println!("brew writes {} x {new_tokens} tokens, {threads} threads", asked.rows);
    let mut ours = bench_lm();
    ours.args(["generate", "--new-tokens", &new_tokens, "--rounds", ROUNDS, "--threads", &threads]);
    let ours = parsed(ours.arg("--model").arg(folder).arg("--prompts").arg(&file))?;
    println!("transformers writes the same");
    let theirs = python("torch, transformers").and_then(|python| {
        let mut program = Command::new(python);
        program.args(["-c", include_str!("generate.py")]).arg(folder).arg(&file);
        program.args([&new_tokens, ROUNDS, &threads]);
        parsed_or_reason(program.env("HF_HUB_OFFLINE", "1").env("PYTHONWARNINGS", "ignore"))
    });
    let brew = number(&ours, "seconds")?;
    let tokens = (asked.rows * asked.new_tokens) as f64;
    let row = |name: &str, seconds: f64| {
        format!("| {name} | {seconds:.1} | {:.0} | {:.2} |", tokens / seconds, seconds / brew)
    };
    let mut lines = vec![
        format!(
            "| {} x {} tokens | seconds | tokens per second | against brew |",
            asked.rows, asked.new_tokens
        ),
        "|---|---|---|---|".to_owned(),
        row("brew", brew),
    ];
    match &theirs {
        Ok(theirs) => {
            for cache in ["static", "dynamic"] {
                let seconds = number(theirs.get("seconds").unwrap_or(&Value::Null), cache)?;
                let name = format!("transformers, {cache} cache");
                lines.push(row(&name, seconds));
                same(&ours, theirs, cache)?;
            }
        }
        Err(why) => println!("transformers is skipped: {why}"),
    }
    Ok(lines.join("\n"))
}

/// Prompts of 16 to 64 tokens. Which tokens they are takes no time.
fn prompts(rows: u64) -> Vec<Vec<u64>> {
    let prompt = |row: u64| {
        (0..16 + row * 48 / rows.max(2)).map(move |place| (row * 977 + place * 131) % 40_000 + 100)
    };
    (0..rows).map(|row| prompt(row).collect()).collect()
}

/// Both write the same tokens until scores are nearly equal: the first quarter of each answer must be.
fn same(ours: &Value, theirs: &Value, cache: &str) -> Result<()> {
    let rows = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let (ours, theirs) = (rows(ours.get("ids")), rows(theirs.get("ids").and_then(|ids| ids.get(cache))));
    let equal = |(ours, theirs): (&Value, &Value)| {
        let (ours, theirs) = (rows(Some(ours)), rows(Some(theirs)));
        let quarter = ours.len() / 4;
        ours.len() == theirs.len() && ours.get(..quarter) == theirs.get(..quarter)
    };
    match ours.len() == theirs.len() && ours.iter().zip(&theirs).all(equal) {
        true => Ok(()),
        false => Err(Failure::new(format!("brew and transformers ({cache} cache) write different tokens"))),
    }
}
