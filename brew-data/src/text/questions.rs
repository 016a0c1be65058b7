//! Questions about long texts, cut into windows, with the positions of tokens and answers.
//!
//! A window is the question and as much of the context as fits; the next window starts `stride` tokens before
//! this one ends. Each window is a row. If the window does not contain the whole answer, or there is none,
//! the answer is marked at the first token, as in transformers' example for SQuAD.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int32Array, Int64Array};
use arrow::datatypes::{DataType, Field};
use tokenizers::Encoding;

use super::cells::{Cells, Lists};
use super::tokenizer::Tokenizer;
use crate::error::{Error, Result};

/// The index of the context in the pair of texts.
const CONTEXT: usize = 1;

/// The columns of questions, their contexts, and their answers.
///
/// ```
/// use brew_data::{Questions, Tokenize};
///
/// let questions = Questions::of("question", "context").stride(128).answers("answers.text", "answers.answer_start");
/// let settings = Tokenize::questions(questions, 384).carry(&["id"]);
/// # let _ = settings;
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Questions {
    pub(super) question: String,
    pub(super) context: String,
    pub(super) stride: usize,
    pub(super) answers: Option<(String, String)>,
}

impl Questions {
    /// Questions from one column about contexts from another.
    pub fn of(question: &str, context: &str) -> Self {
        Questions { question: question.to_owned(), context: context.to_owned(), stride: 0, answers: None }
    }

    /// The number of tokens that a window shares with the previous one (default: 0).
    pub fn stride(mut self, tokens: usize) -> Self {
        self.stride = tokens;
        self
    }

    /// Adds answers: their texts, and the character (from 0) of the context at which each starts.
    ///
    /// Both columns hold lists, or one value per row. The first answer of a list is used; an empty list means
    /// that there is no answer.
    pub fn answers(mut self, texts: &str, starts: &str) -> Self {
        self.answers = Some((texts.to_owned(), starts.to_owned()));
        self
    }

    pub(super) fn made(&self) -> Vec<Field> {
        let mut fields = vec![
            Lists::field("offset_starts"),
            Lists::field("offset_ends"),
            Field::new("example", DataType::Int64, false),
        ];
        if self.answers.is_some() {
            fields.push(Field::new("start_positions", DataType::Int32, false));
            fields.push(Field::new("end_positions", DataType::Int32, false));
            fields.push(Field::new("has_answer", DataType::Boolean, false));
        }
        fields
    }

    /// Rejects settings with which windows would not advance.
    pub(super) fn check(&self, room: usize) -> Result<()> {
        if self.stride + 1 < room {
            return Ok(());
        }
        Err(Error::Setting(format!(
            "a stride of {} leaves no room for a question and a new token of its context: \
             windows have {room} tokens beside the special ones; ask for a smaller stride or for longer ones",
            self.stride
        )))
    }

    /// The windows of these rows, the row of each, and the additional columns.
    pub(super) fn make(
        &self,
        tokenizer: &Tokenizer,
        room: usize,
        cells: &Cells<'_>,
    ) -> Result<QuestionWindows> {
        let (questions, contexts) = (cells.texts(&self.question)?, cells.texts(&self.context)?);
        let longest = room - self.stride - 1;
        let answers = self.first_answers(cells, &contexts)?;
        let (questions, contexts) = (tokenizer.pieces(questions)?, tokenizer.pieces(contexts)?);
        if let Some(row) = questions.iter().position(|question| question.len() > longest) {
            let message = format!(
                "the question has {} tokens, but windows with a stride of {} leave room for {longest}: \
                 cut it, or ask for longer windows or a smaller stride",
                questions[row].len(),
                self.stride
            );
            return Err(cells.bad(row, &self.question, message));
        }
        let mut windows = QuestionWindows::default();
        let (mut starts, mut ends) = (Lists::default(), Lists::default());
        let mut marks = Vec::new();
        for (row, (question, context)) in questions.into_iter().zip(contexts).enumerate() {
            for window in tokenizer.windows(question, context)? {
                let places = places(&window);
                starts.push(places.iter().map(|place| place.as_ref().map_or(-1, |place| place.start as i32)));
                ends.push(places.iter().map(|place| place.as_ref().map_or(-1, |place| place.end as i32)));
                marks.push(answers.as_ref().and_then(|answers| mark(&places, answers[row].as_ref()?)));
                windows.rows.push(row as u64);
                windows.encodings.push(window);
            }
        }
        let examples = windows.rows.iter().map(|row| (cells.first_row as u64 + row) as i64);
        windows.columns =
            vec![starts.finish(), ends.finish(), Arc::new(Int64Array::from_iter_values(examples))];
        if answers.is_some() {
            let token = |of: fn(&(usize, usize)) -> usize| -> ArrayRef {
                let tokens = marks.iter().map(|mark| mark.as_ref().map_or(0, of) as i32);
                Arc::new(Int32Array::from_iter_values(tokens))
            };
            let has_answer: BooleanArray = marks.iter().map(|mark| Some(mark.is_some())).collect();
            windows.columns.extend([token(|mark| mark.0), token(|mark| mark.1), Arc::new(has_answer)]);
        }
        Ok(windows)
    }

    /// The character range of each row's first answer, if any.
    fn first_answers(
        &self,
        cells: &Cells<'_>,
        contexts: &[&str],
    ) -> Result<Option<Vec<Option<Range<usize>>>>> {
        let Some((texts_column, starts_column)) = &self.answers else { return Ok(None) };
        let (texts, starts) = (cells.lists_of_texts(texts_column)?, cells.lists_of_integers(starts_column)?);
        let first = |row: usize| {
            let (texts, starts) = (&texts[row], &starts[row]);
            if texts.len() != starts.len() {
                let message = format!("{} starts for {} answers", starts.len(), texts.len());
                return Err(cells.bad(row, starts_column, message));
            }
            let (Some(text), Some(start)) = (texts.first(), starts.first()) else { return Ok(None) };
            let length = text.chars().count();
            let stands_at = |start: &usize| {
                length > 0 && contexts[row].chars().skip(*start).take(length).eq(text.chars())
            };
            let start = usize::try_from(*start).ok().filter(stands_at).ok_or_else(|| {
                let message = format!(
                    "the answer `{text}` is not at character {start} of `{}`: \
                     starts are counted in characters, from 0",
                    self.context
                );
                cells.bad(row, starts_column, message)
            })?;
            Ok(Some(start..start + length))
        };
        (0..cells.rows()).map(first).collect::<Result<_>>().map(Some)
    }
}

/// Rows made from questions.
#[derive(Debug, Default)]
pub(super) struct QuestionWindows {
    pub(super) encodings: Vec<Encoding>,
    /// The row that each window belongs to, among those read.
    pub(super) rows: Vec<u64>,
    pub(super) columns: Vec<ArrayRef>,
}

/// The character range in the context of each token; `None` for tokens of the question and special tokens.
fn places(window: &Encoding) -> Vec<Option<Range<usize>>> {
    let sequences = window.get_sequence_ids();
    let places = window.get_offsets().iter().zip(sequences);
    places.map(|(&(start, end), sequence)| (sequence == Some(CONTEXT)).then_some(start..end)).collect()
}

/// The first and last token of an answer, if the window contains all of it.
fn mark(places: &[Option<Range<usize>>], answer: &Range<usize>) -> Option<(usize, usize)> {
    let context = || places.iter().enumerate().filter_map(|(token, place)| Some((token, place.as_ref()?)));
    let start = context().take_while(|(_, place)| place.start <= answer.start).last()?;
    let end = context().find(|(_, place)| place.end >= answer.end)?;
    // The window may start after the answer begins, or end before it ends.
    (context().next()?.1.start <= answer.start).then_some((start.0, end.0))
}
