//! Reads the settings beside a tokenizer: `tokenizer_config.json`, the two older files of special and added
//! tokens, and the model's `config.json`.

use brew_core::model::ModelFiles;
use serde_json::{Map, Value};
use tokenizers::{AddedToken, TruncationDirection};

use crate::error::{Error, Result};

/// The tokenizer classes that transformers assembles by its own rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// WordPiece, `BertTokenizer`.
    Bert,
    /// Byte-level BPE, `RobertaTokenizer`.
    Roberta,
    /// Unigram, `XLMRobertaTokenizer`.
    XlmRoberta,
    /// Unigram, `CamembertTokenizer`.
    Camembert,
    /// Any other: `tokenizer.json` is complete.
    Other,
}

/// The named special tokens, in the order in which transformers adds missing ones.
pub(super) const NAMED: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// Lengths above this mean no limit: transformers writes 10³⁰.
const NO_LIMIT: f64 = 1e9;

/// The settings beside a tokenizer.
#[derive(Debug)]
pub(super) struct TokenizerSettings {
    /// `None` if no file says it.
    pub(super) class: Option<Class>,
    /// The class name in its file.
    pub(super) name: Option<String>,
    /// `tokenizer_config.json`, with the special tokens of `special_tokens_map.json` if they apply.
    config: Map<String, Value>,
    /// Tokens added to the model's vocabulary, by id; `None` if `tokenizer.json` has them.
    added: Option<Vec<(u64, AddedToken)>>,
}

impl TokenizerSettings {
    pub(super) fn read(files: &ModelFiles) -> Result<Self> {
        let path = files.place("tokenizer_config.json");
        let mut config = object(files, "tokenizer_config.json")?.unwrap_or_default();
        // The model itself rejects an unreadable config.
        let model = object(files, "config.json").ok().flatten().unwrap_or_default();
        let text =
            |map: &Map<String, Value>, key: &str| map.get(key).and_then(Value::as_str).map(str::to_owned);
        let name = text(&config, "tokenizer_class").or_else(|| text(&model, "tokenizer_class"));
        let class = match (&name, text(&model, "model_type").as_deref()) {
            (Some(name), _) => Some(class_of(name)),
            (None, Some("bert" | "distilbert")) => Some(Class::Bert),
            (None, Some("roberta")) => Some(Class::Roberta),
            (None, Some("xlm-roberta")) => Some(Class::XlmRoberta),
            (None, Some("camembert")) => Some(Class::Camembert),
            // brew's own model, which takes the tokenizer of any teacher along.
            (None, Some("bigru") | None) => None,
            (None, Some(_)) => Some(Class::Other),
        };
        let mut settings = TokenizerSettings { class, name, config: Map::new(), added: None };
        if let Some(Value::Object(added)) = config.get("added_tokens_decoder") {
            let read = |(id, token): (&String, &Value)| Some((id.parse().ok()?, token_of(token, false)?));
            let tokens: Option<Vec<_>> = added.iter().map(read).collect();
            settings.added = Some(tokens.ok_or_else(|| {
                Error::format(
                    &path,
                    "`added_tokens_decoder` must map ids to objects with the `content` of a token",
                )
            })?);
        } else {
            // Files of older versions apply if the newer list is missing.
            for (key, value) in object(files, "special_tokens_map.json")?.unwrap_or_default() {
                config.insert(key, value);
            }
            settings.config = config;
            for (content, id) in object(files, "added_tokens.json")?.unwrap_or_default() {
                let special = settings.special().iter().any(|token| token.content == content);
                let Some(id) = id.as_u64() else { continue };
                settings.added.get_or_insert_default().push((id, AddedToken::from(content, special)));
            }
            return Ok(settings);
        }
        settings.config = config;
        Ok(settings)
    }

    /// Whether there are any settings.
    pub(super) fn has_config(&self) -> bool {
        !self.config.is_empty()
    }

    /// Whether the list of added tokens is complete and replaces that of `tokenizer.json`.
    pub(super) fn lists_added(&self) -> bool {
        self.config.contains_key("added_tokens_decoder")
    }

    /// The added tokens listed in the settings.
    pub(super) fn added(&self) -> Vec<(u64, AddedToken)> {
        self.added.clone().unwrap_or_default()
    }

    /// A switch, with transformers' default.
    pub(super) fn switch(&self, key: &str, default: bool) -> bool {
        self.config.get(key).and_then(Value::as_bool).unwrap_or(default)
    }

    /// A switch without a default.
    pub(super) fn maybe(&self, key: &str) -> Option<bool> {
        self.config.get(key).and_then(Value::as_bool)
    }

    /// A special token by its key, such as `cls_token`.
    pub(super) fn named(&self, key: &str) -> Option<AddedToken> {
        let given = self.config.get(key).and_then(|token| token_of(token, true));
        given.or_else(|| {
            let mut token = AddedToken::from(self.default_of(key)?, true);
            // CamembertTokenizer's mask includes the space before it.
            token.lstrip = self.class == Some(Class::Camembert) && key == "mask_token";
            Some(token)
        })
    }

    fn default_of(&self, key: &str) -> Option<&'static str> {
        match (self.class.unwrap_or(Class::Other), key) {
            (Class::Bert, "unk_token") => Some("[UNK]"),
            (Class::Bert, "sep_token") => Some("[SEP]"),
            (Class::Bert, "pad_token") => Some("[PAD]"),
            (Class::Bert, "cls_token") => Some("[CLS]"),
            (Class::Bert, "mask_token") => Some("[MASK]"),
            (Class::Bert | Class::Other, _) => None,
            (_, "bos_token" | "cls_token") => Some("<s>"),
            (_, "eos_token" | "sep_token") => Some("</s>"),
            (_, "unk_token") => Some("<unk>"),
            (_, "pad_token") => Some("<pad>"),
            (_, "mask_token") => Some("<mask>"),
            _ => None,
        }
    }

    /// All special tokens: named ones, the model's own named ones, and others.
    pub(super) fn special(&self) -> Vec<AddedToken> {
        let mut tokens: Vec<_> = NAMED.iter().filter_map(|key| self.named(key)).collect();
        let own = self.config.iter().filter(|(key, value)| {
            key.ends_with("_token") && !NAMED.contains(&key.as_str()) && value.is_string()
        });
        tokens.extend(own.filter_map(|(_, value)| token_of(value, true)));
        match ["extra_special_tokens", "additional_special_tokens"]
            .iter()
            .find_map(|key| self.config.get(*key))
        {
            Some(Value::Array(extra)) => {
                tokens.extend(extra.iter().filter_map(|token| token_of(token, true)))
            }
            Some(Value::Object(extra)) => {
                tokens.extend(extra.values().filter_map(|token| token_of(token, true)))
            }
            _ if self.class == Some(Class::Camembert) => {
                let unused = ["<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED"];
                tokens.extend(unused.map(|token| AddedToken::from(token, true)));
            }
            _ => {}
        }
        tokens
    }

    /// The side from which texts are truncated.
    pub(super) fn cut(&self) -> Option<TruncationDirection> {
        match self.config.get("truncation_side").and_then(Value::as_str) {
            Some("left") => Some(TruncationDirection::Left),
            Some(_) => Some(TruncationDirection::Right),
            None => None,
        }
    }

    /// `model_max_length`, if it is a limit.
    pub(super) fn longest(&self) -> Option<usize> {
        let length = self.config.get("model_max_length").and_then(Value::as_f64)?;
        (1.0..NO_LIMIT).contains(&length).then_some(length as usize)
    }
}

fn class_of(name: &str) -> Class {
    match name.strip_suffix("Fast").unwrap_or(name) {
        "BertTokenizer" | "DistilBertTokenizer" => Class::Bert,
        "RobertaTokenizer" => Class::Roberta,
        "XLMRobertaTokenizer" => Class::XlmRoberta,
        "CamembertTokenizer" => Class::Camembert,
        _ => Class::Other,
    }
}

/// A token given as text, or as an object with properties.
fn token_of(value: &Value, special: bool) -> Option<AddedToken> {
    if let Some(content) = value.as_str() {
        return Some(AddedToken::from(content, special));
    }
    let content = value.get("content")?.as_str()?;
    let switch = |key: &str| value.get(key).and_then(Value::as_bool);
    Some(AddedToken {
        single_word: switch("single_word").unwrap_or(false),
        lstrip: switch("lstrip").unwrap_or(false),
        rstrip: switch("rstrip").unwrap_or(false),
        normalized: switch("normalized").unwrap_or(!special),
        ..AddedToken::from(content, special || switch("special").unwrap_or(false))
    })
}

/// A file with one JSON object; `None` if the model does not have the file.
fn object(files: &ModelFiles, name: &str) -> Result<Option<Map<String, Value>>> {
    let Some(bytes) = files.read(name).map_err(Error::of_model)? else { return Ok(None) };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| Error::format(files.place(name), format!("not a JSON object: {error}")))
}
