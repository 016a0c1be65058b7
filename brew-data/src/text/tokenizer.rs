//! The tokenizer of a Hugging Face folder, with its length settings taken away.
//!
//! A `tokenizer.json` may carry truncation and padding to a fixed length from the day it was saved.
//! Both belong to the run, not to the model: they are cleared, texts are cut where the run says, and
//! batches are padded to their own longest row.

use std::fmt;
use std::path::{Path, PathBuf};

use tokenizers::TruncationParams;

use crate::error::{Error, Result};

/// A tokenizer that adds the model's special tokens and neither pads nor, until told, truncates.
#[derive(Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// What errors name.
    path: PathBuf,
    hash: blake3::Hash,
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Tokenizer").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The tokens of one text; the three lists have the same length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// Ids of the tokens, special ones included.
    pub input_ids: Vec<u32>,
    /// 1 for each token: the text alone has no padding.
    pub attention_mask: Vec<u32>,
    /// The segment of each token: 0 throughout for a single text.
    pub token_type_ids: Vec<u32>,
}

impl Tokenizer {
    /// Reads `tokenizer.json` of a model's folder and clears its truncation and padding.
    ///
    /// # Errors
    /// A folder without `tokenizer.json`, or with one that is not a tokenizer.
    pub fn from_folder(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let path = folder.join("tokenizer.json");
        if !folder.is_dir() {
            return Err(Error::format(folder, "there is no such folder"));
        }
        if !path.is_file() {
            let message =
                "the folder has no tokenizer: copy `tokenizer.json` of the pretrained model into it";
            return Err(Error::format(folder, message));
        }
        let bytes = std::fs::read(&path).map_err(Error::io(&path))?;
        let not_one = |error| Error::format(&path, format!("not a tokenizer: {error}"));
        let mut inner = tokenizers::Tokenizer::from_bytes(&bytes).map_err(not_one)?;
        inner.with_padding(None);
        inner.with_truncation(None).map_err(not_one)?;
        Ok(Tokenizer { inner, path, hash: blake3::hash(&bytes) })
    }

    /// The same tokenizer cutting texts so that no more than `max_length` tokens are left, special
    /// tokens included.
    ///
    /// # Errors
    /// A length with no room for one token beside the special ones.
    pub fn truncated_to(&self, max_length: usize) -> Result<Self> {
        let special = self.inner.get_post_processor().map_or(0, |processor| {
            use tokenizers::PostProcessor;
            processor.added_tokens(false)
        });
        if max_length <= special {
            let message = format!(
                "a maximum length of {max_length} leaves no room for text: {special} tokens are special; \
                 ask for {} or more",
                special + 1
            );
            return Err(Error::Setting(message));
        }
        let mut truncated = self.clone();
        let truncation = TruncationParams { max_length, ..TruncationParams::default() };
        truncated
            .inner
            .with_truncation(Some(truncation))
            .map_err(|error| Error::format(&self.path, error))?;
        Ok(truncated)
    }

    /// The tokens of each text, in order; texts are shared out over the processor's cores.
    ///
    /// # Errors
    /// A text that the tokenizer refuses.
    pub fn encode(&self, texts: &[&str]) -> Result<Vec<Tokens>> {
        let encodings = self.inner.encode_batch_fast(texts.to_vec(), true);
        let encodings = encodings.map_err(|error| Error::format(&self.path, error))?;
        let tokens = encodings.iter().map(|encoding| Tokens {
            input_ids: encoding.get_ids().to_vec(),
            attention_mask: encoding.get_attention_mask().to_vec(),
            token_type_ids: encoding.get_type_ids().to_vec(),
        });
        Ok(tokens.collect())
    }

    /// The hash of the file's content.
    pub(crate) fn hash(&self) -> &blake3::Hash {
        &self.hash
    }
}
