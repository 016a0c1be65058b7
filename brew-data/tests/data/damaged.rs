//! Files that are cut short, damaged, or changed while they are in use.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Int64Array, ListArray, RecordBatch, StringArray};
use arrow::datatypes::Int32Type;
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use brew_core::batch::Batches as _;
use brew_data::{Dataset, Result};
use tempfile::tempdir;

use crate::batches::{Numbered, array, table};
use crate::formats::message;

fn rows() -> RecordBatch {
    let lists = (0..600).map(|row| Some((0..row % 5).map(Some).collect::<Vec<_>>()));
    let words: DictionaryArray<Int32Type> = (0..600).map(|row| ["one", "two", "three"][row % 3]).collect();
    let columns: [(&str, ArrayRef); 4] = [
        ("id", array(Int64Array::from_iter_values(0..600))),
        ("ids", array(ListArray::from_iter_primitive::<Int32Type, _, _>(lists))),
        ("text", array(StringArray::from_iter_values((0..600).map(|row| format!("row {row}"))))),
        ("word", array(words)),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

/// Writes the rows as an Arrow file or stream, compressed or not.
fn written(stream: bool, compression: Option<CompressionType>) -> Vec<u8> {
    let (rows, mut bytes) = (rows(), Vec::new());
    let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
    if stream {
        let mut writer = StreamWriter::try_new_with_options(&mut bytes, &rows.schema(), options).unwrap();
        writer.write(&rows).unwrap();
        writer.finish().unwrap();
    } else {
        let mut writer = FileWriter::try_new_with_options(&mut bytes, &rows.schema(), options).unwrap();
        writer.write(&rows).unwrap();
        writer.finish().unwrap();
    }
    bytes
}

/// Every value of the columns.
fn read(path: &Path) -> Result<()> {
    let table = Dataset::open(path)?;
    table.integers("id")?;
    table.integer_lists("ids")?;
    table.texts("text")?;
    table.texts("word").map(drop)
}

#[test]
fn compressed_and_dictionary_columns_of_files_and_streams_are_read() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.arrow");
    for stream in [false, true] {
        for compression in [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)] {
            std::fs::write(&path, written(stream, compression)).unwrap();
            let table = Dataset::open(&path).unwrap();
            assert_eq!(table.integers("id").unwrap(), (0..600).collect::<Vec<_>>());
            assert_eq!(table.integer_lists("ids").unwrap()[9], [0, 1, 2, 3]);
            assert_eq!(table.texts("word").unwrap()[..4], ["one", "two", "three", "one"]);
            std::fs::remove_file(&path).unwrap();
        }
    }
}

/// Whatever bit is flipped, there is a table or an error that names the file; nothing panics.
#[test]
fn a_flipped_bit_anywhere_is_an_error_or_another_value_and_no_panic() {
    let folder = tempdir().unwrap();
    let parquet = folder.path().join("whole.parquet");
    let columns: Vec<(String, ArrayRef)> = rows()
        .schema()
        .fields()
        .iter()
        .zip(rows().columns())
        .map(|(field, column)| (field.name().clone(), column.clone()))
        .collect();
    let columns: Vec<(&str, ArrayRef)> =
        columns.iter().map(|(name, column)| (name.as_str(), column.clone())).collect();
    table(&columns).write_parquet(&parquet).unwrap();
    let kinds = [
        ("a.parquet", std::fs::read(&parquet).unwrap()),
        ("a.arrow", written(false, None)),
        ("b.arrow", written(true, None)),
        ("c.arrow", written(true, Some(CompressionType::LZ4_FRAME))),
        ("d.arrow", written(false, Some(CompressionType::ZSTD))),
    ];
    // The decoders' own panics are caught; reports of them would fill the screen.
    let (here, others) = (std::thread::current().id(), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().id() != here {
            others(panic);
        }
    }));
    for (name, whole) in kinds {
        let mut refused = 0;
        // Every byte of the headers at both ends, and a sample of the rest.
        let places =
            (0..whole.len()).filter(|place| *place < 64 || place + 1200 > whole.len() || place % 11 == 0);
        for place in places {
            let mut damaged = whole.clone();
            damaged[place] ^= 1 << (place % 8);
            // A new file each time: what is mapped must not be changed in place.
            let path = folder.path().join(format!("{place}-{name}"));
            std::fs::write(&path, damaged).unwrap();
            let outcome = std::panic::catch_unwind(|| read(&path));
            std::fs::remove_file(&path).unwrap();
            let outcome = outcome.unwrap_or_else(|_| panic!("byte {place} of {name} makes the reader panic"));
            if let Err(error) = outcome {
                assert!(error.to_string().contains(name), "byte {place} of {name}: {error}");
                refused += 1;
            }
        }
        assert!(refused > 50, "{name}: only {refused} flipped bits were noticed");
    }
    drop(std::panic::take_hook());
}

#[test]
fn a_truncated_file_of_any_kind_is_an_error_that_names_it() {
    let folder = tempdir().unwrap();
    for (name, whole) in [
        ("b.arrow", written(true, None)),
        ("c.arrow", written(true, Some(CompressionType::LZ4_FRAME))),
        ("d.arrow", written(false, Some(CompressionType::ZSTD))),
    ] {
        for part in 1..20 {
            let path = folder.path().join(format!("{part}-{name}"));
            std::fs::write(&path, &whole[..whole.len() * part / 20]).unwrap();
            let cut = message(&folder, Dataset::open(&path));
            assert!(cut.contains("damaged or truncated: "), "{cut}");
        }
    }
}

#[test]
fn a_file_that_shrinks_while_it_is_mapped_is_an_error_before_the_epoch_and_the_batch() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("rows.arrow");
    table(&[("id", array(Int64Array::from_iter_values(0..100_000)))]).write_arrow(&path).unwrap();
    let loader = Dataset::open(&path).unwrap().batches::<Numbered>(100);
    let mut batches = loader.epoch(0).unwrap();
    batches.next().unwrap().unwrap();
    let whole = std::fs::metadata(&path).unwrap().len();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(whole - 64).unwrap();
    let shrunk = format!(
        "{}: the file had {whole} bytes when it was opened and has {} now: it was changed while in use; write a \
         new file and rename it into place instead",
        path.display(),
        whole - 64
    );
    assert_eq!(loader.check().unwrap_err().to_string(), shrunk);
    let of_batch = batches.find_map(Result::err).unwrap();
    assert!(of_batch.to_string().contains(&shrunk), "{of_batch}");
}

#[test]
fn two_columns_of_one_name_are_refused() {
    let folder = tempdir().unwrap();
    let column: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let twice = RecordBatch::try_from_iter([("id", column.clone()), ("id", column)]).unwrap();
    let path = folder.path().join("twice.arrow");
    let mut writer = FileWriter::try_new(std::fs::File::create(&path).unwrap(), &twice.schema()).unwrap();
    writer.write(&twice).unwrap();
    writer.finish().unwrap();
    drop(writer);
    assert_eq!(message(&folder, Dataset::open(&path)), "twice.arrow: there are two columns `id`");
}
