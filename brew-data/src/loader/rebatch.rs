//! Makes batches of one size from record batches of any size.

use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::FieldRef;
use brew_core::Result;
use brew_core::batch::FromColumns;

use crate::dataset::Dataset;
use crate::error::Error;

/// Batches of one size from record batches of any size.
pub(super) struct Rebatched<B, I> {
    name: Arc<Path>,
    size: usize,
    /// The first row of the next batch within the epoch.
    first: usize,
    source: I,
    waiting: Vec<RecordBatch>,
    batch: PhantomData<fn() -> B>,
}

impl<B: FromColumns, I: Iterator<Item = Result<RecordBatch>>> Rebatched<B, I> {
    pub(super) fn new(name: Arc<Path>, size: usize, first: usize, source: I) -> Self {
        Rebatched { name, size, first, source, waiting: Vec::new(), batch: PhantomData }
    }

    /// The rows of the next batch.
    fn rows(&mut self) -> Result<Option<RecordBatch>> {
        if self.size == 0 {
            return Err(Error::Setting("batches of 0 rows: ask for 1 or more".to_owned()).into());
        }
        let mut gathered: usize = self.waiting.iter().map(RecordBatch::num_rows).sum();
        while gathered < self.size {
            let Some(more) = self.source.next().transpose()? else { break };
            self.check_columns(&more)?;
            gathered += more.num_rows();
            self.waiting.push(more);
        }
        let Some(first) = self.waiting.first() else { return Ok(None) };
        let rows = concat_batches(&first.schema(), &self.waiting)
            .map_err(|error| Error::format(&*self.name, format!("rows from row {}: {error}", self.first)))?;
        let taken = rows.num_rows().min(self.size);
        self.waiting.clear();
        if taken < rows.num_rows() {
            self.waiting.push(rows.slice(taken, rows.num_rows() - taken));
        }
        Ok((taken > 0).then(|| rows.slice(0, taken)))
    }

    /// Record batches are joined by column position, so their columns must be the same.
    fn check_columns(&self, more: &RecordBatch) -> Result<()> {
        let Some(first) = self.waiting.first() else { return Ok(()) };
        let (known, found) = (first.schema(), more.schema());
        let same = |(known, found): (&FieldRef, &FieldRef)| {
            known.name() == found.name()
                && known.data_type() == found.data_type()
                && known.metadata() == found.metadata()
        };
        let (known, found) = (known.fields(), found.fields());
        if known.len() == found.len() && known.iter().zip(found).all(same) {
            return Ok(());
        }
        let message = format!(
            "a record batch whose columns differ from the one before, {found:?} after {known:?}: give all of \
             them the same columns in the same order"
        );
        Err(Error::format(&*self.name, message).into())
    }

    fn make(&mut self) -> Result<Option<B>> {
        let Some(rows) = self.rows()? else { return Ok(None) };
        let name = format!("{}, from row {} of the epoch", self.name.display(), self.first);
        self.first += rows.num_rows();
        let dataset = Dataset::from_record_batches(name, vec![rows])?;
        let batches = dataset.batches::<B>(self.size);
        Ok(Some(batches.maker(0)?.make(0, &(0..dataset.rows() as u32).collect::<Vec<_>>())?))
    }
}

impl<B: FromColumns, I: Iterator<Item = Result<RecordBatch>>> Iterator for Rebatched<B, I> {
    type Item = Result<B>;

    fn next(&mut self) -> Option<Result<B>> {
        self.make().transpose()
    }
}
