//! Aligns the labels of words with tokens.
//!
//! A tokenizer splits a word into pieces. The word's label goes to its first piece or to all of them; every
//! other token gets -100, which losses ignore. Words beyond the maximum length are cut off with their labels;
//! a word without pieces (a zero-width space) loses its label.

use arrow::array::ArrayRef;
use arrow::datatypes::Field;

use super::cells::{Cells, Lists};
use super::tokenize::words_of;
use super::tokenizer::Tokenizer;
use crate::error::Result;

/// The value for tokens without a label; torch's `ignore_index`.
pub(super) const NO_LABEL: i32 = -100;

/// The pieces of a word that get its label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pieces {
    /// The first one, as in BERT's own evaluation of named entities.
    First,
    /// Each of them.
    All,
}

/// A column of texts already split into words, and the labels of the words.
///
/// ```
/// use brew_data::{Pieces, Tokenize, Words};
///
/// let words = Words::of("tokens").labels("ner_tags", Pieces::First);
/// let settings = Tokenize::words(words, 128);
/// # let _ = settings;
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Words {
    pub(super) column: String,
    pub(super) labels: Option<(String, Pieces)>,
}

impl Words {
    /// The words of this column of lists of text.
    pub fn of(column: &str) -> Self {
        Words { column: column.to_owned(), labels: None }
    }

    /// Adds labels from this column of lists of integers, one per word.
    pub fn labels(mut self, column: &str, pieces: Pieces) -> Self {
        self.labels = Some((column.to_owned(), pieces));
        self
    }

    pub(super) fn made(&self) -> Vec<Field> {
        let labels = self.labels.as_ref().map(|_| Lists::field("labels"));
        labels.into_iter().chain([Lists::field("label_mask"), Lists::field("word_ids")]).collect()
    }

    /// The encodings of these rows, and the additional columns.
    pub(super) fn make(
        &self,
        tokenizer: &Tokenizer,
        cells: &Cells<'_>,
    ) -> Result<(Vec<tokenizers::Encoding>, Vec<ArrayRef>)> {
        let words = cells.lists_of_texts(&self.column)?;
        let labels = match &self.labels {
            Some((column, _)) => Some(cells.lists_of_integers(column)?),
            None => None,
        };
        for (row, words) in words.iter().enumerate() {
            let (Some(labels), Some((column, _))) = (&labels, &self.labels) else { break };
            if labels[row].len() != words.len() {
                let message = format!(
                    "{} labels for {} words: there must be one per word",
                    labels[row].len(),
                    words.len()
                );
                return Err(cells.bad(row, column, message));
            }
            if let Some(label) = labels[row].iter().find(|label| i32::try_from(**label).is_err()) {
                return Err(cells.bad(row, column, format!("the label {label} does not fit int32")));
            }
        }
        let encodings = tokenizer.encode_words(words)?;
        let pieces = self.labels.as_ref().map_or(Pieces::First, |(_, pieces)| *pieces);
        let (mut of_tokens, mut mask) = (Lists::default(), Lists::default());
        for (row, encoding) in encodings.iter().enumerate() {
            let word_ids = encoding.get_word_ids();
            let carries = carriers(word_ids, pieces);
            if let Some(labels) = &labels {
                let label =
                    |word: u32| labels[row].get(word as usize).map_or(NO_LABEL, |label| *label as i32);
                of_tokens.push(carries.iter().map(|word| word.map_or(NO_LABEL, label)));
            }
            mask.push(carries.iter().map(|word| i32::from(word.is_some())));
        }
        let labels = labels.is_some().then(|| of_tokens.finish());
        let ids = words_of(&encodings);
        Ok((encodings, labels.into_iter().chain([mask.finish(), ids]).collect()))
    }
}

/// The word of each token that represents one.
fn carriers(word_ids: &[Option<u32>], pieces: Pieces) -> Vec<Option<u32>> {
    let previous = [None].into_iter().chain(word_ids.iter().copied());
    let stands = |(word, previous): (&Option<u32>, Option<u32>)| {
        word.filter(|_| pieces == Pieces::All || *word != previous)
    };
    word_ids.iter().zip(previous).map(stands).collect()
}
