//! `report.html`: a finished run on one self-contained page.

mod chart;
mod plan;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Event, Observer, Summary};
use crate::disk;
use crate::error::{Error, Result};
use crate::plan::Plan;
use chart::{Series, chart};

/// Writes the page at the end of a run from `metrics.jsonl`: a curve for each loss and metric, a drawing of
/// the plan, and a table. The points come from the file, so a resumed run has one continuous curve.
#[derive(Debug)]
pub struct Report {
    metrics: PathBuf,
    page: PathBuf,
    plan: String,
    found: Vec<String>,
    warnings: Vec<String>,
}

impl Report {
    /// A report of the run with this metrics file, written to this page.
    pub fn new(metrics: impl Into<PathBuf>, page: impl Into<PathBuf>) -> Self {
        let (metrics, page) = (metrics.into(), page.into());
        Report { metrics, page, plan: String::new(), found: Vec::new(), warnings: Vec::new() }
    }

    fn write(&self, summary: &Summary) -> Result<()> {
        disk::write(&self.page, self.html(summary)?.as_bytes())
    }

    fn html(&self, summary: &Summary) -> Result<String> {
        let curves = curves(&self.metrics)?;
        let mut page = String::from(HEAD);
        let _ = write!(page, "<h1>A run of brew</h1>{}", table(summary));
        let (metrics, losses): (Vec<_>, Vec<_>) = curves.iter().partition(|curve| curve.is_metric);
        for (title, curves) in [("Metrics", metrics), ("Losses", losses)] {
            if !curves.is_empty() {
                let _ = write!(page, "<h2>{title}</h2><div class=\"charts\">");
                curves.iter().for_each(|curve| page.push_str(&chart(curve)));
                page.push_str("</div>");
            }
        }
        let _ = write!(page, "<h2>Plan</h2>{}", self.plan);
        for (title, lines) in [("Findings from two rows", &self.found), ("Warnings", &self.warnings)] {
            if !lines.is_empty() {
                let items: String = lines.iter().map(|line| format!("<li>{}</li>", escape(line))).collect();
                let _ = write!(page, "<h2>{title}</h2><ul>{items}</ul>");
            }
        }
        page.push_str("</body></html>\n");
        Ok(page)
    }
}

impl Observer for Report {
    fn on(&mut self, event: &Event<'_>) {
        match event {
            Event::Started { plan, found, .. } => {
                self.plan = plan::drawn(plan as &Plan);
                self.found = found.to_vec();
            }
            Event::Warning(text) => self.warnings.push((*text).to_owned()),
            Event::Finished(summary) => {
                if let Err(error) = self.write(summary) {
                    use std::io::Write as _;
                    let _ = writeln!(std::io::stderr(), "warning: no report: {error}");
                }
            }
            _ => {}
        }
    }
}

/// The curves of a metrics file, losses first, each in order of appearance.
fn curves(path: &Path) -> Result<Vec<Series>> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::file(path, error))?;
    let mut curves: Vec<Series> = Vec::new();
    let mut add = |name: &str, is_metric: bool, step: f64, value: f64| match curves
        .iter_mut()
        .find(|curve| curve.name == name && curve.is_metric == is_metric)
    {
        Some(curve) => curve.points.push((step, value)),
        None => curves.push(Series { name: name.to_owned(), is_metric, points: vec![(step, value)] }),
    };
    for (index, line) in text.lines().enumerate() {
        let line: Value = serde_json::from_str(line)
            .map_err(|error| Error::file(path, format!("line {}: {error}", index + 1)))?;
        let Some(step) = line["step"].as_f64() else { continue };
        let is_metric = line["event"] == "evaluation";
        let values = if is_metric { line.as_object() } else { line["losses"].as_object() };
        for (name, value) in values.into_iter().flatten() {
            if is_metric && matches!(name.as_str(), "event" | "step" | "epoch") {
                continue;
            }
            // A non-finite value cannot be drawn.
            if let Some(value) = value.as_f64() {
                add(name, is_metric, step, value);
            }
        }
        if let Some(rate) = line["learning_rate"].as_f64() {
            add("learning rate", false, step, rate);
        }
    }
    // In a JSON line the losses are sorted by name, but readers look for their sum first.
    curves.sort_by_key(|curve| match curve.name.as_str() {
        "total" => 0,
        "learning rate" => 2,
        _ => 1,
    });
    Ok(curves)
}

fn table(summary: &Summary) -> String {
    let mut rows = vec![
        ("optimizer steps", summary.steps.to_string()),
        ("examples", summary.examples.to_string()),
        ("seconds of training", format!("{:.1}", summary.seconds)),
        ("examples per second", format!("{:.1}", summary.examples_per_second)),
    ];
    if let (Some(tokens), Some(speed)) = (summary.tokens, summary.tokens_per_second) {
        rows.push(("tokens", tokens.to_string()));
        rows.push(("tokens per second", format!("{speed:.0}")));
    }
    if let Some(best) = &summary.best {
        rows.push(("best value", format!("{:.4} after step {}", best.value, best.step)));
    }
    let rows: String =
        rows.iter().map(|(name, value)| format!("<tr><th>{name}</th><td>{value}</td></tr>")).collect();
    format!("<table>{rows}</table>")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const HEAD: &str = "<!DOCTYPE html>
<html lang=\"en\"><head><meta charset=\"utf-8\"><title>A run of brew</title><style>
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 1100px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.5em; } h2 { font-size: 1.15em; margin-top: 2em; }
table { border-collapse: collapse; } th { text-align: left; font-weight: normal; color: #666; }
th, td { padding: .2em 1.5em .2em 0; border-bottom: 1px solid #ddd; } td { text-align: right; }
.charts { display: flex; flex-wrap: wrap; gap: 1em; } figure { margin: 0; } figcaption { font-size: .9em; }
svg text { font: 11px system-ui, sans-serif; fill: #555; } .plan { overflow-x: auto; }
</style></head><body>
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_points_of_the_curves_are_those_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let lines = [
            r#"{"event":"step","step":1,"epoch":0,"learning_rate":0.1,"losses":{"total":2.5,"kd <ce>":1.25}}"#,
            r#"{"event":"step","step":3,"epoch":0,"learning_rate":0.05,"losses":{"total":1.5,"kd <ce>":"NaN"}}"#,
            r#"{"event":"evaluation","step":3,"epoch":0,"accuracy":0.75}"#,
        ];
        std::fs::write(&path, lines.join("\n")).unwrap();
        let found = curves(&path).unwrap();
        let points = |name: &str| found.iter().find(|curve| curve.name == name).unwrap().points.clone();
        assert_eq!(points("total"), [(1.0, 2.5), (3.0, 1.5)]);
        assert_eq!(points("kd <ce>"), [(1.0, 1.25)]);
        assert_eq!(points("accuracy"), [(3.0, 0.75)]);
        assert_eq!(points("learning rate"), [(1.0, 0.1), (3.0, 0.05)]);

        let page = folder.path().join("report.html");
        let summary = Summary {
            steps: 3,
            examples: 12,
            tokens: Some(60),
            seconds: 1.0,
            examples_per_second: 12.0,
            tokens_per_second: Some(60.0),
            evaluations: vec![0.75],
            skipped: 0,
            best: None,
        };
        Report::new(&path, &page).write(&summary).unwrap();
        let html = std::fs::read_to_string(page).unwrap();
        for address in ["http:", "https:", "src=", "@import", "url("] {
            assert!(!html.contains(address), "the page fetches something: {address}");
        }
        assert!(html.contains("kd &lt;ce&gt;") && !html.contains("kd <ce>"));
        assert!(html.contains("data-points=\"1,2.5 3,1.5\""), "each curve holds its points");
    }
}
