//! How separated text is to be read: separator, quotation marks, header, columns.

use std::io::BufRead;

use super::layout::Layout;
use super::records::Records;

/// Separated text (CSV, TSV): one row a line, or more lines where a quoted field has line ends in it.
///
/// Unless a [`Layout`] is given, the first line is a header and the types are those of the values:
/// int64 where every value of the column is a whole number, else float64 where every one is a finite
/// number, else text. A column is text too where one of its numbers has a leading zero (`01234`) or a `+`, or is
/// a whole number beyond int64: it is an identifier, of which a number would keep less;
/// [`to_integers`](crate::Recast::to_integers) makes numbers of it all the same. An empty field
/// of a column of numbers is a missing value. A first column of whole numbers without a name, as
/// `DataFrame.to_csv` of pandas writes its index, is called `Unnamed: 0`, as in pandas.
///
/// Blank lines are no rows, as in pandas and pyarrow; where there is one column, `""` is an empty text. A
/// column whose values do not go together, or are not UTF-8, is refused when it is used.
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
    /// Separated by commas; a field may stand in quotation marks, with a separator, a line end or a
    /// doubled quotation mark inside. A quotation mark within a field that does not begin with one is a
    /// letter like any other.
    pub fn csv() -> Self {
        Delimited { separator: b',', quoted: true, layout: None, header: true }
    }

    /// Separated by tabs, nothing quoted: sentences hold bare quotation marks, and a reader that takes
    /// them for quoting would swallow line ends and lose rows.
    pub fn tsv() -> Self {
        Delimited { separator: b'\t', quoted: false, layout: None, header: true }
    }

    /// Another separator.
    pub fn separated_by(mut self, separator: u8) -> Self {
        self.separator = separator;
        self
    }

    /// Whether fields may stand in quotation marks.
    pub fn quoted(mut self, quoted: bool) -> Self {
        self.quoted = quoted;
        self
    }

    /// These columns, left to right, in a file without a header.
    pub fn layout(mut self, layout: impl Into<Layout>) -> Self {
        self.layout = Some(layout.into());
        self.header = false;
        self
    }

    /// These columns, left to right, in a file whose first line is a header. Where it names the columns, the
    /// names must be these (a blank over the first column is none); a header of numbers, blanks or a name twice is
    /// replaced.
    pub fn layout_below_header(mut self, layout: impl Into<Layout>) -> Self {
        self.layout = Some(layout.into());
        self.header = true;
        self
    }

    /// These settings without a layout, as they are written in Rust: for advice that can be followed.
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
