//! Sentences with tags and questions with answers: CoNLL columns and SQuAD's JSON.

use std::path::{Path, PathBuf};

use brew_data::{Conll, Dataset, Format, Result};
use tempfile::{TempDir, tempdir};

fn file(name: &str, content: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let folder = tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    (folder, path)
}

/// The message, without the folder.
fn message(path: &Path, opened: Result<Dataset>) -> String {
    let folder = format!("{}/", path.parent().unwrap().display());
    opened.unwrap_err().to_string().replace(&folder, "")
}

#[test]
fn the_first_column_is_the_token_and_the_last_its_tag() {
    let text = "-DOCSTART- -X- -X- O\r\n\r\nEU NNP B-NP B-ORG\r\nrejects VBZ B-VP O\r\n\r\n \r\n# NN B-NP O";
    for name in ["train.conll", "dev.bio", "test.iob2"] {
        let (_folder, path) = file(name, text);
        let sentences = Dataset::open(&path).unwrap();
        assert_eq!(sentences.columns(), ["tokens", "tags"]);
        assert_eq!(sentences.text_lists("tokens").unwrap(), [vec!["EU", "rejects"], vec!["#"]]);
        assert_eq!(sentences.text_lists("tags").unwrap(), [vec!["B-ORG", "O"], vec!["O"]]);
    }
}

#[test]
fn conll_columns_are_taken_by_position_and_comments_left_out_when_asked() {
    let text = "# id = 1\n1\tNew York\tB-LOC\n2\tcalls\tO\n# id = 2\n\n\n1\tit\tO\n\n";
    let (_folder, path) = file("train.txt", text);
    let sentences = Dataset::open_as(&path, Conll::new().column(1, "words").last("ner").comments()).unwrap();
    assert_eq!(sentences.text_lists("words").unwrap(), [vec!["New York", "calls"], vec!["it"]]);
    assert_eq!(sentences.text_lists("ner").unwrap(), [vec!["B-LOC", "O"], vec!["O"]]);
}

#[test]
fn a_conll_line_that_cannot_be_read_is_named() {
    let refusal = |text: &[u8]| {
        let (_folder, path) = file("a.conll", text);
        message(&path, Dataset::open(&path))
    };
    assert_eq!(refusal(b"EU B-ORG\nrejects VBZ O\n"), "a.conll, line 2: 3 fields, expected 2 (tokens, tags)");
    assert_eq!(refusal(b"EU\n"), "a.conll, line 1: 1 fields, expected 2 (tokens, tags)");
    assert_eq!(refusal(b"EU\tB-ORG\n\tO\n"), "a.conll, line 2, column `tokens`: the field is empty");
    assert_eq!(
        refusal(b"EU B-ORG\ncaf\xe9 O\n"),
        "a.conll, line 2, column `tokens`: the text is not UTF-8 from byte 3 of the field: save the file as \
         UTF-8"
    );
    assert_eq!(refusal(b"\n\n-DOCSTART- O\n"), "a.conll: there are no rows");
    let endless = "a O\n".repeat(6 << 20);
    assert_eq!(
        refusal(endless.as_bytes()),
        "a.conll, line 5592406: the sentence is longer than 16 MiB: are the blank lines between sentences \
         missing?"
    );
}

#[test]
fn a_question_is_a_row_with_its_context_and_answers() {
    let text = r#"{"version": "v2.0", "data": [
        {"title": "Norm", "paragraphs": [{"context": "Él habló.", "qas": [
            {"id": "q1", "question": "Who?", "answers": [{"text": "Él", "answer_start": 0}], "is_impossible": false},
            {"id": "q2", "question": "Why?", "answers": [], "is_impossible": true}]}]},
        {"paragraphs": [{"context": "C", "qas": [{"question": "Q", "id": "q3"}]}], "title": "Late"}]}"#;
    let (_folder, path) = file("train.json", text);
    let questions = Dataset::open(&path).unwrap();
    assert_eq!(
        questions.columns(),
        ["id", "title", "context", "question", "answers.text", "answers.answer_start"]
    );
    assert_eq!(questions.texts("id").unwrap(), ["q1", "q2", "q3"]);
    assert_eq!(questions.texts("title").unwrap(), ["Norm", "Norm", "Late"]);
    assert_eq!(questions.texts("context").unwrap(), ["Él habló.", "Él habló.", "C"]);
    assert_eq!(questions.text_lists("answers.text").unwrap(), [vec!["Él"], vec![], vec![]]);
    assert_eq!(questions.integer_lists("answers.answer_start").unwrap(), [vec![0], vec![], vec![]]);
}

#[test]
fn json_that_is_not_squads_is_named_by_line() {
    let refusal = |text: &str| {
        let (_folder, path) = file("dev.json", text);
        message(&path, Dataset::open_as(&path, Format::Squad))
    };
    assert_eq!(
        refusal("{\"data\": [\n{\"paragraphs\": [{\"qas\": []}]}]}"),
        "dev.json, line 2: not SQuAD's JSON from byte 27 of the line: missing field `context`"
    );
    assert_eq!(
        refusal("{\"data\": [{\"para"),
        "dev.json, line 1: not SQuAD's JSON from byte 16 of the line: EOF while parsing a string"
    );
    assert_eq!(
        refusal("{}"),
        "dev.json, line 1: not SQuAD's JSON from byte 2 of the line: missing field `data`"
    );
    assert_eq!(refusal("{\"data\": []}"), "dev.json: there are no rows");
}

#[test]
fn a_column_of_lists_can_be_added_and_replaced() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("train.conll");
    std::fs::write(&path, "a\tO\nb\tB-x\n\nc\tO\n").unwrap();
    let sentences = Dataset::open_as(&path, Conll::new()).unwrap();
    let labelled = sentences.with_integer_lists("labels", [vec![0, 1], vec![0]]).unwrap();
    assert_eq!(labelled.integer_lists("labels").unwrap(), [vec![0, 1], vec![0]]);
    let again = labelled.with_integer_lists("labels", [vec![], vec![7]]).unwrap();
    assert_eq!(again.integer_lists("labels").unwrap(), [vec![], vec![7]]);
    assert_eq!(again.text_lists("tokens").unwrap()[0], ["a", "b"]);
    let error = labelled.with_integer_lists("labels", [vec![1]]).unwrap_err().to_string();
    assert!(error.contains("1 values for column `labels`, but there are 2 rows"), "{error}");
}
