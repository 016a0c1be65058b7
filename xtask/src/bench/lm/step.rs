//! A training step: SmolLM2 of 30 layers teaches a student of 20.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::{Asked, bench_lm};
use crate::bench::measured::{number, parsed, parsed_or_reason, python};
use crate::failure::{Failure, Result};

/// The 20 layers of the largest block influence.
const LAYERS: &str = "0,1,4,5,6,7,8,9,10,11,18,19,20,21,22,23,24,27,28,29";

/// Megabytes of weights (30 layers of the teacher, 20 of the student, float32) and of AdamW's two moments: what no loop
/// can avoid. 134,515,008 and 99,107,904 parameters.
const UNAVOIDABLE: f64 = (134.515_008 + 3.0 * 99.107_904) * 4.0;

/// Each side's name, milliseconds per step and peak memory, as Markdown.
pub(super) fn table(asked: &Asked, folder: &Path, place: &Path) -> Result<String> {
    let batches = place.join("batches.safetensors");
    let [rows, length, steps, warm_up, threads] =
        [asked.rows, asked.length, asked.steps, asked.warm_up, asked.threads]
            .map(|number| number.to_string());
    println!("{steps} steps of brew, {rows} x {length} tokens, {threads} threads");
    let mut ours = bench_lm();
    ours.args(["step", "--layers", LAYERS, "--rows", &rows, "--length", &length, "--steps", &steps]);
    ours.args(["--warm-up", &warm_up, "--threads", &threads]).arg("--model").arg(folder);
    ours.arg("--batches").arg(&batches).arg("--run-dir").arg(place.join("step"));
    let ours = parsed(&mut ours)?;
    let mut sides = vec![("brew", Ok(ours))];
    for (name, modules, script) in [
        ("PyTorch by hand", "safetensors, torch, transformers", include_str!("step.py")),
        (
            "TRL's GKD, lambda 0 (no labels)",
            "datasets, transformers, trl.experimental.gkd",
            include_str!("gkd.py"),
        ),
    ] {
        println!("the same steps of {name}");
        let measured = python(modules).and_then(|python| {
            let mut program = Command::new(python);
            program.args(["-c", script]).arg(folder).arg(&batches).args([LAYERS, &warm_up, &threads]);
            parsed_or_reason(program.env("HF_HUB_OFFLINE", "1").env("PYTHONWARNINGS", "ignore"))
        });
        if let Err(why) = &measured {
            println!("{name} is skipped: {why}");
        }
        sides.push((name, measured));
    }
    agree(&sides)?;
    let mut lines = vec![
        "| training step | ms per step | against brew | peak memory, MB | over weights and optimizer | against brew |"
            .to_owned(),
        "|---|---|---|---|---|---|".to_owned(),
    ];
    let mut of_brew = None;
    for (name, measured) in &sides {
        let Ok(measured) = measured else {
            lines.push(format!("| {name} | not measured | | | | |"));
            continue;
        };
        let step = number(measured.get("milliseconds").unwrap_or(&Value::Null), "step")?;
        let peak = number(measured, "peak_megabytes")?;
        let over = peak - UNAVOIDABLE;
        let (ours, ours_over) = *of_brew.get_or_insert((step, over));
        lines.push(format!(
            "| {name} | {step:.0} | {:.2} | {peak:.0} | {over:.0} | {:.2} |",
            step / ours,
            over / ours_over
        ));
    }
    Ok(lines.join("\n"))
}

/// Both loops compute the same loss from the same batches, or the comparison is worth nothing.
fn agree(sides: &[(&str, Result<Value, String>)]) -> Result<()> {
    let losses = |side: usize| {
        let losses = sides.get(side)?.1.as_ref().ok()?.get("losses")?.as_array()?;
        losses.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>()
    };
    let (Some(ours), Some(theirs)) = (losses(0), losses(1)) else { return Ok(()) };
    let far = ours.iter().zip(&theirs).position(|(ours, theirs)| (ours - theirs).abs() > 1e-2 * theirs.abs());
    match far {
        None if ours.len() == theirs.len() => Ok(()),
        _ => Err(Failure::new(format!(
            "brew and PyTorch do not train the same: the losses per step are {ours:?} and {theirs:?}"
        ))),
    }
}
