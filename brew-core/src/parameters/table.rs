//! The parameter table of a model: the number and size of the parameters in each of its parts.
//!
//! TextBrewer's `display_parameters`. Parameter names are dotted paths; each part of a path has its own row
//! with the totals of everything below it.

use std::collections::BTreeMap;

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use tch::Tensor;

use super::Parameters;

/// A part of a model, with everything below it.
#[derive(Debug, Default)]
struct ModelPart {
    scalars: usize,
    bytes: usize,
    trained: usize,
    /// The tensor's first name, if it has already been counted under that.
    shared_with: Option<String>,
    below: BTreeMap<PartName, ModelPart>,
}

/// The name of a part, for sorting: layers in numeric order, not in the order of their digits.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum PartName {
    Number(u64, String),
    Name(String),
}

impl PartName {
    fn of(name: &str) -> Self {
        match name.parse() {
            Ok(number) => PartName::Number(number, name.to_owned()),
            Err(_) => PartName::Name(name.to_owned()),
        }
    }

    fn name(&self) -> &str {
        match self {
            PartName::Number(_, name) | PartName::Name(name) => name,
        }
    }
}

impl Parameters {
    /// The parameters by the parts of the model, as text: scalars, their share, their size in memory (MB
    /// of 10^6 bytes), and how many of them require a gradient.
    ///
    /// `depth` is the number of name parts shown, from the outermost; `None` shows all. A tensor with several
    /// names counts under the first, and is marked under the others.
    ///
    /// ```
    /// use brew_core::prelude::*;
    ///
    /// let parameters = Parameters::new([
    ///     ("encoder.0.weight".to_owned(), Tensor::zeros([2, 3], (Kind::Float, Device::Cpu))),
    ///     ("encoder.0.bias".to_owned(), Tensor::zeros([2], (Kind::Float, Device::Cpu))),
    ///     ("head.weight".to_owned(), Tensor::zeros([4, 2], (Kind::Float, Device::Cpu))),
    /// ]);
    /// assert_eq!(parameters.table(Some(1)).lines().count(), 7); // all, encoder, head and the frame
    /// println!("{}", parameters.table(None));
    /// ```
    pub fn table(&self, depth: Option<usize>) -> String {
        let mut whole = ModelPart::default();
        let mut seen: BTreeMap<usize, &str> = BTreeMap::new();
        for (name, tensor) in self.iter() {
            // All empty tensors have the same address.
            let first = (tensor.numel() > 0)
                .then(|| *seen.entry(tensor.data_ptr() as usize).or_insert(name))
                .filter(|first| *first != name);
            whole.add(name, tensor, first);
        }
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        table.set_header(["parameters", "scalars", "share", "MB", "trained"]);
        whole.rows("all", 0, depth, whole.scalars.max(1), &mut table);
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table.to_string()
    }
}

impl ModelPart {
    fn add(&mut self, name: &str, tensor: &Tensor, shared_with: Option<&str>) {
        let mut part = self;
        let mut rest = Some(name);
        loop {
            if shared_with.is_none() {
                let scalars = tensor.numel();
                part.scalars += scalars;
                part.bytes += scalars * tensor.kind().elt_size_in_bytes();
                part.trained += if tensor.requires_grad() { scalars } else { 0 };
            }
            let Some(path) = rest else { break };
            let (first, below) =
                path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
            part = part.below.entry(PartName::of(first)).or_default();
            rest = below;
        }
        part.shared_with = shared_with.map(str::to_owned);
    }

    fn rows(&self, name: &str, level: usize, depth: Option<usize>, all: usize, table: &mut Table) {
        let shared = self.shared_with.as_ref().map(|first| format!(" (shared with {first})"));
        let trained = match self.trained {
            0 if self.scalars > 0 => "no".to_owned(),
            trained if trained == self.scalars => "yes".to_owned(),
            trained => format!("{:.1} %", 100.0 * trained as f64 / self.scalars as f64),
        };
        table.add_row([
            format!("{}{name}{}", "  ".repeat(level), shared.unwrap_or_default()),
            self.scalars.to_string(),
            format!("{:.2} %", 100.0 * self.scalars as f64 / all as f64),
            format!("{:.3}", self.bytes as f64 / 1e6),
            if self.shared_with.is_some() { String::new() } else { trained },
        ]);
        if depth.is_none_or(|depth| level < depth) {
            for (place, part) in &self.below {
                part.rows(place.name(), level + 1, depth, all, table);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use crate::parameters::Parameters;

    fn zeros(shape: &[i64], trained: bool) -> Tensor {
        Tensor::zeros(shape, (Kind::Float, Device::Cpu)).set_requires_grad(trained)
    }

    /// Two layers whose digits sort wrongly, a tied head, a part with a single part, and an empty tensor.
    fn model() -> Parameters {
        let embeddings = zeros(&[10, 4], false);
        let tied = embeddings.shallow_clone();
        let named = [
            ("body.embeddings.weight", embeddings),
            ("body.layer.10.weight", zeros(&[4, 4], true)),
            ("body.layer.2.weight", zeros(&[4, 4], true)),
            ("decoder.weight", tied),
            ("empty.first", zeros(&[0], true)),
            ("empty.second", zeros(&[0], true)),
            ("head.bias", Tensor::zeros([4], (Kind::Double, Device::Cpu)).set_requires_grad(true)),
        ];
        Parameters::new(named.map(|(name, tensor)| (name.to_owned(), tensor)))
    }

    fn cells(table: &str) -> Vec<Vec<String>> {
        let rows = table.lines().filter(|line| line.starts_with('│')).skip(1);
        rows.map(|row| row.trim_matches('│').split('┆').map(|cell| cell.trim().to_owned()).collect())
            .collect()
    }

    // By hand: 40 + 16 + 16 + 4 scalars, of which 36 are trainable; 4 bytes each, 8 in the bias.
    #[test]
    fn every_part_has_its_numbers_and_a_shared_tensor_counts_once() {
        let table = model().table(None);
        let row = |name: &str| cells(&table).into_iter().find(|row| row[0] == name).unwrap();
        assert_eq!(row("all")[1..], ["76", "100.00 %", "0.000", "47.4 %"]);
        assert_eq!(row("body")[1..], ["72", "94.74 %", "0.000", "44.4 %"]);
        assert_eq!(row("layer")[1..], ["32", "42.11 %", "0.000", "yes"]);
        assert_eq!(row("decoder")[1..3], ["0", "0.00 %"]);
        assert_eq!(row("weight (shared with body.embeddings.weight)")[1..], ["0", "0.00 %", "0.000", ""]);
        assert_eq!(row("head")[1], "4");
        let names: Vec<String> = cells(&table).into_iter().map(|row| row[0].clone()).collect();
        let place = |name: &str| names.iter().position(|other| other == name).unwrap();
        assert!(place("2") < place("10"), "{names:?}");
        assert!(names.contains(&"second".to_owned()), "two empty tensors are not shared: {names:?}");
        assert_eq!(model().scalars(), 76);
    }

    #[test]
    fn a_depth_leaves_deeper_parts_out_but_not_their_numbers() {
        let rows = cells(&model().table(Some(1)));
        let names: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
        assert_eq!(names, ["all", "body", "decoder", "empty", "head"]);
        assert_eq!(rows[1][1], "72");
        assert_eq!(cells(&Parameters::default().table(None))[0][1], "0");
    }

    #[test]
    fn the_size_is_that_of_the_dtype() {
        let big = Parameters::new([
            ("a".to_owned(), Tensor::zeros([1000, 1000], (Kind::Half, Device::Cpu))),
            ("b".to_owned(), Tensor::zeros([1000, 1000], (Kind::Double, Device::Cpu))),
        ]);
        let rows = cells(&big.table(None));
        assert_eq!([&rows[0][3], &rows[1][3], &rows[2][3]], ["10.000", "2.000", "8.000"]);
    }
}
