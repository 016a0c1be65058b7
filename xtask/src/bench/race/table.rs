//! The table of a race: a row per way, with the means of its seeds.

use serde_json::Value;

use super::Asked;
use crate::bench::measured::number;
use crate::failure::Result;

/// One row per way: means over its seeds, and the largest memory.
pub(super) fn table(rows: &[(&str, Value)], asked: Asked) -> Result<String> {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in rows {
        if !names.contains(name) {
            names.push(name);
        }
    }
    let of = |wanted: &str| -> Vec<&Value> {
        rows.iter().filter(|(name, _)| *name == wanted).map(|(_, measured)| measured).collect()
    };
    let theirs = of("TextBrewer");
    let goal = if theirs.is_empty() { None } else { Some(mean(&theirs, "accuracy")?) };
    let mut lines = vec![
        format!(
            "| {} epochs, {} threads | dtype | batches of 32, padded to their longest row | examples per second | times TextBrewer | seconds to TextBrewer's accuracy | anonymous memory | cache | accuracy | agreement | seeds |",
            asked.epochs, asked.threads
        ),
        format!("|{}", "---|".repeat(11)),
    ];
    for name in names {
        let all = of(name);
        let speed = mean(&all, "examples_per_second")?;
        let times = times(&all, &theirs)?.map(|times| format!("{times:.2}")).unwrap_or_default();
        let reached = goal.map(|goal| seconds_to(&all, goal)).unwrap_or_default();
        let cache =
            all.iter().filter_map(|measured| measured.get("cached_bytes")?.as_f64()).fold(0.0, f64::max);
        let cache = if cache > 0.0 { format!("{:.0} MB", cache / 1e6) } else { String::new() };
        let memory = all.iter().map(|measured| number(measured, "anonymous_bytes"));
        let memory = memory.collect::<Result<Vec<_>>>()?.into_iter().fold(0.0, f64::max);
        lines.push(format!(
            "| {name} | {} | {} | {speed:.1} | {times} | {reached} | {:.0} MB | {cache} | {:.4} | {:.4} | {} |",
            told(&all, "dtype"),
            told(&all, "batches"),
            memory / 1e6,
            mean(&all, "accuracy")?,
            mean(&all, "agreement")?,
            all.len()
        ));
    }
    Ok(lines.join("\n"))
}

/// The mean over the seeds of a way's speed divided by TextBrewer's with the same seed: these ran one after the other, on
/// a machine whose speed may change within hours.
fn times(all: &[&Value], theirs: &[&Value]) -> Result<Option<f64>> {
    let ratios = all.iter().zip(theirs).map(|(ours, theirs)| {
        Ok(number(ours, "examples_per_second")? / number(theirs, "examples_per_second")?)
    });
    let ratios = ratios.collect::<Result<Vec<f64>>>()?;
    Ok((!ratios.is_empty()).then(|| ratios.iter().sum::<f64>() / ratios.len() as f64))
}

fn mean(all: &[&Value], key: &str) -> Result<f64> {
    Ok(all.iter().map(|measured| number(measured, key)).sum::<Result<f64>>()? / all.len() as f64)
}

/// What all runs of a way report alike.
fn told<'v>(all: &[&'v Value], key: &str) -> &'v str {
    all.first().and_then(|measured| measured.get(key)?.as_str()).unwrap_or_default()
}

/// The mean time to the first evaluation that reached an accuracy, and how many seeds reached it if not all did.
fn seconds_to(all: &[&Value], accuracy: f64) -> String {
    let reached = |measured: &Value| {
        let mut evaluations = measured.get("evaluations")?.as_array()?.iter();
        evaluations.find(|found| found["accuracy"].as_f64() >= Some(accuracy))?["seconds"].as_f64()
    };
    let reached: Vec<f64> = all.iter().filter_map(|measured| reached(measured)).collect();
    let mean = reached.iter().sum::<f64>() / reached.len() as f64;
    match reached.len() {
        0 => "–".to_owned(),
        some if some == all.len() => format!("{mean:.0}"),
        some => format!("{mean:.0} ({some} of {})", all.len()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::bench::race::Asked;

    use super::table;

    fn run(speed: f64, accuracy: f64, cached: f64) -> Value {
        json!({
            "examples_per_second": speed, "accuracy": accuracy, "agreement": 0.9, "anonymous_bytes": 1e7 * speed,
            "cached_bytes": cached, "dtype": "float32", "batches": "random",
            "evaluations": [{"accuracy": accuracy - 0.1, "seconds": 10.0}, {"accuracy": accuracy, "seconds": 20.4}],
        })
    }

    #[test]
    fn a_row_has_the_means_of_its_seeds_their_ratios_and_the_most_memory() {
        let asked = Asked { seeds: 2, epochs: 3, rows: None, threads: 2, fresh: false };
        let rows = [
            ("TextBrewer", run(40.0, 0.80, 0.0)),
            ("brew", run(100.0, 0.82, 2.5e8)),
            ("slow", run(20.0, 0.70, 0.0)),
            ("TextBrewer", run(60.0, 0.82, 0.0)),
        ];
        let drawn = table(&rows, asked).unwrap();
        for line in [
            "| TextBrewer | float32 | random | 50.0 | 1.00 | 20 (1 of 2) | 600 MB |  | 0.8100 | 0.9000 | 2 |",
            "| brew | float32 | random | 100.0 | 2.50 | 20 | 1000 MB | 250 MB | 0.8200 | 0.9000 | 1 |",
            "| slow | float32 | random | 20.0 | 0.50 | – | 200 MB |  | 0.7000 | 0.9000 | 1 |",
        ] {
            assert!(drawn.contains(line), "{line} is not in\n{drawn}");
        }
        let alone = table(&rows[1..2], asked).unwrap();
        assert!(alone.contains("| 100.0 |  |  | 1000 MB | 250 MB | 0.8200 |"), "{alone}");
        let failure = table(&[("brew", json!({}))], asked).unwrap_err().to_string();
        assert!(failure.contains("there is no number `examples_per_second`"), "{failure}");
    }
}
