//! How to read separated text: separator, quoting, header, columns.

use std::io::BufRead;

use super::layout::Layout;
use super::records::Records;

/// Separated text (CSV, TSV): one row per line, or several lines if a quoted field contains line ends.
///
/// Unless a [`Layout`] is given, the first line is the header, and types are inferred: int64 if every value
/// of a column is a whole number, otherwise float64 if every value is a finite number, otherwise text. If any
/// number has a leading zero (`01234`) or a `+`, or does not fit int64, the column stays text, since it holds
/// identifiers that numbers would alter; [`to_integers`](crate::Recast::to_integers) casts it. An empty field
/// in a numeric column is a missing value. An unnamed first column of whole numbers, as pandas'
/// `DataFrame.to_csv` writes its index, is called `Unnamed: 0`, as in pandas.
///
/// Blank lines are skipped, as in pandas and pyarrow; with a single column, `""` is an empty text. A column
/// whose values do not fit together, or are not UTF-8, is rejected when it is used.
///
/// ```
/// use brew_data::{Dataset, Delimited, Layout};
///
/// # fn main() -> brew_data::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("reviews.csv");
/// # std::fs::write(&path, "4;\"fine; I liked it\"\n").unwrap();
/// // 4;"fine; I liked it"
/// let layout = Layout::new().integer("stars").text("text");
/// let reviews = Dataset::open_as(&path, Delimited::csv().separated_by(b';').layout(layout))?;
/// assert_eq!(reviews.texts("text")?, ["fine; I liked it"]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Delimited {
    pub(super) separator: u8,
    pub(super) quoted: bool,
    pub(super) layout: Option<Layout>,
    pub(super) header: bool,
}

impl Delimited {
    /// Comma-separated; a field may be quoted, and then contain separators, line ends, and doubled quotation
    /// marks. A quotation mark inside an unquoted field is an ordinary character.
    pub fn csv() -> Self {
        Delimited { separator: b',', quoted: true, layout: None, header: true }
    }

    /// Tab-separated, without quoting: sentences contain bare quotation marks, and treating them as quoting
    /// would swallow line ends and lose rows.
    pub fn tsv() -> Self {
        Delimited { separator: b'\t', quoted: false, layout: None, header: true }
    }

    /// Sets the separator.
    pub fn separated_by(mut self, separator: u8) -> Self {
        self.separator = separator;
        self
    }

    /// Sets whether fields may be quoted.
    pub fn quoted(mut self, quoted: bool) -> Self {
        self.quoted = quoted;
        self
    }

    /// Declares the columns, left to right, of a file without a header.
    pub fn layout(mut self, layout: impl Into<Layout>) -> Self {
        self.layout = Some(layout.into());
        self.header = false;
        self
    }

    /// Declares the columns, left to right, of a file whose first line is a header. If the header names the
    /// columns, the names must match (a blank over the first column is ignored); a header with numbers,
    /// blanks, or duplicates is replaced.
    pub fn layout_below_header(mut self, layout: impl Into<Layout>) -> Self {
        self.layout = Some(layout.into());
        self.header = true;
        self
    }

    /// These settings without a layout as Rust code, for error messages.
    pub(super) fn code(&self) -> String {
        let (mut code, of_tsv) = match (self.separator, self.quoted) {
            (b'\t', false) => ("Delimited::tsv()".to_owned(), true),
            _ => ("Delimited::csv()".to_owned(), false),
        };
        if !of_tsv && self.separator != b',' {
            code += &format!(".separated_by(b{:?})", char::from(self.separator));
        }
        if !of_tsv && !self.quoted {
            code += ".quoted(false)";
        }
        code
    }

    pub(super) fn records<R: BufRead>(&self, reader: R) -> Records<R> {
        Records::new(reader, self.separator, self.quoted)
    }
}
