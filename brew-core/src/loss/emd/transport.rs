//! Solves the transport problem with equal masses: turns n piles into m at the least cost.
//!
//! Successive cheapest paths (Ford and Fulkerson; Busacker and Gowen 1960): while a pile is not empty, some
//! of it is sent along the cheapest path to a place that is not full, where earlier flow may be sent back.
//! Paths are found with the Bellman-Ford algorithm, since sending back has negative cost. The result is a
//! cheapest flow; for the layers of networks, a few dozen per side, it takes well under a millisecond.

/// Amounts below this count as 0: shares are of 1, and sums of them are exact to about 1e-16.
const NOTHING: f64 = 1e-13;

/// The flow from each of `rows` masses of 1/rows to each of `columns` places of 1/columns, row by row, that
/// minimizes the sum of flow times cost. Costs must be finite.
pub(super) fn cheapest(costs: &[f64], rows: usize, columns: usize) -> Vec<f64> {
    let mut flows = vec![0.0; rows * columns];
    let mut left = vec![1.0 / rows.max(1) as f64; rows];
    let mut room = vec![1.0 / columns.max(1) as f64; columns];
    while left.iter().any(|mass| *mass > NOTHING) {
        let Some(path) = cheapest_path(costs, &flows, &left, &room) else { break };
        let (Some(&(first, _)), Some(&(_, last))) = (path.first(), path.last()) else { break };
        // Forward steps go from a row to a column; between two of them, the flow from the next step's row to
        // this step's column is sent back.
        let back = path.windows(2).map(|steps| (steps[1].0, steps[0].1));
        let takes = back.clone().map(|(row, column)| flows[row * columns + column]);
        let amount = takes.fold(left[first].min(room[last]), f64::min);
        if amount <= 0.0 {
            break;
        }
        for (row, column) in back {
            flows[row * columns + column] -= amount;
        }
        for (row, column) in path {
            flows[row * columns + column] += amount;
        }
        left[first] -= amount;
        room[last] -= amount;
    }
    flows.iter().map(|flow| if *flow > NOTHING { *flow } else { 0.0 }).collect()
}

/// The forward steps of the cheapest path from a row with remaining mass to a column with room.
fn cheapest_path(costs: &[f64], flows: &[f64], left: &[f64], room: &[f64]) -> Option<Vec<(usize, usize)>> {
    let (rows, columns) = (left.len(), room.len());
    let mut to_row: Vec<f64> =
        left.iter().map(|mass| if *mass > NOTHING { 0.0 } else { f64::INFINITY }).collect();
    let mut to_column = vec![f64::INFINITY; columns];
    let (mut row_from, mut column_from) = (vec![None; rows], vec![0; columns]);
    let mut changed = true;
    // A path without a cycle has at most as many steps as there are rows.
    for _ in 0..=rows {
        if !changed {
            break;
        }
        changed = false;
        for row in 0..rows {
            for column in 0..columns {
                let cost = to_row[row] + costs[row * columns + column];
                if cost < to_column[column] - NOTHING {
                    (to_column[column], column_from[column], changed) = (cost, row, true);
                }
            }
        }
        for row in 0..rows {
            for column in 0..columns {
                let cost = to_column[column] - costs[row * columns + column];
                if flows[row * columns + column] > NOTHING && cost < to_row[row] - NOTHING {
                    (to_row[row], row_from[row], changed) = (cost, Some(column), true);
                }
            }
        }
    }
    let ends = (0..columns).filter(|column| room[*column] > NOTHING && to_column[*column].is_finite());
    let mut column = ends.min_by(|one, other| to_column[*one].total_cmp(&to_column[*other]))?;
    let mut path = Vec::new();
    loop {
        let row = column_from[column];
        path.push((row, column));
        match row_from[row] {
            // Rounding may create a cycle; a path has at most one step per row.
            Some(before) if path.len() < rows => column = before,
            _ => break,
        }
    }
    path.reverse();
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::cheapest;

    // scipy 1.17.1, numpy 2.4.6: for (n, m): c = np.sin(np.arange(n * m) * 1.7 + .3) + 1.5;
    // linprog(c, A_eq=np.vstack([np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))]),
    //         b_eq=[1 / n] * n + [1 / m] * m).fun
    const SCIPY: [(usize, usize, f64); 6] = [
        (1, 1, 1.795_520_206_661_339_6),
        (2, 3, 1.338_844_201_670_432_7),
        (4, 12, 0.602_749_803_851_332_1),
        (5, 5, 0.758_468_834_621_341_3),
        (7, 3, 0.831_705_462_249_534_7),
        (12, 24, 0.769_878_621_617_37),
    ];

    #[test]
    fn the_cheapest_flow_costs_what_scipy_finds_and_carries_every_mass() {
        for (rows, columns, expected) in SCIPY {
            let costs: Vec<f64> =
                (0..rows * columns).map(|index| (index as f64 * 1.7 + 0.3).sin() + 1.5).collect();
            let flows = cheapest(&costs, rows, columns);
            let value: f64 = flows.iter().zip(&costs).map(|(flow, cost)| flow * cost).sum();
            assert!((value - expected).abs() < 1e-12, "{rows} to {columns}: {value}, scipy {expected}");
            for row in 0..rows {
                let sum: f64 = flows[row * columns..][..columns].iter().sum();
                assert!((sum - 1.0 / rows as f64).abs() < 1e-12, "row {row} gives {sum}");
            }
            for column in 0..columns {
                let sum: f64 = flows.iter().skip(column).step_by(columns).sum();
                assert!((sum - 1.0 / columns as f64).abs() < 1e-12, "column {column} takes {sum}");
            }
        }
    }
}
