//! What each of several ranks holds and sends, by formula: known before any of them starts.

use std::fmt;

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};

use super::gradients::share;
use super::tree;

/// What each rank of a run holds in memory, and what it sends in an optimizer step: see
/// [`Trainer::explain_on`](crate::train::Trainer::explain_on). Printed, it is a table.
///
/// With w ranks, all numbers are bytes, and 1 MB is 10^6 of them:
///
/// - weights: of the student with its buffers, of the teachers in the dtype that the run converts them to, and of what is
///   learned beside the student (projections, and what losses learn). A tensor with several names counts once.
/// - gradients: one number per weight that requires a gradient, in its dtype. Frozen weights have none.
/// - the optimizer's state: what the optimizer says it keeps for each of these weights.
/// - sent per step: 2 (w - 1) / w times the gradients, as in a ring; with
///   [`exact_sums`](crate::train::Trainer::exact_sums), (w - 1) times the gradients for each part of the sum that a rank
///   computes, which is one part if the batches of a step and the ranks are powers of two.
///
/// Every rank holds all of this: ranks divide the batches, not the weights. Not counted: activations, which depend on the
/// batch; the teachers' cache; the copies that a message needs; a few kilobytes of counts and comparisons per step.
/// Gradients count as dense: a table with a sparse gradient, as brew's encoders give their word embeddings on the CPU,
/// sends (w - 1) times the rows that the rank with the most of them used, each with its number (8 bytes), instead. A
/// weight that no loss reaches has no gradient and sends nothing.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Estimate {
    /// How many ranks there are.
    pub ranks: usize,
    /// The batches of an optimizer step, which the ranks divide.
    pub batches: usize,
    /// The student's weights and buffers.
    pub student: u64,
    /// Of the student's, those of frozen weights.
    pub frozen: u64,
    /// The weights of all teachers.
    pub teachers: u64,
    /// The weights learned beside the student.
    pub learned: u64,
    /// The gradients of everything that is trained.
    pub gradients: u64,
    /// The optimizer's name.
    pub optimizer: &'static str,
    /// The optimizer's state.
    pub optimizer_state: u64,
    /// What a rank sends in a step, and receives.
    pub sent: u64,
    /// Bytes per second, if given.
    pub bandwidth: Option<f64>,
    pub(crate) formula: String,
}

impl Estimate {
    /// Also tells the time that a step takes to send, at this many bytes per second in each direction between two ranks:
    /// 1.25e9 for a network of 10 Gbit/s.
    #[must_use]
    pub fn with_bandwidth(self, bytes_per_second: f64) -> Self {
        Estimate { bandwidth: Some(bytes_per_second), ..self }
    }

    /// The sum of everything that a rank holds.
    pub fn held(&self) -> u64 {
        self.student + self.teachers + self.learned + self.gradients + self.optimizer_state
    }

    /// The seconds that a step takes to send, if the bandwidth is known. The passes of a step come before it, so this is
    /// added to their time.
    pub fn seconds(&self) -> Option<f64> {
        self.bandwidth.map(|bandwidth| self.sent as f64 / bandwidth)
    }

    /// The same in one line.
    pub(crate) fn line(&self) -> String {
        let Estimate { ranks, batches, student, teachers, learned, gradients, .. } = self;
        let weights = megabytes(student + teachers + learned);
        format!(
            "{ranks} ranks divide the batches of a step ({batches}); each holds {weights} MB of weights, {} MB of gradients, and {} MB of optimizer state, and sends {} MB per step",
            megabytes(*gradients),
            megabytes(self.optimizer_state),
            megabytes(self.sent)
        )
    }

    /// "2 batches of each step", "2 or 3 batches".
    fn share(&self) -> String {
        let (least, most) = (self.batches / self.ranks, self.batches.div_ceil(self.ranks));
        if least == most { least.to_string() } else { format!("{least} or {most}") }
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        let ranks =
            if self.ranks == 1 { "1 rank".to_owned() } else { format!("each of {} ranks", self.ranks) };
        table.set_header([ranks.as_str(), "MB", "notes"]);
        let frozen = match self.frozen {
            0 => "with buffers".to_owned(),
            frozen => format!("with buffers; {} MB frozen", megabytes(frozen)),
        };
        let rows = [
            ("holds the student's weights", self.student, frozen),
            ("… the teachers' weights", self.teachers, String::new()),
            ("… weights learned beside the student", self.learned, "projections and losses".to_owned()),
            ("… gradients", self.gradients, String::new()),
            ("… optimizer state", self.optimizer_state, self.optimizer.to_owned()),
            ("together", self.held(), "without activations and the teachers' cache".to_owned()),
            ("sends per step", self.sent, self.formula.clone()),
        ];
        for (name, bytes, notes) in rows {
            table.add_row([name.to_owned(), megabytes(bytes), notes]);
        }
        if let (Some(seconds), Some(bandwidth)) = (self.seconds(), self.bandwidth) {
            let notes = format!("at {} MB/s, after the passes", megabytes(bandwidth as u64));
            table.add_row(["… in milliseconds".to_owned(), format!("{:.1}", seconds * 1e3), notes]);
        }
        if let Some(numbers) = table.column_mut(1) {
            numbers.set_cell_alignment(CellAlignment::Right);
        }
        writeln!(formatter, "{table}")?;
        let batches = if self.batches == 1 { "batch" } else { "batches" };
        writeln!(
            formatter,
            "a step has {} {batches}, of which a rank computes {}",
            self.batches,
            self.share()
        )
    }
}

/// The bytes that a rank sends in a step, and the formula in words.
pub(crate) fn sent(gradients: u64, batches: usize, ranks: usize, exact: bool) -> (u64, String) {
    let others = ranks.saturating_sub(1) as u64;
    if !exact {
        return (2 * others * gradients / ranks.max(1) as u64, "2 (w - 1) / w of the gradients".to_owned());
    }
    let parts = (0..ranks).map(|rank| tree::parts(share(batches, rank, ranks))).max().unwrap_or(0);
    let formula = match parts {
        1 => "(w - 1) times the gradients: exact sums".to_owned(),
        _ => format!("(w - 1) times the gradients, {parts} times: exact sums"),
    };
    (others * parts as u64 * gradients, formula)
}

/// With as many digits as a small number needs to be told from 0.
fn megabytes(bytes: u64) -> String {
    let megabytes = bytes as f64 / 1e6;
    match bytes {
        0 => "0".to_owned(),
        1..1_000 => format!("{megabytes:.6}"),
        1_000..1_000_000 => format!("{megabytes:.3}"),
        _ => format!("{megabytes:.1}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minilm() -> Estimate {
        Estimate {
            ranks: 4,
            batches: 6,
            student: 90_854_912,
            frozen: 0,
            teachers: 438_000_000,
            learned: 1_774,
            gradients: 90_854_912,
            optimizer: "adamw",
            optimizer_state: 181_709_824,
            sent: 136_282_368,
            bandwidth: None,
            formula: "2 (w - 1) / w of the gradients".to_owned(),
        }
    }

    #[test]
    fn the_table_has_every_number_and_the_time_at_a_bandwidth() {
        let text = minilm().with_bandwidth(1.25e9).to_string();
        for part in [
            "each of 4 ranks",
            " 90.9 ",
            " 438.0 ",
            " 0.002 ",
            " 181.7 ",
            " 136.3 ",
            " 109.0 ",
            "at 1250.0 MB/s",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(text.ends_with("a step has 6 batches, of which a rank computes 1 or 2\n"), "{text}");
        assert!(!minilm().to_string().contains("milliseconds"));
        assert_eq!(minilm().held(), 801_421_422);
    }
}
