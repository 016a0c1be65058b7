//! Files come in as they are: nothing lost, nothing guessed in silence.

use arrow::array::{ArrayRef, Float32Array, Int64Array, LargeStringArray, RecordBatch};
use brew_data::{Dataset, Layout};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use tempfile::tempdir;

use crate::batches::{Numbered, array, epoch, integers, table};

fn layout() -> Layout {
    Layout::new().integer("id").float("rating").text("text")
}

#[test]
fn a_bare_quotation_mark_and_crlf_line_ends_lose_no_row() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("reviews.tsv");
    std::fs::write(&path, "1\t-0.5\ta \"bare quotation mark\r\n2\t1\tit''s fine\r\n3\t0\t\r\n").unwrap();
    let reviews = Dataset::open_as(&path, layout()).unwrap();
    assert_eq!(reviews.texts("text").unwrap(), ["a \"bare quotation mark", "it''s fine", ""]);
    assert_eq!(reviews.integers("id").unwrap(), [1, 2, 3]);
    assert_eq!(reviews.floats("rating").unwrap(), [-0.5, 1.0, 0.0]);
}

#[test]
fn a_last_line_without_an_end_is_a_row() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("reviews");
    std::fs::write(&path, "1\t2\tone\n2\t3\ttwo").unwrap();
    assert_eq!(Dataset::open_as(&path, layout()).unwrap().rows(), 2);
}

#[test]
fn a_header_gives_names_and_its_columns_the_narrowest_type_that_holds_every_value() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("scores.tsv");
    std::fs::write(&path, "\u{feff}id\tscore\tword\n1\t2\t7\n2\t2.5\tseven\n").unwrap();
    let scores = Dataset::open(&path).unwrap();
    assert_eq!(scores.columns(), ["id", "score", "word"]);
    assert_eq!(scores.integers("id").unwrap(), [1, 2]);
    assert_eq!(scores.floats("score").unwrap(), [2.0, 2.5]);
    assert_eq!(scores.texts("word").unwrap(), ["7", "seven"]);
}

#[test]
fn parquet_and_arrow_give_back_what_was_written_whatever_the_file_is_called() {
    let folder = tempdir().unwrap();
    let written = table(&[
        ("id", array(Int64Array::from_iter_values(0..20_000))),
        ("value", array(Float32Array::from_iter_values((0..20_000).map(|id| id as f32 / 4.0)))),
        ("text", array(LargeStringArray::from_iter_values((0..20_000).map(|id| format!("row {id}"))))),
    ]);
    let (parquet, arrow) = (folder.path().join("one"), folder.path().join("two.data"));
    written.write_parquet(&parquet).unwrap();
    written.write_arrow(&arrow).unwrap();
    for path in [parquet, arrow] {
        let read = Dataset::open(&path).unwrap();
        assert_eq!(read.schema(), written.schema());
        assert_eq!(read.integers("id").unwrap(), written.integers("id").unwrap());
        assert_eq!(read.floats("value").unwrap(), written.floats("value").unwrap());
        assert_eq!(read.texts("text").unwrap(), written.texts("text").unwrap());
    }
    let names = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(names, 2, "a temporary file is left");
}

#[test]
fn an_open_arrow_file_keeps_its_rows_when_another_is_written_in_its_place() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("rows.arrow");
    table(&[("id", array(Int64Array::from_iter_values(0..5000)))]).write_arrow(&path).unwrap();
    let open = Dataset::open(&path).unwrap();
    table(&[("id", array(Int64Array::from(vec![-1])))]).write_arrow(&path).unwrap();
    assert_eq!(open.integers("id").unwrap(), (0..5000).collect::<Vec<_>>());
    assert_eq!(Dataset::open(&path).unwrap().integers("id").unwrap(), [-1]);
}

#[test]
fn a_selection_of_a_selection_keeps_order_and_repetition() {
    let all = table(&[("id", array(Int64Array::from_iter_values(10..20)))]);
    let some = all.select(&[9, 3, 3, 0]).unwrap().select(&[0, 2, 1]).unwrap();
    assert_eq!(some.integers("id").unwrap(), [19, 13, 13]);
    let labelled = some.with_integers("id", [7, 8, 9]).unwrap();
    assert_eq!(labelled.columns(), ["id"]);
    assert_eq!(labelled.integers("id").unwrap(), [7, 8, 9]);
}

/// The bytes of column `b` are destroyed; whoever reads `a` alone never sees them.
#[test]
fn a_parquet_column_that_no_batch_declares_is_not_decoded() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("two.parquet");
    let rows = 20_000_i64;
    let columns: [(&str, ArrayRef); 2] = [
        ("id", array(Int64Array::from_iter_values(0..rows))),
        ("b", array(Int64Array::from_iter_values((0..rows).map(|row| row * 7919 % 1009)))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(3_000)).build();
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    let metadata = writer.close().unwrap();
    assert_eq!(metadata.num_row_groups(), 7);
    let whole = Dataset::open(&path).unwrap();
    assert_eq!(whole.integers("b").unwrap()[12_345], 12_345 * 7919 % 1009);

    let mut bytes = std::fs::read(&path).unwrap();
    let (start, length) = metadata.row_group(4).column(1).byte_range();
    bytes[start as usize..(start + length) as usize].fill(0xff);
    let damaged = folder.path().join("damaged.parquet");
    std::fs::write(&damaged, bytes).unwrap();
    let table = Dataset::open(&damaged).unwrap();
    let ids = epoch(&table.batches::<Numbered>(7_000), 0);
    let ids: Vec<i64> = ids.iter().flat_map(|batch| integers(batch.id.as_ref().unwrap())).collect();
    assert_eq!(ids, (0..rows).collect::<Vec<_>>());
    let message = table.integers("b").unwrap_err().to_string();
    assert!(message.contains("damaged.parquet: the Parquet file cannot be decoded: "), "{message}");
}

#[test]
fn a_parquet_file_without_rows_opens_and_has_no_batches() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("empty.parquet");
    table(&[("id", array(Int64Array::from(vec![1])))]).select(&[]).unwrap().write_parquet(&path).unwrap();
    let empty = Dataset::open(&path).unwrap();
    assert_eq!((empty.rows(), empty.columns()), (0, vec!["id"]));
    let message = empty.batches::<Numbered>(1).check().unwrap_err().to_string();
    assert_eq!(message, format!("{}: there are no rows", path.display()));
}

/// A column that is added takes its place beside the file's own, which are not copied.
#[test]
fn an_added_column_follows_the_rows_in_use() {
    let rows = table(&[("id", array(Int64Array::from_iter_values(0..20_000)))]);
    let some = rows.select(&[19_999, 5, 8_192]).unwrap().with_integers("labels", [1, 2, 3]).unwrap();
    assert_eq!(some.integers("id").unwrap(), [19_999, 5, 8_192]);
    assert_eq!(some.integers("labels").unwrap(), [1, 2, 3]);
    assert_eq!(some.select(&[2, 0]).unwrap().integers("labels").unwrap(), [3, 1]);
    let again = some.with_integers("labels", [7, 8, 9]).unwrap();
    assert_eq!((again.columns(), again.integers("labels").unwrap()), (vec!["id", "labels"], vec![7, 8, 9]));
}
