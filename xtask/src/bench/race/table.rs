//! The table of a race: a row per way, with the medians of its seeds.

use serde_json::Value;

use super::fair::{dropout, steps};
use super::ways::{EXPERT, TEXTBREWER};
use super::{Asked, Run};
use crate::bench::measured::number;
use crate::failure::Result;

const HEAD: &str = "batches of 32, padded to their longest row | dropout | examples per second | after the first epoch | times TextBrewer | times the expert | seconds to TextBrewer's accuracy | anonymous memory | cache | accuracy | agreement | seeds |";

/// One row per way: medians over its seeds, and the largest memory.
pub(super) fn table(runs: &[Run], asked: Asked) -> Result<String> {
    let mut names: Vec<&str> = Vec::new();
    for run in runs {
        if !names.contains(&run.way.name) {
            names.push(run.way.name);
        }
    }
    let of = |wanted: &str| -> Vec<&Run> { runs.iter().filter(|run| run.way.name == wanted).collect() };
    let (textbrewer, expert) = (of(TEXTBREWER), of(EXPERT));
    let goal = median(&numbers(&textbrewer, "accuracy")?);
    let mut lines = vec![
        format!("| {} epochs, {} threads, float32 | {HEAD}", asked.epochs, asked.threads),
        format!("|{}", "---|".repeat(13)),
    ];
    for name in names {
        let all = of(name);
        let later = all.iter().filter_map(|run| after_the_first_epoch(&run.measured)).collect::<Vec<_>>();
        let most =
            |key: &str| all.iter().filter_map(|run| run.measured.get(key)?.as_f64()).fold(0.0, f64::max);
        let reached = goal.map(|goal| seconds_to(&all, goal)).unwrap_or_default();
        let cache = most("cached_bytes");
        let cache = if cache > 0.0 { format!("{:.0} MB", cache / 1e6) } else { String::new() };
        lines.push(format!(
            "| {name} | {} | {} | {} | {} | {} | {} | {reached} | {:.0} MB | {cache} | {} | {} | {} |",
            batches(&all),
            dropped(&all)?,
            shown(&numbers(&all, "examples_per_second")?, 1),
            shown(&later, 1),
            shown(&times(&all, &textbrewer)?, 2),
            shown(&times(&all, &expert)?, 2),
            most("anonymous_bytes") / 1e6,
            shown(&numbers(&all, "accuracy")?, 4),
            shown(&numbers(&all, "agreement")?, 4),
            all.len()
        ));
    }
    Ok(lines.join("\n"))
}

/// A way's speed divided by a peer's with the same seed, for each seed that both ran with: these ran one after the
/// other, on a machine whose speed may change within hours.
fn times(all: &[&Run], peer: &[&Run]) -> Result<Vec<f64>> {
    let both = all.iter().filter_map(|run| Some((run, peer.iter().find(|peer| peer.seed == run.seed)?)));
    let speed = |run: &Run| number(&run.measured, "examples_per_second");
    both.map(|(run, peer)| Ok(speed(run)? / speed(peer)?)).collect()
}

/// The probability of dropout, and in how many of the steps of all seeds the student dropped.
fn dropped(all: &[&Run]) -> Result<String> {
    let passes = all.iter().map(|run| number(dropout(&run.measured)?, "passes")).sum::<Result<f64>>()?;
    let steps = all.iter().map(|run| steps(&run.measured)).sum::<Result<f64>>()?;
    let probability = all.iter().map(|run| number(dropout(&run.measured)?, "hidden"));
    let probability = probability.collect::<Result<Vec<_>>>()?.into_iter().fold(0.0, f64::max);
    Ok(format!("{probability} in {passes} of {steps} steps"))
}

/// Examples per second in all epochs but the first, if there is another.
fn after_the_first_epoch(measured: &Value) -> Option<f64> {
    let evaluations = measured.get("evaluations")?.as_array()?;
    let (first, last) = (evaluations.first()?, evaluations.last()?);
    let later = 1.0 - first["step"].as_f64()? / last["step"].as_f64()?;
    let seconds = last["seconds"].as_f64()? - first["seconds"].as_f64()?;
    (later > 0.0).then_some(measured.get("examples")?.as_f64()? * later / seconds)
}

/// The way's batches, which all runs report alike.
fn batches<'v>(all: &[&'v Run]) -> &'v str {
    all.first().and_then(|run| run.measured.get("batches")?.as_str()).unwrap_or_default()
}

fn numbers(all: &[&Run], key: &str) -> Result<Vec<f64>> {
    all.iter().map(|run| number(&run.measured, key)).collect()
}

/// The median, if there are values; of an even number of them the mean of the middle two.
fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get(sorted.len().checked_sub(1)? / 2)?;
    Some((lower + upper) / 2.0)
}

/// The median with this many digits, or nothing.
fn shown(values: &[f64], digits: usize) -> String {
    median(values).map(|median| format!("{median:.digits$}")).unwrap_or_default()
}

/// The median time to the first evaluation that reached an accuracy, and how many seeds reached it if not all did.
fn seconds_to(all: &[&Run], accuracy: f64) -> String {
    let reached = |run: &&Run| {
        let mut evaluations = run.measured.get("evaluations")?.as_array()?.iter();
        evaluations.find(|found| found["accuracy"].as_f64() >= Some(accuracy))?["seconds"].as_f64()
    };
    let reached: Vec<f64> = all.iter().filter_map(reached).collect();
    let seconds = shown(&reached, 0);
    match reached.len() {
        0 => "–".to_owned(),
        some if some == all.len() => seconds,
        some => format!("{seconds} ({some} of {})", all.len()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::ways::WAYS;
    use super::*;

    fn run(way: usize, seed: u64, (speed, accuracy, cached): (f64, f64, f64)) -> Run {
        let measured = json!({
            "examples_per_second": speed, "accuracy": accuracy, "agreement": 0.9, "anonymous_bytes": 1e7 * speed,
            "cached_bytes": cached, "batches": "random", "examples": 1000,
            "dropout": {"hidden": 0.1, "attention": 0.1, "passes": 10},
            "evaluations": [
                {"step": 5, "accuracy": accuracy - 0.1, "seconds": 10.0},
                {"step": 10, "accuracy": accuracy, "seconds": 30.4},
            ],
        });
        Run { way: &WAYS[way], seed, measured }
    }

    #[test]
    fn a_row_has_the_medians_of_its_seeds_their_ratios_within_a_seed_and_the_most_memory() {
        let asked = Asked { seeds: 3, epochs: 2, rows: None, threads: 2, fresh: false };
        let runs = [
            run(0, 0, (40.0, 0.80, 0.0)),
            run(3, 0, (80.0, 0.82, 1e9)),
            run(4, 0, (20.0, 0.70, 0.0)),
            run(6, 1, (120.0, 0.82, 2.5e8)),
            run(0, 1, (60.0, 0.82, 0.0)),
            run(0, 2, (45.0, 0.81, 0.0)),
            run(6, 2, (100.0, 0.80, 2.5e8)),
        ];
        let drawn = table(&runs, asked).unwrap();
        for line in [
            "| 2 epochs, 2 threads, float32 | batches of 32",
            "| TextBrewer | random | 0.1 in 30 of 30 steps | 45.0 | 24.5 | 1.00 | 0.50 | 30 (2 of 3) | 600 MB |  | 0.8100 | 0.9000 | 3 |",
            "| expert, buckets, features kept | random | 0.1 in 10 of 10 steps | 80.0 | 24.5 | 2.00 | 1.00 | 30 | 800 MB | 1000 MB | 0.8200 | 0.9000 | 1 |",
            "| brew, random batches | random | 0.1 in 10 of 10 steps | 20.0 | 24.5 | 0.50 | 0.25 | – | 200 MB |  | 0.7000 | 0.9000 | 1 |",
            // 120 / 60 and 100 / 45; the expert did not run with these seeds.
            "| brew, buckets, cache filled | random | 0.1 in 20 of 20 steps | 110.0 | 24.5 | 2.11 |  | 30 (1 of 2) | 1200 MB | 250 MB | 0.8100 | 0.9000 | 2 |",
        ] {
            assert!(drawn.contains(line), "{line} is not in\n{drawn}");
        }
        let columns = drawn.lines().map(|line| line.matches('|').count()).collect::<Vec<_>>();
        assert!(columns.iter().all(|count| *count == columns[0]), "{drawn}");
        let alone = table(&runs[1..2], asked).unwrap();
        assert!(alone.contains("| 80.0 | 24.5 |  | 1.00 |  | 800 MB | 1000 MB | 0.8200 |"), "{alone}");
        let failure = table(&[Run { way: &WAYS[0], seed: 0, measured: json!({}) }], asked).err().unwrap();
        assert!(failure.to_string().contains("there is no number `accuracy`"), "{failure}");
    }

    #[test]
    fn one_epoch_has_no_speed_after_the_first() {
        let measured = json!({"examples": 100, "evaluations": [{"step": 5, "seconds": 3.0}]});
        assert_eq!(after_the_first_epoch(&measured), None);
    }
}
