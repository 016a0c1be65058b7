//! The table of accuracies, in Markdown as the README shows it.

use std::fmt::Write;

/// Accuracies of the two students with one seed, between 0 and 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seed {
    pub(crate) seed: u64,
    pub(crate) plain: f64,
    pub(crate) distilled: f64,
}

/// What the reader must know to judge the numbers.
///
/// sqrt(p (1 - p) / n) with p = 0.84 and n = 1,057 is 0.0113.
const CAVEAT: &str = "\
Accuracies are over the 1,057 reviews of the dev split. The standard error of one accuracy is 1.1 points, so the \
difference for a single seed says little.";

/// One row per seed, their means, and the teacher's accuracy above.
pub(crate) fn accuracies(teacher: f64, seeds: &[Seed]) -> String {
    let mut table = format!("Accuracy of the teacher: {teacher:.3}\n\n");
    table += "| seed | plain student | distilled student | difference in points |\n";
    table += "|---|---|---|---|\n";
    for seed in seeds {
        push_row(&mut table, &seed.seed.to_string(), seed.plain, seed.distilled);
    }
    let mean = |accuracy: fn(&Seed) -> f64| seeds.iter().map(accuracy).sum::<f64>() / seeds.len() as f64;
    push_row(&mut table, "mean", mean(|seed| seed.plain), mean(|seed| seed.distilled));
    table + "\n" + CAVEAT
}

fn push_row(table: &mut String, name: &str, plain: f64, distilled: f64) {
    let points = 100.0 * (distilled - plain);
    // Writing to a String cannot fail.
    let _ = writeln!(table, "| {name} | {plain:.3} | {distilled:.3} | {points:+.1} |");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_row_a_seed_and_the_means() {
        let seeds = [
            Seed { seed: 0, plain: 0.820, distilled: 0.835 },
            Seed { seed: 1, plain: 0.830, distilled: 0.826 },
            Seed { seed: 2, plain: 0.810, distilled: 0.829 },
        ];
        let table = accuracies(0.8531, &seeds);
        let rows: Vec<&str> = table.lines().collect();
        assert_eq!(
            rows[..8],
            [
                "Accuracy of the teacher: 0.853",
                "",
                "| seed | plain student | distilled student | difference in points |",
                "|---|---|---|---|",
                "| 0 | 0.820 | 0.835 | +1.5 |",
                "| 1 | 0.830 | 0.826 | -0.4 |",
                "| 2 | 0.810 | 0.829 | +1.9 |",
                "| mean | 0.820 | 0.830 | +1.0 |",
            ]
        );
        assert!(table.contains("standard error of one accuracy is 1.1 points"));
    }
}
