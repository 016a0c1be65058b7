//! Columns of text become columns of token ids, once.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use arrow::compute::take;
use arrow::datatypes::{Field, Schema};
use arrow::ipc::writer::FileWriter;
use tokenizers::Encoding;

use super::cache::{CACHE_KEY, cached, key_of};
use super::cells::{Cells, Lists};
use super::questions::Questions;
use super::tokenizer::Tokenizer;
use super::words::Words;
use crate::dataset::{Dataset, with_made};
use crate::disk::{atomically, seal};
use crate::error::{Error, Result};
use crate::progress::bar;

/// Rows tokenised at once: what is in memory of a table of any size.
const CHUNK_ROWS: usize = 1024;

/// What is tokenised and what goes with it.
///
/// ```
/// use brew_data::Tokenize;
///
/// let settings = Tokenize::text("text", 64).carry(&["labels"]);
/// let pairs = Tokenize::pair("premise", "hypothesis", 128).carry(&["labels"]);
/// # let _ = (settings, pairs);
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Tokenize {
    pub(super) input: Input,
    pub(super) max_length: usize,
    pub(super) token_type_ids: bool,
    pub(super) carried: Vec<String>,
}

/// What a row is.
#[derive(Debug, Clone)]
pub(super) enum Input {
    Text(String),
    Pair(String, String),
    Words(Words),
    Questions(Questions),
}

impl Tokenize {
    /// Tokenises this column of text; longer texts are cut so that `max_length` tokens are left,
    /// special tokens included.
    pub fn text(column: &str, max_length: usize) -> Self {
        Self::of(Input::Text(column.to_owned()), max_length, false)
    }

    /// Tokenises the texts of two columns as one sequence with `token_type_ids`; where both together
    /// are longer than `max_length`, the longer one is cut first.
    pub fn pair(first: &str, second: &str, max_length: usize) -> Self {
        Self::of(Input::Pair(first.to_owned(), second.to_owned()), max_length, true)
    }

    /// Tokenises words, and lays their labels beside the tokens: columns `labels` (-100 where a token
    /// has none), `label_mask` (1 at the tokens that stand for a word, else 0) and `word_ids` (the word
    /// of each token from 0, -1 for special ones), lists of int32 as long as `input_ids`.
    ///
    /// What is beyond `max_length` tokens is cut off.
    pub fn words(words: Words, max_length: usize) -> Self {
        Self::of(Input::Words(words), max_length, false)
    }

    /// Tokenises questions with the texts they are about, in windows of `max_length` tokens: a row a
    /// window, with `token_type_ids`; `offset_starts` and `offset_ends`, the characters of the context
    /// that each token stands for (-1 for the question and special tokens); `example`, the row the
    /// window is of. With answers also `start_positions` and `end_positions`, the answer's first and last
    /// token, and `has_answer`; both positions are 0 where the window does not hold the whole answer.
    ///
    /// Carried columns are repeated for each window of their row.
    pub fn questions(questions: Questions, max_length: usize) -> Self {
        Self::of(Input::Questions(questions), max_length, true)
    }

    fn of(input: Input, max_length: usize, token_type_ids: bool) -> Self {
        Tokenize { input, max_length, token_type_ids, carried: Vec::new() }
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

    /// The columns that are read, without those that are carried.
    fn read(&self) -> Vec<&str> {
        match &self.input {
            Input::Text(text) => vec![text],
            Input::Pair(first, second) => vec![first, second],
            Input::Words(words) => [&words.column]
                .into_iter()
                .chain(words.labels.as_ref().map(|(labels, _)| labels))
                .map(String::as_str)
                .collect(),
            Input::Questions(questions) => [&questions.question, &questions.context]
                .into_iter()
                .chain(questions.answers.iter().flat_map(|(texts, starts)| [texts, starts]))
                .map(String::as_str)
                .collect(),
        }
    }

    /// The columns that are read and those that are carried, each once.
    pub(super) fn columns(&self) -> Vec<&str> {
        let mut columns = self.read();
        for name in &self.carried {
            if !columns.contains(&name.as_str()) {
                columns.push(name);
            }
        }
        columns
    }

    /// The column that the made column `labels` is made of.
    fn labels(&self) -> Option<&str> {
        match &self.input {
            Input::Words(words) => words.labels.as_ref().map(|(labels, _)| labels.as_str()),
            Input::Text(_) | Input::Pair(..) | Input::Questions(_) => None,
        }
    }

    /// The columns that are made.
    fn made(&self) -> Vec<Field> {
        let names = ["input_ids", "attention_mask", "token_type_ids"];
        let mut made: Vec<_> =
            names[..if self.token_type_ids { 3 } else { 2 }].iter().map(|name| Lists::field(name)).collect();
        match &self.input {
            Input::Text(_) | Input::Pair(..) => {}
            Input::Words(words) => made.extend(words.made()),
            Input::Questions(questions) => made.extend(questions.made()),
        }
        made
    }

    /// The tokenizer that cuts as is asked for; refuses settings that leave no room for text.
    fn cutting(&self, tokenizer: &Tokenizer) -> Result<Tokenizer> {
        match &self.input {
            Input::Text(_) => tokenizer.truncated_to(self.max_length),
            Input::Pair(..) => {
                tokenizer.room(self.max_length, true)?;
                tokenizer.truncated_to(self.max_length)
            }
            Input::Words(_) => tokenizer.of_words().truncated_to(self.max_length),
            Input::Questions(questions) => {
                questions.check(tokenizer.room(self.max_length, true)?)?;
                tokenizer.windows_of(self.max_length, questions.stride)
            }
        }
    }

    /// The columns made of some rows, and the row that each made row is of where they are not the same.
    fn make(&self, tokenizer: &Tokenizer, cells: &Cells<'_>) -> Result<(Vec<ArrayRef>, Option<Vec<u64>>)> {
        let (encodings, columns, rows) = match &self.input {
            Input::Text(text) => (tokenizer.encode_all(cells.texts(text)?)?, Vec::new(), None),
            Input::Pair(first, second) => {
                let pairs = cells.texts(first)?.into_iter().zip(cells.texts(second)?);
                (tokenizer.encode_pairs(pairs.collect())?, Vec::new(), None)
            }
            Input::Words(words) => {
                let (encodings, columns) = words.make(tokenizer, cells)?;
                (encodings, columns, None)
            }
            Input::Questions(questions) => {
                let windows = questions.make(tokenizer, tokenizer.room(self.max_length, true)?, cells)?;
                (windows.encodings, windows.columns, Some(windows.rows))
            }
        };
        let mut made =
            vec![list(&encodings, Encoding::get_ids), list(&encodings, Encoding::get_attention_mask)];
        if self.token_type_ids {
            made.push(list(&encodings, Encoding::get_type_ids));
        }
        made.extend(columns);
        Ok((made, rows))
    }
}

fn list(encodings: &[Encoding], of: fn(&Encoding) -> &[u32]) -> ArrayRef {
    let mut lists = Lists::default();
    encodings.iter().for_each(|encoding| lists.push(of(encoding).iter().map(|&value| value as i32)));
    lists.finish()
}

impl Dataset {
    /// The rows in use as token ids: columns `input_ids` and `attention_mask` (lists of int32, as long
    /// as their text), `token_type_ids` for pairs and where asked for, those of [`Tokenize::words`] and
    /// [`Tokenize::questions`], and the carried columns.
    ///
    /// They are written to an Arrow IPC file in `cache_folder`, which is mapped, and found there the
    /// next time. Its name is a hash of the texts and carried values, of the tokenizer and of the
    /// settings, and a file beside it holds a checksum: a cache that does not match, is cut short or is
    /// damaged is made anew. A table of any size takes the memory of a thousand rows.
    ///
    /// # Errors
    /// A column that is missing, is of another type, has a missing value, or is carried under a name
    /// that is made; a maximum length without room for text; other numbers of labels than of words, an
    /// answer that does not stand where it is said to, a question that fills its window, by row; a cache
    /// that cannot be written.
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
        let cutting = settings.cutting(tokenizer)?;
        for column in settings.read() {
            self.refuse_nulls(column)?;
        }
        let key = key_of(self, &settings.columns(), tokenizer, settings)?;
        let path = cache_folder.as_ref().join(format!("tokens-{}.arrow", &key[..32]));
        if let Some(tokens) = cached(&path, &key) {
            return Ok(tokens);
        }
        self.write_tokens(&cutting, settings, &key, &path)?;
        seal(&path)?;
        Dataset::open(&path)
    }

    fn write_tokens(&self, tokenizer: &Tokenizer, settings: &Tokenize, key: &str, path: &Path) -> Result<()> {
        let failed = |error| Error::format(path, format!("the token cache cannot be written: {error}"));
        let (read, copies) = self.copies(&settings.columns(), CHUNK_ROWS)?;
        let carried = settings.carried.iter().map(|name| read.field_with_name(name).cloned());
        let carried = carried.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let fields: Vec<_> = settings.made().into_iter().chain(carried).collect();
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
            for chunk in copies {
                let cells = Cells { dataset: self, first_row, columns: chunk? };
                let (mut columns, rows) = settings.make(tokenizer, &cells)?;
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
            writer.finish().map_err(failed)
        })
    }
}
