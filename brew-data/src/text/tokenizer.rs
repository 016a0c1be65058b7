//! The tokenizer of a Hugging Face folder, without its length settings.
//!
//! A `tokenizer.json` may contain truncation and padding to a fixed length from when it was saved. Both
//! belong to the run, not to the model: they are cleared, the run decides where texts are truncated, and
//! batches are padded to their own longest row.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use brew_core::vocabulary::Vocabulary;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::{Encoding, PostProcessor as _, TruncationDirection, TruncationParams};

use super::tokenizer_folder;
use crate::error::{Error, Result};

/// A tokenizer that adds the model's special tokens; it never pads, and truncates only on request.
#[derive(Clone)]
pub struct Tokenizer {
    pub(super) inner: tokenizers::Tokenizer,
    /// What errors name.
    pub(super) path: PathBuf,
    hash: blake3::Hash,
    /// The side from which texts are truncated.
    cut: TruncationDirection,
    /// The model's maximum length according to the folder.
    longest: Option<usize>,
    /// The id of the token that ends a text.
    eos: Option<u32>,
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Tokenizer").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The tokens of one text; all three lists have the same length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// Token ids, including special tokens.
    pub input_ids: Vec<u32>,
    /// 1 for each token: there is no padding.
    pub attention_mask: Vec<u32>,
    /// The segment of each token: 0 throughout for a single text.
    pub token_type_ids: Vec<u32>,
}

impl Tokens {
    fn of(encoding: &Encoding) -> Self {
        Tokens {
            input_ids: encoding.get_ids().to_vec(),
            attention_mask: encoding.get_attention_mask().to_vec(),
            token_type_ids: encoding.get_type_ids().to_vec(),
        }
    }
}

impl Tokenizer {
    /// Loads the tokenizer of a model's folder as Python's transformers does, or that of a GGUF file.
    ///
    /// `tokenizer.json` gives the vocabulary; `tokenizer_config.json` decides on `do_lower_case`,
    /// `strip_accents`, `tokenize_chinese_chars`, `add_prefix_space`, special and added tokens, and
    /// `truncation_side`. So BERT lowercases texts unless that file says otherwise, whatever `tokenizer.json`
    /// says, except if its `tokenizer_class` is `PreTrainedTokenizerFast`. Without `tokenizer.json`, the
    /// folder may have BERT's `vocab.txt`, or RoBERTa's `vocab.json` and `merges.txt`.
    ///
    /// Of GGUF files, byte-level byte-pair encoding with the rules `smollm`, `gpt-2`, `llama-bpe` and `qwen2` for splitting
    /// texts is supported (`tokenizer.ggml.pre`).
    ///
    /// Fixed lengths for truncation and padding are ignored, and so is `padding_side`: batches are padded at
    /// the end, where padding shifts no position.
    ///
    /// # Errors
    /// The folder has no tokenizer, or its files cannot be read. If there is only a SentencePiece model, the
    /// error includes the command that converts it.
    pub fn from_folder(folder: impl AsRef<Path>) -> Result<Self> {
        let tokenizer_folder::FoundTokenizer { inner, path, cut, longest, eos } =
            tokenizer_folder::read(folder.as_ref())?;
        let whole = inner.to_string(false).map_err(|error| Error::format(&path, error))?;
        let hash = blake3::hash(format!("{cut:?} {eos:?} {whole}").as_bytes());
        Ok(Tokenizer { inner, path, hash, cut, longest, eos })
    }

    /// Truncates texts to `max_length` tokens, including special tokens: at the end, or at the start if the
    /// folder says so (`truncation_side`). Of a pair of texts, the longer is truncated first.
    ///
    /// # Errors
    /// The length leaves no room for a token besides the special ones.
    pub fn truncated_to(&self, max_length: usize) -> Result<Self> {
        self.room(max_length, false)?;
        self.truncated(TruncationParams { max_length, direction: self.cut, ..TruncationParams::default() })
    }

    /// The same tokenizer, for texts already split into words.
    ///
    /// A byte-level tokenizer (RoBERTa's) encodes the space before a word in its tokens. Words of a list have
    /// lost their spaces and get them back, including the first, as transformers requires
    /// (`add_prefix_space=True`).
    pub(crate) fn of_words(&self) -> Self {
        let mut spaced = self.clone();
        if let Some(PreTokenizerWrapper::ByteLevel(level)) = self.inner.get_pre_tokenizer() {
            let mut level = *level;
            level.add_prefix_space = true;
            spaced.inner.with_pre_tokenizer(Some(level));
        }
        spaced
    }

    /// The number of tokens that `max_length` leaves for a text, or for a pair.
    ///
    /// # Errors
    /// No tokens are left.
    pub(crate) fn room(&self, max_length: usize, pair: bool) -> Result<usize> {
        let special = self.inner.get_post_processor().map_or(0, |processor| processor.added_tokens(pair));
        max_length.checked_sub(special).filter(|room| *room > 0).ok_or_else(|| {
            Error::Setting(format!(
                "a maximum length of {max_length} leaves no room for text: {special} tokens are special; \
                 ask for {} or more",
                special + 1
            ))
        })
    }

    pub(super) fn truncated(&self, truncation: TruncationParams) -> Result<Self> {
        let mut truncated = self.clone();
        truncated
            .inner
            .with_truncation(Some(truncation))
            .map_err(|error| Error::format(&self.path, error))?;
        Ok(truncated)
    }

    /// The token of every id, added tokens included.
    pub fn vocabulary(&self) -> Vocabulary {
        Vocabulary::new(self.inner.get_vocab(true))
    }

    /// The number of a token.
    pub(crate) fn id_of(&self, token: &str) -> Option<i64> {
        self.inner.token_to_id(token).map(i64::from)
    }

    /// Encodes each text, in order, on all cores.
    ///
    /// # Errors
    /// The tokenizer rejects a text.
    pub fn encode(&self, texts: &[&str]) -> Result<Vec<Tokens>> {
        Ok(self.encode_all(texts.to_vec())?.iter().map(Tokens::of).collect())
    }

    /// Encodes each text as [`encode`](Self::encode) does, without adding special tokens: a chat template has written its own
    /// into the text, where they are recognised.
    ///
    /// # Errors
    /// The tokenizer rejects a text.
    pub fn encode_rendered(&self, texts: &[&str]) -> Result<Vec<Tokens>> {
        let encodings = self.inner.encode_batch_fast(texts.to_vec(), false);
        let encodings = encodings.map_err(|error| Error::format(&self.path, error))?;
        Ok(encodings.iter().map(Tokens::of).collect())
    }

    /// The text of these tokens without special tokens, as transformers' `decode(ids, skip_special_tokens=True)` gives
    /// it. Bytes that are not whole characters become `\u{fffd}`.
    ///
    /// # Errors
    /// A token number below 0, or the tokenizer rejects the tokens.
    pub fn decode(&self, ids: &[i64]) -> Result<String> {
        let ids = ids.iter().map(|id| {
            u32::try_from(*id).map_err(|_| Error::format(&self.path, format!("{id} is not a token number")))
        });
        let ids = ids.collect::<Result<Vec<u32>>>()?;
        self.inner.decode(&ids, true).map_err(|error| Error::format(&self.path, error))
    }

    /// As [`Tokenizer::encode`], with full encodings.
    pub(crate) fn encode_all(&self, texts: Vec<&str>) -> Result<Vec<Encoding>> {
        self.inner.encode_batch_fast(texts, true).map_err(|error| Error::format(&self.path, error))
    }

    /// The encodings of texts with the bytes of each token, with special tokens only on request.
    pub(crate) fn encode_placed(&self, texts: Vec<&str>, special: bool) -> Result<Vec<Encoding>> {
        self.inner.encode_batch(texts, special).map_err(|error| Error::format(&self.path, error))
    }

    /// The same tokenizer without truncation.
    pub(crate) fn untruncated(&self) -> Result<Self> {
        let mut whole = self.clone();
        whole.inner.with_truncation(None).map_err(|error| Error::format(&self.path, error))?;
        Ok(whole)
    }

    /// As [`Tokenizer::encode_all`], with the word of each token.
    pub(crate) fn encode_words(&self, words: Vec<Vec<&str>>) -> Result<Vec<Encoding>> {
        self.inner.encode_batch(words, true).map_err(|error| Error::format(&self.path, error))
    }

    /// The tokens of a plain prompt that stay: not the special token that was added before the same one of the text, nor
    /// the end-of-sequence token that was added after it, since the model is to continue.
    pub(super) fn of_prompt(&self, encoding: &Encoding) -> Range<usize> {
        let (ids, added) = (encoding.get_ids(), encoding.get_special_tokens_mask());
        let is_special = |id: u32| {
            let token = self.inner.id_to_token(id);
            token.is_some_and(|token| self.inner.get_added_vocabulary().is_special_token(&token))
        };
        let doubled = matches!((ids, added), ([first, second, ..], [1, 0, ..]) if first == second && is_special(*first));
        let ended = self.eos.is_some() && ids.last().copied() == self.eos && added.last() == Some(&1);
        usize::from(doubled)..ids.len() - usize::from(ended)
    }

    /// All token ids, added tokens included.
    pub(crate) fn token_ids(&self) -> Vec<i64> {
        self.inner.get_vocab(true).into_values().map(i64::from).collect()
    }

    /// The special tokens, except the one for unknown words, which represents a word; and the mask token, if
    /// any.
    pub(crate) fn special_tokens(&self) -> (Vec<i64>, Option<i64>) {
        let added = self.inner.get_added_tokens_decoder();
        let special = added.iter().filter(|(_, token)| token.special);
        let of = |contents: [&str; 2]| {
            special.clone().find(|(_, token)| contents.contains(&token.content.as_str())).map(|(id, _)| *id)
        };
        let unknown = of(["[UNK]", "<unk>"]);
        let ids = special.clone().map(|(id, _)| *id).filter(|id| Some(*id) != unknown).map(i64::from);
        (ids.collect(), of(["[MASK]", "<mask>"]).map(i64::from))
    }

    /// The id of the token that ends a text (`eos_token`), if the folder names one.
    pub fn eos(&self) -> Option<u32> {
        self.eos
    }

    /// The model's maximum length according to the folder (`model_max_length`).
    pub(crate) fn longest(&self) -> Option<usize> {
        self.longest
    }

    /// The hash of everything that decides a text's tokens.
    pub(crate) fn hash(&self) -> &blake3::Hash {
        &self.hash
    }
}
