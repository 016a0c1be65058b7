//! Turns start and end logits into the text of an answer.
//!
//! A window's answer is the span, up to a maximum number of tokens, with the largest sum of start and end
//! logit; an example's answer is the best of its windows. The score of "no answer" is the sum of the logits
//! at the first token, the minimum over all windows. transformers' example for SQuAD
//! (examples/pytorch/question-answering/utils_qa.py) considers only the 20 best starts and ends; here every
//! span is considered.

use brew_core::tch::{Kind, Tensor};

use super::cells::Cells;
use crate::dataset::Dataset;
use crate::error::{Error, Result};

/// The default maximum number of tokens, as in transformers' example.
const LONGEST: usize = 30;

/// Finds a model's answers in the contexts of the questions.
///
/// ```no_run
/// use brew_core::prelude::*;
/// use brew_core::model::{BertForQuestionAnswering, SpanBatch};
/// use brew_data::prelude::*;
/// use brew_data::{Answers, Questions};
///
/// # fn main() -> Result<()> {
/// # let (model, tokenizer): (BertForQuestionAnswering, Tokenizer) = unimplemented!();
/// let questions = Dataset::open("dev.parquet")?;
/// let settings = Tokenize::questions(Questions::of("question", "context").stride(128), 384);
/// let windows = questions.tokenize(&tokenizer, &settings, "runs/cache")?;
///
/// let mut answers = Answers::of(&windows, &questions, "context")?;
/// for batch in windows.batches::<SpanBatch>(64).epoch(0)? {
///     # let (start_logits, end_logits): (Tensor, Tensor) = unimplemented!();
///     // … = model.forward(batch)
///     answers.add(&start_logits, &end_logits)?; // (windows, length) each
/// }
/// for answer in answers.finish()? {
///     println!("{}", answer.text);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Answers {
    windows: Dataset,
    examples: Dataset,
    context: String,
    longest: usize,
    unanswerable_above: Option<f64>,
    next_window: usize,
    best: Vec<BestSpan>,
}

/// The answer to one question.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The text as in the context; empty if there is no answer.
    pub text: String,
    /// The sum of the span's start and end logit.
    pub score: f64,
    /// The sum of both logits at the first token: the minimum over all windows.
    pub no_answer_score: f64,
}

/// The best span of an example so far.
#[derive(Debug, Clone)]
struct BestSpan {
    score: f64,
    /// The first character and the one after the last.
    characters: (i64, i64),
    no_answer: f64,
}

impl Answers {
    /// For windows made by [`Tokenize::questions`](crate::Tokenize::questions) from these examples, with
    /// contexts in this column.
    ///
    /// # Errors
    /// The column is missing, or a window belongs to a row that the examples lack.
    pub fn of(windows: &Dataset, examples: &Dataset, context: &str) -> Result<Self> {
        examples.field(context)?;
        let rows = examples.rows();
        if let Some(example) = windows.integers("example")?.into_iter().find(|row| *row >= rows as i64) {
            let message = format!("a window of row {example}, but there are only {rows} examples");
            return Err(Error::format(windows.path(), message));
        }
        let none = BestSpan { score: f64::NEG_INFINITY, characters: (0, 0), no_answer: f64::INFINITY };
        Ok(Answers {
            windows: windows.clone(),
            examples: examples.clone(),
            context: context.to_owned(),
            longest: LONGEST,
            unanswerable_above: None,
            next_window: 0,
            best: vec![none; rows],
        })
    }

    /// Limits answers to this many tokens (default: 30).
    #[must_use]
    pub fn at_most(mut self, tokens: usize) -> Self {
        self.longest = tokens;
        self
    }

    /// Returns the empty text if "no answer" scores more than this above the best span (SQuAD 2.0; 0 in
    /// transformers' example). By default, every question gets an answer.
    #[must_use]
    pub fn unanswerable_above(mut self, threshold: f64) -> Self {
        self.unanswerable_above = Some(threshold);
        self
    }

    /// Adds the logits of the next windows, in row order: both (windows, length), float, at least as long as
    /// the longest window.
    ///
    /// # Errors
    /// Too many windows, logits shorter than their window, or other shapes.
    pub fn add(&mut self, start_logits: &Tensor, end_logits: &Tensor) -> Result<()> {
        let (starts, ends) = (self.rows_of(start_logits)?, self.rows_of(end_logits)?);
        let last = self.next_window + starts.len();
        if starts.len() != ends.len() || last > self.windows.rows() {
            let message = format!(
                "logits of {} starts and {} ends from window {}, but there are {} windows",
                starts.len(),
                ends.len(),
                self.next_window,
                self.windows.rows()
            );
            return Err(Error::format(self.windows.path(), message));
        }
        if starts.is_empty() {
            return Ok(());
        }
        let windows = self.windows.select(&(self.next_window..last).collect::<Vec<_>>())?;
        let (_, copies) = windows.copies(&["example", "offset_starts", "offset_ends"], starts.len())?;
        for columns in copies {
            let cells = Cells { dataset: &windows, first_row: 0, columns: columns? };
            let examples = cells.lists_of_integers("example")?;
            let (first, behind) =
                (cells.lists_of_integers("offset_starts")?, cells.lists_of_integers("offset_ends")?);
            for (row, example) in examples.iter().enumerate() {
                let places: Vec<(i64, i64)> =
                    first[row].iter().copied().zip(behind[row].iter().copied()).collect();
                if places.len() > starts[row].len() {
                    let message =
                        format!("logits of {} tokens for a window of {}", starts[row].len(), places.len());
                    return Err(cells.bad(row, "offset_starts", message));
                }
                self.best[example[0] as usize].look_at(&places, &starts[row], &ends[row], self.longest);
            }
        }
        self.next_window = last;
        Ok(())
    }

    /// The answer to each example, in order.
    ///
    /// # Errors
    /// Logits of some windows are missing, or a context is not text.
    pub fn finish(self) -> Result<Vec<Answer>> {
        if self.next_window < self.windows.rows() {
            let message =
                format!("logits of {} windows, but there are {}", self.next_window, self.windows.rows());
            return Err(Error::format(self.windows.path(), message));
        }
        let contexts = self.examples.texts(&self.context)?;
        let answer = |(best, context): (BestSpan, String)| {
            let (start, end) = best.characters;
            let none = self.unanswerable_above.is_some_and(|above| best.no_answer - best.score > above);
            let length = if none { 0 } else { end - start };
            let text = context.chars().skip(start as usize).take(length as usize).collect();
            Answer { text, score: best.score, no_answer_score: best.no_answer }
        };
        Ok(self.best.into_iter().zip(contexts).map(answer).collect())
    }

    /// A tensor of two dimensions as rows.
    fn rows_of(&self, logits: &Tensor) -> Result<Vec<Vec<f32>>> {
        let failed = |error| Error::format(self.windows.path(), brew_core::Error::from(error));
        let &[rows, length] = &logits.size()[..] else {
            let message = format!("logits of shape {:?}, not (windows, length)", logits.size());
            return Err(Error::format(self.windows.path(), message));
        };
        let flat = logits.f_detach().and_then(|logits| logits.f_to_kind(Kind::Float)).map_err(failed)?;
        let flat = Vec::<f32>::try_from(flat.f_reshape([rows * length]).map_err(failed)?).map_err(failed)?;
        Ok(flat.chunks(length.max(1) as usize).map(<[f32]>::to_vec).collect())
    }
}

impl BestSpan {
    fn look_at(&mut self, places: &[(i64, i64)], starts: &[f32], ends: &[f32], longest: usize) {
        if places.is_empty() {
            return;
        }
        self.no_answer = self.no_answer.min(f64::from(starts[0]) + f64::from(ends[0]));
        for (first, place) in places.iter().enumerate().filter(|(_, place)| place.0 >= 0) {
            let last = places.len().min(first + longest);
            for (end, behind) in places[first..last].iter().enumerate().filter(|(_, place)| place.0 >= 0) {
                let score = f64::from(starts[first]) + f64::from(ends[first + end]);
                if score > self.score {
                    (self.score, self.characters) = (score, (place.0, behind.1));
                }
            }
        }
    }
}
