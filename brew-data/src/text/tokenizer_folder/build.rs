//! Assembles a tokenizer from its vocabulary and settings.
//!
//! For its own classes, transformers takes only the vocabulary (and a Unigram model's normalizer) from
//! `tokenizer.json` and sets up everything else itself. This is done here, class by class.

use std::path::Path;

use serde_json::{Map, Value};
use tokenizers::models::bpe::BPE;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::whitespace::WhitespaceSplit;
use tokenizers::processors::roberta::RobertaProcessing;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, ModelWrapper, Tokenizer};

use super::settings::{Class, TokenizerSettings};
use crate::error::{Error, Result};

/// The parts of a tokenizer.
pub(super) struct Parts {
    class: Class,
    /// The tokenizer as in its file; only the vocabulary if there is nothing else.
    file: Tokenizer,
    /// The file's added tokens, by id.
    added: Vec<(u64, AddedToken)>,
}

impl Parts {
    /// From `tokenizer.json`. A class that does not match the file's model leaves the file unchanged. If no
    /// class is named, the file's model decides.
    pub(super) fn of_json(bytes: &[u8], path: &Path, settings: &TokenizerSettings) -> Result<Self> {
        let not_one = |error: &dyn std::fmt::Display| {
            Error::format(path, format!("this cannot be read as a tokenizer: {error}"))
        };
        let file = Tokenizer::from_bytes(bytes).map_err(|error| not_one(&error))?;
        let added =
            file.get_added_tokens_decoder().into_iter().map(|(id, token)| (u64::from(id), token)).collect();
        let bytes = matches!(file.get_pre_tokenizer(), Some(PreTokenizerWrapper::ByteLevel(_)));
        let class = match (settings.class, file.get_model()) {
            (Some(Class::Bert), ModelWrapper::WordPiece(_)) => Class::Bert,
            (None, ModelWrapper::WordPiece(_)) if settings.has_config() => Class::Bert,
            (Some(Class::Roberta), ModelWrapper::BPE(_)) => Class::Roberta,
            (None, ModelWrapper::BPE(_)) if settings.has_config() && bytes => Class::Roberta,
            (Some(class @ (Class::XlmRoberta | Class::Camembert)), ModelWrapper::Unigram(_)) => class,
            _ => Class::Other,
        };
        Ok(Parts { class, file, added })
    }

    /// The class whose rules apply.
    pub(super) fn class(&self) -> Class {
        self.class
    }

    /// From BERT's `vocab.txt`.
    pub(super) fn of_words(path: &Path, settings: &TokenizerSettings) -> Result<Self> {
        let unknown = settings.named("unk_token").map_or_else(|| "[UNK]".to_owned(), |token| token.content);
        let model = WordPiece::from_file(&path.to_string_lossy()).unk_token(unknown).build();
        let model = model.map_err(|error| Error::format(path, format!("not a vocabulary: {error}")))?;
        Ok(Parts { class: Class::Bert, file: Tokenizer::new(model), added: Vec::new() })
    }

    /// From RoBERTa's `vocab.json` and `merges.txt`.
    pub(super) fn of_merges(vocabulary: &Path, merges: &Path) -> Result<Self> {
        let model = BPE::from_file(&vocabulary.to_string_lossy(), &merges.to_string_lossy()).build();
        let message = |error| format!("it is not a vocabulary for the merges.txt beside it: {error}");
        let model = model.map_err(|error| Error::format(vocabulary, message(error)))?;
        Ok(Parts { class: Class::Roberta, file: Tokenizer::new(model), added: Vec::new() })
    }
}

/// Assembles the tokenizer.
pub(super) fn put_together(parts: Parts, settings: &TokenizerSettings, path: &Path) -> Result<Tokenizer> {
    let failed = |error: tokenizers::Error| Error::format(path, error);
    let class = parts.class;
    let mut tokenizer = match class {
        Class::Bert => bert(&parts.file, settings, path)?,
        Class::Roberta => roberta(&parts.file, settings, path)?,
        Class::XlmRoberta | Class::Camembert => unigram(parts.file, settings).map_err(failed)?,
        Class::Other => parts.file,
    };
    let mut added = settings.added();
    if !settings.lists_added() {
        added.retain(|(id, _)| parts.added.iter().all(|(taken, _)| taken != id));
        added.extend(parts.added);
    }
    added.sort_by_key(|(id, _)| *id);
    let mut tokens: Vec<AddedToken> = added.into_iter().map(|(_, token)| token).collect();
    let known: Vec<String> =
        tokenizer.get_added_tokens_decoder().into_values().map(|token| token.content).collect();
    for token in settings.special() {
        if !known.contains(&token.content) && tokens.iter().all(|taken| taken.content != token.content) {
            tokens.push(token);
        }
    }
    tokenizer.add_tokens(tokens).map_err(failed)?;
    let id_of = |key: &str| {
        let token = settings.named(key).map(|token| token.content).unwrap_or_default();
        let id = tokenizer.token_to_id(&token);
        id.map(|id| (token.clone(), id))
            .ok_or_else(|| Error::format(path, format!("`{key}` {token:?} has no id")))
    };
    match class {
        Class::Bert => {
            let ends = [id_of("cls_token")?, id_of("sep_token")?];
            let [(start, _), (end, _)] = &ends;
            let single = format!("{start}:0 $A:0 {end}:0");
            let pair = format!("{single} $B:1 {end}:1");
            tokenizer.with_post_processor(Some(template(&single, &pair, ends, path)?));
        }
        Class::Roberta => {
            let processor = RobertaProcessing::new(id_of("sep_token")?, id_of("cls_token")?)
                .trim_offsets(settings.switch("trim_offsets", true))
                .add_prefix_space(settings.switch("add_prefix_space", false));
            tokenizer.with_post_processor(Some(processor));
        }
        Class::XlmRoberta | Class::Camembert => {
            let ends = [id_of("bos_token")?, id_of("eos_token")?];
            let [(start, _), (end, _)] = &ends;
            let single = format!("{start} $A {end}");
            let pair = format!("{single} {end} $B {end}");
            tokenizer.with_post_processor(Some(template(&single, &pair, ends, path)?));
        }
        // transformers gives a pair's texts different types if the file does not say.
        Class::Other if tokenizer.get_post_processor().is_none() => {
            tokenizer.with_post_processor(Some(template("$A:0", "$A:0 $B:1", [], path)?));
        }
        Class::Other => {}
    }
    tokenizer.set_encode_special_tokens(settings.switch("split_special_tokens", false));
    Ok(tokenizer)
}

/// The model of a tokenizer as JSON, with values mapped by `keep`.
fn model_with(
    file: &Tokenizer,
    path: &Path,
    mut keep: impl FnMut(&str, Value) -> Option<Value>,
) -> Result<Value> {
    let model: Map<String, Value> = serde_json::to_value(file.get_model())
        .and_then(serde_json::from_value)
        .map_err(|error| Error::format(path, error))?;
    let kept = model.into_iter().filter_map(|(key, value)| Some((key.clone(), keep(&key, value)?)));
    Ok(Value::Object(kept.collect()))
}

fn bert(file: &Tokenizer, settings: &TokenizerSettings, path: &Path) -> Result<Tokenizer> {
    let failed = |error: tokenizers::Error| Error::format(path, error);
    let unknown = settings.named("unk_token").map_or_else(|| "[UNK]".to_owned(), |token| token.content);
    let model = model_with(file, path, |key, value| match key {
        "vocab" => Some(value),
        "unk_token" => Some(Value::from(unknown.as_str())),
        "continuing_subword_prefix" => Some(Value::from("##")),
        "max_input_chars_per_word" => Some(Value::from(100)),
        _ => None,
    })?;
    let model: WordPiece = serde_json::from_value(model).map_err(|error| Error::format(path, error))?;
    let mut tokenizer = Tokenizer::new(model);
    let normalizer = BertNormalizer::new(
        true,
        settings.switch("tokenize_chinese_chars", true),
        settings.maybe("strip_accents"),
        settings.switch("do_lower_case", true),
    );
    tokenizer.with_normalizer(Some(normalizer)).map_err(failed)?;
    tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
    Ok(tokenizer)
}

fn roberta(file: &Tokenizer, settings: &TokenizerSettings, path: &Path) -> Result<Tokenizer> {
    let model = model_with(file, path, |key, value| ["vocab", "merges"].contains(&key).then_some(value))?;
    let model: BPE = serde_json::from_value(model).map_err(|error| Error::format(path, error))?;
    let mut tokenizer = Tokenizer::new(model);
    let spaced = settings.switch("add_prefix_space", false);
    tokenizer.with_pre_tokenizer(Some(ByteLevel::default().add_prefix_space(spaced)));
    Ok(tokenizer)
}

fn unigram(mut file: Tokenizer, settings: &TokenizerSettings) -> tokenizers::Result<Tokenizer> {
    let scheme =
        if settings.switch("add_prefix_space", true) { PrependScheme::Always } else { PrependScheme::Never };
    let parts: Vec<PreTokenizerWrapper> =
        vec![WhitespaceSplit.into(), Metaspace::new('\u{2581}', scheme, true).into()];
    file.with_pre_tokenizer(Some(Sequence::new(parts)));
    Ok(file)
}

fn template<const N: usize>(
    single: &str,
    pair: &str,
    special: [(String, u32); N],
    path: &Path,
) -> Result<TemplateProcessing> {
    let failed = |error: &dyn std::fmt::Display| Error::format(path, format!("its special tokens: {error}"));
    TemplateProcessing::builder()
        .try_single(single)
        .map_err(|error| failed(&error))?
        .try_pair(pair)
        .map_err(|error| failed(&error))?
        .special_tokens(special.to_vec())
        .build()
        .map_err(|error| failed(&error))
}
