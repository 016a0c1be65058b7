//! Pairs, words with labels, windows with answers: held against transformers' fast tokenizers.
//!
//! `tests/fixtures/tokenize/golden.py` made the tokenizers and what is expected of them.

use std::path::{Path, PathBuf};

use arrow::array::builder::{Int64Builder, ListBuilder, StringBuilder};
use arrow::array::{BooleanArray, Int64Array, ListArray, StringArray, cast::AsArray};
use arrow::datatypes::Int32Type;
use brew_core::tch::Tensor;
use brew_data::{Answers, Dataset, Pieces, Questions, Tokenize, Tokenizer, Words};
use serde_json::Value;
use tempfile::tempdir;

use crate::batches::{array, table};

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tokenize")
}

fn golden() -> Value {
    serde_json::from_str(&std::fs::read_to_string(fixtures().join("golden.json")).unwrap()).unwrap()
}

fn texts(rows: &Value, part: usize) -> StringArray {
    rows.as_array().unwrap().iter().map(|row| row[part].as_str()).collect()
}

fn numbers(list: &Value) -> Vec<i32> {
    list.as_array().unwrap().iter().map(|value| value.as_i64().unwrap() as i32).collect()
}

fn lists(rows: &Value) -> Vec<Vec<i32>> {
    rows.as_array().unwrap().iter().map(numbers).collect()
}

fn number(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}

/// A column of lists that brew wrote, read from its file by Arrow alone.
pub(crate) fn column(dataset: &Dataset, name: &str) -> Vec<Vec<i32>> {
    let file = std::fs::File::open(dataset.path()).unwrap();
    let batches = arrow::ipc::reader::FileReader::try_new(file, None).unwrap();
    let rows = batches.flat_map(|batch| {
        let lists = batch.unwrap().column_by_name(name).unwrap().as_list::<i32>().clone();
        let rows: Vec<_> =
            lists.iter().map(|list| list.unwrap().as_primitive::<Int32Type>().values().to_vec()).collect();
        rows
    });
    rows.collect()
}

/// The questions, with the answers as lists: empty where there is none.
fn questions(golden: &Value) -> Dataset {
    let rows = &golden["questions"];
    let (mut texts_of, mut starts) =
        (ListBuilder::new(StringBuilder::new()), ListBuilder::new(Int64Builder::new()));
    for row in rows.as_array().unwrap() {
        if let Some(answer) = row[2].as_str() {
            texts_of.values().append_value(answer);
            starts.values().append_value(row[3].as_i64().unwrap());
        }
        texts_of.append(true);
        starts.append(true);
    }
    table(&[
        ("question", array(texts(rows, 0))),
        ("context", array(texts(rows, 1))),
        ("answers", array(texts_of.finish())),
        ("starts", array(starts.finish())),
        (
            "id",
            array(Int64Array::from_iter_values((0..rows.as_array().unwrap().len() as i64).map(|id| id * 10))),
        ),
    ])
}

fn words(golden: &Value) -> Dataset {
    let mut of_words = ListBuilder::new(StringBuilder::new());
    for row in golden["words"].as_array().unwrap() {
        of_words.append_value(row.as_array().unwrap().iter().map(Value::as_str));
    }
    let labels = lists(&golden["labels"]).into_iter().map(|list| Some(list.into_iter().map(Some)));
    table(&[
        ("tokens", array(of_words.finish())),
        ("tags", array(ListArray::from_iter_primitive::<Int32Type, _, _>(labels))),
    ])
}

#[test]
fn pairs_are_cut_and_segmented_as_transformers_does() {
    let (golden, folder) = (golden(), tempdir().unwrap());
    let pairs = &golden["pairs"];
    let pairs = table(&[("a", array(texts(pairs, 0))), ("b", array(texts(pairs, 1)))]);
    for name in ["bert", "roberta"] {
        let tokenizer = Tokenizer::from_folder(fixtures().join(name)).unwrap();
        for expected in golden[name]["pairs"].as_array().unwrap() {
            let settings = Tokenize::pair("a", "b", number(&expected["max_length"]));
            let tokens = pairs.tokenize(&tokenizer, &settings, folder.path()).unwrap();
            assert_eq!(column(&tokens, "input_ids"), lists(&expected["input_ids"]), "{name}");
            assert_eq!(column(&tokens, "token_type_ids"), lists(&expected["token_type_ids"]), "{name}");
            let with_words = pairs.tokenize(&tokenizer, &settings.word_ids(), folder.path()).unwrap();
            assert_eq!(column(&with_words, "input_ids"), lists(&expected["input_ids"]), "{name}");
            assert_eq!(column(&with_words, "word_ids"), lists(&expected["word_ids"]), "{name}");
        }
    }
}

#[test]
fn the_words_of_a_texts_tokens_are_those_of_transformers() {
    let (golden, folder) = (golden(), tempdir().unwrap());
    let context = golden["questions"][0][1].as_str().unwrap();
    let rows = golden["pairs"].as_array().unwrap().iter().map(|row| row[0].as_str());
    let rows: StringArray = rows.chain([Some(context)]).collect();
    let rows = table(&[("text", array(rows))]);
    for name in ["bert", "roberta"] {
        let tokenizer = Tokenizer::from_folder(fixtures().join(name)).unwrap();
        for expected in golden[name]["texts"].as_array().unwrap() {
            let settings = || Tokenize::text("text", number(&expected["max_length"]));
            let tokens = rows.tokenize(&tokenizer, &settings().word_ids(), folder.path()).unwrap();
            assert_eq!(column(&tokens, "input_ids"), lists(&expected["input_ids"]), "{name}");
            assert_eq!(column(&tokens, "word_ids"), lists(&expected["word_ids"]), "{name}");
            assert_eq!(tokens.columns(), ["input_ids", "attention_mask", "word_ids"]);
            let without = rows.tokenize(&tokenizer, &settings(), folder.path()).unwrap();
            assert_eq!(without.columns(), ["input_ids", "attention_mask"]);
        }
    }
}

#[test]
fn labels_stand_at_the_pieces_of_their_words_as_in_transformers_example() {
    let (golden, folder) = (golden(), tempdir().unwrap());
    let words = words(&golden);
    for name in ["bert", "roberta"] {
        let tokenizer = Tokenizer::from_folder(fixtures().join(name)).unwrap();
        for expected in golden[name]["words"].as_array().unwrap() {
            for (pieces, labels) in [(Pieces::First, "first"), (Pieces::All, "every")] {
                let settings = Tokenize::words(
                    Words::of("tokens").labels("tags", pieces),
                    number(&expected["max_length"]),
                );
                let tokens = words.tokenize(&tokenizer, &settings, folder.path()).unwrap();
                assert_eq!(column(&tokens, "input_ids"), lists(&expected["input_ids"]), "{name}");
                assert_eq!(column(&tokens, "word_ids"), lists(&expected["word_ids"]), "{name}");
                let expected = lists(&expected[labels]);
                let mask =
                    expected.iter().map(|row| row.iter().map(|label| i32::from(*label != -100)).collect());
                assert_eq!(column(&tokens, "label_mask"), mask.collect::<Vec<Vec<i32>>>(), "{name} {labels}");
                assert_eq!(column(&tokens, "labels"), expected, "{name} {labels}");
            }
        }
    }
    let unlabelled = Tokenize::words(Words::of("tokens"), 64);
    let tokenizer = Tokenizer::from_folder(fixtures().join("bert")).unwrap();
    let tokens = words.tokenize(&tokenizer, &unlabelled, folder.path()).unwrap();
    assert_eq!(tokens.columns(), ["input_ids", "attention_mask", "label_mask", "word_ids"]);
}

/// transformers' example takes the token after the window for the start of an answer that is the last
/// token of its window: start 4, end 3 for a question of one token about a context of one.
#[test]
fn windows_and_the_places_of_answers_are_those_of_transformers_example() {
    let (golden, folder) = (golden(), tempdir().unwrap());
    let questions = questions(&golden);
    let mut mended = 0;
    for name in ["bert", "roberta"] {
        let tokenizer = Tokenizer::from_folder(fixtures().join(name)).unwrap();
        for expected in golden[name]["questions"].as_array().unwrap() {
            let settings = Questions::of("question", "context")
                .stride(number(&expected["stride"]))
                .answers("answers", "starts");
            let settings = Tokenize::questions(settings, number(&expected["max_length"])).carry(&["id"]);
            let tokens = questions.tokenize(&tokenizer, &settings, folder.path()).unwrap();
            let windows = expected["windows"].as_array().unwrap();
            let of_windows =
                |key: &str| windows.iter().map(|window| numbers(&window[key])).collect::<Vec<_>>();
            assert_eq!(column(&tokens, "input_ids"), of_windows("input_ids"), "{name}");
            assert_eq!(column(&tokens, "token_type_ids"), of_windows("token_type_ids"), "{name}");
            let offsets = |end: usize| {
                windows
                    .iter()
                    .map(move |window| lists(&window["offsets"]).iter().map(|pair| pair[end]).collect())
            };
            assert_eq!(column(&tokens, "offset_starts"), offsets(0).collect::<Vec<Vec<i32>>>(), "{name}");
            assert_eq!(column(&tokens, "offset_ends"), offsets(1).collect::<Vec<Vec<i32>>>(), "{name}");

            let examples: Vec<i64> =
                windows.iter().map(|window| window["example"].as_i64().unwrap()).collect();
            assert_eq!(tokens.integers("example").unwrap(), examples);
            let ids: Vec<i64> = examples.iter().map(|example| example * 10).collect();
            assert_eq!(tokens.integers("id").unwrap(), ids);
            let found =
                ["start_positions", "end_positions", "has_answer"].map(|name| tokens.integers(name).unwrap());
            for (window, expected) in windows.iter().enumerate() {
                let (start, end) = (expected["start"].as_i64().unwrap(), expected["end"].as_i64().unwrap());
                let right = if start > end { end } else { start };
                mended += usize::from(start > end);
                assert_eq!([found[0][window], found[1][window]], [right, end], "{name}, window {window}");
                assert_eq!(found[2][window], i64::from(end > 0), "{name}, window {window}");
            }
        }
    }
    assert_eq!(mended, 3);
}

#[test]
fn logits_become_the_text_of_the_best_span_of_all_windows() {
    let (golden, folder) = (golden(), tempdir().unwrap());
    let questions = questions(&golden);
    let tokenizer = Tokenizer::from_folder(fixtures().join("bert")).unwrap();
    for expected in golden["bert"]["questions"].as_array().unwrap() {
        let settings = Questions::of("question", "context").stride(number(&expected["stride"]));
        let settings = Tokenize::questions(settings, number(&expected["max_length"]));
        let windows = questions.tokenize(&tokenizer, &settings, folder.path()).unwrap();
        let logits = |window: &Value, key: &str, length: usize| {
            let logits = window[key].as_array().unwrap().iter().map(|value| value.as_f64().unwrap() as f32);
            let mut logits: Vec<f32> = logits.collect();
            logits.resize(length, 100.0); // padding must not win
            Tensor::from_slice(&logits)
        };
        for threshold in [None, Some(-4.0), Some(4.0)] {
            let mut answers = Answers::of(&windows, &questions, "context").unwrap().at_most(4);
            if let Some(threshold) = threshold {
                answers = answers.unanswerable_above(threshold);
            }
            for batch in expected["windows"].as_array().unwrap().chunks(4) {
                let longest =
                    batch.iter().map(|window| window["input_ids"].as_array().unwrap().len()).max().unwrap();
                let [starts, ends] = ["start_logits", "end_logits"].map(|key| {
                    Tensor::stack(
                        &batch.iter().map(|window| logits(window, key, longest)).collect::<Vec<_>>(),
                        0,
                    )
                });
                answers.add(&starts, &ends).unwrap();
            }
            let found = answers.finish().unwrap();
            let expected = expected["answers"].as_array().unwrap();
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(expected) {
                let (score, null) = (expected["score"].as_f64().unwrap(), expected["null"].as_f64().unwrap());
                assert_eq!((found.score, found.no_answer_score), (score, null));
                let none = threshold.is_some_and(|threshold| null - score > threshold);
                assert_eq!(found.text, if none { "" } else { expected["text"].as_str().unwrap() });
            }
        }
    }
}

#[test]
fn what_does_not_fit_together_is_refused_by_row() {
    let (golden, folder) = (golden(), tempdir().unwrap());
    let tokenizer = Tokenizer::from_folder(fixtures().join("bert")).unwrap();
    let refused = |rows: &Dataset, settings: &Tokenize| {
        rows.tokenize(&tokenizer, settings, folder.path()).unwrap_err().to_string()
    };
    let questions = questions(&golden);
    let asked = || Questions::of("question", "context");
    assert_eq!(
        refused(&questions, &Tokenize::questions(asked().stride(6), 11)),
        "table, row 0, column `question`: the question has 5 tokens, but windows with a stride of 6 leave \
         room for 1: cut it, or ask for longer windows or a smaller stride"
    );
    assert_eq!(
        refused(&questions, &Tokenize::questions(asked().stride(8), 11)),
        "a stride of 8 leaves no room for a question and a new token of its context: windows have 8 tokens \
         beside the special ones; ask for a smaller stride or for longer ones"
    );
    let moved = questions.with_integers("starts", [0; 5]).unwrap().with_integers("starts", [1; 5]).unwrap();
    let moved = moved.select(&[4]).unwrap();
    assert_eq!(
        refused(&moved, &Tokenize::questions(asked().answers("answers", "starts"), 64)),
        "table, row 4, column `starts`: the answer `London` is not at character 1 of `context`: \
         starts are counted in characters, from 0"
    );
    let words = words(&golden);
    let labelled = Words::of("tokens").labels("tag", Pieces::First);
    let single = words.with_integers("tag", [0; 4]).unwrap();
    assert_eq!(
        refused(&single, &Tokenize::words(labelled, 64)),
        "table, row 0, column `tag`: 1 labels for 4 words: there must be one per word"
    );
    assert_eq!(
        refused(&words, &Tokenize::text("tags", 64)),
        "table, column `tags`: its type is List(Int32), which cannot be read as text"
    );
    let flags = table(&[("text", array(BooleanArray::from(vec![true])))]);
    assert_eq!(
        refused(&flags, &Tokenize::pair("text", "text", 64)),
        "table, column `text`: its type is Boolean, which cannot be read as text"
    );
}
