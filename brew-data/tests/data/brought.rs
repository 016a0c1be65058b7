//! Text files as people bring them: read as Python's csv, json, pandas, pyarrow and `datasets` read them, or
//! refused as what they are.

use std::io::Write as _;

use brew_data::{Dataset, Delimited, Layout};

use crate::formats::{files, message, refusal};

/// The columns of a file and its texts and labels.
fn films(name: &str, content: &[u8]) -> (Vec<String>, Vec<String>, Vec<i64>) {
    let folder = files(&[(name, content)]);
    let table = Dataset::open(folder.path().join(name)).unwrap();
    let columns = table.columns().into_iter().map(str::to_owned).collect();
    (columns, table.texts("text").unwrap(), table.integers("label").unwrap())
}

fn two_films() -> (Vec<String>, Vec<String>, Vec<i64>) {
    let owned = |words: [&str; 2]| words.map(str::to_owned).to_vec();
    (owned(["text", "label"]), owned(["a good film", "a bad film"]), vec![1, 0])
}

/// Each is `{"text": ["a good film", "a bad film"], "label": [1, 0]}` to pandas 3.0's `read_csv` and pyarrow
/// 26's `csv.read_csv`; the fourth, with spaces alone in a line, to pandas.
#[test]
fn blank_lines_of_separated_text_are_skipped() {
    for content in [
        "text,label\na good film,1\na bad film,0\n\n",
        "text,label\na good film,1\n\na bad film,0\n",
        "\n\r\ntext,label\r\na good film,1\r\n\r\n\r\na bad film,0",
        "text,label\n   \na good film,1\na bad film,0\n \t\n",
        "\u{feff}text,label\n\"a good film\",1\na bad film,0\n",
    ] {
        assert_eq!(films("a.csv", content.as_bytes()), two_films(), "{content:?}");
        let tabs = content.replace(" \t\n", "").replace(',', "\t").replace('"', "");
        assert_eq!(films("a.tsv", tabs.as_bytes()), two_films(), "{tabs:?}");
    }
    // pandas and pyarrow: ["a", "b"], and with `""` an empty text between them.
    let one = |content: &str| {
        let folder = files(&[("a.csv", content.as_bytes())]);
        Dataset::open(folder.path().join("a.csv")).unwrap().texts("text").unwrap()
    };
    assert_eq!(one("text\na\n\nb\n"), ["a", "b"]);
    assert_eq!(one("text\na\n\"\"\n  \nb\n"), ["a", "", "  ", "b"]);
    // A line of separators is a row of empty fields.
    let folder = files(&[("a.tsv", b"text\tother\n\t\nb\tc\n")]);
    assert_eq!(Dataset::open(folder.path().join("a.tsv")).unwrap().texts("text").unwrap(), ["", "b"]);
    // A blank line inside quotation marks is part of the text.
    assert_eq!(one("text\n\"a\n\nb\"\n"), ["a\n\nb"]);
}

/// `pandas.DataFrame.to_csv` writes its index without a name, and `read_csv` calls it `Unnamed: 0`.
#[test]
fn an_index_that_pandas_wrote_is_a_column() {
    let content = b",text,label\n0,a good film,1\n1,a bad film,0\n";
    let (columns, texts, labels) = films("index.csv", content);
    assert_eq!(columns, ["Unnamed: 0", "text", "label"]);
    assert_eq!((texts, labels), (two_films().1, two_films().2));
    let folder = files(&[("index.csv", content)]);
    let layout = Layout::new().integer("index").text("text").integer("label");
    let table =
        Dataset::open_as(folder.path().join("index.csv"), Delimited::csv().layout_below_header(layout))
            .unwrap();
    assert_eq!((table.rows(), table.columns()), (2, vec!["index", "text", "label"]));
    // Saved twice, the name is one like any other.
    let (columns, ..) = films("again.csv", b"Unnamed: 0,text,label\nx,a good film,1\ny,a bad film,0\n");
    assert_eq!(columns[0], "Unnamed: 0");
    // A blank that is over something else may be a value that is missing: no row is lost to a guess.
    for content in [",text,label\nx,a good film,1\n", ",a good film,x\n,a bad film,y\n"] {
        let refused = refusal("a.csv", content);
        assert!(
            refused.starts_with("a.csv, line 1: this is not treated as a header: its first field is blank. ")
        );
    }
}

#[test]
fn whole_numbers_beyond_int64_keep_their_digits() {
    // pandas: uint64 or text, never a rounded float.
    let folder = files(&[("a.csv", b"id,x\n18446744073709551617,100000000000000000000\n2,0.5\n")]);
    let table = Dataset::open(folder.path().join("a.csv")).unwrap();
    assert_eq!(table.texts("id").unwrap(), ["18446744073709551617", "2"]);
    assert_eq!(table.floats("x").unwrap(), [1e20, 0.5]);
}

#[test]
fn text_that_is_not_utf8_is_refused_by_what_its_bytes_say() {
    let wide = |mark: [u8; 2], big: bool| {
        let units = "text,label\né,1\n".encode_utf16();
        let bytes = units.flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() });
        mark.into_iter().chain(bytes).collect::<Vec<_>>()
    };
    let mend = "save it as UTF-8, for example with `iconv -f UTF-16 -t UTF-8`";
    for (name, bytes) in [("a.csv", wide([0xff, 0xfe], false)), ("a.jsonl", wide([0xfe, 0xff], true))] {
        let told = format!("{name}: the text is UTF-16 by its byte order mark: {mend}");
        assert_eq!(refusal(name, &bytes), told);
        let zero = refusal(name, &bytes[2..]);
        assert!(
            zero.starts_with(&format!("{name}: byte ")) && zero.contains(" of the file is zero, "),
            "{zero}"
        );
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&bytes).unwrap();
        let name = format!("{name}.gz");
        assert_eq!(
            refusal(&name, packed.finish().unwrap()),
            format!("{name}: the text is UTF-16 by its byte order mark: {mend}")
        );
    }
    // Latin-1: the column that has it is refused when it is used, the others are read.
    let folder = files(&[("a.csv", b"text,label\nfine,1\ncaf\xe9,0\n")]);
    let table = Dataset::open(folder.path().join("a.csv")).unwrap();
    assert_eq!(table.integers("label").unwrap(), [1, 0]);
    assert_eq!(
        message(&folder, table.texts("text").map(|_| table.clone())),
        "a.csv, line 3, column `text`: row 1: the text is not UTF-8 from byte 3 of the field: save the file as \
         UTF-8"
    );
}

#[test]
fn line_ends_of_carriage_returns_alone_are_refused_and_not_taken_for_text() {
    // pandas and Python's csv read two rows; here one row would be left, or none.
    let refused = refusal("a.csv", "text,label\ra good film,1\ra bad film,0\r");
    assert!(
        refused.starts_with("a.csv, line 1: a carriage return without a line feed stands outside"),
        "{refused}"
    );
    let refused = refusal("a.tsv", "text\tlabel\ra good film\t1\r");
    assert!(
        refused.contains("it has a carriage return without a line feed, which ends no line here"),
        "{refused}"
    );
    let quoted = films("a.csv", b"text,label\n\"a\rb\",1\n");
    assert_eq!(quoted.1, ["a\rb"]);
}

#[test]
fn empty_and_ragged_separated_text_is_refused_by_line() {
    assert_eq!(refusal("a.csv", "text,label\n"), "a.csv: there are no rows");
    assert_eq!(refusal("a.csv", "\n\n"), "a.csv: there are no rows");
    assert_eq!(refusal("a.csv", ""), "a.csv: the file is empty");
    assert_eq!(refusal("a.csv", "text,label\na,1\nb\n"), "a.csv, line 3: 1 fields, expected 2 (text, label)");
    assert_eq!(refusal("a.csv", "text,label\na,1,2\n"), "a.csv, line 2: 3 fields, expected 2 (text, label)");
}

#[test]
fn files_that_are_something_else_are_named_by_their_first_bytes() {
    let lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
    for name in ["a.parquet", "a.csv", "a.jsonl"] {
        assert_eq!(
            refusal(name, lfs),
            format!(
                "{name}: the file is a Git LFS pointer, not the data itself: run `git lfs pull` in its \
                 repository"
            )
        );
    }
    for (bytes, told) in [
        (&b"PK\x03\x04\x14\x00"[..], "a zip archive, as Excel's .xlsx files are"),
        (b"BZh91AY&SY", "packed with bzip2"),
        (b"\xfd7zXZ\x00\x00", "packed with xz"),
        (b"FEA1\x00\x00", "a Feather file of version 1"),
        (b"PARE\x00\x00PARE", "an encrypted Parquet file"),
        (b"Obj\x01\x04", "an Avro file"),
    ] {
        let refused = refusal("a.csv", bytes);
        assert!(refused.starts_with(&format!("a.csv: the file is {told}")), "{refused}");
    }
}

/// `zstd --long=31` packs with windows that a reader must allow; Python's zstandard refuses them by default.
#[test]
fn zstd_with_long_windows_is_read_and_other_decompression_errors_are_reported_as_they_are() {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(28).unwrap();
    encoder.include_contentsize(false).unwrap();
    encoder.write_all(b"text,label\na good film,1\na bad film,0\n").unwrap();
    assert_eq!(films("a.csv.zst", &encoder.finish().unwrap()), two_films());

    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(b"text,label\na good film,1\n").unwrap();
    let packed = packed.finish().unwrap();
    let cut = "a.csv.gz: the gzip data ends in the middle: it is truncated, or followed by other data";
    assert_eq!(refusal("a.csv.gz", &packed[..packed.len() - 4]), cut);
    assert_eq!(refusal("a.csv.gz", [&packed[..], b"more"].concat()), cut);
    let behind = [packed.clone(), b"more, and more again".to_vec()].concat();
    let refused = refusal("a.csv.gz", behind);
    assert!(refused.starts_with("a.csv.gz: the gzip data cannot be unpacked: "), "{refused}");
}
