//! What is wrong is said by file, line or row, and column, with the mend; nothing is skipped.

use std::path::PathBuf;

use arrow::array::{Float64Array, Int64Array, ListArray, StringArray, UInt64Array};
use arrow::datatypes::{Int32Type, Int64Type};
use brew_data::{Dataset, Layout, Tokenizer};
use tempfile::{TempDir, tempdir};

use crate::batches::{Bytes, Halves, Numbered, Review, Truths, Unpadded, array, failure, table};

fn file(name: &str, content: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let folder = tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    (folder, path)
}

/// The message of opening a file, without its folder.
fn refusal(name: &str, content: impl AsRef<[u8]>) -> String {
    let (folder, path) = file(name, content);
    let layout = Layout::new().integer("id").float("rating").text("text");
    let error = Dataset::open_as(&path, &layout).unwrap_err();
    error.to_string().replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn text_that_is_not_utf8_is_named_by_line_and_column() {
    assert_eq!(
        refusal("reviews.tsv", b"1\t2\tfine\n2\t3\tcaf\xe9\n"),
        "reviews.tsv, line 2, column `text`: the text is not UTF-8 from byte 3 of the field: save the file \
         as UTF-8"
    );
}

#[test]
fn a_field_of_another_type_is_named_by_line_and_column() {
    assert_eq!(
        refusal("reviews.tsv", "1\tgood\tfine\n"),
        "reviews.tsv, line 1, column `rating`: `good` is not a finite number"
    );
    assert_eq!(
        refusal("reviews.tsv", "1\t1\tfine\n2.5\t1\tfine\n"),
        "reviews.tsv, line 2, column `id`: `2.5` is not a whole number"
    );
}

#[test]
fn a_line_with_too_few_fields_is_named() {
    let message = "reviews.tsv, line 2: 1 fields, expected 3 (id, rating, text)";
    assert_eq!(refusal("reviews.tsv", "1\t1\tfine\n2\n2\t1\tfine\n"), message);
}

#[test]
fn empty_and_foreign_files_are_refused() {
    assert_eq!(refusal("reviews.tsv", ""), "reviews.tsv: the file is empty");
    assert_eq!(
        refusal("a.parquet", "1\t2\t3\n"),
        "a.parquet: not a Parquet file: it does not begin with `PAR1`"
    );
    assert_eq!(
        refusal("a.arrow", "1\t2\t3\n"),
        "a.arrow: not an Arrow IPC file: it begins neither with `ARROW1` nor as a stream does"
    );
    assert_eq!(
        refusal("reviews.xls", "1,2,3\n"),
        "reviews.xls: files with extension `.xls` are not supported; supported are: Parquet, Arrow IPC files and streams, \
         CSV (.csv), TSV (.tsv, .tab, .txt), JSON (.jsonl, .ndjson, .json), CoNLL columns (.conll, .bio, \
         .iob), SQuAD's JSON (.json) and lines of text (any name, by `Format::Lines`); text also packed (.gz, .zst)"
    );
    let missing = Dataset::open("no/such/file.parquet").unwrap_err().to_string();
    assert_eq!(missing, "no/such/file.parquet: No such file or directory (os error 2)");
}

#[test]
fn a_first_row_of_values_is_not_taken_for_a_header() {
    let (_folder, path) = file("reviews.tsv", "1\t2.5\tfine\n2\t3\tgood\n");
    let message = Dataset::open(&path).unwrap_err().to_string();
    assert!(
        message.contains("line 1: this is not treated as a header: `1` is a number. If it is a header, "),
        "{message}"
    );
}

#[test]
fn a_file_truncated_anywhere_is_an_error_that_names_it() {
    let folder = tempdir().unwrap();
    let rows = table(&[("id", array(Int64Array::from_iter_values(0..1000)))]);
    let path = folder.path().join("rows.parquet");
    for parquet in [true, false] {
        if parquet { rows.write_parquet(&path) } else { rows.write_arrow(&path) }.unwrap();
        let whole = std::fs::read(&path).unwrap();
        for length in [8, whole.len() / 3, whole.len() / 2, whole.len() - 1] {
            // A new file: what is mapped must not be changed in place.
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, &whole[..length]).unwrap();
            let message = Dataset::open(&path).unwrap_err().to_string();
            assert!(
                message.contains("rows.parquet: the ") && message.contains("damaged or truncated"),
                "{message}"
            );
        }
        std::fs::remove_file(&path).unwrap();
    }
}

/// The headers of an Arrow file hold offsets; one that points elsewhere must not be followed.
#[test]
fn an_arrow_file_with_a_column_outside_its_block_is_an_error() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("rows.arrow");
    table(&[("id", array(Int64Array::from_iter_values(0..1001)))]).write_arrow(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    // 8,008 bytes of values: their length stands in the header alone, since blocks are rounded up to 64.
    let lengths: Vec<usize> =
        (0..whole.len() - 8).filter(|&place| whole[place..place + 8] == 8008_i64.to_le_bytes()).collect();
    assert!(!lengths.is_empty());
    for place in lengths {
        let mut damaged = whole.clone();
        damaged[place..place + 8].copy_from_slice(&80_080_i64.to_le_bytes());
        let damaged_path = folder.path().join(format!("damaged-{place}.arrow"));
        std::fs::write(&damaged_path, damaged).unwrap();
        let message = Dataset::open(&damaged_path).unwrap_err().to_string();
        assert!(message.contains(": the Arrow IPC file is damaged or truncated: "), "{message}");
    }
}

#[test]
fn all_problems_of_the_columns_are_reported_before_a_row_is_read() {
    let rows = table(&[
        ("input_id", array(Int64Array::from(vec![1, 2]))),
        ("attention_mask", array(StringArray::from(vec!["1", "1"]))),
        ("labels", array(Float64Array::from(vec![0.0, 1.0]))),
    ]);
    assert_eq!(
        rows.batches::<Review>(2).check().unwrap_err().to_string(),
        "the data has 3 problems:\n  \
         1. table: there is no column `input_ids`: make it of text by `.tokenize(…)`; did you mean `input_id`?\n  \
         2. table, column `attention_mask`: its type is Utf8, which cannot be read as a tensor of dtype Int64; \
         `.column(\"attention_mask\").to_integers().as_(\"attention_mask\")` makes numbers of text, and \
         `.to_classes([…])` in its place makes numbers of the names of classes\n  \
         3. table, column `labels`: its type is Float64, which cannot be read as a tensor of dtype Int64; \
         `.column(\"labels\").to_integers().as_(\"labels\")` makes whole numbers of it, or declare it as f32, as \
         `FloatLabelTextBatch` does `labels`"
    );
}

/// Each call is the message's own, to the letter.
#[test]
fn what_a_refused_column_of_a_batch_is_told_mends_it() {
    let ids = || ("input_ids", array(Int64Array::from(vec![1, 2])));
    let mask = ("attention_mask", array(StringArray::from(vec!["1", "0"])));
    let rows = table(&[ids(), mask, ("labels", array(Float64Array::from(vec![0.0, 1.0])))]);
    let rows = rows.column("attention_mask").to_integers().as_("attention_mask").unwrap();
    let rows = rows.column("labels").to_integers().as_("labels").unwrap();
    rows.batches::<Review>(2).check().unwrap();
    let mask = || ("mask", array(Int64Array::from(vec![1, 1])));
    let rows = table(&[ids(), mask(), ("labels", array(StringArray::from(vec!["no", "yes"])))]);
    let rows = rows.column("labels").to_classes(["no", "yes"]).as_("labels").unwrap();
    let rows = rows.column("mask").as_("attention_mask").unwrap();
    rows.batches::<Review>(2).check().unwrap();
    let rows = table(&[("number", array(Int64Array::from(vec![1])))]);
    assert_eq!(
        rows.batches::<Numbered>(1).check().unwrap_err().to_string(),
        "table: there is no column `id`: rename one by `.column(\"…\").as_(\"id\")`; there are: `number`"
    );
}

#[test]
fn a_missing_value_is_named_by_row() {
    let rows = table(&[("id", array(Int64Array::from(vec![Some(1), None, Some(3)])))]);
    let null = "the value is missing (null): fill it or drop the row";
    assert_eq!(failure(&rows.batches::<Numbered>(2)), format!("table, row 1, column `id`: {null}"));
    assert_eq!(rows.integers("id").unwrap_err().to_string(), format!("table, row 1, column `id`: {null}"));
    rows.select(&[2, 0]).unwrap().batches::<Numbered>(2).check().unwrap();

    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1)]), Some(vec![None])]);
    let message = failure(&table(&[("input_ids", array(lists))]).batches::<Unpadded>(2));
    assert_eq!(
        message,
        "table, row 1, column `input_ids`: a value of the list is missing (null): fill it or drop the row"
    );
}

#[test]
fn unequal_lists_without_a_pad_value_are_named_by_row() {
    let lists = [vec![1, 2], vec![3, 4], vec![5]].map(|list| Some(list.into_iter().map(Some)));
    let rows = table(&[("input_ids", array(ListArray::from_iter_primitive::<Int32Type, _, _>(lists)))]);
    assert_eq!(
        failure(&rows.batches::<Unpadded>(3)),
        "table, row 2, column `input_ids`: a list of length 1, but the first row's has length 2: \
         give the column of the batch a pad value, as in `#[column(i64, pad = 0)]`"
    );
}

#[test]
fn a_value_that_does_not_fit_is_named_by_the_row_of_the_file() {
    let rows = table(&[("value", array(Int64Array::from(vec![0, 1, 300, 2])))]);
    let misfit = "table, row 2, column `value`: 300 does not fit the batch's dtype";
    let selected = rows.select(&[3, 2]).unwrap();
    assert_eq!(failure(&selected.batches::<Bytes>(2)), format!("{misfit} Uint8"));
    assert_eq!(failure(&selected.batches::<Halves>(2)), format!("{misfit} BFloat16"));
    let message = failure(&selected.batches::<Truths>(2));
    assert_eq!(message, "table, row 3, column `value`: 2 does not fit the batch's dtype Bool");
    let huge = table(&[("id", array(UInt64Array::from(vec![u64::MAX])))]);
    let message = failure(&huge.batches::<Numbered>(1));
    assert!(message.starts_with("table, row 0, column `id`: 18446744073709551615 does not fit"), "{message}");
}

#[test]
fn no_rows_no_size_and_no_lists_to_bucket_by_are_refused() {
    let rows = table(&[("id", array(Int64Array::from(vec![1])))]);
    assert_eq!(failure(&rows.select(&[]).unwrap().batches::<Numbered>(1)), "table: there are no rows");
    assert_eq!(failure(&rows.batches::<Numbered>(0)), "batches of 0 rows: ask for 1 or more");
    assert_eq!(
        failure(&rows.batches::<Numbered>(1).bucketed()),
        "table: there is no list column to bucket by: remove `.bucketed()`"
    );
    assert_eq!(rows.select(&[1]).unwrap_err().to_string(), "table: the selected row 1 is out of range 0..1");
}

#[test]
fn a_folder_without_a_tokenizer_says_what_to_copy() {
    let folder = tempdir().unwrap();
    let message = Tokenizer::from_folder(folder.path()).unwrap_err().to_string();
    assert!(
        message.ends_with(
            ": the folder has no tokenizer: copy `tokenizer.json` of the pretrained model into it"
        )
    );
    std::fs::write(folder.path().join("tokenizer.json"), "{}").unwrap();
    let message = Tokenizer::from_folder(folder.path()).unwrap_err().to_string();
    assert!(message.contains("tokenizer.json: this cannot be read as a tokenizer: "), "{message}");
    let message = Tokenizer::from_folder("no/such/folder").unwrap_err().to_string();
    assert_eq!(message, "no/such/folder: there is no such folder");
}

#[test]
fn a_file_with_types_is_held_against_the_layout() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("reviews.parquet");
    let rows = table(&[
        ("ids", array(Int64Array::from(vec![1]))),
        ("rating", array(Int64Array::from(vec![1]))),
        ("text", array(Float64Array::from(vec![1.0]))),
    ]);
    rows.write_parquet(&path).unwrap();
    let layout = Layout::new().integer("id").float("rating").text("text");
    let message = Dataset::open_as(&path, &layout).unwrap_err().to_string();
    assert_eq!(
        message.replace(&format!("{}/", folder.path().display()), ""),
        "the data has 2 problems:\n  \
         1. reviews.parquet: there is no column `id`; did you mean `ids`?\n  \
         2. reviews.parquet, column `text`: its type is Float64, which cannot be read as text"
    );
}
