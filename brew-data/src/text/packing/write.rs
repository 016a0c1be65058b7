//! Writes packed rows: the documents of each, one after another.

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::ipc::writer::FileWriter;

use crate::dataset::Dataset;
use crate::disk::atomically;
use crate::error::{Error, Result};
use crate::progress::Patient;
use crate::text::cache::CACHE_KEY;
use crate::text::cells::{Cells, Lists};
use crate::text::words::NO_LABEL;

/// Documents read at once.
const CHUNK_ROWS: usize = 1024;

/// The columns of finished rows.
#[derive(Default)]
struct Finished {
    ids: Lists,
    documents: Lists,
    labels: Lists,
    rows: usize,
}

/// The row that is being filled.
#[derive(Default)]
struct Filling {
    ids: Vec<i32>,
    documents: Vec<i32>,
    labels: Vec<i32>,
    /// The documents that it has.
    count: usize,
}

/// The first `length` tokens of a document.
struct Document<'a> {
    ids: &'a [i64],
    labels: Option<&'a [i64]>,
}

impl Filling {
    fn add(&mut self, document: &Document<'_>) -> Result<(), String> {
        self.count += 1;
        let fits = |&id: &i64| i32::try_from(id).map_err(|_| format!("{id} does not fit int32"));
        let before = self.ids.len();
        for id in document.ids {
            self.ids.push(fits(id)?);
            self.documents.push(self.count as i32);
        }
        for label in document.labels.unwrap_or_default() {
            self.labels.push(fits(label)?);
        }
        // The token before it belongs to another document.
        if let Some(first) = self.labels.get_mut(before) {
            *first = NO_LABEL;
        }
        Ok(())
    }

    fn finish(&mut self, into: &mut Finished) {
        let Filling { ids, documents, labels, .. } = std::mem::take(self);
        into.ids.push(ids);
        into.documents.push(documents);
        into.labels.push(labels);
        into.rows += 1;
    }
}

/// Writes the packed rows of a table: `packed` has the rows of each, `lengths` how many tokens of a row are kept.
pub(super) fn write(
    dataset: &Dataset,
    names: &[&str],
    lengths: &[usize],
    packed: &[Vec<usize>],
    key: &str,
    path: &Path,
) -> Result<()> {
    let failed = |error| Error::format(path, format!("the packed rows cannot be written: {error}"));
    let order: Vec<usize> = packed.iter().flatten().copied().collect();
    let ordered = dataset.select(&order)?;
    let (read, copies) = ordered.copies(names, CHUNK_ROWS)?;
    let has_labels = names.contains(&"labels");
    let columns = if has_labels { 3 } else { 2 };
    let made = ["input_ids", "attention_mask", "labels"].into_iter().take(columns).map(|name| {
        let source = read.field_with_name(name).map(|source| source.metadata().clone());
        Lists::field(name).with_metadata(source.unwrap_or_default())
    });
    let mut metadata = dataset.metadata_of(names);
    metadata.insert(CACHE_KEY, key);
    let schema = Arc::new(Schema::new_with_metadata(made.collect::<Vec<_>>(), metadata));
    let mut progress = Patient::rows(format!("packing {} rows", order.len()), order.len() as u64);
    let (mut filling, mut counts) = (Filling::default(), packed.iter().map(Vec::len));
    let mut count = counts.next();
    atomically(path, |file| {
        let mut writer = FileWriter::try_new(file, &schema).map_err(failed)?;
        let mut first_row = 0;
        for chunk in copies {
            let cells = Cells { dataset: &ordered, first_row, columns: chunk? };
            let mut finished = Finished::default();
            let documents = documents(&cells, names)?;
            for (row, (ids, labels)) in documents.iter().enumerate() {
                let length = lengths[order[first_row + row]];
                let labels = has_labels.then(|| &labels[..length]);
                let document = Document { ids: &ids[..length], labels };
                filling.add(&document).map_err(|message| cells.bad(row, "input_ids", message))?;
                if Some(filling.count) == count {
                    filling.finish(&mut finished);
                    count = counts.next();
                }
            }
            first_row += cells.rows();
            progress.reach(first_row as u64);
            if finished.rows > 0 {
                let Finished { ids, documents, labels, .. } = finished;
                let columns = [ids, documents, labels].into_iter().take(columns).map(Lists::finish).collect();
                writer
                    .write(&RecordBatch::try_new(schema.clone(), columns).map_err(failed)?)
                    .map_err(failed)?;
            }
        }
        writer.finish().map_err(failed)
    })
}

/// The tokens of some rows, and their labels if there are any.
fn documents(cells: &Cells<'_>, names: &[&str]) -> Result<Vec<(Vec<i64>, Vec<i64>)>> {
    let ids = cells.lists_of_integers("input_ids")?;
    let of = |name: &'static str| match names.contains(&name) {
        true => cells.lists_of_integers(name).map(Some),
        false => Ok(None),
    };
    let (masks, labels) = (of("attention_mask")?, of("labels")?);
    let lists = [("attention_mask", &masks), ("labels", &labels)];
    for (name, lists) in lists.into_iter().filter_map(|(name, lists)| Some((name, lists.as_ref()?))) {
        let unequal = ids.iter().zip(lists).position(|(ids, list)| ids.len() != list.len());
        if let Some(row) = unequal {
            let message = format!(
                "{} values for {} tokens: there must be one per token",
                lists[row].len(),
                ids[row].len()
            );
            return Err(cells.bad(row, name, message));
        }
    }
    let used = masks.iter().flatten().position(|mask| mask.iter().any(|value| *value != 1));
    if let Some(row) = used {
        let message = "not every token has a 1: the row is packed or padded already";
        return Err(cells.bad(row, "attention_mask", message));
    }
    let labels = labels.unwrap_or_else(|| vec![Vec::new(); ids.len()]);
    Ok(ids.into_iter().zip(labels).collect())
}
