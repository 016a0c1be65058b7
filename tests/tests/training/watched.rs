//! What a run writes for its observers: TensorBoard events and the report.

use brew_core::prelude::*;
use brew_core::semantics::Semantics;
use tests::{alone, python, sentences};

use super::support::{Quiet, pipeline};

fn trained(run: &std::path::Path) {
    let (pipeline, _) = pipeline(Semantics::Exact, 0.0);
    Trainer::new(pipeline)
        .optimizer(AdamW::with_lr(0.01))
        .epochs(4)
        .log_every(2)
        .evaluate(sentences(1, 8, 9), Accuracy)
        .observe(Quiet)
        .run_dir(run)
        .run(sentences(3, 4, 5))
        .unwrap();
}

fn metrics(run: &std::path::Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_report_fetches_nothing_and_its_points_are_those_of_the_metrics() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    trained(&run);
    let page = std::fs::read_to_string(run.join("report.html")).unwrap();
    for address in ["http:", "https:", "src=", "@import", "url(", "<script", "<link"] {
        assert!(!page.contains(address), "the page fetches something: {address}");
    }
    let lines = metrics(&run);
    let series = |of: &dyn Fn(&serde_json::Value) -> Option<f64>| {
        let points =
            lines.iter().filter_map(|line| Some(format!("{},{}", line["step"].as_f64()?, of(line)?)));
        points.collect::<Vec<_>>().join(" ")
    };
    for name in ["total", "kd_ce", "hidden_mse_t2_s1", "hard_labels"] {
        let points = series(&|line| line["losses"][name].as_f64());
        assert!(points.split(' ').count() > 3);
        assert!(page.contains(&format!("data-points=\"{points}\"")), "{name}: {points}");
    }
    assert!(page.contains(&format!("data-points=\"{}\"", series(&|line| line["accuracy"].as_f64()))));
    assert!(
        page.contains("projection_hidden_mse_t2_s1") || page.contains("projection_hidden_mse_t2"),
        "the plan"
    );
    assert!(page.contains("<td>12</td>"), "the table has the steps");
}

// Python's tensorboard 2.x reads the file and checks every record's checksums.
const READ: &str = "
import sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1]); events.Reload()
for tag in sorted(events.Tags()['scalars']):
    print(tag, ' '.join(f'{e.step}:{e.value:.9g}' for e in events.Scalars(tag)))
";

#[test]
fn pythons_tensorboard_reads_the_events() {
    let Some(python) = python("pythons_tensorboard_reads_the_events", "import tensorboard") else { return };
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    trained(&run);
    let output = std::process::Command::new(&python)
        .arg("-c")
        .arg(READ)
        .arg(run.join("tensorboard"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let line = |tag: &str| {
        let line = told.lines().find_map(|line| line.strip_prefix(&format!("{tag} ")));
        line.unwrap_or_else(|| panic!("{tag} is not in\n{told}")).to_owned()
    };
    let lines = metrics(&run);
    for name in ["total", "kd_ce", "hard_labels"] {
        let found: Vec<(u64, f64)> = (line(&format!("loss/{name}")).split(' '))
            .map(|point| point.split_once(':').unwrap())
            .map(|(step, value)| (step.parse().unwrap(), value.parse().unwrap()))
            .collect();
        let expected: Vec<(u64, f64)> = (lines.iter())
            .filter_map(|line| Some((line["step"].as_u64()?, line["losses"][name].as_f64()?)))
            .collect();
        assert_eq!(found.len(), expected.len(), "{name}");
        for ((step, value), (expected_step, expected)) in found.iter().zip(&expected) {
            assert!(step == expected_step && (value - expected).abs() <= expected.abs() * 1e-6, "{name}");
        }
    }
    assert_eq!(line("metric/accuracy").split(' ').count(), 4);
    assert_eq!(line("learning_rate").split(' ').count(), line("loss/total").split(' ').count());
}
