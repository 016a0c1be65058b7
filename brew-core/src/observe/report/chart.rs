//! Draws a curve as SVG: axes, the line, and its points as data.

use std::fmt::Write as _;

use super::escape;

/// A named series over optimizer steps.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) is_metric: bool,
    /// Step and value, in the order of the file.
    pub(super) points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 350.0;
const HEIGHT: f64 = 190.0;
const LEFT: f64 = 62.0;
const BOTTOM: f64 = 24.0;
const MARGIN: f64 = 10.0;

/// The SVG of a curve with its name; the numbers themselves are in `data-points`.
pub(super) fn chart(curve: &Series) -> String {
    let (steps, values) = (range(curve, |point| point.0), range(curve, |point| point.1));
    let x = |step: f64| LEFT + share(step, steps) * (WIDTH - LEFT - MARGIN);
    let y = |value: f64| HEIGHT - BOTTOM - share(value, values) * (HEIGHT - BOTTOM - MARGIN);
    let mut line = String::new();
    let mut data = String::new();
    for (index, (step, value)) in curve.points.iter().enumerate() {
        let _ = write!(line, "{}{:.1},{:.1}", if index == 0 { "" } else { " " }, x(*step), y(*value));
        let _ = write!(data, "{}{step},{value}", if index == 0 { "" } else { " " });
    }
    let mut svg = format!(
        "<figure><figcaption>{}</figcaption><svg width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\" data-points=\"{data}\">",
        escape(&curve.name)
    );
    for index in 0..3 {
        let part = f64::from(index) / 2.0;
        let value = values.0 + part * (values.1 - values.0);
        // Steps are whole numbers: the middle label is placed at the rounded step.
        let step = (steps.0 + part * (steps.1 - steps.0)).round();
        let _ = write!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{2:.1}\" y2=\"{2:.1}\" stroke=\"#e4e4e4\"/><text x=\"{}\" y=\"{3:.1}\" text-anchor=\"end\">{4}</text><text x=\"{5:.1}\" y=\"{6}\" text-anchor=\"{7}\">{8}</text>",
            WIDTH - MARGIN,
            LEFT - 6.0,
            y(value),
            y(value) + 4.0,
            short(value, (values.1 - values.0) / 2.0),
            x(step),
            HEIGHT - 6.0,
            ["start", "middle", "end"][index as usize],
            step,
        );
    }
    match curve.points.as_slice() {
        [(step, value)] => {
            let _ = write!(
                svg,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"#2b6cb0\"/>",
                x(*step),
                y(*value)
            );
        }
        _ => {
            let _ = write!(
                svg,
                "<polyline points=\"{line}\" fill=\"none\" stroke=\"#2b6cb0\" stroke-width=\"1.5\"/>"
            );
        }
    }
    svg + "</svg></figure>"
}

fn range(curve: &Series, of: impl Fn(&(f64, f64)) -> f64) -> (f64, f64) {
    let values = curve.points.iter().map(of);
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
}

/// The relative position of a value between two others, from 0 to 1; one half if these are equal.
fn share(value: f64, (low, high): (f64, f64)) -> f64 {
    if high > low { (value - low) / (high - low) } else { 0.5 }
}

/// A number with three significant digits, or as many as needed to distinguish values this far apart.
fn short(value: f64, apart: f64) -> String {
    let size = value.abs();
    if size == 0.0 {
        return "0".to_owned();
    }
    let first = size.log10().floor();
    let apart = if apart > 0.0 { apart.log10().floor() } else { first - 1.0 };
    if (1e-3..1e5).contains(&size) {
        let digits = (2.0 - first).max(1.0 - apart).clamp(0.0, 8.0) as usize;
        format!("{value:.digits$}")
    } else {
        let digits = (first - apart + 1.0).clamp(1.0, 5.0) as usize;
        format!("{value:.digits$e}")
    }
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn numbers_on_an_axis_differ_and_are_no_longer_than_that_takes() {
        let axis = |low: f64, high: f64| {
            let apart = (high - low) / 2.0;
            [low, low + apart, high].map(|value| short(value, apart))
        };
        assert_eq!(axis(0.0, 1.0), ["0", "0.500", "1.00"]);
        assert_eq!(axis(0.1054, 0.1062), ["0.10540", "0.10580", "0.10620"]);
        assert_eq!(axis(0.69312, 0.69316), ["0.693120", "0.693140", "0.693160"]);
        assert_eq!(axis(1.9, 230.0), ["1.90", "116", "230"]);
        assert_eq!(axis(2e-5, 1e-4), ["2.0e-5", "6.0e-5", "1.00e-4"]);
        assert_eq!(axis(0.5, 0.5), ["0.500"; 3]);
    }
}
