//! Each kind of file with the values it was written with: separated text, JSON lines, packed files,
//! folders, patterns, and stores that are no disk.

use std::io::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::DataType;
use brew_data::{Bytes, Dataset, Delimited, Error, Format, Layout, Object, Storage};
use tempfile::{TempDir, tempdir};

pub(crate) fn files(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

/// The message of opening a file of this name and content, without its folder.
pub(crate) fn refusal(name: &str, content: impl AsRef<[u8]>) -> String {
    let folder = files(&[(name, content.as_ref())]);
    message(&folder, Dataset::open(folder.path().join(name)))
}

/// The message, without the folder.
pub(crate) fn message(folder: &TempDir, opened: Result<Dataset, Error>) -> String {
    let place = folder.path().display().to_string();
    opened.unwrap_err().to_string().replace(&format!("{place}/"), "").replace(&place, "FOLDER")
}

fn types(dataset: &Dataset) -> Vec<DataType> {
    dataset.schema().fields().iter().map(|field| field.data_type().clone()).collect()
}

// Numbers that serde_json reads one bit off unless it is told to be exact; Rust's own parser is the reference.
#[test]
fn floats_of_json_lines_are_read_to_the_last_bit() {
    for text in ["0.00010000900081007291", "0.9025229357798165", "4.7958315233127196e-5", "5e-324"] {
        let folder = files(&[("a.jsonl", format!("{{\"a\": {text}}}\n{{\"a\": 0.5}}\n").as_bytes())]);
        let read = Dataset::open(folder.path().join("a.jsonl")).unwrap().floats("a").unwrap();
        let expected: f64 = text.parse().unwrap();
        assert_eq!(read[0].to_bits(), expected.to_bits(), "{text}");
    }
}

#[test]
fn csv_fields_may_be_quoted_and_hold_separators_line_ends_and_quotation_marks() {
    let text = "\u{feff}id,text,score\r\n1,\"one, \"\"two\"\"\r\nthree\",0.5\r\n2,5\" wide,\r\n3,\"\",1\r\n";
    let folder = files(&[("a.csv", text.as_bytes())]);
    let table = Dataset::open(folder.path().join("a.csv")).unwrap();
    assert_eq!(types(&table), [DataType::Int64, DataType::Utf8, DataType::Float64]);
    assert_eq!(table.texts("text").unwrap(), ["one, \"two\"\r\nthree", "5\" wide", ""]);
    assert_eq!(table.integers("id").unwrap(), [1, 2, 3]);
    let missing = table.floats("score").unwrap_err().to_string();
    assert!(
        missing
            .ends_with("a.csv, row 1, column `score`: the value is missing (null): fill it or drop the row"),
        "{missing}"
    );
    assert_eq!(table.select(&[2, 0]).unwrap().floats("score").unwrap(), [1.0, 0.5]);
}

#[test]
fn separator_quotes_header_and_columns_can_be_declared() {
    let layout = || Layout::new().integer("id").text("text");
    let folder = files(&[("a", b"1;\"x;y\n2;z\n"), ("b.csv", b"id,text\n7,8\n")]);
    let (a, b) = (folder.path().join("a"), folder.path().join("b.csv"));
    let plain = Delimited::csv().separated_by(b';').quoted(false);
    let too_many = message(&folder, Dataset::open_as(&a, plain.layout(layout())));
    assert_eq!(too_many, "a, line 1: 3 fields, expected 2 (id, text)");
    let below = Delimited::csv().layout_below_header(layout());
    assert_eq!(Dataset::open_as(&b, below).unwrap().texts("text").unwrap(), ["8"]);
    let other = Delimited::csv().layout_below_header(Layout::new().integer("id").text("review"));
    assert_eq!(
        message(&folder, Dataset::open_as(&b, other)),
        "b.csv, line 1: the header names the columns id, text, but they are declared as id, review: declare \
         them with its names, and rename with `.column(\"text\").as_(\"review\")`"
    );
    let bare = message(&folder, Dataset::open_as(&b, layout()));
    assert_eq!(bare, "b.csv, line 1, column `id`: `id` is not a whole number");
}

#[test]
fn quotation_marks_that_are_not_closed_or_not_doubled_are_named_by_line() {
    assert_eq!(
        refusal("a.csv", "a,b\n1,\"open\n2,x\n"),
        "a.csv, line 2: a quoted field is not closed before the end of the file: if quotation marks have no \
         special meaning in this file, read it with `Delimited::csv().quoted(false)`"
    );
    assert_eq!(
        refusal("a.csv", "a,b\n1,\"x\" y\n"),
        "a.csv, line 2: text follows a closing quotation mark: write `\"\"` for a quotation mark inside a \
         quoted field"
    );
}

#[test]
fn json_lines_become_columns_and_what_a_line_lacks_is_missing() {
    let text = r#"{"id": 1, "ids": [[1, 2], []], "who": {"name": "Ada", "born": 1815}, "ok": true, "none": null}
{"id": 2.5, "ids": [], "who": null, "words": ["é", "\u00e9"], "ok": false}

{"words": [], "id": 3, "ids": [[3]], "ok": true, "who": {"name": "Alan", "born": null}}
"#;
    let folder = files(&[("a.jsonl", text.as_bytes()), ("b.json", text.as_bytes())]);
    for name in ["a.jsonl", "b.json"] {
        let table = Dataset::open(folder.path().join(name)).unwrap();
        assert_eq!(table.columns(), ["id", "ids", "who.name", "who.born", "ok", "none", "words"]);
        let list = |item| DataType::new_list(item, true);
        let expected = [
            DataType::Float64,
            list(list(DataType::Int64)),
            DataType::Utf8,
            DataType::Int64,
            DataType::Boolean,
            DataType::Null,
            list(DataType::Utf8),
        ];
        assert_eq!(types(&table), expected);
        assert_eq!(table.floats("id").unwrap(), [1.0, 2.5, 3.0]);
        assert_eq!(table.integers("ok").unwrap(), [1, 0, 1]);
        let ends = table.select(&[0, 2]).unwrap();
        assert_eq!(ends.texts("who.name").unwrap(), ["Ada", "Alan"]);
        let born = table.integers("who.born").unwrap_err().to_string();
        assert!(born.contains(&format!("{name}, row 1, column `who.born`: the value is missing")), "{born}");
        assert_eq!(table.select(&[1, 2]).unwrap().text_lists("words").unwrap(), [vec!["é", "é"], vec![]]);
    }
}

#[test]
fn json_that_is_not_a_row_is_reported_by_line() {
    assert_eq!(
        refusal("a.jsonl", "{\"a\": 1}\n{\"a\": 1,}\n"),
        "a.jsonl, line 2: not JSON from byte 9 of the line: trailing comma"
    );
    assert_eq!(
        refusal("a.jsonl", "[1]\n"),
        "a.jsonl, line 1: a whole number is not an object: each row must be one"
    );
    assert_eq!(
        refusal("a.jsonl", "{\"a\": 1, \"a\": 2}\n"),
        "a.jsonl, line 1: the key `a` appears twice, up to byte 16 of the line"
    );
    assert_eq!(refusal("a.jsonl", "\n\n"), "a.jsonl: there are no rows");
    assert_eq!(refusal("a.jsonl", "{}\n"), "a.jsonl: the objects have no member, so that there is no column");
}

#[test]
fn compressed_text_is_decompressed_and_truncated_text_is_an_error() {
    let text = "id\n".to_owned() + &(0..50_000).map(|row| format!("{row}\n")).collect::<String>();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(text.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(text.as_bytes(), 3).unwrap();
    for (name, bytes, packer) in [("a.csv.gz", &gzip, "gzip"), ("a.tsv.zst", &zstd, "zstd")] {
        let folder = files(&[(name, bytes)]);
        let table = Dataset::open(folder.path().join(name)).unwrap();
        assert_eq!(table.integers("id").unwrap(), (0..50_000).collect::<Vec<_>>());
        let cut = refusal(name, &bytes[..bytes.len() / 2]);
        assert_eq!(
            cut,
            format!(
                "{name}: the {packer} data ends in the middle: it is truncated, or followed by other data"
            )
        );
    }
}

#[test]
fn the_files_of_a_folder_or_pattern_are_one_table_and_errors_name_the_file() {
    let folder = files(&[
        ("part-2.csv", b"a,b\n3,x\n4,y\n"),
        ("part-1.csv", b"a,b\n1,u\n2.5,v\n"),
        ("part-3.csv", b"a,b\n"),
        ("README.md", b"About these files."),
        ("_done", b""),
        (".part-4.csv", b"c\n1\n"),
    ]);
    let pattern = folder.path().join("part-?.c*");
    for path in [folder.path(), &pattern] {
        let table = Dataset::open(path).unwrap();
        assert_eq!(table.floats("a").unwrap(), [1.0, 2.5, 3.0, 4.0]);
        assert_eq!(table.texts("b").unwrap(), ["u", "v", "x", "y"]);
        let wrong = table.integers("a").unwrap_err().to_string();
        assert!(wrong.contains("its type is Float64, which cannot be read as integers"), "{wrong}");
    }
    let folder = files(&[("1.jsonl", b"{\"a\": 1}\n{\"a\": 2}\n"), ("2.jsonl", b"{\"a\": 3}\n{}\n")]);
    let missing =
        message(&folder, Dataset::open(folder.path()).and_then(|table| table.integers("a").map(|_| table)));
    assert_eq!(missing, "2.jsonl, row 1, column `a`: the value is missing (null): fill it or drop the row");
}

#[test]
fn files_that_do_not_go_together_are_named() {
    let kinds = files(&[("1.jsonl", b"{\"a\": 1}\n"), ("2.csv", b"a\n1\n")]);
    let opened = Dataset::open(kinds.path());
    assert_eq!(message(&kinds, opened), "2.csv: this is separated text, but 1.jsonl is JSON lines");
    let columns = files(&[("1.csv", b"a\n1\n"), ("2.csv", b"b\n1\n")]);
    let opened = Dataset::open(columns.path());
    assert_eq!(message(&columns, opened), "2.csv, line 1: the columns are b, but the files before it have a");
    let empty = tempdir().unwrap();
    let opened = Dataset::open(empty.path());
    assert_eq!(message(&empty, opened), "FOLDER: the folder has no file of data directly in it");
    let opened = Dataset::open(empty.path().join("*.csv"));
    assert_eq!(message(&empty, opened), "*.csv: no file matches this pattern");
}

/// Files in memory, which cannot be mapped.
#[derive(Debug)]
struct Memory(Vec<(PathBuf, Bytes)>);

struct InMemory(Bytes);

impl Storage for Memory {
    fn list(&self, folder: &Path) -> std::io::Result<Vec<PathBuf>> {
        let names = self.0.iter().map(|(name, _)| name.clone());
        Ok(names.filter(|name| name.parent() == Some(folder)).collect())
    }

    fn open(&self, name: &Path) -> std::io::Result<Arc<dyn Object>> {
        let found = self.0.iter().find(|(known, _)| known == name);
        let found = found.ok_or(std::io::ErrorKind::NotFound)?;
        Ok(Arc::new(InMemory(found.1.clone())))
    }
}

impl Object for InMemory {
    fn length(&self) -> u64 {
        self.0.len() as u64
    }

    fn range(&self, range: Range<u64>) -> std::io::Result<Bytes> {
        Ok(self.0.slice(range.start as usize..range.end as usize))
    }
}

#[test]
fn every_kind_opens_from_a_store_other_than_the_disk() {
    let folder = files(&[("a.csv", b"id\n1\n2\n")]);
    let table = Dataset::open(folder.path().join("a.csv")).unwrap();
    table.write_parquet(folder.path().join("a.parquet")).unwrap();
    table.write_arrow(folder.path().join("a.arrow")).unwrap();
    let names = ["a.csv", "a.parquet", "a.arrow"];
    let stored = names.map(|name| {
        (Path::new("bucket").join(name), Bytes::from(std::fs::read(folder.path().join(name)).unwrap()))
    });
    let store = Memory(stored.into());
    for name in names {
        let table = Dataset::open_from(&store, Path::new("bucket").join(name)).unwrap();
        assert_eq!(table.integers("id").unwrap(), [1, 2]);
    }
    assert_eq!(Dataset::open_from(&store, "bucket/*.csv").unwrap().rows(), 2);
    let mixed = Dataset::open_from(&store, "bucket").unwrap_err().to_string();
    assert_eq!(mixed, "bucket/a.csv: this is separated text, but bucket/a.arrow is Arrow IPC");
    let none = Dataset::open_from(&store, "elsewhere").unwrap_err().to_string();
    assert!(none.starts_with("elsewhere: "), "{none}");
}

/// Megabytes of memory of this process that are not pages of files.
fn anonymous_memory() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<i64>().unwrap() / 1024
}

/// 150 MB of text do not stay in memory: they are parsed once into a file that is mapped, and found there.
/// The memory is measured in a process of its own, where no other test allocates.
#[test]
fn a_large_text_is_kept_as_a_file_and_found_there_again() {
    if std::env::var_os("BREW_TEST_ALONE").is_none() {
        let name = "formats::a_large_text_is_kept_as_a_file_and_found_there_again";
        let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
        let output = alone.args(["--exact", name]).env("BREW_TEST_ALONE", "1").output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && printed.contains("1 passed"), "{printed}");
        return;
    }
    let letters = "abcdefghij".repeat(100);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for row in 0..150_000 {
        writeln!(packed, "{{\"id\": {row}, \"text\": \"{letters}\"}}").unwrap();
    }
    let folder = files(&[("big.jsonl.gz", &packed.finish().unwrap())]);
    let path = folder.path().join("big.jsonl.gz");
    let before = anonymous_memory();
    for _ in 0..2 {
        let table = Dataset::open_as(&path, Format::JsonLines).unwrap();
        assert_eq!(table.rows(), 150_000);
        assert_eq!(table.integers("id").unwrap(), (0..150_000).collect::<Vec<_>>());
        let last = table.select(&[149_999]).unwrap();
        assert_eq!(last.texts("text").unwrap(), [letters.as_str()]);
        let more = anonymous_memory() - before;
        // What was kept up to 64 MiB is given up; the allocator may hold on to its pages.
        assert!(more < 100, "{more} MB more than before, of a table of 150 MB");
    }
}

// datasets 5.2.0: load_dataset("text", data_files=…, split="train")["text"], of the same bytes
#[test]
fn each_line_of_a_text_is_a_row_as_in_datasets() {
    let folder =
        files(&[("a.txt", b"first line\n\n  spaced \r\nlast\ttab"), ("b", b"\xe2\x80\xa8a\x0bb\n\n")]);
    let rows = |name: &str| {
        let opened = Dataset::open_as(folder.path().join(name), Format::Lines).unwrap();
        assert_eq!(opened.columns(), ["text"]);
        opened.texts("text").unwrap()
    };
    assert_eq!(rows("a.txt"), ["first line", "", "  spaced ", "last\ttab"]);
    assert_eq!(rows("b"), ["\u{2028}a\u{b}b", ""]);
    let bad = files(&[("c.txt", b"fine\nbad \xff\n"), ("d.txt", b"")]);
    let opened = |name: &str| message(&bad, Dataset::open_as(bad.path().join(name), Format::Lines));
    assert!(opened("c.txt").starts_with("c.txt, line 2"), "{}", opened("c.txt"));
    assert!(opened("d.txt").starts_with("d.txt"), "{}", opened("d.txt"));
}
