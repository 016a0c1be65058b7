//! Draws the plan as SVG: stages in columns, from the batch on the left to the sum on the right.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::escape;
use crate::plan::{Plan, StageId};

const WIDTH: usize = 170;
const HEIGHT: usize = 30;
const ACROSS: usize = 60;
const DOWN: usize = 14;

/// The drawing as boxes and arrows; stages that gradients pass through have a blue border.
pub(super) fn drawn(plan: &Plan) -> String {
    let columns = columns(plan);
    let mut rows: BTreeMap<usize, usize> = BTreeMap::new();
    let mut places: BTreeMap<StageId, (usize, usize)> = BTreeMap::new();
    for (id, _) in plan.stages() {
        let column = columns.get(&id).copied().unwrap_or(0);
        let row = rows.entry(column).or_default();
        places.insert(id, (column * (WIDTH + ACROSS) + 4, *row * (HEIGHT + DOWN) + 4));
        *row += 1;
    }
    let width = (columns.values().max().unwrap_or(&0) + 1) * (WIDTH + ACROSS);
    let height = rows.values().max().unwrap_or(&0) * (HEIGHT + DOWN) + 8;
    let mut svg = format!("<div class=\"plan\"><svg width=\"{width}\" height=\"{height}\" role=\"img\">");
    for (id, _) in plan.stages() {
        for (_, to, flow) in plan.outputs(id) {
            let (Some(from), Some(to)) = (places.get(&id), places.get(&to)) else { continue };
            let (x1, y1, x2, y2) = (from.0 + WIDTH, from.1 + HEIGHT / 2, to.0, to.1 + HEIGHT / 2);
            let half = ACROSS / 2;
            let _ = write!(
                svg,
                "<path d=\"M{x1},{y1} C{},{y1} {},{y2} {x2},{y2}\" fill=\"none\" stroke=\"#b5b5b5\"><title>{}</title></path>",
                x1 + half,
                x2.saturating_sub(half),
                escape(&flow.to_string())
            );
        }
    }
    for (id, stage) in plan.stages() {
        let Some((x, y)) = places.get(&id) else { continue };
        let border = if stage.kind.needs_gradient() { "#2b6cb0" } else { "#999" };
        let _ = write!(
            svg,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"5\" fill=\"white\" stroke=\"{border}\"/><text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            x + WIDTH / 2,
            y + HEIGHT / 2 + 4,
            escape(&short(&stage.name))
        );
    }
    svg + "</svg></div>"
}

/// The column of each stage: the number of stages before it on the longest path.
fn columns(plan: &Plan) -> BTreeMap<StageId, usize> {
    let mut columns = BTreeMap::new();
    for id in plan.order().unwrap_or_default() {
        let before = plan.inputs(id).into_iter().filter_map(|(_, from, _)| columns.get(&from)).max();
        columns.insert(id, before.map_or(0, |before: &usize| before + 1));
    }
    columns
}

/// The part of a name that fits into a box.
fn short(name: &str) -> String {
    const FITS: usize = 26;
    match name.char_indices().nth(FITS) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}
