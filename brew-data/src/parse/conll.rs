//! CoNLL columns: each line is a token with its tags, and a blank line ends a sentence.

use std::io::BufRead;
use std::sync::Arc;

use arrow::array::builder::{ListBuilder, StringBuilder};
use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::lines::Lines;
use super::{Chunk, Emit, LONGEST_ROW, ParseError, utf8};

/// The start of CoNLL-2003's lines between documents, which are not tokens.
const DOCUMENT_MARK: &[u8] = b"-DOCSTART-";

/// Which columns of a CoNLL file to read, and their names.
///
/// Each row is a sentence; each column is a list of text with one value per token. Fields are separated by
/// tabs if the first line has one, otherwise by runs of spaces; every line must have as many fields as the
/// first. CoNLL-2003's `-DOCSTART-` lines are skipped.
///
/// ```
/// use brew_data::{Conll, Dataset};
///
/// # fn main() -> brew_data::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("train.txt");
/// # std::fs::write(&path, "EU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\nBrussels NNP B-NP B-LOC\n").unwrap();
/// // EU NNP B-NP B-ORG
/// // rejects VBZ B-VP O
/// //
/// // Brussels NNP B-NP B-LOC
/// let sentences = Dataset::open_as(&path, Conll::new().column(0, "tokens").last("tags"))?;
/// assert_eq!(sentences.rows(), 2);
/// assert_eq!(sentences.text_lists("tokens")?[0], ["EU", "rejects"]);
/// assert_eq!(sentences.text_lists("tags")?, [vec!["B-ORG", "O"], vec!["B-LOC"]]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Conll {
    /// Position (`None`: the last) and name.
    columns: Vec<(Option<usize>, String)>,
    comments: bool,
}

impl Conll {
    /// Reads the first column as `tokens` and the last as `tags`, unless columns are named.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the column at this position, from 0.
    pub fn column(mut self, position: usize, name: &str) -> Self {
        self.columns.push((Some(position), name.to_owned()));
        self
    }

    /// Reads the last column, which usually holds the tag.
    pub fn last(mut self, name: &str) -> Self {
        self.columns.push((None, name.to_owned()));
        self
    }

    /// Skips lines that begin with `#`. They are read by default, since `#` may be a token.
    pub fn comments(mut self) -> Self {
        self.comments = true;
        self
    }

    fn columns(&self) -> Vec<(Option<usize>, String)> {
        if self.columns.is_empty() {
            return vec![(Some(0), "tokens".to_owned()), (None, "tags".to_owned())];
        }
        self.columns.clone()
    }

    /// One list of text per column.
    pub(crate) fn schema(&self) -> SchemaRef {
        let list = DataType::new_list(DataType::Utf8, true);
        let fields = self.columns().into_iter().map(|(_, name)| Field::new(name, list.clone(), false));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// Reads every sentence.
    ///
    /// # Errors
    /// There is no sentence; a line has a different number of fields than the first, an empty field, or is
    /// not UTF-8; a sentence is longer than [`LONGEST_ROW`].
    pub(crate) fn read(&self, reader: impl BufRead, emit: &mut Emit<'_>) -> Result<(), ParseError> {
        let mut sentences = Sentences::new(self);
        let mut lines = Lines::new(reader);
        while let Some((number, line)) = lines.next()? {
            let blank = line.iter().all(|byte| matches!(byte, b' ' | b'\t'));
            if blank {
                sentences.end(emit)?;
            } else if !(line.starts_with(DOCUMENT_MARK) || self.comments && line.starts_with(b"#")) {
                sentences.token(number, line)?;
            }
        }
        sentences.end(emit)?;
        sentences.finish(emit)
    }
}

/// Sentences under construction.
struct Sentences {
    schema: SchemaRef,
    columns: Vec<(Option<usize>, String)>,
    values: Vec<ListBuilder<StringBuilder>>,
    /// The separator and number of fields of the first line.
    form: Option<(u8, usize)>,
    /// Bytes of the current sentence.
    sentence: usize,
    /// The sentences before the current one.
    chunk: Chunk,
}

impl Sentences {
    fn new(settings: &Conll) -> Self {
        let columns = settings.columns();
        let values = columns.iter().map(|_| ListBuilder::new(StringBuilder::new())).collect();
        let schema = settings.schema();
        Sentences { schema, columns, values, form: None, sentence: 0, chunk: Chunk::default() }
    }

    fn token(&mut self, number: usize, line: &[u8]) -> Result<(), ParseError> {
        let separator = self.form.map_or(if line.contains(&b'\t') { b'\t' } else { b' ' }, |form| form.0);
        let fields: Vec<&[u8]> = line
            .split(|byte| *byte == separator)
            .filter(|field| separator == b'\t' || !field.is_empty())
            .collect();
        let expected = self.form.get_or_insert((separator, fields.len())).1;
        // A line with one field cannot provide both the first and the last column.
        let needed = self.columns.iter().map(|(position, _)| position.map_or(1, |position| position + 1));
        let needed = needed.max().unwrap_or(1).max(self.columns.len().min(2));
        if fields.len() != expected || fields.len() < needed {
            let columns = self.columns.iter().map(|(_, name)| name.clone()).collect();
            let expected = expected.max(needed);
            return Err(ParseError::Fields { line: number, found: fields.len(), expected, columns });
        }
        for ((position, name), values) in self.columns.iter().zip(&mut self.values) {
            let field = fields[position.unwrap_or(fields.len() - 1)];
            if field.is_empty() {
                return Err(ParseError::field(number, name, "the field is empty"));
            }
            values.values().append_value(utf8(number, name, field)?);
        }
        self.sentence += line.len();
        if self.sentence > LONGEST_ROW {
            let message = format!(
                "the sentence is longer than {} MiB: are the blank lines between sentences missing?",
                LONGEST_ROW >> 20
            );
            return Err(ParseError::line(number, message));
        }
        Ok(())
    }

    /// Ends the current sentence, if any.
    fn end(&mut self, emit: &mut Emit<'_>) -> Result<(), ParseError> {
        if self.sentence == 0 {
            return Ok(());
        }
        self.values.iter_mut().for_each(|values| values.append(true));
        if self.chunk.add(std::mem::take(&mut self.sentence)) { self.emit(emit) } else { Ok(()) }
    }

    fn emit(&mut self, emit: &mut Emit<'_>) -> Result<(), ParseError> {
        let columns = self.values.iter_mut().map(|values| Arc::new(values.finish()) as ArrayRef).collect();
        let batch = RecordBatch::try_new(self.schema.clone(), columns);
        self.chunk.emitted();
        emit(batch.map_err(|error| ParseError::Text(error.to_string()))?)
    }

    fn finish(mut self, emit: &mut Emit<'_>) -> Result<(), ParseError> {
        if self.chunk.is_left()? { self.emit(emit) } else { Ok(()) }
    }
}
