//! Tokenised texts with their labels, ready for batches.

use std::path::Path;

use brew_core::Result;
use brew_data::prelude::*;

use super::classes::decide;
use super::teacher_classes::TeacherClasses;
use super::words::{self, Words};
use super::{Columns, Labels, Part, Rows, empty};

/// The column of labels in batches.
const LABELS: &str = "labels";

/// Tokenised texts with the columns that a classifier's batches read.
#[derive(Debug)]
pub struct Texts {
    /// What is trained on.
    pub train: Dataset,
    /// What is evaluated on.
    pub dev: Dataset,
    /// The texts that are evaluated on, to measure how long a prediction takes; empty for pairs of texts.
    pub dev_texts: Vec<String>,
    /// What the labels mean.
    pub labels: Labels,
}

impl Texts {
    /// Checks texts and labels, and tokenises the texts.
    ///
    /// # Errors
    /// Columns that are missing or of another type; rows without text; labels in only one part of the data; a class
    /// without rows; classes that are not the teacher's, or not in its order.
    pub fn of(
        rows: &Rows,
        columns: &Columns,
        teacher: Option<&TeacherClasses>,
        (tokenizer, max_length): (&Tokenizer, usize),
        cache: &Path,
    ) -> Result<Self> {
        for part in [&rows.train, &rows.dev] {
            // Names a column that is missing, or named twice.
            part.table.only(&columns.all())?;
            empty::refuse(&part.table, columns)?;
        }
        let mut of_train = words::read(&rows.train.table, columns)?;
        let mut of_dev = words::read(&rows.dev.table, columns)?;
        of_train.words = of_train.words.of(&rows.train.rows);
        of_dev.words = of_dev.words.of(&rows.dev.rows);
        let names = (rows.train.name.as_str(), rows.dev.name.as_str());
        let labels = decide((&mut of_train, &mut of_dev), names, columns, teacher)?;
        let tokenised = |part: &Part, words: &Words| -> Result<Dataset> {
            let (text, pair) = ("first text", "second text");
            let mut table = labelled(&part.table.select(&part.rows)?, columns, words, &labels)?;
            table = table.column(&columns.text).as_(text)?;
            let settings = match &columns.pair {
                Some(column) => {
                    table = table.column(column).as_(pair)?;
                    Tokenize::pair(text, pair, max_length)
                }
                None => Tokenize::text(text, max_length),
            };
            let table = table.column(MADE).as_(LABELS)?;
            Ok(table.tokenize(tokenizer, &settings.carry(&[LABELS]), cache)?)
        };
        let dev_texts = match columns.pair {
            Some(_) => Vec::new(),
            None => rows.dev.table.select(&rows.dev.rows)?.texts(&columns.text)?,
        };
        Ok(Texts {
            train: tokenised(&rows.train, &of_train.words)?,
            dev: tokenised(&rows.dev, &of_dev.words)?,
            dev_texts,
            labels,
        })
    }
}

/// What the column of labels is called until the columns of texts have their names: one of those may be called `labels`.
const MADE: &str = "labels of the texts";

/// The texts with a column of labels for the batches.
fn labelled(table: &Dataset, columns: &Columns, words: &Words, labels: &Labels) -> Result<Dataset> {
    let names = labels.names();
    let number = |word: &String| names.iter().position(|name| name == word).map_or(-1, |place| place as i64);
    let texts: Vec<&str> = columns.of_texts().collect();
    Ok(match words {
        Words::One(words) => {
            let table = table.only(&texts)?.with_integers(MADE, words.iter().map(number))?;
            table.column(MADE).to_classes(names.to_vec()).as_(MADE)?
        }
        Words::Several(rows) => {
            let lists = rows.iter().map(|row| row.iter().map(number).collect());
            let table = table.only(&texts)?.with_integer_lists(MADE, lists)?;
            table.column(MADE).to_multi_hot(names.to_vec()).as_(MADE)?
        }
        Words::Number => table.only(&columns.all())?.column(&columns.label).to_floats().as_(MADE)?,
    })
}
