//! Vocabularies: the token for each id of a model, read from the tokenizer files beside its weights.
//!
//! Ids mean nothing by themselves: 2023 is `this` to one model and `Ġworld` to another. Two models that read
//! the same batch must share a tokenizer, so a run compares their vocabularies, and the one that the data
//! states, before its first step.

mod fingerprint;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::gguf::{self, Gguf};

pub use fingerprint::Fingerprint;

/// The tokens of a tokenizer by their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vocabulary(BTreeMap<u32, String>);

/// How two vocabularies differ on their common ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VocabularyDifference {
    /// The number of ids (or blocks of ids, if one side is a fingerprint) that both sides have.
    pub(crate) common: usize,
    /// The number of those that stand for different tokens.
    pub(crate) other: usize,
    /// The first such id with the token of each side, if both are known.
    pub(crate) first: Option<(u32, String, String)>,
}

impl VocabularyDifference {
    /// Whether these are different vocabularies, rather than one with some tokens replaced or added.
    pub(crate) fn is_of_two(&self) -> bool {
        2 * self.other > self.common
    }
}

impl Vocabulary {
    /// A vocabulary from tokens and ids in any order. If an id has several tokens, the alphabetically first
    /// one is used.
    pub fn new(tokens: impl IntoIterator<Item = (String, u32)>) -> Self {
        let mut found = Vocabulary::default();
        tokens.into_iter().for_each(|(token, id)| found.add(id, token));
        found
    }

    fn add(&mut self, id: u32, token: String) {
        match self.0.entry(id) {
            Entry::Vacant(free) => drop(free.insert(token)),
            Entry::Occupied(mut taken) if token < *taken.get() => drop(taken.insert(token)),
            Entry::Occupied(_) => {}
        }
    }

    /// The vocabulary in the tokenizer files of a model folder: `tokenizer.json`, or else `vocab.json` with
    /// `added_tokens.json`, or `vocab.txt`; or that of a GGUF file. `None` without any of these, and for a kind of
    /// tokenizer whose file has no table of tokens.
    ///
    /// # Errors
    /// A file that cannot be read, or is not JSON.
    pub(crate) fn of_files(files: &[PathBuf]) -> Result<Option<Self>> {
        let file = |name: &str| files.iter().find(|path| path.file_name().is_some_and(|found| found == name));
        let mut found = Vocabulary::default();
        if let Some(path) = files.iter().find(|path| gguf::is_gguf(path)) {
            found = Vocabulary::new(Gguf::open(path)?.vocabulary()?);
        } else if let Some(path) = file("tokenizer.json") {
            let whole = read_object(path)?;
            found.add_table(&whole["model"]["vocab"]);
            if found.is_empty() {
                return Ok(None);
            }
            for added in whole["added_tokens"].as_array().into_iter().flatten() {
                found.add_entry(&added["id"], &added["content"]);
            }
        } else if let Some(path) = file("vocab.json") {
            found.add_table(&read_object(path)?);
        } else if let Some(path) = file("vocab.txt") {
            let text = std::fs::read_to_string(path).map_err(|error| Error::file(path, error))?;
            (0..).zip(text.lines()).for_each(|(id, line)| found.add(id, line.trim_end().to_owned()));
        }
        if found.is_empty() {
            return Ok(None);
        }
        if let Some(path) = file("added_tokens.json") {
            found.add_table(&read_object(path)?);
        }
        Ok(Some(found))
    }

    /// Adds the entries of `{"token": id}`, or of `[["token", score]]`, where the ids are list positions.
    fn add_table(&mut self, table: &Value) {
        for (token, id) in table.as_object().into_iter().flatten() {
            self.add_entry(id, &Value::from(token.as_str()));
        }
        for (id, entry) in table.as_array().into_iter().flatten().enumerate() {
            self.add_entry(&Value::from(id), &entry[0]);
        }
    }

    fn add_entry(&mut self, id: &Value, token: &Value) {
        if let (Some(id), Some(token)) = (id.as_u64().and_then(|id| u32::try_from(id).ok()), token.as_str()) {
            self.add(id, token.to_owned());
        }
    }

    /// The number of ids that have a token.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no id has a token.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The token of an id.
    pub fn token(&self, id: u32) -> Option<&str> {
        self.0.get(&id).map(String::as_str)
    }

    /// Compares the tokens of common ids.
    pub(crate) fn difference(&self, other: &Self) -> VocabularyDifference {
        let both = self.0.iter().filter_map(|(id, one)| Some((*id, one, other.0.get(id)?)));
        let mut found = VocabularyDifference { common: 0, other: 0, first: None };
        for (id, one, other) in both {
            found.common += 1;
            if one != other {
                found.other += 1;
                found.first.get_or_insert_with(|| (id, one.clone(), other.clone()));
            }
        }
        found
    }

    /// Compares it with a fingerprint, by blocks of ids. A block also differs if one side lacks some of its ids.
    pub(crate) fn difference_from(&self, print: &Fingerprint) -> VocabularyDifference {
        Fingerprint::up_to(print.end, &self.0).difference(print, self.end())
    }

    /// The fingerprint that a table of tokenised text stores.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::up_to(self.end(), &self.0)
    }

    /// One more than the largest id.
    fn end(&self) -> u32 {
        self.0.last_key_value().map_or(0, |(id, _)| id.saturating_add(1))
    }
}

fn read_object(path: &Path) -> Result<Value> {
    let text = std::fs::read(path).map_err(|error| Error::file(path, error))?;
    serde_json::from_slice::<Map<String, Value>>(&text)
        .map(Value::Object)
        .map_err(|error| Error::file(path, format!("not a JSON object: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(count: u32, word: &str) -> Vocabulary {
        Vocabulary::new((0..count).map(|id| (format!("{word}{id}"), id)))
    }

    #[test]
    fn a_vocabulary_with_tokens_added_at_its_end_is_the_same_over_the_common_ids() {
        let (short, long) = (words(600, "a"), words(610, "a"));
        let none = VocabularyDifference { common: 600, other: 0, first: None };
        assert_eq!(short.difference(&long), none);
        assert_eq!(long.difference(&short), none);
        assert_eq!(
            long.difference_from(&short.fingerprint()),
            VocabularyDifference { common: 38, ..none.clone() }
        );
        // The last block of the longer one holds tokens that the shorter one lacks.
        assert_eq!(short.difference_from(&long.fingerprint()), VocabularyDifference { common: 37, ..none });
    }

    #[test]
    fn another_vocabulary_is_told_from_one_with_a_token_replaced() {
        let (one, other) = (words(1200, "a"), words(1000, "b"));
        let difference = one.difference(&other);
        assert_eq!(difference.first, Some((0, "a0".to_owned(), "b0".to_owned())));
        assert!(difference.is_of_two());
        assert!(one.difference_from(&other.fingerprint()).is_of_two());
        let mut replaced = one.clone();
        replaced.0.insert(7, "[E1]".to_owned());
        let difference = one.difference(&replaced);
        assert_eq!(
            (difference.other, difference.first.clone()),
            (1, Some((7, "a7".to_owned(), "[E1]".to_owned())))
        );
        assert!(!difference.is_of_two());
        let difference = one.difference_from(&replaced.fingerprint());
        assert_eq!((difference.common, difference.other, difference.is_of_two()), (75, 1, false));
        assert!(one.fingerprint().is_like(&replaced.fingerprint()));
        assert!(!one.fingerprint().is_like(&other.fingerprint()));
        assert!(words(10, "a").fingerprint().is_like(&words(11, "a").fingerprint()));
        assert!(!words(10, "a").fingerprint().is_like(&words(5000, "a").fingerprint()));
        let (few, mut other) = (words(40, "a"), words(40, "a"));
        other.0.insert(7, "[E1]".to_owned());
        assert!(!few.difference_from(&other.fingerprint()).is_of_two());
    }

    #[test]
    fn a_fingerprint_is_read_back_from_its_text_and_other_text_is_refused() {
        let print = words(33, "a").fingerprint();
        let text = print.to_string();
        assert!(text.starts_with("33:") && text.len() == 3 + 3 * 8, "{text}");
        assert_eq!(text.parse::<Fingerprint>().unwrap(), print);
        assert_eq!("0:".parse::<Fingerprint>().unwrap(), Vocabulary::default().fingerprint());
        for wrong in ["", "33", "x:", &text[..text.len() - 1], &text[..text.len() - 8], "1:zzzzzzzz", "1:ééé"]
        {
            assert!(wrong.parse::<Fingerprint>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn each_kind_of_tokenizer_file_gives_its_table() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let read = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            Vocabulary::of_files(&[path]).unwrap()
        };
        let both = Vocabulary::new([("a".to_owned(), 0), ("b".to_owned(), 1)]);
        assert_eq!(read("vocab.txt", "a\r\nb\n").as_ref(), Some(&both));
        assert_eq!(read("vocab.json", r#"{"b": 1, "a": 0}"#).as_ref(), Some(&both));
        let word_piece =
            r#"{"model": {"vocab": {"a": 0}}, "added_tokens": [{"id": 1, "content": "b", "special": true}]}"#;
        assert_eq!(read("tokenizer.json", word_piece).as_ref(), Some(&both));
        let unigram = r#"{"model": {"type": "Unigram", "vocab": [["a", 0.0], ["b", -2.5]]}}"#;
        assert_eq!(read("tokenizer.json", unigram).as_ref(), Some(&both));
        assert_eq!(read("tokenizer.json", r#"{"model": {}}"#), None);
        assert_eq!(
            read("tokenizer.json", r#"{"model": {}, "added_tokens": [{"id": 7, "content": "a"}]}"#),
            None
        );
        // Beside a SentencePiece model, which is not read.
        assert_eq!(read("added_tokens.json", r#"{"[PAD]": 32000}"#), None);
        assert_eq!(Vocabulary::of_files(&[folder.join("merges.txt")]).unwrap(), None);
        std::fs::write(folder.join("tokenizer.json"), "[]").unwrap();
        let error = Vocabulary::of_files(&[folder.join("tokenizer.json")]).unwrap_err().to_string();
        assert!(error.contains("tokenizer.json: not a JSON object"), "{error}");
    }
}
