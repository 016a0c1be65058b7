//! Files come in as they are: nothing lost, nothing guessed in silence.

use arrow_array::{Float32Array, Int64Array, LargeStringArray};
use brew_data::{Dataset, Layout};
use tempfile::tempdir;

use crate::batches::{array, table};

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
