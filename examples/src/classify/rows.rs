//! Finds the rows to train on and those to judge by.

use std::path::Path;

use brew_core::{Error, Result};
use brew_data::prelude::*;

/// The splits to judge by, if none is named.
const JUDGED_BY: [&str; 2] = ["validation", "test"];

/// Some rows of a table.
#[derive(Debug)]
pub struct Part {
    /// What messages call them.
    pub name: String,
    /// The whole table, whose row numbers messages give.
    pub table: Dataset,
    /// The rows in use.
    pub rows: Vec<usize>,
}

/// The rows to train on and those to judge by.
#[derive(Debug)]
pub struct Rows {
    /// What is trained on.
    pub train: Part,
    /// What is evaluated on.
    pub dev: Part,
}

impl Rows {
    /// Opens a file, or a folder with or without splits, of any kind that [`Dataset::open`] reads.
    ///
    /// `dev` is a file, a folder, or the name of a split of the data. Without it, the split `validation`, or else
    /// `test`, is taken; data without such splits holds out every tenth row. `limit` of the rows to train on are kept,
    /// the same in every run.
    ///
    /// # Errors
    /// Those of [`Dataset::open`]; no such split.
    pub fn open(data: &Path, dev: Option<&str>, limit: Option<usize>) -> Result<Self> {
        let splits = if data.is_dir() { Dataset::splits(data).ok() } else { None };
        let splits = splits.filter(|splits| splits.names().len() > 1);
        let train = match &splits {
            Some(splits) => Part::whole("the split `train`", splits.split("train")?),
            None => Part::whole(&data.display().to_string(), Dataset::open(data)?),
        };
        let dev = match (dev, &splits) {
            (Some(dev), _) if Path::new(dev).exists() => Some(Part::whole(dev, Dataset::open(dev)?)),
            (Some(dev), Some(splits)) => Some(Part::whole(&format!("the split `{dev}`"), splits.split(dev)?)),
            (Some(dev), None) => {
                let message = format!(
                    "it does not exist, and {} has no splits that it could name: give a file or a folder",
                    data.display()
                );
                return Err(Error::file(dev, message));
            }
            (None, Some(splits)) => {
                let found = JUDGED_BY.iter().find(|name| splits.names().contains(name));
                let open = |name: &&str| {
                    Ok::<_, Error>(Part::whole(&format!("the split `{name}`"), splits.split(name)?))
                };
                found.map(open).transpose()?
            }
            (None, None) => None,
        };
        let (mut train, dev) = match dev {
            Some(dev) => (train, dev),
            None => train.every_tenth(),
        };
        if let Some(limit) = limit {
            train.rows = drawn(&train.rows, limit);
        }
        for part in [&train, &dev] {
            if part.rows.is_empty() {
                return Err(Error::invalid(format!("{} has no rows", part.name)));
            }
        }
        Ok(Rows { train, dev })
    }
}

impl Part {
    fn whole(name: &str, table: Dataset) -> Self {
        Part { name: name.to_owned(), rows: (0..table.rows()).collect(), table }
    }

    /// All rows but every tenth, and every tenth.
    fn every_tenth(self) -> (Part, Part) {
        let (dev, train) = self.rows.iter().partition(|row| *row % 10 == 0);
        let part = |which: &str, rows| Part {
            name: format!("{} ({which})", self.name),
            table: self.table.clone(),
            rows,
        };
        (part("nine of ten rows", train), part("every tenth row", dev))
    }
}

/// Some of the rows, in their order. They are drawn by a hash of their number: rows at equal distances would be of few
/// classes where classes take turns.
fn drawn(rows: &[usize], count: usize) -> Vec<usize> {
    let mut rows = rows.to_vec();
    rows.sort_by_key(|row| crate::mixed(*row as u64));
    rows.truncate(count);
    rows.sort_unstable();
    rows
}
