//! Progress on standard error: a bar on a terminal, a plain line every few seconds elsewhere.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::{Event, Observer, StepReport};

/// The minimum time between plain lines.
const QUIET: Duration = Duration::from_secs(10);

/// Shows steps, losses, examples and tokens per second, memory, and the time left.
#[derive(Debug)]
pub struct Progress {
    title: String,
    bar: Option<ProgressBar>,
    terminal: bool,
    started: Instant,
    /// The steps done by an earlier process.
    resumed: u64,
    last_line: Instant,
    last_losses: String,
    /// The last known tokens per second; empty if they are not counted.
    last_tokens: String,
}

impl Progress {
    /// Shows a run under this title.
    pub fn new(title: impl Into<String>) -> Self {
        let now = Instant::now();
        Progress {
            title: title.into(),
            bar: None,
            terminal: std::io::stderr().is_terminal(),
            started: now,
            resumed: 0,
            last_line: now,
            last_losses: String::new(),
            last_tokens: String::new(),
        }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| write_line(&self.title, text)),
            None => write_line(&self.title, text),
        }
    }

    fn step(&mut self, report: &StepReport) {
        if let Some(losses) = &report.losses {
            self.last_losses = losses_text(losses);
        }
        if let Some(speed) = report.tokens_per_second {
            self.last_tokens = format!("  {speed:.0} tokens/s");
        }
        let memory = report.memory.map(|bytes| format!("  {:.2} GB", bytes as f64 / 1e9)).unwrap_or_default();
        let message = format!(
            "{}  lr {:.2e}  {:.1} examples/s{}{memory}",
            self.last_losses, report.learning_rate, report.examples_per_second, self.last_tokens
        );
        if let Some(bar) = &self.bar {
            bar.set_position(report.step);
            bar.set_message(message);
        } else if self.last_line.elapsed() >= QUIET {
            self.last_line = Instant::now();
            let done = report.step.saturating_sub(self.resumed).max(1) as f64;
            let left =
                self.started.elapsed().as_secs_f64() / done * report.steps.saturating_sub(report.step) as f64;
            self.line(&format!("step {}/{}  {message}  {} left", report.step, report.steps, duration(left)));
        }
    }
}

impl Observer for Progress {
    fn on(&mut self, event: &Event<'_>) {
        match event {
            Event::Started { found, steps, epochs, .. } => {
                self.started = Instant::now();
                let epochs = epochs.map(|epochs| format!(", {epochs} epochs")).unwrap_or_default();
                self.line(&format!("{steps} steps{epochs}; checked on two rows:"));
                for line in *found {
                    self.line(&format!("  {line}"));
                }
                if self.terminal {
                    let bar = ProgressBar::new(*steps);
                    let template = "{prefix} {bar:24} {pos}/{len} steps  {msg}  {eta} left";
                    bar.set_style(
                        ProgressStyle::with_template(template)
                            .unwrap_or_else(|_| ProgressStyle::default_bar()),
                    );
                    bar.set_prefix(self.title.clone());
                    self.bar = Some(bar);
                }
            }
            Event::Resumed { step, checkpoint } => {
                self.resumed = *step;
                self.line(&format!("resuming after step {step}, from {}", checkpoint.display()));
                if let Some(bar) = &self.bar {
                    bar.set_position(*step);
                    bar.reset_eta();
                }
            }
            Event::Batch(_) => {}
            Event::Step(report) => self.step(report),
            Event::Evaluated { epoch, step, metric, value } => {
                self.line(&format!("step {step}, epoch {}: {metric} {value:.4}", epoch + 1));
            }
            Event::TeacherCache { step, report } => self.line(&format!(
                "step {step}: {} rows of {} from the cache, {} computed; it holds {} rows, {:.1} MB",
                report.found,
                report.name,
                report.computed,
                report.rows,
                report.bytes as f64 / 1e6
            )),
            Event::Saved(path) => self.line(&format!("wrote {}", path.display())),
            Event::Warning(text) => self.line(&format!("warning: {text}")),
            Event::Finished(summary) => {
                if let Some(bar) = self.bar.take() {
                    bar.finish_and_clear();
                }
                self.line(&format!(
                    "{} steps, {} examples in {} ({:.1} examples/s)",
                    summary.steps,
                    summary.examples,
                    duration(summary.seconds),
                    summary.examples_per_second
                ));
                if let Some(best) = &summary.best {
                    self.line(&format!("best: {:.4} after step {}", best.value, best.step));
                }
            }
        }
    }
}

/// A closed standard error must not stop a run.
fn write_line(title: &str, text: &str) {
    let _ = writeln!(std::io::stderr(), "{title}: {text}");
}

fn losses_text(losses: &[(String, f64)]) -> String {
    let mut text = String::new();
    for (name, value) in losses {
        let _ = write!(text, "{}{name} {value:.4}", if text.is_empty() { "" } else { ", " });
    }
    text
}

/// `1 h 02 min`, `3 min 20 s` or `4.2 s`.
fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..60 => format!("{:.1} s", seconds.max(0.0)),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}
