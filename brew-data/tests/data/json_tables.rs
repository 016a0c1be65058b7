//! A JSON file that is one object is never taken for one row where it is a table; and floats that JSON lacks.

use std::process::{Command, Stdio};

use brew_data::Dataset;

use crate::formats::{files, refusal};

const ALONE: &str = "line 1: the file's only object is treated as a table, not as a row: ";

/// What pandas 3.0's `DataFrame({"text": ["a", "b"], "label": [1, 0]}).to_json(orient=…)` writes, with its
/// neighbours: an index of text, one row, a series.
#[test]
fn every_orient_of_pandas_is_read_as_rows_or_rejected_by_name() {
    let tables = [
        (r#"{"text":{"0":"a","1":"b"},"label":{"0":1,"1":0}}"#, "without an `orient`"),
        (r#"{"text":{"x":"a","y":"b"},"label":{"x":1,"y":0}}"#, "without an `orient`"),
        (r#"{"label":{"a":1,"b":0}}"#, "without an `orient`"),
        (r#"{"text":{"0":"a"},"label":{"0":1}}"#, "without an `orient`"),
        (r#"{"0":{"text":"a","label":1},"1":{"text":"b","label":0}}"#, "`orient=\"index\"`"),
        (r#"{"0":{"text":"a","label":1}}"#, "`orient=\"index\"`"),
        (r#"{"0":"a","1":"b"}"#, "`orient=\"index\"`"),
        (r#"{"columns":["text","label"],"index":[0,1],"data":[["a",1],["b",0]]}"#, "`orient=\"split\"`"),
        (r#"{"name":"text","index":[0,1],"data":["a","b"]}"#, "`orient=\"split\"`"),
        (
            r#"{"schema":{"fields":[{"name":"index","type":"integer"},{"name":"text","type":"string"}],
            "primaryKey":["index"],"pandas_version":"1.4.0"},"data":[{"index":0,"text":"a","label":1}]}"#,
            "`orient=\"table\"`",
        ),
    ];
    for (content, named) in tables {
        for name in ["a.json", "a.jsonl"] {
            let refused = refusal(name, content);
            assert!(refused.starts_with(&format!("{name}, {ALONE}")), "{refused}");
            assert!(refused.contains(named), "{named}: {refused}");
            assert!(refused.contains("`df.to_json(path, orient=\"records\", lines=True)`"), "{refused}");
            assert!(refused.ends_with("If it is one row, put it into a list: `[{…}]`"), "{refused}");
        }
        // "put it into a list"
        let folder = files(&[("a.json", format!("[{content}]").as_bytes())]);
        assert_eq!(Dataset::open(folder.path().join("a.json")).unwrap().rows(), 1);
    }
    assert_eq!(
        refusal("a.json", r#"[["a",1],["b",0]]"#),
        "a.json, line 1: a list is not an object: each row must be one; pandas writes rows so by `df.to_json(path, \
         orient=\"records\", lines=True)`"
    );
    for rows in [
        r#"[{"text":"a","label":1},{"text":"b","label":0}]"#,
        "{\"text\":\"a\",\"label\":1}\n{\"text\":\"b\",\"label\":0}\n",
    ] {
        let folder = files(&[("a.json", rows.as_bytes())]);
        assert_eq!(Dataset::open(folder.path().join("a.json")).unwrap().integers("label").unwrap(), [1, 0]);
    }
}

/// The line of a shell that a message advises, run as it stands in the folder of the file.
fn rows_by(told: &str, content: &str) -> Dataset {
    let folder = files(&[("table.json", content.as_bytes())]);
    let line = told.split('`').find(|part| part.starts_with("python3 ")).unwrap();
    let ran = Command::new("sh")
        .args(["-c", line])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(ran.status.success(), "{line}: {}", String::from_utf8_lossy(&ran.stderr));
    Dataset::open(folder.path().join("rows.jsonl")).unwrap()
}

#[test]
fn rows_in_a_member_and_columns_of_lists_are_refused_and_rewritten_as_advised() {
    let texts = |table: Dataset| (table.texts("text").unwrap(), table.integers("label").unwrap());
    let rows = r#"[{"text": "it's", "label": 1}, {"text": "b", "label": 0}]"#;
    let tables = [
        (format!("{{\"version\": \"1.0\", \"data\": {rows}}}"), "its member `data` is a list of objects"),
        (format!("{{\n \"data\": {rows}\n}}\n"), "its member `data` is a list of objects"),
        (format!("{{\"my rows\": {rows}}}"), "its member `my rows` is a list of objects"),
        (
            format!("{{\"train\": {rows}, \"test\": {rows}, \"info\": {{}}}}"),
            "its member `train` is a list of objects",
        ),
        (r#"{"text": ["it's", "b"], "label": [1, 0]}"#.to_owned(), "its members are lists of one length"),
    ];
    for (content, named) in tables {
        let told = refusal("table.json", &content);
        assert!(told.starts_with(&format!("table.json, {ALONE}{named}")), "{told}");
        assert_eq!(
            texts(rows_by(&told, &content)),
            (vec!["it's".to_owned(), "b".to_owned()], vec![1, 0]),
            "{told}"
        );
    }
    // A name that a shell would read as its own: no line to copy.
    let told = refusal("a.json", format!("{{\"$(a)\": {rows}}}"));
    assert!(told.contains("Write one row per line: those of that list."), "{told}");
}

#[test]
fn a_single_object_that_is_a_row_is_read_as_a_row() {
    for row in [
        r#"{"text": "a", "label": 1}"#,
        r#"{"text": "a", "entities": [{"start": 0, "end": 1}, {"start": 2, "end": 3}]}"#,
        r#"{"id": 1, "tokens": ["a", "b"], "tags": [0, 1]}"#,
        r#"{"input_ids": [1, 2, 3]}"#,
        r#"{"question": {"text": "a"}, "answer": {"words": "b", "start": 1}}"#,
        r#"{"id": "1", "translation": {"en": "a", "de": "b"}}"#,
    ] {
        let folder = files(&[("a.jsonl", row.as_bytes())]);
        assert_eq!(Dataset::open(folder.path().join("a.jsonl")).unwrap().rows(), 1, "{row}");
    }
    // A line of JSON lines is a row, whatever is in it; numbers alone are one in any file.
    let tokens = r#"{"input_ids": [1, 2, 3], "attention_mask": [1, 1, 1]}"#;
    let words = r#"{"words": ["a", "b"], "tags": [0, 1]}"#;
    let deep = r#"{"input_ids": [[1, 2], [3, 4]], "keep": [true, null]}"#;
    for (name, row) in [
        ("a.jsonl", tokens),
        ("a.ndjson", tokens),
        ("a.json", tokens),
        ("a.json", deep),
        ("a.JSONL", words),
        ("a.ndjson", words),
        ("a.jsonl", "\n{\"a\": [\"b\", \"c\"], \"d\": [[\"e\"], null]}\n\n"),
    ] {
        let folder = files(&[(name, row.as_bytes())]);
        assert_eq!(Dataset::open(folder.path().join(name)).unwrap().rows(), 1, "{name}: {row}");
    }
    // Across lines it is no line, and elsewhere texts may be a column.
    let indented = "{\n \"words\": [\"a\", \"b\"],\n \"tags\": [0, 1]\n}\n";
    let nested = r#"{"words": [["a"], ["b"]], "tags": [[0], [1]]}"#;
    for (name, table) in [("a.jsonl", indented), ("a.json", words), ("a.json", nested)] {
        let refused = refusal(name, table);
        assert!(refused.contains("its members are lists of one length"), "{name}: {refused}");
    }
    // A shard of one row among others.
    let (two, one) = (r#"{"ids": [1, 2], "mask": [1, 1]}"#, r#"{"ids": [3, 4], "mask": [1, 1]}"#);
    let folder = files(&[("1.jsonl", format!("{two}\n{two}\n").as_bytes()), ("2.jsonl", one.as_bytes())]);
    assert_eq!(Dataset::open(folder.path()).unwrap().rows(), 3);
}

#[test]
fn a_table_with_too_many_keys_or_bytes_for_a_row_is_reported_as_a_table() {
    let index: String = (0..10_001).map(|row| format!("\"{row}\": {{\"text\": \"a\"}}, ")).collect();
    let refused = refusal("a.json", format!("{{{}}}", index.trim_end_matches(", ")));
    assert!(refused.contains("`orient=\"index\"`"), "{refused}");
    let long = refusal("a.json", format!("{{\"text\": {{\"0\": \"{}\"}}}}", "a".repeat(17 << 20)));
    assert_eq!(
        long,
        "a.json, line 1: the object is longer than 16 MiB, and a row is no longer; where it is a whole table, write \
         one row per line, with pandas by `df.to_json(path, orient=\"records\", lines=True)`"
    );
}

/// Python's `json.dumps` writes such floats so; `json.loads`, pandas 3.0 and pyarrow 26 read them so.
#[test]
fn not_a_number_and_infinities_of_json_are_read_as_python_writes_them() {
    let rows = "{\"a\": NaN, \"b\": [Infinity, -Infinity, 0.0], \"t\": \"a \\\"NaN\", \"c\": {\"d\": -Infinity}}\n\
                {\"a\": 1, \"b\": [2.0], \"t\": \"Infinity\", \"c\": {\"d\": 3}}\n";
    let listed = format!("[{}]", rows.trim_end().replace('\n', ","));
    for content in [rows, listed.as_str()] {
        let folder = files(&[("a.json", content.as_bytes())]);
        let table = Dataset::open(folder.path().join("a.json")).unwrap();
        let a = table.floats("a").unwrap();
        assert!(a[0].is_nan() && a[1] == 1.0, "{a:?}");
        assert_eq!(table.floats("c.d").unwrap(), [f64::NEG_INFINITY, 3.0]);
        assert_eq!(table.texts("t").unwrap(), ["a \"NaN", "Infinity"]);
    }
    // What else is wrong keeps its place, and no other word is a number.
    assert_eq!(
        refusal("a.jsonl", "{\"a\": NaN, \"b\": Infinity, \"c\": x}"),
        "a.jsonl, line 1: not JSON from byte 32 of the line: expected value"
    );
    for word in ["nan", "NAN", "Nan", "-NaN", "inf", "NaNs", "+Infinity", "1NaN", "NaN1", "Infinity.5"] {
        let refused = refusal("a.jsonl", format!("{{\"a\": {word}}}"));
        assert!(refused.contains("not JSON from byte "), "{refused}");
    }
    // A whole number that is lost is still told, beside an infinity that is none.
    let folder = files(&[("a.jsonl", b"{\"a\": Infinity, \"b\": 184467440737095516160}\n")]);
    let table = Dataset::open(folder.path().join("a.jsonl")).unwrap();
    assert_eq!(table.floats("a").unwrap(), [f64::INFINITY]);
    assert!(table.floats("b").unwrap_err().to_string().contains("a whole number beyond int64"));
}
