//! A column of text becomes columns of token ids, once.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{Int32Builder, ListBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_ipc::writer::FileWriter;
use arrow_schema::{DataType, Field, Schema};
use indicatif::{ProgressBar, ProgressStyle};

use super::cache::{CACHE_KEY, cached, key_of};
use super::tokenizer::{Tokenizer, Tokens};
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::write::atomically;

/// Texts tokenised at once, and rows of a record batch of the cache.
const CHUNK_ROWS: usize = 4096;

/// What is tokenised and what goes with it.
///
/// ```
/// use brew_data::Tokenize;
///
/// let settings = Tokenize::text("text", 64).carry(&["labels"]);
/// # let _ = settings;
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Tokenize {
    pub(crate) text: String,
    pub(crate) max_length: usize,
    pub(crate) token_type_ids: bool,
    pub(crate) carried: Vec<String>,
}

impl Tokenize {
    /// Tokenises this column of text; longer texts are cut so that `max_length` tokens are left,
    /// special tokens included.
    pub fn text(column: &str, max_length: usize) -> Self {
        Tokenize { text: column.to_owned(), max_length, token_type_ids: false, carried: Vec::new() }
    }

    /// Keeps the segment of each token too, for models that are told.
    pub fn token_type_ids(mut self) -> Self {
        self.token_type_ids = true;
        self
    }

    /// Copies these columns, such as labels, beside the tokens.
    pub fn carry(mut self, columns: &[&str]) -> Self {
        self.carried.extend(columns.iter().map(|&column| column.to_owned()));
        self
    }

    /// Names of the columns that are made.
    fn made(&self) -> &'static [&'static str] {
        let all = &["input_ids", "attention_mask", "token_type_ids"];
        if self.token_type_ids { all } else { &all[..2] }
    }
}

impl Dataset {
    /// The rows in use as token ids: columns `input_ids` and `attention_mask` (lists of int32, as long
    /// as their text), `token_type_ids` if asked for, and the carried columns.
    ///
    /// They are written to an Arrow IPC file in `cache_folder`, which is mapped, and found there the
    /// next time. Its name is a hash of the texts and carried values, of the tokenizer and of the
    /// settings; a cache that does not match, or that is cut short, is made anew.
    ///
    /// # Errors
    /// A column that is missing, is no text, has a missing value, or is carried under a name that is
    /// made; a maximum length without room for text; a cache that cannot be written.
    pub fn tokenize(
        &self,
        tokenizer: &Tokenizer,
        settings: &Tokenize,
        cache_folder: impl AsRef<Path>,
    ) -> Result<Self> {
        if let Some(clash) = settings.carried.iter().find(|name| settings.made().contains(&name.as_str())) {
            return Err(Error::Setting(format!(
                "column `{clash}` is made by tokenising and cannot be carried"
            )));
        }
        let tokenizer = tokenizer.truncated_to(settings.max_length)?;
        self.refuse_nulls(&settings.text)?;
        let key = key_of(self, &tokenizer, settings)?;
        let path = cache_folder.as_ref().join(format!("tokens-{}.arrow", &key[..32]));
        if let Some(tokens) = cached(&path, &key) {
            return Ok(tokens);
        }
        self.write_tokens(&tokenizer, settings, &key, &path)?;
        Dataset::open(&path)
    }

    fn write_tokens(&self, tokenizer: &Tokenizer, settings: &Tokenize, key: &str, path: &Path) -> Result<()> {
        let carried: Vec<&str> = settings.carried.iter().map(String::as_str).collect();
        let list = DataType::new_list(DataType::Int32, true);
        let mut fields: Vec<_> =
            settings.made().iter().map(|name| Arc::new(Field::new(*name, list.clone(), false))).collect();
        for name in &carried {
            fields.push(self.field(name)?.clone());
        }
        let schema = Arc::new(Schema::new_with_metadata(
            fields,
            HashMap::from([(CACHE_KEY.to_owned(), key.to_owned())]),
        ));
        let columns: Vec<&str> = [settings.text.as_str()].into_iter().chain(carried).collect();
        let failed = |error| Error::format(path, format!("the token cache cannot be written: {error}"));
        let (_, copies) = self.copies(&columns, CHUNK_ROWS)?;
        let progress = progress(self.rows());
        atomically(path, |file| {
            let mut writer = FileWriter::try_new(file, &schema).map_err(failed)?;
            for chunk in copies {
                let chunk = chunk?;
                let tokens = tokenizer.encode(&self.chunk_texts(&settings.text, &chunk)?)?;
                let mut columns = made_columns(settings, &tokens);
                columns.extend(chunk.columns().iter().skip(1).cloned());
                let batch = RecordBatch::try_new(schema.clone(), columns).map_err(failed)?;
                writer.write(&batch).map_err(failed)?;
                progress.inc(chunk.num_rows() as u64);
            }
            progress.finish_and_clear();
            writer.finish().map_err(failed)
        })
    }

    /// The texts of a copy whose first column they are.
    fn chunk_texts<'a>(&self, column: &str, chunk: &'a RecordBatch) -> Result<Vec<&'a str>> {
        let array = chunk.column(0);
        let texts = (0..chunk.num_rows()).map(|row| crate::dataset::text_at(array, row));
        texts.collect::<Option<_>>().ok_or_else(|| match self.field(column) {
            Ok(field) => self.wrong_type(field, "text"),
            Err(missing) => missing,
        })
    }
}

fn made_columns(settings: &Tokenize, tokens: &[Tokens]) -> Vec<ArrayRef> {
    let lists = settings.made().iter().map(|name| {
        let mut lists = ListBuilder::new(Int32Builder::new());
        for tokens in tokens {
            let ids = match *name {
                "input_ids" => &tokens.input_ids,
                "attention_mask" => &tokens.attention_mask,
                _ => &tokens.token_type_ids,
            };
            lists.append_value(ids.iter().map(|&id| Some(id as i32)));
        }
        Arc::new(lists.finish()) as ArrayRef
    });
    lists.collect()
}

/// A bar on a terminal, nothing elsewhere.
fn progress(rows: usize) -> ProgressBar {
    let bar = ProgressBar::new(rows as u64);
    let style = ProgressStyle::with_template("tokenising {bar:40} {pos}/{len} rows, {eta} left");
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
