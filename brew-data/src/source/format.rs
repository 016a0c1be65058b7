//! How a text file is to be read, where its name and first bytes do not say enough.

use crate::parse::conll::Conll;
use crate::parse::delimited::Delimited;
use crate::parse::layout::Layout;

/// What [`Dataset::open_as`](crate::Dataset::open_as) takes: a [`Layout`], a [`Delimited`], a
/// [`Conll`], or one of these without settings.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Format {
    /// CSV or TSV without a header; or the columns that a file which names its own must have.
    Table(Layout),
    /// Separated text.
    Delimited(Delimited),
    /// Rows are JSON objects: one per line, one after another over several lines each, or the elements of one
    /// list. Their members are the columns; those of an object within are `outer.inner`. Values are truth
    /// values (bool), whole numbers (int64), numbers (float64), text, or lists of these; a member that a row
    /// lacks is a missing value. A column of mixed types, of lists of objects, or of whole numbers beyond int64
    /// is refused when it is used. `NaN`, `Infinity` and `-Infinity` are numbers, as Python writes them.
    ///
    /// A file of one object alone that has the shape of a table (by column, by index, or with all rows in one of
    /// its members, as pandas' `to_json` writes it without `orient="records"`) is refused, with a line that writes
    /// its rows.
    JsonLines,
    /// Sentences of tokens with tags.
    Conll(Conll),
    /// One JSON document of SQuAD's form: a row a question, with the columns `id`, `title`, `context`,
    /// `question`, `answers.text` (a list of text) and `answers.answer_start` (a list of int64: characters,
    /// not bytes, before the answer). A question without an answer has empty lists.
    Squad,
}

macro_rules! format_of {
    ($($settings:ident => $format:ident),* $(,)?) => {$(
        impl From<$settings> for Format {
            fn from(settings: $settings) -> Self {
                Format::$format(settings)
            }
        }

        impl From<&$settings> for Format {
            fn from(settings: &$settings) -> Self {
                Format::$format(settings.clone())
            }
        }
    )*};
}

format_of!(Layout => Table, Delimited => Delimited, Conll => Conll);
