//! Token ids as Python makes them, and a cache that is used only for what it was made of.

use std::path::Path;

use arrow::array::{Int64Array, StringArray};
use brew_data::{Dataset, Tokenize, Tokenizer};
use tempfile::tempdir;

use crate::batches::{Review, array, epoch, integers, minilm, table};

const TEXTS: [&str; 5] = [
    "a gorgeous film",
    "Effective but too tepid biopic",
    "The Rock is destined to be the 21st Century's new ''Conan''",
    "unaffable \"café\" 日本",
    "",
];

/// ```python
/// tokenizer = AutoTokenizer.from_pretrained("all-MiniLM-L6-v2")   # transformers 5.23.0, tokenizers 0.23.3
/// [tokenizer(text).input_ids for text in TEXTS]
/// ```
fn expected() -> Vec<Vec<u32>> {
    vec![
        vec![101, 1037, 9882, 2143, 102],
        vec![101, 4621, 2021, 2205, 8915, 23267, 16012, 24330, 102],
        vec![
            101, 1996, 2600, 2003, 16036, 2000, 2022, 1996, 7398, 2301, 1005, 1055, 2047, 1005, 1005, 16608,
            1005, 1005, 102,
        ],
        vec![101, 14477, 20961, 3468, 1000, 7668, 1000, 1864, 1876, 102],
        vec![101, 102],
    ]
}

fn texts() -> Dataset {
    table(&[
        ("text", array(StringArray::from(TEXTS.to_vec()))),
        ("labels", array(Int64Array::from(vec![1, 0, 1, 0, 1]))),
    ])
}

fn files(folder: &Path) -> Vec<String> {
    let names =
        std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".arrow")).collect()
}

#[test]
fn token_ids_are_those_of_python_without_the_files_own_padding() {
    let tokens = Tokenizer::from_folder(minilm()).unwrap().encode(&TEXTS).unwrap();
    for (tokens, expected) in tokens.iter().zip(expected()) {
        assert_eq!(tokens.input_ids, expected);
        assert_eq!(tokens.attention_mask, vec![1; expected.len()]);
        assert_eq!(tokens.token_type_ids, vec![0; expected.len()]);
    }
}

/// The file's own truncation is at 128 tokens. Python, with `max_length=6, truncation=True`, gives
/// the same ids as below; `len(tokenizer("film " * 300, truncation=False).input_ids)` is 302.
#[test]
fn texts_are_cut_where_the_run_says_and_not_where_the_file_does() {
    let tokenizer = Tokenizer::from_folder(minilm()).unwrap();
    let long = "film ".repeat(300);
    assert_eq!(tokenizer.encode(&[&long]).unwrap()[0].input_ids.len(), 302);
    let cut = tokenizer.truncated_to(6).unwrap().encode(&TEXTS).unwrap();
    assert_eq!(cut[1].input_ids, [101, 4621, 2021, 2205, 8915, 102]);
    assert_eq!(cut[2].input_ids, [101, 1996, 2600, 2003, 16036, 102]);
    assert_eq!(cut[0].input_ids, expected()[0]);
    assert_eq!(
        tokenizer.truncated_to(2).unwrap_err().to_string(),
        "a maximum length of 2 leaves no room for text: 2 tokens are special; ask for 3 or more"
    );
}

/// ```python
/// tokenizer = AutoTokenizer.from_pretrained("all-MiniLM-L6-v2")   # transformers 5.24.0, tokenizers 0.23.3
/// ids = tokenizer("film " * first, "rock " * second, max_length=length, truncation=True).input_ids
/// (first, second, length, ids.count(2143), ids.count(2600))
/// ```
const CUT_PAIRS: [(usize, usize, usize, usize, usize); 9] = [
    (20, 15, 10, 4, 3),
    (15, 20, 10, 3, 4),
    (20, 20, 10, 3, 4),
    (12, 11, 10, 4, 3),
    (11, 12, 11, 4, 4),
    (30, 4, 10, 4, 3),
    (4, 30, 10, 3, 4),
    (9, 8, 12, 5, 4),
    (100, 40, 16, 7, 6),
];

#[test]
fn a_pair_of_texts_is_cut_as_python_cuts_it_even_where_both_are_too_long() {
    let tokenizer = Tokenizer::from_folder(minilm()).unwrap();
    for (first, second, length, of_first, of_second) in CUT_PAIRS {
        let folder = tempdir().unwrap();
        let column = |word: &str, count| array(StringArray::from(vec![word.repeat(count)]));
        let pair = table(&[("a", column("film ", first)), ("b", column("rock ", second))]);
        let settings = Tokenize::pair("a", "b", length).token_type_ids();
        let tokens = pair.tokenize(&tokenizer, &settings, folder.path()).unwrap();
        let batch = epoch(&tokens.batches::<Review>(1), 0).remove(0);
        let ids = integers(&batch.input_ids.unwrap().get(0));
        let count = |id| ids.iter().filter(|found| **found == id).count();
        let found = (first, second, length, count(2143), count(2600));
        assert_eq!(found, (first, second, length, of_first, of_second));
        assert_eq!((ids[0], ids[of_first + 1], ids.len()), (101, 102, length));
    }
}

#[test]
fn a_tokenised_table_streams_as_batches() {
    let folder = tempdir().unwrap();
    let tokenizer = Tokenizer::from_folder(minilm()).unwrap();
    let settings = Tokenize::text("text", 64).token_type_ids().carry(&["labels"]);
    let tokens = texts().tokenize(&tokenizer, &settings, folder.path()).unwrap();
    assert_eq!(tokens.columns(), ["input_ids", "attention_mask", "token_type_ids", "labels"]);
    let batch = epoch(&tokens.batches::<Review>(8), 0).remove(0);
    let ids = batch.input_ids.as_ref().unwrap();
    assert_eq!(ids.size(), [5, 19]);
    for (row, expected) in expected().iter().enumerate() {
        let mut padded: Vec<i64> = expected.iter().map(|&id| i64::from(id)).collect();
        padded.resize(19, 0);
        assert_eq!(integers(&ids.get(row as i64)), padded);
        let mask = integers(&batch.attention_mask.as_ref().unwrap().get(row as i64));
        assert_eq!(mask.iter().sum::<i64>(), expected.len() as i64);
    }
    assert_eq!(integers(batch.labels.as_ref().unwrap()), [1, 0, 1, 0, 1]);
}

#[test]
fn a_cache_is_used_again_for_the_same_input_and_for_no_other() {
    let folder = tempdir().unwrap();
    let tokenizer = Tokenizer::from_folder(minilm()).unwrap();
    let settings = Tokenize::text("text", 64).carry(&["labels"]);
    let first = texts().tokenize(&tokenizer, &settings, folder.path()).unwrap();
    let made = std::fs::metadata(first.path()).unwrap().modified().unwrap();
    let again = texts().tokenize(&tokenizer, &settings, folder.path()).unwrap();
    assert_eq!(again.path(), first.path());
    assert_eq!(std::fs::metadata(first.path()).unwrap().modified().unwrap(), made);
    assert_eq!(files(folder.path()).len(), 1);

    texts().select(&[0, 1]).unwrap().tokenize(&tokenizer, &settings, folder.path()).unwrap();
    texts().tokenize(&tokenizer, &Tokenize::text("text", 8).carry(&["labels"]), folder.path()).unwrap();
    let relabelled = texts().with_integers("labels", [0; 5]).unwrap();
    relabelled.tokenize(&tokenizer, &settings, folder.path()).unwrap();
    let other = tempdir().unwrap();
    let file = std::fs::read_to_string(minilm().join("tokenizer.json")).unwrap();
    std::fs::write(other.path().join("tokenizer.json"), file.replacen("gorgeous", "gorgeeous", 1)).unwrap();
    let other = Tokenizer::from_folder(other.path()).unwrap();
    texts().tokenize(&other, &settings, folder.path()).unwrap();
    assert_eq!(files(folder.path()).len(), 5);
}

#[test]
fn a_cache_that_is_truncated_damaged_or_for_another_input_is_rebuilt() {
    let folder = tempdir().unwrap();
    let tokenizer = Tokenizer::from_folder(minilm()).unwrap();
    let settings = Tokenize::text("text", 64);
    let path = texts().tokenize(&tokenizer, &settings, folder.path()).unwrap().path().to_owned();
    let whole = std::fs::read(&path).unwrap();
    let foreign = texts().select(&[0]).unwrap().tokenize(&tokenizer, &settings, folder.path()).unwrap();
    let foreign = std::fs::read(foreign.path()).unwrap();
    // One bit of a token's id: the file opens, and says another word.
    let mut damaged = whole.clone();
    let id = damaged.windows(4).position(|bytes| bytes == 9882_i32.to_le_bytes()).unwrap();
    damaged[id] ^= 1;
    assert!(Dataset::open(&path).is_ok());
    for wrong in [&whole[..whole.len() / 2], &foreign, &damaged] {
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, wrong).unwrap();
        assert_eq!(texts().tokenize(&tokenizer, &settings, folder.path()).unwrap().rows(), 5);
        assert_eq!(std::fs::read(&path).unwrap(), whole);
    }
    // Without its checksum nobody knows what a cache holds.
    let made = std::fs::metadata(&path).unwrap().modified().unwrap();
    std::fs::remove_file(path.with_extension("blake3")).unwrap();
    texts().tokenize(&tokenizer, &settings, folder.path()).unwrap();
    assert_ne!(std::fs::metadata(&path).unwrap().modified().unwrap(), made);
}

#[test]
fn a_column_that_is_not_text_and_one_that_is_made_are_rejected() {
    let folder = tempdir().unwrap();
    let tokenizer = Tokenizer::from_folder(minilm()).unwrap();
    let refused =
        |settings: Tokenize| texts().tokenize(&tokenizer, &settings, folder.path()).unwrap_err().to_string();
    assert_eq!(
        refused(Tokenize::text("labels", 64)),
        "table, column `labels`: its type is Int64, which cannot be read as text"
    );
    assert_eq!(refused(Tokenize::text("txt", 64)), "table: there is no column `txt`; did you mean `text`?");
    assert_eq!(
        refused(Tokenize::text("text", 64).carry(&["input_ids"])),
        "column `input_ids` is made by tokenising and cannot be carried"
    );
    assert!(files(folder.path()).is_empty());
}
