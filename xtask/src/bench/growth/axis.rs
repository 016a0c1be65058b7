//! What is varied, one size at a time, and what stays fixed meanwhile.

use crate::bench::measured::grouped;

/// The sizes of one measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Point {
    /// Tokens per row.
    pub(super) length: u64,
    /// Rows per batch.
    pub(super) batch: u64,
    /// Layers of the student; the teacher has twice as many.
    pub(super) layers: u64,
    /// Rows of data.
    pub(super) rows: u64,
}

/// The point that all axes share.
pub(super) const BASE: Point = Point { length: 64, batch: 32, layers: 3, rows: 10_000 };

/// One size to vary.
#[derive(Debug)]
pub(super) struct Axis {
    /// The name in the chart's file.
    pub(super) name: &'static str,
    /// What its values count, for titles.
    pub(super) title: &'static str,
    pub(super) values: &'static [u64],
    /// The base with another value.
    at: fn(u64) -> Point,
    /// Whether it varies the data: then PyTorch is not compared, and the time waiting for data is reported.
    pub(super) is_of_data: bool,
}

pub(super) const AXES: [Axis; 4] = [
    Axis {
        name: "length",
        title: "tokens per row",
        values: &[32, 64, 128, 256, 512],
        at: |length| Point { length, ..BASE },
        is_of_data: false,
    },
    Axis {
        name: "batch",
        title: "rows per batch",
        values: &[8, 16, 32, 64, 128],
        at: |batch| Point { batch, ..BASE },
        is_of_data: false,
    },
    Axis {
        name: "layers",
        title: "layers of the student",
        values: &[2, 3, 4, 6, 8, 12],
        at: |layers| Point { layers, ..BASE },
        is_of_data: false,
    },
    Axis {
        name: "rows",
        title: "rows of data",
        values: &[1_000, 10_000, 100_000, 1_000_000],
        at: |rows| Point { rows, ..BASE },
        is_of_data: true,
    },
];

impl Axis {
    /// Each value with its point.
    pub(super) fn points(&self) -> impl Iterator<Item = (u64, Point)> {
        self.values.iter().map(|value| (*value, (self.at)(*value)))
    }
}

impl Point {
    pub(super) fn teacher_layers(self) -> u64 {
        2 * self.layers
    }

    /// Tokens of a batch.
    pub(super) fn tokens(self) -> u64 {
        self.length * self.batch
    }

    /// Roughly how long a run takes, in arbitrary units: starting takes about as long as the base's steps.
    pub(super) fn cost(self) -> f64 {
        (self.tokens() * self.layers + BASE.tokens() * BASE.layers) as f64
    }

    /// The point in the name of a file.
    pub(super) fn key(self) -> String {
        let Point { length, batch, layers, rows } = self;
        format!("length-{length}-batch-{batch}-layers-{layers}-rows-{rows}")
    }

    /// The point in a sentence.
    pub(super) fn told(self) -> String {
        let Point { length, batch, layers, rows } = self;
        format!("{length} tokens per row, {batch} rows per batch, {layers} layers, {} rows", grouped(rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_axis_goes_through_the_base_and_varies_one_size() {
        for axis in &AXES {
            assert!(axis.points().any(|(_, point)| point == BASE), "{}", axis.name);
            for (value, point) in axis.points() {
                let of = |point: Point| [point.length, point.batch, point.layers, point.rows];
                let other: Vec<u64> = of(point)
                    .into_iter()
                    .zip(of(BASE))
                    .filter(|(is, was)| is != was)
                    .map(|(is, _)| is)
                    .collect();
                assert!(point == BASE || other == [value], "{}: {point:?}", axis.name);
            }
        }
    }
}
