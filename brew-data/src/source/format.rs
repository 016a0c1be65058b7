//! How to read a text file, if its name and first bytes do not say enough.

use std::path::Path;

use crate::parse::conll::Conll;
use crate::parse::delimited::Delimited;
use crate::parse::layout::Layout;

/// The argument of [`Dataset::open_as`](crate::Dataset::open_as): a [`Layout`], a [`Delimited`], a [`Conll`],
/// or a format without settings.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Format {
    /// CSV or TSV without a header; or, for a file that names its own columns, the columns it must have.
    Table(Layout),
    /// Separated text (CSV, TSV).
    Delimited(Delimited),
    /// JSON objects as rows: one per line, one after another over several lines each, or the elements of one
    /// list. Their members are the columns; members of a nested object are `outer.inner`. Values are bools,
    /// whole numbers (int64), numbers (float64), text, or lists of these; lists of objects, such as the
    /// messages of a chat, are kept as JSON text. A missing member is a missing value. A column with mixed types or
    /// whole numbers beyond int64 is rejected when it is used. `NaN`, `Infinity`, and `-Infinity`, as Python writes them, are numbers.
    ///
    /// A file with a single object that is laid out as a table (by column, by index, or with all rows in one
    /// member, as pandas' `to_json` writes it without `orient="records"`) is rejected, with a command that
    /// writes its rows. Lists of the same length are columns only where some of them hold texts, and never on the
    /// only line of a `.jsonl` or `.ndjson` file.
    JsonLines,
    /// Sentences of tokens with tags.
    Conll(Conll),
    /// One JSON document in SQuAD's format: one row per question, with the columns `id`, `title`, `context`,
    /// `question`, `answers.text` (a list of text), and `answers.answer_start` (a list of int64: characters,
    /// not bytes, before the answer). A question without an answer has empty lists.
    Squad,
    /// Plain text: each line is a row, blank ones too, of the column `text`. Lines end with LF or CRLF. For files
    /// of any name, since no extension says it (`.txt` alone is read as TSV).
    ///
    /// ```
    /// use brew_data::{Dataset, Format};
    ///
    /// # fn main() -> brew_data::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("corpus.txt");
    /// # std::fs::write(&path, "The first text.\nThe second, with a comma.\n").unwrap();
    /// let texts = Dataset::open_as(&path, Format::Lines)?;
    /// assert_eq!(texts.texts("text")?[1], "The second, with a comma.");
    /// # Ok(())
    /// # }
    /// ```
    Lines,
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

/// A text format that files are recognised by, and by what.
pub(super) struct TextFormat {
    /// The format and its extensions, for messages.
    pub(super) shown: &'static str,
    /// The extensions by which a folder's files are data.
    pub(super) extensions: &'static [&'static str],
    /// Further extensions that a file named by itself may have.
    pub(super) also: &'static [&'static str],
    /// The format with the settings that a file has unless told otherwise.
    pub(super) format: fn() -> Format,
}

/// The text formats. SQuAD has no extension of its own: its keys tell it from other JSON.
pub(super) const TEXT_FORMATS: [TextFormat; 6] = [
    TextFormat {
        shown: "CSV (.csv)",
        extensions: &["csv"],
        also: &[],
        format: || Format::Delimited(Delimited::csv()),
    },
    TextFormat {
        shown: "TSV (.tsv, .tab, .txt)",
        extensions: &["tsv", "tab"],
        also: &["txt", ""],
        format: || Format::Delimited(Delimited::tsv()),
    },
    TextFormat {
        shown: "JSON (.jsonl, .ndjson, .json)",
        extensions: &["jsonl", "ndjson", "json"],
        also: &[],
        format: || Format::JsonLines,
    },
    TextFormat {
        shown: "CoNLL columns (.conll, .bio, .iob)",
        extensions: &["conll", "bio", "iob", "iob2"],
        also: &[],
        format: || Format::Conll(Conll::new()),
    },
    TextFormat { shown: "SQuAD's JSON (.json)", extensions: &[], also: &[], format: || Format::Squad },
    TextFormat {
        shown: "lines of text (any name, by `Format::Lines`)",
        extensions: &[],
        also: &[],
        format: || Format::Lines,
    },
];

impl Format {
    /// The format of files with this extension, if one is known.
    pub(super) fn of_extension(extension: &str) -> Option<Self> {
        let found = TEXT_FORMATS
            .iter()
            .find(|known| known.extensions.contains(&extension) || known.also.contains(&extension))?;
        Some((found.format)())
    }

    /// The format's name, for messages.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Format::Table(_) | Format::Delimited(_) => "separated text",
            Format::JsonLines => "JSON lines",
            Format::Conll(_) => "CoNLL columns",
            Format::Squad => "SQuAD's JSON",
            Format::Lines => "lines of text",
        }
    }
}

/// The extension, ignoring that of a compressor.
pub(crate) fn extension(path: &Path) -> String {
    let of = |path: &Path| path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    match of(path).as_str() {
        "gz" | "gzip" | "zst" | "zstd" => {
            path.file_stem().map(|stem| of(Path::new(stem))).unwrap_or_default()
        }
        extension => extension.to_owned(),
    }
}

/// Whether the name says that each line is a row of JSON.
pub(crate) fn is_named_lines(path: &Path) -> bool {
    matches!(extension(path).as_str(), "jsonl" | "ndjson")
}
