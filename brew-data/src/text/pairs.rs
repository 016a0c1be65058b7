//! Tokenises pairs of texts: the second, or the longer, is truncated or cut into windows.

use tokenizers::{Encoding, PostProcessorWrapper, TruncationParams, TruncationStrategy};

use super::tokenizer::Tokenizer;
use crate::error::{Error, Result};

impl Tokenizer {
    /// Cuts the second text of a pair into windows of `max_length` tokens, including the first text and
    /// special tokens; consecutive windows share `stride` tokens.
    pub(crate) fn windows_of(&self, max_length: usize, stride: usize) -> Result<Self> {
        let strategy = TruncationStrategy::OnlySecond;
        self.truncated(TruncationParams { max_length, stride, strategy, ..TruncationParams::default() })
    }

    /// The tokens of each text with their character offsets, without truncation or special tokens.
    pub(crate) fn pieces(&self, texts: Vec<&str>) -> Result<Vec<Encoding>> {
        self.uncut()?
            .encode_batch_char_offsets(texts, false)
            .map_err(|error| Error::format(&self.path, error))
    }

    /// Encodes pairs of texts, truncated as in Python's tokenizers 0.23.3: the longer first; with the word of each
    /// token on request.
    pub(crate) fn encode_pairs(&self, pairs: Vec<(&str, &str)>, with_words: bool) -> Result<Vec<Encoding>> {
        let uncut = self.uncut()?;
        let (firsts, seconds) = pairs.into_iter().unzip();
        let encode = |texts: Vec<&str>| {
            let encoded = match with_words {
                true => uncut.encode_batch(texts, false),
                false => uncut.encode_batch_fast(texts, false),
            };
            encoded.map_err(|error| Error::format(&self.path, error))
        };
        let pairs = encode(firsts)?.into_iter().zip(encode(seconds)?);
        pairs.map(|(first, second)| Ok(self.windows(first, second)?.swap_remove(0))).collect()
    }

    /// The tokenizer without truncation or special tokens.
    ///
    /// tokenizers 0.23.2, the newest 0.23 on crates.io, truncates each text of a pair to the full length
    /// before comparing them. So two texts that are both longer are cut as if they were equally long, and all
    /// but the first few windows of a text are lost. Pairs are therefore tokenised without truncation, and
    /// truncated afterwards; the post-processor must see each token only once, since it trims offsets.
    fn uncut(&self) -> Result<tokenizers::Tokenizer> {
        let mut plain = self.inner.clone();
        plain.with_post_processor(None::<PostProcessorWrapper>);
        plain.with_truncation(None).map_err(|error| Error::format(&self.path, error))?;
        Ok(plain)
    }

    /// The windows of a pair of texts encoded by [`Tokenizer::pieces`].
    pub(crate) fn windows(&self, first: Encoding, mut second: Encoding) -> Result<Vec<Encoding>> {
        second.set_type_ids(vec![1; second.len()]);
        let joined = self.inner.post_process(first, Some(second), true);
        let mut window = joined.map_err(|error| Error::format(&self.path, error))?;
        let rest = window.take_overflowing();
        Ok([window].into_iter().chain(rest).collect())
    }
}
