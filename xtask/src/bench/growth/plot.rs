//! The chart of an axis as SVG: one panel for time per token and one for memory, one line per series.
//!
//! It has its own white background, for pages of any colour, and embeds no fonts.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::Axis;
use super::run::{Measured, Series};
use super::{Outcomes, outcome};
use crate::bench::measured::grouped;
use crate::failure::{Failure, Result};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Width and height.
const SIZE: (u32, u32) = (960, 400);
/// Height of the legend.
const LEGEND: i32 = 40;
const INK: RGBColor = RGBColor(0x33, 0x33, 0x33);
const RULES: RGBColor = RGBColor(0xdd, 0xdd, 0xdd);

/// Colours of Okabe and Ito, which most people can tell apart.
fn colour(series: Series) -> RGBColor {
    match series {
        Series::BrewF32 => RGBColor(0x00, 0x72, 0xb2),
        Series::BrewBf16 => RGBColor(0x00, 0x9e, 0x73),
        Series::PyTorchF32 => RGBColor(0xd5, 0x5e, 0x00),
    }
}

/// A line: its series and its points.
type Line = (Series, Vec<(f64, f64)>);

/// Draws what was measured on an axis, without failed points.
pub(super) fn of(axis: &Axis, series: &[Series], outcomes: &Outcomes) -> Result<String> {
    let lines = |of: fn(&Measured) -> f64| -> Vec<Line> {
        let measured = |series: Series| {
            axis.points().filter_map(move |(value, point)| match outcome(outcomes, series, point) {
                Some(Ok(measured)) => Some((value as f64, of(measured))),
                _ => None,
            })
        };
        series.iter().map(|series| (*series, measured(*series).collect())).collect()
    };
    let (times, memory) = (lines(|measured| measured.microseconds), lines(|measured| measured.megabytes));
    let mut svg = String::new();
    draw(&mut svg, axis, &times, &memory).map_err(|error| {
        Failure::new(format!("cannot draw the chart of the axis `{}`: {error}", axis.name))
    })?;
    Ok(svg)
}

fn draw(
    svg: &mut String,
    axis: &Axis,
    times: &[Line],
    memory: &[Line],
) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (strip, panels) = root.split_vertically(LEGEND);
    legend(&strip, times)?;
    let (left, right) = panels.split_horizontally(SIZE.0 / 2);
    panel(&left, axis, ("Time of one token", "microseconds"), times)?;
    panel(&right, axis, ("Peak anonymous memory", "megabytes"), memory)?;
    root.present()?;
    Ok(())
}

/// The legend, once for both panels.
fn legend(strip: &Area<'_>, lines: &[Line]) -> Result<(), Box<dyn std::error::Error>> {
    const APART: i32 = 150;
    let first = (SIZE.0 as i32 - APART * lines.len() as i32) / 2;
    let style = ("sans-serif", 18).into_font().color(&INK).pos(Pos::new(HPos::Left, VPos::Center));
    for (place, (series, _)) in lines.iter().enumerate() {
        let (x, y) = (first + APART * place as i32, LEGEND / 2 + 4);
        strip.draw(&PathElement::new(vec![(x, y), (x + 28, y)], colour(*series).stroke_width(3)))?;
        strip.draw(&Text::new(series.name(), (x + 36, y), style.clone()))?;
    }
    Ok(())
}

fn panel(
    area: &Area<'_>,
    axis: &Axis,
    (title, unit): (&str, &str),
    lines: &[Line],
) -> Result<(), Box<dyn std::error::Error>> {
    let ticks: Vec<f64> = axis.values.iter().map(|value| *value as f64).collect();
    let (first, last) = (ticks[0], ticks[ticks.len() - 1]);
    // A margin at both ends, the same share of any axis.
    let room = (last / first).powf(0.05);
    let x = (first / room..last * room).log_scale().with_key_points(ticks);
    let highest = lines.iter().flat_map(|(_, points)| points).map(|(_, value)| *value).fold(0.0, f64::max);
    let y = 0.0..if highest > 0.0 { 1.08 * highest } else { 1.0 };
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .margin_right(20)
        .caption(title, ("sans-serif", 20).into_font().color(&INK))
        .x_label_area_size(48)
        .y_label_area_size(72)
        .build_cartesian_2d(x, y)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RULES)
        .axis_style(INK)
        .label_style(("sans-serif", 16).into_font().color(&INK))
        .x_desc(format!("{} (logarithmic)", axis.title))
        .y_desc(unit)
        .y_labels(6)
        .x_label_formatter(&|value| grouped(*value as u64))
        .y_label_formatter(&|value| tick(*value))
        .draw()?;
    for (series, points) in lines {
        let colour = colour(*series);
        chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?;
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 4, colour.filled())))?;
    }
    Ok(())
}

/// A number on an axis from 0: whole numbers without, others with two decimals.
fn tick(value: f64) -> String {
    let whole = value.round();
    if (value - whole).abs() < 1e-6 { grouped(whole as u64) } else { format!("{value:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::growth::axis::AXES;

    fn outcomes(axis: &Axis, series: Series, times: f64) -> Outcomes {
        let measured =
            |value: u64| Measured { microseconds: times * value as f64, waiting: 0.0, megabytes: 700.0 };
        axis.points().map(|(value, point)| (series, point, Ok(measured(value)))).collect()
    }

    /// Centres of the circles of a series, in the order of the file.
    fn circles(svg: &str, series: Series) -> Vec<(f64, f64)> {
        let RGBColor(red, green, blue) = colour(series);
        let fill = format!("fill=\"#{red:02X}{green:02X}{blue:02X}\"");
        let number = |line: &str, name: &str| -> f64 {
            line.split(&format!(" {name}=\"")).nth(1).unwrap().split('"').next().unwrap().parse().unwrap()
        };
        let circles = svg.lines().filter(|line| line.starts_with("<circle") && line.contains(&fill));
        circles.map(|line| (number(line, "cx"), number(line, "cy"))).collect()
    }

    #[test]
    fn each_measured_point_of_each_series_stands_where_its_value_is() {
        let [length, ..] = &AXES;
        let both = [Series::BrewF32, Series::PyTorchF32];
        let mut all = outcomes(length, both[0], 1.0);
        all.extend(outcomes(length, both[1], 2.0));
        all.last_mut().unwrap().2 = Err("out of memory".to_owned());
        let svg = of(length, &both, &all).unwrap();
        let (ours, theirs) = (circles(&svg, both[0]), circles(&svg, both[1]));
        assert_eq!((ours.len(), theirs.len()), (5 + 5, 4 + 4), "{svg}");
        // Doubled lengths are equally far apart, within the rounding to whole pixels.
        let steps: Vec<f64> = ours[..5].windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
        assert!(steps.iter().all(|step| (step - steps[0]).abs() <= 1.0 && *step > 50.0), "{steps:?}");
        // Heights are proportional to the values, and twice as high on the steeper line.
        let height = |point: (f64, f64)| ours[0].1 - point.1;
        assert!((height(ours[4]) / height(ours[3]) - 480.0 / 224.0).abs() < 0.05, "{ours:?}");
        assert!((height(theirs[0]) - height(ours[1])).abs() <= 1.0, "{theirs:?}");
        assert!(theirs[..4].iter().zip(&ours).all(|(theirs, ours)| theirs.0 == ours.0), "{theirs:?}");
        for text in
            ["brew, f32", "PyTorch, f32", "microseconds", "megabytes", "tokens per row (logarithmic)", "512"]
        {
            assert!(svg.lines().any(|line| line == text), "{text} is not in\n{svg}");
        }
    }

    #[test]
    fn an_axis_without_a_point_is_drawn_empty() {
        let [.., rows] = &AXES;
        let svg = of(rows, &[Series::BrewF32], &Vec::new()).unwrap();
        assert!(circles(&svg, Series::BrewF32).is_empty() && svg.contains("1,000,000"), "{svg}");
    }

    #[test]
    fn ticks_are_whole_where_the_value_is() {
        assert_eq!([0.0, 1_500.0, 0.300_000_000_1, 2.5].map(tick), ["0", "1,500", "0.30", "2.50"]);
    }
}
