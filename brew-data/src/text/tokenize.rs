//! What to tokenise, and how.

use std::path::Path;

use arrow::array::ArrayRef;
use arrow::datatypes::Field;
use tokenizers::Encoding;

use super::causal::CausalRows;
use super::causal::tally::Tally;
use super::cells::{Cells, Lists};
use super::questions::Questions;
use super::tokenizer::Tokenizer;
use super::words::Words;
use crate::dataset::Dataset;
use crate::error::Result;

/// What to tokenise, and which columns to keep beside the tokens.
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
    pub(super) word_ids: bool,
    pub(super) carried: Vec<String>,
}

/// The kind of input in a row.
#[derive(Debug, Clone)]
pub(super) enum Input {
    Text(String),
    Pair(String, String),
    Words(Words),
    Questions(Questions),
    Causal(CausalRows),
}

impl Tokenize {
    /// Tokenises this column of text, truncated to `max_length` tokens including special tokens.
    pub fn text(column: &str, max_length: usize) -> Self {
        Self::of(Input::Text(column.to_owned()), max_length, false)
    }

    /// Tokenises the texts of two columns as one sequence with `token_type_ids`. If both together are longer
    /// than `max_length`, the longer one is truncated first.
    pub fn pair(first: &str, second: &str, max_length: usize) -> Self {
        Self::of(Input::Pair(first.to_owned(), second.to_owned()), max_length, true)
    }

    /// Tokenises words, and aligns their labels with the tokens: columns `labels` (-100 for tokens without a
    /// label), `label_mask` (1 for tokens that represent a word, otherwise 0), and `word_ids` (the word of
    /// each token from 0, -1 for special tokens), lists of int32 as long as `input_ids`.
    ///
    /// Tokens beyond `max_length` are cut off.
    pub fn words(words: Words, max_length: usize) -> Self {
        Self::of(Input::Words(words), max_length, false)
    }

    /// Tokenises questions with their contexts, in windows of `max_length` tokens, one row per window.
    /// Columns: `token_type_ids`; `offset_starts` and `offset_ends`, the character range in the context of
    /// each token (-1 for the question and special tokens); `example`, the row of the window. With answers
    /// also `start_positions` and `end_positions`, the answer's first and last token, and `has_answer`; both
    /// positions are 0 if the window does not contain the whole answer.
    ///
    /// Carried columns are repeated for each window of their row.
    pub fn questions(questions: Questions, max_length: usize) -> Self {
        Self::of(Input::Questions(questions), max_length, true)
    }

    /// Makes rows for a language model: `labels` (-100 for tokens without a loss, lists of int32; none for prompts) and
    /// `truncated`, the number of tokens that were cut off a row (int32). A row has at most `max_length` tokens. What was
    /// made is said in one line on standard error.
    ///
    /// Plain text has the special tokens that the tokenizer adds, the first never twice, and ends with the tokenizer's
    /// end-of-sequence token, if it names one, unless it is a prompt. In messages, all special tokens are the template's.
    pub fn causal(rows: CausalRows, max_length: usize) -> Self {
        Self::of(Input::Causal(rows), max_length, false)
    }

    fn of(input: Input, max_length: usize, token_type_ids: bool) -> Self {
        Tokenize { input, max_length, token_type_ids, word_ids: false, carried: Vec::new() }
    }

    /// Adds the segment of each token, for models that read it.
    ///
    /// [`Tokenize::pair`] and [`Tokenize::questions`] always add it, and [`Tokenize::causal`] never.
    pub fn token_type_ids(mut self) -> Self {
        self.token_type_ids = !matches!(self.input, Input::Causal(_));
        self
    }

    /// Adds the word of each token of a text, a pair, or a question with its context: a column `word_ids`, from 0 in
    /// each text, -1 for special tokens. Words are what the tokenizer splits before it looks for tokens; punctuation
    /// stands alone.
    ///
    /// [`Tokenize::words`] always adds it, and [`Tokenize::causal`] never.
    pub fn word_ids(mut self) -> Self {
        self.word_ids = matches!(self.input, Input::Text(_) | Input::Pair(..) | Input::Questions(_));
        self
    }

    /// Copies these columns, such as labels, beside the tokens.
    pub fn carry(mut self, columns: &[&str]) -> Self {
        self.carried.extend(columns.iter().map(|&column| column.to_owned()));
        self
    }

    /// The columns in which no value may be missing.
    pub(super) fn required(&self) -> Vec<&str> {
        match &self.input {
            Input::Causal(rows) => rows.required(),
            _ => self.read(),
        }
    }

    /// The columns that are read, without carried ones.
    pub(super) fn read(&self) -> Vec<&str> {
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
            Input::Causal(rows) => rows.read(),
        }
    }

    /// The columns that are read or carried, each once.
    pub(super) fn columns(&self) -> Vec<&str> {
        let mut columns = self.read();
        for name in &self.carried {
            if !columns.contains(&name.as_str()) {
                columns.push(name);
            }
        }
        columns
    }

    /// The source column of the made column `labels`.
    pub(super) fn labels(&self) -> Option<&str> {
        match &self.input {
            Input::Words(words) => words.labels.as_ref().map(|(labels, _)| labels.as_str()),
            Input::Text(_) | Input::Pair(..) | Input::Questions(_) | Input::Causal(_) => None,
        }
    }

    /// The columns that are made.
    pub(super) fn made(&self) -> Vec<Field> {
        let names = ["input_ids", "attention_mask", "token_type_ids"];
        let mut made: Vec<_> =
            names[..if self.token_type_ids { 3 } else { 2 }].iter().map(|name| Lists::field(name)).collect();
        if self.word_ids {
            made.push(Lists::field("word_ids"));
        }
        match &self.input {
            Input::Text(_) | Input::Pair(..) => {}
            Input::Words(words) => made.extend(words.made()),
            Input::Questions(questions) => made.extend(questions.made()),
            Input::Causal(rows) => made.extend(rows.made()),
        }
        made
    }

    /// The tokenizer with the requested truncation; rejects settings that leave no room for text, or do not fit the
    /// table.
    pub(super) fn cutting(&self, dataset: &Dataset, tokenizer: &Tokenizer) -> Result<Tokenizer> {
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
            Input::Causal(rows) => {
                rows.check(dataset, self.max_length)?;
                tokenizer.untruncated()
            }
        }
    }

    /// The columns made from some rows, and the source row of each made row if they differ.
    pub(super) fn make(
        &self,
        tokenizer: &Tokenizer,
        cells: &Cells<'_>,
        tally: &mut Tally,
    ) -> Result<(Vec<ArrayRef>, Option<Vec<u64>>)> {
        let (encodings, columns, rows) = match &self.input {
            Input::Text(text) if self.word_ids => {
                (tokenizer.encode_placed(cells.texts(text)?, true)?, Vec::new(), None)
            }
            Input::Text(text) => (tokenizer.encode_all(cells.texts(text)?)?, Vec::new(), None),
            Input::Pair(first, second) => {
                let pairs = cells.texts(first)?.into_iter().zip(cells.texts(second)?);
                (tokenizer.encode_pairs(pairs.collect(), self.word_ids)?, Vec::new(), None)
            }
            Input::Words(words) => {
                let (encodings, columns) = words.make(tokenizer, cells)?;
                (encodings, columns, None)
            }
            Input::Questions(questions) => {
                let windows = questions.make(tokenizer, tokenizer.room(self.max_length, true)?, cells)?;
                (windows.encodings, windows.columns, Some(windows.rows))
            }
            Input::Causal(rows) => return Ok((rows.make(tokenizer, self.max_length, cells, tally)?, None)),
        };
        let mut made =
            vec![list(&encodings, Encoding::get_ids), list(&encodings, Encoding::get_attention_mask)];
        if self.token_type_ids {
            made.push(list(&encodings, Encoding::get_type_ids));
        }
        if self.word_ids {
            made.push(words_of(&encodings));
        }
        made.extend(columns);
        Ok((made, rows))
    }
}

impl Tokenize {
    /// The line that says what was made of a table.
    pub(super) fn line(&self, path: &Path, tally: &Tally) -> Option<String> {
        match &self.input {
            Input::Causal(rows) => Some(tally.line(path, rows.has_labels())),
            Input::Text(_) | Input::Pair(..) | Input::Words(_) | Input::Questions(_) => None,
        }
    }
}

/// The word of each token, -1 for special tokens.
pub(super) fn words_of(encodings: &[Encoding]) -> ArrayRef {
    let mut ids = Lists::default();
    for encoding in encodings {
        ids.push(encoding.get_word_ids().iter().map(|word| word.map_or(-1, |word| word as i32)));
    }
    ids.finish()
}

fn list(encodings: &[Encoding], of: fn(&Encoding) -> &[u32]) -> ArrayRef {
    let mut lists = Lists::default();
    encodings.iter().for_each(|encoding| lists.push(of(encoding).iter().map(|&value| value as i32)));
    lists.finish()
}
