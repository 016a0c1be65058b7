//! How a text file is to be read, where its name and first bytes do not say enough.

use crate::parse::conll::Conll;
use crate::source::layout::Layout;

/// What [`Dataset::open_as`](crate::Dataset::open_as) takes: a [`Layout`], a [`Conll`], or `Format::Squad`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Format {
    /// Tab-separated text without a header; or the columns that a file which names its own must have.
    Table(Layout),
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

format_of!(Layout => Table, Conll => Conll);
