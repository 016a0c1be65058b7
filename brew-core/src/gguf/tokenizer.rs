//! The `tokenizer.json` that a GGUF file stands for: byte-level byte-pair encoding.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::file::Gguf;
use super::pre_tokenizer::{PreTokenizer, TABLE};
use crate::error::Result;

const MODEL: &str = "tokenizer.ggml.model";
const RULE: &str = "tokenizer.ggml.pre";
const TOKENS: &str = "tokenizer.ggml.tokens";
const TYPES: &str = "tokenizer.ggml.token_type";
const MERGES: &str = "tokenizer.ggml.merges";
const SPACE: &str = "tokenizer.ggml.add_space_prefix";
/// What to do about a tokenizer that is not supported.
const MEND: &str = "copy `tokenizer.json` of the original model into a folder, and take it from there (`with_tokenizer_of`, `Tokenizer::from_folder`)";

/// Types of tokens.
const UNKNOWN: i64 = 2;
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;
/// Fills the vocabulary up to the number of embeddings; no text has it.
const UNUSED: i64 = 5;

/// A token with its id and its type.
pub(super) struct Token<'g> {
    pub(super) id: usize,
    pub(super) text: &'g str,
    kind: i64,
}

impl Gguf {
    /// The file's name for its kind of tokenizer; `None` if it has none.
    pub(super) fn tokenizer_model(&self) -> Result<Option<&str>> {
        self.text(MODEL)
    }

    /// The tokens that a text can have, in the order of their ids.
    pub(super) fn tokens(&self) -> Result<Vec<Token<'_>>> {
        let texts = self.needed(TOKENS, self.texts(TOKENS)?)?;
        let types = self.integers(TYPES)?.unwrap_or_default();
        if !types.is_empty() && types.len() != texts.len() {
            return Err(self.error(format!(
                "key `{TYPES}` has {} entries for the {} tokens of `{TOKENS}`: convert the original model again",
                types.len(),
                texts.len()
            )));
        }
        let kinds = types.iter().copied().chain(std::iter::repeat(1));
        let all = texts.iter().zip(kinds).enumerate().map(|(id, (text, kind))| Token { id, text, kind });
        Ok(all.filter(|token| token.kind != UNUSED).collect())
    }

    /// The tokens by their ids.
    ///
    /// # Errors
    /// The file is damaged.
    pub(crate) fn vocabulary(&self) -> Result<Vec<(String, u32)>> {
        if self.tokenizer_model()?.is_none() {
            return Ok(Vec::new());
        }
        let ids = |token: Token<'_>| Some((token.text.to_owned(), u32::try_from(token.id).ok()?));
        Ok(self.tokens()?.into_iter().filter_map(ids).collect())
    }

    /// The tokenizer; `None` if the file has none.
    ///
    /// # Errors
    /// It is not supported, or damaged.
    pub(super) fn tokenizer(&self) -> Result<Option<Value>> {
        match self.tokenizer_model()? {
            None => return Ok(None),
            Some("gpt2") => {}
            Some(other) => {
                return Err(self.error(format!(
                    "key `{MODEL}` is `{other}`, which is not supported yet; `gpt2` (byte-level byte-pair encoding) is: {MEND}"
                )));
            }
        }
        let name = self.needed(RULE, self.text(RULE)?)?;
        let rule = TABLE.iter().find(|rule| rule.name == name).ok_or_else(|| {
            let known: Vec<_> = TABLE.iter().map(|rule| format!("`{}`", rule.name)).collect();
            self.error(format!(
                "key `{RULE}` is `{name}`, which is not supported yet; {} are: {MEND}",
                known.join(", ")
            ))
        })?;
        if self.bool(SPACE)? == Some(true) {
            return Err(self.error(format!("key `{SPACE}` is true, which is not supported yet: {MEND}")));
        }
        // Without them, tokens such as `<|im_end|>` would be taken apart like any text.
        self.needed(TYPES, self.integers(TYPES)?)?;
        let tokens = self.tokens()?;
        let mut vocabulary = BTreeMap::new();
        for token in &tokens {
            if let Some(other) = vocabulary.insert(token.text, token.id) {
                return Err(self.error(format!(
                    "tokens {other} and {} of `{TOKENS}` are both {:?}: convert the original model again",
                    token.id, token.text
                )));
            }
        }
        let merges = self.merges(&vocabulary)?;
        let added: Vec<_> = tokens.iter().filter_map(added).collect();
        Ok(Some(json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": added,
            "normalizer": rule.normalizer(),
            "pre_tokenizer": rule.pre_tokenizer(),
            "post_processor": self.post_processor(rule)?,
            "decoder": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true },
            "model": {
                "type": "BPE",
                "dropout": null,
                "unk_token": null,
                "continuing_subword_prefix": null,
                "end_of_word_suffix": null,
                "fuse_unk": false,
                "byte_fallback": false,
                "ignore_merges": rule.whole_words,
                "vocab": vocabulary,
                "merges": merges,
            },
        })))
    }

    /// The merges, each of which makes one token of two.
    fn merges(&self, vocabulary: &BTreeMap<&str, usize>) -> Result<Vec<[&str; 2]>> {
        let texts = self.needed(MERGES, self.texts(MERGES)?)?;
        let mut merges = Vec::with_capacity(texts.len());
        for (number, merge) in texts.iter().enumerate() {
            let parts = merge.split_once(' ').filter(|(left, right)| {
                let whole = format!("{left}{right}");
                [*left, *right, &whole].iter().all(|token| vocabulary.contains_key(token))
            });
            let Some((left, right)) = parts else {
                return Err(self.error(format!(
                    "merge {number} of `{MERGES}` is {merge:?}, which does not make one token of two: convert the original model again"
                )));
            };
            merges.push([left, right]);
        }
        Ok(merges)
    }

    /// What is done with the tokens of a text: the first and last token are added where the file says so.
    fn post_processor(&self, rule: &PreTokenizer) -> Result<Value> {
        let bytes = json!({ "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true });
        let first = self.bool("tokenizer.ggml.add_bos_token")?.unwrap_or(rule.begins);
        let last = self.bool("tokenizer.ggml.add_eos_token")?.unwrap_or(false);
        let mut special = Map::new();
        let mut end = |asked: bool, name: &str| -> Result<Option<&str>> {
            if !asked {
                return Ok(None);
            }
            let key = format!("tokenizer.ggml.{name}_token_id");
            let id = self.needed(&key, self.integer(&key)?)?;
            let text = self.token(&key, id)?;
            special.insert(text.to_owned(), json!({ "id": text, "ids": [id], "tokens": [text] }));
            Ok(Some(text))
        };
        let (first, last) = (end(first, "bos")?, end(last, "eos")?);
        if special.is_empty() {
            return Ok(bytes);
        }
        let around = |part: &str, number: usize| {
            let token = |text: &str| json!({ "SpecialToken": { "id": text, "type_id": number } });
            let text = json!({ "Sequence": { "id": part, "type_id": number } });
            first.map(token).into_iter().chain([text]).chain(last.map(token)).collect::<Vec<_>>()
        };
        let pair = [around("A", 0), around("B", 1)].concat();
        let template = json!({
            "type": "TemplateProcessing", "single": around("A", 0), "pair": pair, "special_tokens": special,
        });
        Ok(json!({ "type": "Sequence", "processors": [bytes, template] }))
    }

    /// The text of the token that a key names.
    pub(super) fn token(&self, key: &str, id: i64) -> Result<&str> {
        let texts = self.needed(TOKENS, self.texts(TOKENS)?)?;
        let found = usize::try_from(id).ok().and_then(|id| texts.get(id));
        found.map(String::as_str).ok_or_else(|| {
            self.error(format!(
                "key `{key}` is {id}, but `{TOKENS}` has {} tokens: convert the original model again",
                texts.len()
            ))
        })
    }
}

/// The entry of a token that is found in a text before anything else is done with it.
fn added(token: &Token<'_>) -> Option<Value> {
    let special = match token.kind {
        UNKNOWN | CONTROL => true,
        USER_DEFINED => false,
        _ => return None,
    };
    Some(json!({
        "id": token.id, "content": token.text, "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": special,
    }))
}
