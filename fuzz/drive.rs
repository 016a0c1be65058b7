//! What each fuzz target does with its input; brew-data's own tests do the same with mutated files.
//!
//! Rejecting input is fine, a panic is not. Accepted input must be consistent: as many rows as were counted, and arrays
//! with valid offsets and text.

use arrow::array::{Array, RecordBatch};
use arrow::buffer::Buffer;

use crate::parse::conll::Conll;
use crate::parse::delimited::Delimited;
use crate::parse::ipc::Index;
use crate::parse::json_rows::JsonRows;
use crate::parse::store::{block::Block, keys};
use crate::parse::{infer, json_lines, json_table, squad_keys, text_lines};

/// The number of rows, after reading every value.
#[derive(Default)]
struct Rows(usize);

impl Rows {
    fn take(&mut self, batch: &RecordBatch) {
        assert!(batch.num_rows() > 0, "an empty record batch");
        for column in batch.columns() {
            column.to_data().validate_full().expect("an array that does not hold together");
        }
        self.0 += batch.num_rows();
    }
}

/// CSV and TSV. The first byte chooses the separator and whether fields are quoted.
pub fn delimited(input: &[u8]) {
    let Some((choice, text)) = input.split_first() else { return };
    let separator = [b',', b'\t', b';', b' '][usize::from(choice >> 1) % 4];
    let settings = Delimited::csv().separated_by(separator).quoted(choice & 1 == 1);
    let mut inference = infer::DelimitedInference::default();
    if settings.infer(text, &mut inference).is_err() {
        return;
    }
    let Ok(columns) = inference.columns() else { return };
    let schema = columns.schema.into();
    let mut rows = Rows::default();
    let read = settings.read(text, &schema, &mut |batch| {
        rows.take(&batch);
        Ok(())
    });
    read.expect("a file whose columns were found cannot be read");
    assert!(rows.0 > 0, "no row, and no error");
}

/// CoNLL columns. The first byte says whether comment lines are skipped, and which columns are read.
pub fn conll(input: &[u8]) {
    let Some((choice, text)) = input.split_first() else { return };
    let settings = if choice & 1 == 1 { Conll::new().comments() } else { Conll::new() };
    let settings = match choice >> 1 {
        0 => settings,
        column => settings.column(usize::from(column), "tokens").last("tags"),
    };
    let mut rows = Rows::default();
    let read = settings.read(text, &mut |batch| {
        rows.take(&batch);
        Ok(())
    });
    assert_eq!(read.is_ok(), read.is_ok() && rows.0 > 0, "no row, and no error");
}

/// Lines of text.
pub fn text_lines(input: &[u8]) {
    let mut rows = Rows::default();
    let read = text_lines::read(input, &mut |batch| {
        rows.take(&batch);
        Ok(())
    });
    assert_eq!(read.is_ok(), read.is_ok() && rows.0 > 0, "no row, and no error");
}

/// JSON, in any of its forms.
pub fn json_lines(input: &[u8]) {
    let mut inference = json_lines::JsonInference::default();
    if inference.scan(input, false).is_err() {
        return;
    }
    let Ok(columns) = inference.columns() else { return };
    let mut rows = Rows::default();
    let read = json_table::read(input, &columns.schema.into(), &columns.unreadable, &mut |batch| {
        rows.take(&batch);
        Ok(())
    });
    read.expect("a file whose columns were found cannot be read");
    let (mut counted, mut expected) = (JsonRows::new(input), 0);
    while counted.next().expect("rows that were read cannot be read again").is_some() {
        expected += 1;
    }
    assert_eq!(rows.0, expected);
}

/// Whether a JSON document has SQuAD's keys, for any bytes.
pub fn squad_keys(input: &[u8]) {
    let found = squad_keys::has_its_keys(input).expect("bytes in memory can be read");
    let has = |word: &[u8]| input.windows(word.len()).any(|window| window == word);
    // A key may be spelt with escapes.
    assert!(!found || has(b"\\") || has(b"\"data\"") && has(b"\"paragraphs\""));
}

/// The index of an Arrow stream or file, and its record batches.
pub fn arrow(input: &[u8]) {
    let bytes = Buffer::from(input);
    let Ok(index) = Index::of(&bytes) else { return };
    // The decoder has validated its output; the sanitizer detects reads outside the input.
    let _ = index.decode(&bytes, |batch| {
        let values: usize = batch.columns().iter().map(|column| column.len()).sum();
        assert_eq!(values, batch.num_rows() * batch.num_columns());
        for column in batch.columns() {
            column.to_data().validate_full().map_err(|error| error.to_string())?;
        }
        Ok::<_, String>(())
    });
}

/// A teacher store's files. The first byte chooses between the keys beside a block and the block.
pub fn store(input: &[u8]) {
    let Some((choice, bytes)) = input.split_first() else { return };
    if choice & 1 == 0 {
        keys::read(bytes);
        // With the right checksum at the end, so that the bytes before it are read.
        let sealed = keys::sealed(bytes.to_vec());
        if let Some((length, keys)) = keys::read(&sealed) {
            assert_eq!(keys::write(length, &keys), sealed, "keys that are read are those that were written");
        }
        return;
    }
    let width = |dtype: &str| match dtype {
        "float32" | "int32" => Some(4),
        "float16" | "bfloat16" => Some(2),
        "int64" => Some(8),
        _ => None,
    };
    let Ok(block) = Block::read(&Buffer::from(bytes), width) else { return };
    for row in 0..block.keys.len() {
        let (tokens, length) = block.extent(row);
        assert!(tokens as u32 as usize == tokens && length as u32 as usize == length);
        for column in &block.columns {
            // What a batch allocates: no overflow, and no more than the row has.
            let values: usize = column.shape(row).iter().product();
            assert_eq!(Some(column.bytes(row).len()), width(&column.dtype).map(|width| values * width));
        }
    }
}
