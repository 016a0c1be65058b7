//! Turns a table of text into a cached table of tokens.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{RecordBatch, UInt64Array};
use arrow::compute::take;
use arrow::datatypes::Schema;
use arrow::ipc::writer::FileWriter;

use super::cache::{CACHE_KEY, cached_or, key_of};
use super::causal::tally::Tally;
use super::cells::Cells;
use super::tokenize::Tokenize;
use super::tokenizer::Tokenizer;
use crate::dataset::{Dataset, of_vocabulary, with_made};
use crate::disk::atomically;
use crate::error::{Error, Result};
use crate::progress::bar;

/// Rows tokenised, and held in memory, at once.
const CHUNK_ROWS: usize = 1024;

impl Dataset {
    /// Tokenises the rows in use: columns `input_ids` and `attention_mask` (lists of int32, unpadded),
    /// `token_type_ids` for pairs and on request, those of [`Tokenize::words`], [`Tokenize::questions`], and
    /// [`Tokenize::causal`], and the carried columns. [`limited_to`](Self::limited_to) stays in force.
    ///
    /// They are written once to an Arrow IPC file in `cache_folder`, which is mapped and reused. Its name is
    /// a hash of the texts, the carried values, the tokenizer, and the settings, and a file beside it holds a
    /// checksum: a cache that does not match, is truncated, or is damaged is rebuilt. Memory holds about a
    /// thousand rows at a time.
    ///
    /// # Errors
    /// A column that is missing, has another type or a missing value, or is carried under the name of a made
    /// column; a maximum length without room for text; what [`CausalRows`](crate::CausalRows) cannot read; by row: numbers of labels and words that differ, an
    /// answer that is not at its position, a question that fills its window; a cache that cannot be written.
    pub fn tokenize(
        &self,
        tokenizer: &Tokenizer,
        settings: &Tokenize,
        cache_folder: impl AsRef<Path>,
    ) -> Result<Self> {
        let made = settings.made();
        if let Some(clash) =
            settings.carried.iter().find(|name| made.iter().any(|field| field.name() == *name))
        {
            return Err(Error::Setting(format!(
                "column `{clash}` is made by tokenising and cannot be carried"
            )));
        }
        let cutting = settings.cutting(self, tokenizer)?;
        for column in settings.required() {
            self.refuse_nulls(column)?;
        }
        let key = key_of(self, &settings.columns(), tokenizer.hash().as_bytes(), settings)?;
        let path = cache_folder.as_ref().join(format!("tokens-{}.arrow", &key[..32]));
        let tokens = cached_or(&path, &key, || self.write_tokens(&cutting, settings, &key, &path))?;
        Ok(tokens.limited_as(self))
    }

    fn write_tokens(&self, tokenizer: &Tokenizer, settings: &Tokenize, key: &str, path: &Path) -> Result<()> {
        let failed = |error| Error::format(path, format!("the token cache cannot be written: {error}"));
        let (read, copies) = self.copies(&settings.columns(), CHUNK_ROWS)?;
        let carried = settings.carried.iter().map(|name| read.field_with_name(name).cloned());
        let carried = carried.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let print = tokenizer.vocabulary().fingerprint();
        let made = settings.made().into_iter().map(|field| match field.name().as_str() {
            "input_ids" => of_vocabulary(field, &print),
            _ => field,
        });
        let fields: Vec<_> = made.chain(carried).collect();
        let names: Vec<&str> = settings.carried.iter().map(String::as_str).collect();
        let mut metadata = self.metadata_of(&names);
        if let Some(labels) = settings.labels() {
            metadata = with_made(metadata, self.schema().metadata(), &[("labels", labels)]);
        }
        metadata.insert(CACHE_KEY, key);
        let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
        let progress = bar("tokenising", self.rows() as u64);
        atomically(path, |file| {
            let mut writer = FileWriter::try_new(file, &schema).map_err(failed)?;
            let mut first_row = 0;
            let mut tally = Tally::default();
            for chunk in copies {
                let cells = Cells { dataset: self, first_row, columns: chunk? };
                let (mut columns, rows) = settings.make(tokenizer, &cells, &mut tally)?;
                let rows = rows.map(UInt64Array::from);
                for name in &settings.carried {
                    let column = cells.column(name)?;
                    columns.push(match &rows {
                        Some(rows) => take(column, rows, None).map_err(failed)?,
                        None => column.clone(),
                    });
                }
                let batch = RecordBatch::try_new(schema.clone(), columns).map_err(failed)?;
                writer.write(&batch).map_err(failed)?;
                first_row += cells.rows();
                progress.inc(cells.rows() as u64);
            }
            progress.finish_and_clear();
            if let Some(line) = settings.line(self.path(), &tally) {
                eprintln!("{line}");
            }
            writer.finish().map_err(failed)
        })
    }
}
