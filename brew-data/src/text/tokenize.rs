//! Columns of text become columns of token ids, once.

use arrow::array::ArrayRef;
use arrow::datatypes::Field;
use tokenizers::Encoding;

use super::cells::{Cells, Lists};
use super::questions::Questions;
use super::tokenizer::Tokenizer;
use super::words::Words;
use crate::error::Result;

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
    pub(super) fn labels(&self) -> Option<&str> {
        match &self.input {
            Input::Words(words) => words.labels.as_ref().map(|(labels, _)| labels.as_str()),
            Input::Text(_) | Input::Pair(..) | Input::Questions(_) => None,
        }
    }

    /// The columns that are made.
    pub(super) fn made(&self) -> Vec<Field> {
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
    pub(super) fn cutting(&self, tokenizer: &Tokenizer) -> Result<Tokenizer> {
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
    pub(super) fn make(
        &self,
        tokenizer: &Tokenizer,
        cells: &Cells<'_>,
    ) -> Result<(Vec<ArrayRef>, Option<Vec<u64>>)> {
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
