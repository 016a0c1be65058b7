//! A column that nobody uses refuses no file; one that is used says which row, and what is wrong with it.

use arrow::array::{Int64Array, LargeStringArray, NullArray, RecordBatch, StringArray};
use brew_data::{Dataset, Delimited, Format, Layout};
use tempfile::tempdir;

use crate::batches::{array, table};
use crate::formats::{files, message};

/// Opens a file, checks that text and label are read, and gives what using the other column says.
fn odd(name: &str, content: &str, column: &str) -> String {
    let folder = files(&[(name, content.as_bytes())]);
    let rows = Dataset::open(folder.path().join(name)).unwrap();
    assert_eq!(rows.texts("text").unwrap()[0], "a good film", "{content}");
    assert_eq!(rows.integers("label").unwrap()[0], 1, "{content}");
    assert!(rows.columns().contains(&column), "{:?}", rows.columns());
    let written = rows.write_parquet(folder.path().join("copy.parquet")).unwrap_err().to_string();
    let used = message(&folder, rows.integers(column).map(|_| rows.clone()));
    assert!(written.ends_with(&used), "{written}");
    rows.select(&[0, 0]).unwrap().with_integers("label", [1, 1]).unwrap();
    let kept = rows.with_integers(column, (0..).take(rows.rows())).unwrap();
    assert_eq!(kept.integers(column).unwrap()[0], 0);
    kept.write_parquet(folder.path().join("copy.parquet")).unwrap();
    used
}

#[test]
fn json_members_of_mixed_types_are_refused_when_they_are_used() {
    let start = r#""text": "a good film", "label": 1"#;
    let cases = [
        (
            format!("{{\"id\": 1, {start}}}\n{{\"id\": \"b2\", \"text\": \"x\", \"label\": 0}}\n"),
            "id",
            "line 2, column `id`: row 1: the value is text, where row 0 holds whole numbers; a column holds values \
             of one type",
        ),
        (
            format!("{{{start}, \"ner\": [[0, 4, \"Process\"]]}}\n"),
            "ner",
            "line 1, column `ner`: row 0: the value is a list of a list of whole numbers and of text",
        ),
        (
            format!("{{\"id\": 18446744073709551615, {start}}}\n"),
            "id",
            "line 1, column `id`: row 0: the value is a whole number beyond int64",
        ),
        (
            format!("{{\"id\": -9223372036854775809, {start}}}\n"),
            "id",
            "line 1, column `id`: row 0: the value is a whole number beyond int64",
        ),
        (
            format!("{{{start}, \"entities\": [{{\"start\": 0, \"end\": 1}}, 2]}}\n"),
            "entities",
            "line 1, column `entities`: row 0: the value is a list of objects and of a whole number",
        ),
        (
            format!("{{{start}, \"entities\": [{{\"start\": 18446744073709551616}}]}}\n"),
            "entities",
            "line 1, column `entities`: row 0: the value is a list of objects with a whole number beyond int64",
        ),
        (
            format!("{{{start}, \"entities\": [{{\"at\": [NaN]}}]}}\n"),
            "entities",
            "line 1, column `entities`: row 0: the value is a list of objects with the number NaN",
        ),
        (
            format!("{{{start}, \"m\": [{{}}]}}\n{{\"text\": \"x\", \"label\": 0, \"m\": [1]}}\n"),
            "m",
            "line 2, column `m`: row 1: the value is lists of whole numbers, where row 0 holds lists of objects; a \
             column holds values of one type",
        ),
        (
            format!("{{{start}, \"m\": 1}}\n\n{{\"text\": \"x\", \"label\": 0, \"m\": {{\"k\": 1}}}}\n"),
            "m",
            "line 3, column `m`: row 1: the value is an object, where row 0 holds whole numbers; a column holds \
             values of one type",
        ),
        (
            format!("{{{start}, \"m\": {{\"k\": 1}}}}\n{{\"text\": \"x\", \"label\": 0, \"m\": [true]}}\n"),
            "m",
            "line 2, column `m`: row 1: the value is a list, where a row before it holds an object",
        ),
        (
            format!("{{{start}, \"m\": [[1]]}}\n{{\"text\": \"x\", \"label\": 0, \"m\": [true]}}\n"),
            "m",
            "line 2, column `m`: row 1: the value is lists of truth values, where row 0 holds lists of lists of \
             whole numbers; a column holds values of one type",
        ),
    ];
    for (content, column, told) in cases {
        assert_eq!(odd("a.jsonl", &content, column), format!("a.jsonl, {told}"));
        // The same rows as a list.
        let rows: Vec<&str> = content.lines().filter(|line| !line.is_empty()).collect();
        let (_, row) = told.split_once("`: row ").unwrap();
        let used = odd("a.json", &format!("[{}]", rows.join(",\n")), column);
        assert!(used.ends_with(&format!("`: row {row}")), "{used}");
    }
}

#[test]
fn lists_of_lists_of_objects_are_kept_as_json_and_the_other_columns_are_read() {
    let start = r#""text": "a good film", "label": 1"#;
    for turns in [r#"[[{"role":"user"}]]"#, r#"[[],[{"role":"user"}],null]"#, r#"[[[{"n":1.5}]]]"#] {
        let content = format!("{{{start}, \"turns\": {turns}}}\n");
        let folder = files(&[("a.jsonl", content.as_bytes())]);
        let rows = Dataset::open(folder.path().join("a.jsonl")).unwrap();
        assert_eq!(rows.texts("text").unwrap(), ["a good film"]);
        assert_eq!(rows.texts("turns").unwrap(), [turns]);
    }
    let content = format!("{{{start}, \"turns\": [[{{\"n\": NaN}}]]}}\n");
    assert_eq!(
        odd("a.jsonl", &content, "turns"),
        "a.jsonl, line 1, column `turns`: row 0: the value is a list of a list of objects with the number NaN"
    );
}

#[test]
fn a_float_is_not_taken_for_a_whole_number_beyond_int64() {
    let folder =
        files(&[("a.jsonl", b"{\"a\": 1e300, \"b\": \"100000000000000000000\"}\n{\"a\": 2, \"b\": \"\"}\n")]);
    let rows = Dataset::open(folder.path().join("a.jsonl")).unwrap();
    assert_eq!(rows.floats("a").unwrap(), [1e300, 2.0]);
}

#[test]
fn keys_without_end_are_one_column_that_is_not_read() {
    let content: String = (0..11_000)
        .map(|row| format!("{{\"text\": \"a good film\", \"label\": 1, \"counts\": {{\"w{row}\": 1}}}}\n"))
        .collect();
    let folder = files(&[("a.jsonl", content.as_bytes())]);
    let rows = Dataset::open(folder.path().join("a.jsonl")).unwrap();
    assert_eq!((rows.rows(), rows.columns()), (11_000, vec!["text", "label", "counts"]));
    let used = message(&folder, rows.integers("counts").map(|_| rows.clone()));
    assert!(
        used.ends_with("column `counts`: row 9998: there are more than 10000 keys, and each is a column"),
        "{used}"
    );
}

#[test]
fn a_text_far_down_a_column_of_numbers_refuses_that_column_alone() {
    let mut content = "text,label,score\n".to_owned();
    (0..1500).for_each(|row| content.push_str(&format!("a good film,1,{row}\n")));
    content.push_str("a good film,1,0.5\na good film,1,n/a\n");
    let used = odd("a.csv", &content, "score");
    assert!(used.starts_with("a.csv, line 1503, column `score`: row 1501: `n/a` is text, where "), "{used}");
}

/// What the message advises, done to the letter.
#[test]
fn the_layout_that_a_mixed_column_advises_reads_the_file() {
    let mut content = ",text,score,empty\n".to_owned();
    (0..1500).for_each(|row| content.push_str(&format!("{row},a \"good\" film,{row},\n")));
    content.push_str("1500,a bad film,n/a,7\n");
    let folder = files(&[("a.csv", content.as_bytes())]);
    let path = folder.path().join("a.csv");
    let used = Dataset::open(&path).unwrap().floats("score").unwrap_err().to_string();
    let advice = "declare the column as text: `Dataset::open_as(path, Delimited::csv().layout_below_header(\
                  Layout::new().integer(\"Unnamed: 0\").text(\"text\").text(\"score\").text(\"empty\")))`";
    assert!(used.ends_with(advice), "{used}");
    let layout = Layout::new().integer("Unnamed: 0").text("text").text("score").text("empty");
    let rows = Dataset::open_as(&path, Delimited::csv().layout_below_header(layout)).unwrap();
    assert_eq!(rows.rows(), 1501);
    assert_eq!(rows.texts("score").unwrap()[1500], "n/a");
}

#[test]
fn columns_that_differ_between_shards_are_refused_when_they_are_used() {
    let folder = tempdir().unwrap();
    let text = || array(StringArray::from(vec!["a", "b"]));
    let first = RecordBatch::try_from_iter_with_nullable([
        ("text", text(), false),
        ("id", array(Int64Array::from(vec![1, 2])), false),
        ("score", array(NullArray::new(2)), true),
        ("only", text(), false),
    ]);
    let first = Dataset::from_record_batches("first", vec![first.unwrap()]).unwrap();
    let second = table(&[
        ("score", array(Int64Array::from(vec![3, 4]))),
        ("id", text()),
        ("text", text()),
        ("late", text()),
    ]);
    for extension in ["parquet", "arrow"] {
        for (name, rows) in [("1", &first), ("2", &second)] {
            let path = folder.path().join(format!("{name}.{extension}"));
            if extension == "arrow" { rows.write_arrow(path) } else { rows.write_parquet(path) }.unwrap();
        }
        let rows = Dataset::open(folder.path().join(format!("*.{extension}"))).unwrap();
        assert_eq!(rows.columns(), ["text", "id", "score", "only", "late"]);
        assert_eq!(rows.texts("text").unwrap(), ["a", "b", "a", "b"]);
        // pyarrow.unify_schemas: null and int64 are int64.
        assert_eq!(rows.select(&[3, 2]).unwrap().integers("score").unwrap(), [4, 3]);
        let null = message(&folder, rows.integers("score").map(|_| rows.clone()));
        assert!(
            null.starts_with(&format!("1.{extension}, row 0, column `score`: the value is missing")),
            "{null}"
        );
        let used = |column| message(&folder, rows.texts(column).map(|_| rows.clone()));
        assert_eq!(
            used("id"),
            format!(
                "2.{extension}: the column `id` is Utf8, but Int64 in 1.{extension}: write all files with \
                 one type"
            )
        );
        assert_eq!(
            used("only"),
            format!("2.{extension}: there is no column `only`, which 1.{extension} has")
        );
        assert_eq!(
            used("late"),
            format!("1.{extension}: there is no column `late`, which 2.{extension} has")
        );
    }
}

#[test]
fn text_and_json_in_shards_of_one_column_are_refused_when_they_are_used() {
    let json = files(&[("a.jsonl", br#"{"id": 1, "prompt": [{"role": "user", "content": "Hi"}]}"#)]);
    let json = Dataset::open(json.path().join("a.jsonl")).unwrap();
    let plain =
        table(&[("id", array(Int64Array::from(vec![2]))), ("prompt", array(StringArray::from(vec!["Hi"])))]);
    let large = table(&[
        ("id", array(Int64Array::from(vec![2]))),
        ("prompt", array(LargeStringArray::from(vec!["Hi"]))),
    ]);
    for (plain, type_name) in [(&plain, "Utf8"), (&large, "LargeUtf8")] {
        let lists = "lists of objects (JSON)";
        for (shards, found, known) in [([plain, &json], lists, type_name), ([&json, plain], type_name, lists)]
        {
            let folder = tempdir().unwrap();
            for (number, rows) in (1..).zip(shards) {
                rows.write_parquet(folder.path().join(format!("{number}.parquet"))).unwrap();
            }
            let rows = Dataset::open(folder.path().join("*.parquet")).unwrap();
            assert_eq!(rows.integers("id").unwrap().len(), 2);
            assert_eq!(
                message(&folder, rows.texts("prompt").map(|_| rows.clone())),
                format!(
                    "2.parquet: the column `prompt` is {found}, but {known} in 1.parquet: write all files with one type"
                )
            );
        }
    }
}

/// Python's json reads each: a list of two objects, or two objects one after another.
#[test]
fn json_lists_and_indented_objects_are_rows() {
    let list = r#"[{"text": "a good film", "label": 1}, {"text": "a bad } [film]", "label": 0}]"#;
    let indented = "[\n  {\n    \"text\": \"a good film\",\n    \"label\": 1\n  },\n  {\"text\": \"a bad } \
                    [film]\",\n  \"label\": 0}\n]\n";
    let objects = "{\n  \"text\": \"a good film\",\n  \"label\": 1\n}\n{\n  \"text\": \"a bad } [film]\", \
                   \"label\": 0\n}";
    let marked = format!("\u{feff}\r\n {list}");
    for content in [list, indented, objects, &marked] {
        for name in ["a.json", "a.jsonl"] {
            let folder = files(&[(name, content.as_bytes())]);
            let rows = Dataset::open(folder.path().join(name)).unwrap();
            assert_eq!(rows.texts("text").unwrap(), ["a good film", "a bad } [film]"], "{content}");
            assert_eq!(rows.integers("label").unwrap(), [1, 0]);
        }
    }
    let one = files(&[("a.json", b"{\n  \"text\": \"a good film\",\n  \"label\": 1\n}\n")]);
    assert_eq!(Dataset::open(one.path().join("a.json")).unwrap().rows(), 1);
    // A list of any length may stand in one line, and a string may hold what looks like its end.
    let long: Vec<String> =
        (0..300_000).map(|row| format!("{{\"id\": {row}, \"text\": \"\\\\\\\"]}}, {{[\"}}")).collect();
    let long = format!("[{}]", long.join(", "));
    let folder = files(&[("a.json", long.as_bytes())]);
    let rows = Dataset::open_as(folder.path().join("a.json"), Format::JsonLines).unwrap();
    assert_eq!(rows.integers("id").unwrap(), (0..300_000).collect::<Vec<_>>());
    assert_eq!(rows.texts("text").unwrap()[299_999], "\\\"]}, {[");
}

#[test]
fn json_documents_without_rows_are_reported_as_what_they_are() {
    for (content, told) in [
        ("[{\"a\": 1}, 7]", "line 1: a whole number is not an object: each row must be one"),
        (
            "[[1]]",
            "line 1: a list is not an object: each row must be one; pandas writes rows so by `df.to_json(path, \
             orient=\"records\", lines=True)`",
        ),
        ("[\n{\"a\": 1},\n]", "line 3: a comma has no row behind it"),
        ("[{\"a\": 1}\n{\"a\": 2}]", "line 2: a comma is missing between two rows"),
        (
            "[{\"a\": 1},\n{\"a\": 2}",
            "line 1: the list that begins here is not closed before the end of the file",
        ),
        (
            "[{\"a\": 1}]\n{}",
            "line 2: text follows the list: a file is one list of objects, or one object per line",
        ),
        ("{\n\"a\": 1\n", "line 1: the object that begins here is not closed before the end of the file"),
        ("{\n\"a\": 1,\n\"b\": x}\n", "line 3: not JSON from byte 6 of the line: expected value"),
        ("{\n\"a\": 1}\n7", "line 3: no object begins here: each row must be one"),
        ("\"text\"", "line 1: text is not an object: each row must be one"),
    ] {
        assert_eq!(crate::formats::refusal("a.json", content), format!("a.json, {told}"), "{content}");
    }
    assert_eq!(crate::formats::refusal("a.json", "[]"), "a.json: there are no rows");
}

/// A member `data` alone makes no SQuAD of a document, and the members of SQuAD's do.
#[test]
fn squad_is_read_where_the_keys_say_so_and_named_nowhere_else() {
    let squad = r#"{"version": "1.1", "data": [{"title": "T", "paragraphs": [{"context": "C",
        "qas": [{"id": "q", "question": "Q", "answers": []}]}]}]}"#;
    let folder = files(&[("a.json", squad.as_bytes())]);
    assert_eq!(Dataset::open(folder.path().join("a.json")).unwrap().texts("id").unwrap(), ["q"]);
    let other = r#"{"version": 1, "data": [{"text": "a good film", "label": 1}]}"#;
    let told = crate::formats::refusal("a.json", other);
    assert!(!told.contains("SQuAD") && told.contains("its member `data` is a list of objects"), "{told}");
    let broken = crate::formats::refusal("a.json", "{\"data\": [{\"title\": 1");
    assert!(!broken.contains("SQuAD"), "{broken}");
}
