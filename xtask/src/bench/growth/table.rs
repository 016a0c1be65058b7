//! The table of an axis, in Markdown: time per token (and, for rows of data, the part spent waiting for data) and peak
//! anonymous memory of each series, or why there are none.

use super::axis::Axis;
use super::run::{Measured, Series};
use super::{Outcome, Outcomes, outcome};
use crate::bench::measured::grouped;

/// One row per value of the axis.
pub(super) fn of(axis: &Axis, series: &[Series], outcomes: &Outcomes) -> String {
    let mut head = format!("| {} |", axis.title);
    for series in series {
        head += &format!(" {}, µs per token |", series.name());
        if axis.is_of_data {
            head += " of which data, µs |";
        }
        head += " MB |";
    }
    let columns = head.matches('|').count() - 1;
    let mut lines = vec![head, format!("|{}", "---|".repeat(columns))];
    for (value, point) in axis.points() {
        let cells = series.iter().filter_map(|series| outcome(outcomes, *series, point));
        let cells: String = cells.map(|outcome| cells_of(outcome, axis.is_of_data)).collect();
        lines.push(format!("| {} |{cells}", grouped(value)));
    }
    lines.join("\n")
}

fn cells_of(outcome: &Outcome, is_of_data: bool) -> String {
    let waiting = |text: &str| if is_of_data { format!(" {text} |") } else { String::new() };
    match outcome {
        Ok(Measured { microseconds, waiting: waited, megabytes }) => {
            format!(" {microseconds:.1} |{} {megabytes:.0} |", waiting(&format!("{waited:.2}")))
        }
        // A vertical bar would end the cell.
        Err(reason) => format!(" failed: {} |{} – |", reason.replace('|', "\\|"), waiting("–")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::growth::axis::{AXES, Point};

    fn outcomes(axis: &Axis, series: Series) -> impl Iterator<Item = (Series, Point, Outcome)> {
        axis.points().map(move |(value, point)| {
            let microseconds = value as f64 / 10.0 + 0.04;
            (series, point, Ok(Measured { microseconds, waiting: 0.126, megabytes: 600.4 }))
        })
    }

    #[test]
    fn a_row_has_time_and_memory_of_each_series_or_the_reason() {
        let [length, ..] = &AXES;
        let both = [Series::BrewF32, Series::PyTorchF32];
        let mut all: Outcomes = both.into_iter().flat_map(|series| outcomes(length, series)).collect();
        all.last_mut().unwrap().2 = Err("signal: 9 (SIGKILL): a|b".to_owned());
        let drawn = of(length, &both, &all);
        let lines: Vec<&str> = drawn.lines().collect();
        assert_eq!(
            lines[0],
            "| tokens per row | brew, f32, µs per token | MB | PyTorch, f32, µs per token | MB |"
        );
        assert_eq!(lines[1], "|---|---|---|---|---|");
        assert_eq!(lines[2], "| 32 | 3.2 | 600 | 3.2 | 600 |");
        assert_eq!(lines[6], "| 512 | 51.2 | 600 | failed: signal: 9 (SIGKILL): a\\|b | – |");
        assert_eq!(lines.len(), 7);
    }

    #[test]
    fn over_data_the_time_waiting_for_it_is_reported() {
        let [.., rows] = &AXES;
        let mut all: Outcomes = outcomes(rows, Series::BrewF32).collect();
        all[0].2 = Err("exit status: 1: no disk".to_owned());
        let drawn = of(rows, &[Series::BrewF32], &all);
        let lines: Vec<&str> = drawn.lines().collect();
        assert!(lines[0].contains("| of which data, µs |"), "{drawn}");
        assert_eq!(lines[1].matches("---").count(), 4);
        assert_eq!(lines[2], "| 1,000 | failed: exit status: 1: no disk | – | – |");
        assert_eq!(lines[5], "| 1,000,000 | 100000.0 | 0.13 | 600 |");
    }
}
