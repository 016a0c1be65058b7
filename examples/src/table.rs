//! The final table of an example: teacher, plain student, distilled student.

use brew_core::prelude::*;
use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};

/// Rows of a comparison, printed at the end.
#[derive(Debug)]
pub struct Comparison {
    table: Table,
}

impl Comparison {
    /// A table with one column per metric, and the number of parameters.
    pub fn of(metrics: &[&str]) -> Self {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        table.set_header(["model"].iter().chain(metrics).chain(&["parameters"]));
        Comparison { table }
    }

    /// Adds a model; NaN is shown as a dash.
    pub fn add(&mut self, name: &str, values: &[f64], model: &impl Model) {
        let values =
            values.iter().map(|value| if value.is_nan() { "–".to_owned() } else { format!("{value:.4}") });
        let parameters = format!("{:.1} M", model.parameters().scalars() as f64 / 1e6);
        self.table.add_row([name.to_owned()].into_iter().chain(values).chain([parameters]));
    }

    /// Prints the table.
    pub fn print(mut self) {
        for column in self.table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        println!("\n{}", self.table);
    }
}
