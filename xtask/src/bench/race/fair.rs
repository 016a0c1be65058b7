//! Checks that the sides of a race did the same work.

use std::path::Path;

use serde_json::Value;

use super::Run;
use super::ways::{Keeps, Way};
use crate::bench::measured::number;
use crate::failure::{Failure, Result};

/// Refuses runs of which one trained without dropout, or differs from the first in steps, examples, dropout, or
/// teacher, and runs of several Pythons.
///
/// # Errors
///
/// All differences at once.
pub(super) fn fair(runs: &[Run]) -> Result<()> {
    let Some(first) = runs.first() else { return Ok(()) };
    let mut problems = Vec::new();
    let of_python = runs.iter().find(|run| run.measured.get("versions").is_some());
    for run in runs {
        let mut problem =
            |text: String| problems.push(format!("{} with seed {}: {text}", run.way.name, run.seed));
        let (steps, passes) = (steps(&run.measured)?, number(dropout(&run.measured)?, "passes")?);
        if passes != steps {
            problem(format!("{passes} passes with dropout in {steps} steps"));
        }
        let alike = [
            ("steps", steps, self::steps(&first.measured)?),
            ("examples", number(&run.measured, "examples")?, number(&first.measured, "examples")?),
            ("dropout of hidden states", of(run, "hidden")?, of(first, "hidden")?),
            ("dropout of attention", of(run, "attention")?, of(first, "attention")?),
        ];
        for (what, found, expected) in alike.into_iter().filter(|(_, found, expected)| found != expected) {
            problem(format!("{what}: {found}, but {expected} for {}", first.way.name));
        }
        let [own, other] = [Some(run), of_python].map(|run| run.and_then(|run| run.measured.get("versions")));
        if let (Some(own), Some(other)) = (own, other)
            && own != other
        {
            problem(format!(
                "it ran with {own}, but another with {other}: choose one with BREW_PYTHON and add --fresh"
            ));
        }
        let [ours, theirs] = [run, first].map(|run| number(&run.measured, "teacher_accuracy"));
        let (ours, theirs) = (ours?, theirs?);
        // Rounding may change the class of a row or two.
        if (ours - theirs).abs() > 0.002 {
            problem(format!("the teacher's accuracy is {ours}, but {theirs} for {}", first.way.name));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(Failure::all(problems)) }
}

/// Refuses what a way measured whose cache should have been full when it began, if the teacher ran after all.
///
/// # Errors
///
/// The number of rows that the cache lacked; the run has stored them.
pub(super) fn cache_was_full(way: &Way, measured: &Value, cache: &Path) -> Result<()> {
    let computed = if way.keeps == Keeps::Full { number(measured, "computed_rows")? } else { 0.0 };
    if computed == 0.0 {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{}: `{}` lacked {computed} rows, so the teacher ran. They are there now: start the race again",
        way.name,
        cache.display()
    )))
}

/// A probability of dropout that a run reported.
fn of(run: &Run, key: &str) -> Result<f64> {
    number(dropout(&run.measured)?, key)
}

/// What a run reported of its dropout.
pub(super) fn dropout(measured: &Value) -> Result<&Value> {
    measured.get("dropout").ok_or_else(|| Failure::new(format!("there is no `dropout` in {measured}")))
}

/// The steps before the last evaluation.
pub(super) fn steps(measured: &Value) -> Result<f64> {
    let last = measured.get("evaluations").and_then(Value::as_array).and_then(|all| all.last());
    number(last.ok_or_else(|| Failure::new(format!("there is no evaluation in {measured}")))?, "step")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::bench::race::ways::{Side, WAYS};

    fn run(passes: u64, hidden: f64, teacher: f64) -> Run {
        let measured = json!({
            "dropout": {"hidden": hidden, "attention": 0.1, "passes": passes}, "examples": 320,
            "teacher_accuracy": teacher, "evaluations": [{"step": 5}, {"step": 10}],
        });
        Run { way: &WAYS[0], seed: 2, measured }
    }

    #[test]
    fn a_run_without_dropout_or_with_other_dropout_or_another_teacher_is_refused() {
        assert_eq!(fair(&[run(10, 0.1, 0.86), run(10, 0.1, 0.8605)]), Ok(()));
        let failure = fair(&[run(10, 0.1, 0.86), run(5, 0.1, 0.86)]).unwrap_err().to_string();
        assert_eq!(failure, "xtask: TextBrewer with seed 2: 5 passes with dropout in 10 steps");
        let failure = fair(&[run(10, 0.1, 0.86), run(10, 0.0, 0.84)]).unwrap_err().to_string();
        for said in ["dropout of hidden states: 0, but 0.1 for TextBrewer", "accuracy is 0.84, but 0.86"] {
            assert!(failure.contains(said), "{said} is not in\n{failure}");
        }
        assert!(fair(&[Run { way: &WAYS[0], seed: 0, measured: json!({}) }]).is_err());
    }

    #[test]
    fn runs_of_two_pythons_are_refused() {
        let with = |versions: &str| {
            let mut run = run(10, 0.1, 0.86);
            run.measured["versions"] = versions.into();
            run
        };
        // brew's own runs report no Python.
        assert_eq!(fair(&[run(10, 0.1, 0.86), with("torch 2.11.0"), with("torch 2.11.0")]), Ok(()));
        let runs = [run(10, 0.1, 0.86), with("torch 2.11.0"), with("torch 2.10.0")];
        let failure = fair(&runs).unwrap_err().to_string();
        assert!(failure.contains(r#"ran with "torch 2.10.0", but another with "torch 2.11.0""#), "{failure}");
    }

    #[test]
    fn a_run_whose_cache_was_not_full_is_refused_before_it_is_remembered() {
        let of = |keeps: Keeps| WAYS.iter().find(|way| way.side == Side::Brew && way.keeps == keeps).unwrap();
        let check = |keeps, measured| cache_was_full(of(keeps), &measured, Path::new("cache-f32-0"));
        assert_eq!(check(Keeps::Full, json!({"computed_rows": 0})), Ok(()));
        assert_eq!(check(Keeps::Fills, json!({"computed_rows": 320})), Ok(()));
        let refused = check(Keeps::Full, json!({"computed_rows": 320})).unwrap_err().to_string();
        assert!(refused.contains("brew, buckets, cache full: `cache-f32-0` lacked 320 rows"), "{refused}");
        assert!(check(Keeps::Full, json!({})).is_err(), "a report without that number");
    }
}
