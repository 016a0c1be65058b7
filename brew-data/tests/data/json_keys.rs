//! Keys of JSON lines that would make one column of two.

use brew_data::Dataset;

use crate::formats::{files, refusal};

/// Two keys that are one column's name are told, in whatever lines they stand. pyarrow 26 keeps them apart:
/// `pyarrow.json.read_json` makes a column `a.b` and a struct `a` of each of these.
#[test]
fn a_key_with_a_point_and_a_member_of_an_object_are_not_one_column() {
    let cases = [
        r#"{"a.b": 1, "a": {"b": 2}}"#,
        r#"{"a": {"b": 2}, "a.b": 1}"#,
        "{\"a.b\": 1, \"a\": {\"b\": 2}}\n{}\n{\"a.b\": 3}",
        "{\"a.b\": 1}\n{\"a\": {\"b\": 2}}",
        "{\"a\": {\"b\": 2}}\n{\"a.b\": 1}",
        "{\"a\": {\"b\": null}}\n{\"a.b\": 1}",
        "{\"a\": {\"b.c\": 2}}\n{\"a\": {\"b\": {\"c\": 1}}}",
        "{\"a\": {\"b\": {\"c\": 1}}}\n{\"a.b\": {\"c\": 1}}",
    ];
    for case in cases {
        let line = case.lines().count().min(2);
        let line = if case.contains("{}") { 1 } else { line };
        let message = refusal("a.jsonl", case);
        assert!(
            message.starts_with(&format!("a.jsonl, line {line}, column `a.b"))
                && message.ends_with("rename one of them"),
            "{case}: {message}"
        );
    }
    assert_eq!(
        refusal("a.jsonl", cases[4]),
        "a.jsonl, line 2, column `a.b`: two different keys have this name, the key `b` of the object `a` and the \
         key `a.b`: rename one of them"
    );
    let fine = files(&[("a.jsonl", b"{\"a.b\": 1, \"a\": null}\n{\"a.b\": 2}\n")]);
    let fine = Dataset::open(fine.path().join("a.jsonl")).unwrap();
    assert_eq!(fine.integers("a.b").unwrap(), [1, 2]);
    // An object whose key is the empty text is an object too.
    let empty = files(&[("a.jsonl", br#"{"b": 1, "": {"b": 2}}"#)]);
    let empty = Dataset::open(empty.path().join("a.jsonl")).unwrap();
    assert_eq!((empty.integers("b").unwrap(), empty.integers(".b").unwrap()), (vec![1], vec![2]));
}
