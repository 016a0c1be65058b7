//! A short description of a vocabulary, for a column of token ids.

use std::collections::BTreeMap;

use super::VocabularyDifference;
use crate::error::{Error, Result};

/// The number of ids that share one hash in a [`Fingerprint`] that ends at this id: few in a small vocabulary, so
/// that one replaced token is a small part there too.
fn block(end: u32) -> u32 {
    if end <= 4096 { 16 } else { 256 }
}

/// A short description of a [`Vocabulary`](super::Vocabulary): the end of its ids, and a hash for every 256 ids
/// (every 16 up to 4096 ids). As text (`Display`, `FromStr`) it is stored in the metadata of a column of ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    pub(super) end: u32,
    blocks: Vec<u32>,
}

impl Fingerprint {
    /// That of the tokens below this id.
    pub(super) fn up_to(end: u32, tokens: &BTreeMap<u32, String>) -> Self {
        let mut blocks = Vec::new();
        let mut start = 0;
        while start < end {
            let next = start.saturating_add(block(end)).min(end);
            let mut hasher = blake3::Hasher::new();
            for (id, token) in tokens.range(start..next) {
                hasher.update(&id.to_le_bytes());
                hasher.update(&u64::try_from(token.len()).unwrap_or(u64::MAX).to_le_bytes());
                hasher.update(token.as_bytes());
            }
            let mut short = [0; 4];
            hasher.finalize_xof().fill(&mut short);
            blocks.push(u32::from_le_bytes(short));
            start = next;
        }
        Fingerprint { end, blocks }
    }

    /// Compares the blocks of ids that both have, if this side's tokens are known below `known`.
    pub(super) fn difference(&self, other: &Self, known: u32) -> VocabularyDifference {
        // The last, partial block of the shorter side cannot be compared.
        let whole = known / block(other.end);
        let pairs = (0..).zip(self.blocks.iter().zip(&other.blocks));
        let shared = pairs.filter(|(place, _)| other.end <= known || *place < whole);
        let mut found = VocabularyDifference { common: 0, other: 0, first: None };
        for (_, (one, other)) in shared {
            found.common += 1;
            found.other += usize::from(one != other);
        }
        found
    }

    /// Whether both describe one vocabulary, but for some tokens that were replaced, or added at the end. A small
    /// vocabulary (up to 4096 ids) and a larger one never do.
    pub fn is_like(&self, other: &Self) -> bool {
        let (short, long) = if self.end <= other.end { (self, other) } else { (other, self) };
        block(short.end) == block(long.end) && !short.difference(long, short.end).is_of_two()
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:", self.end)?;
        self.blocks.iter().try_for_each(|block| write!(formatter, "{block:08x}"))
    }
}

impl std::str::FromStr for Fingerprint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::invalid(format!("`{text}` is not the fingerprint of a vocabulary"));
        let (end, blocks) = text.split_once(':').ok_or_else(wrong)?;
        let end: u32 = end.parse().map_err(|_| wrong())?;
        let digits = blocks.as_bytes();
        let hash = |digits: &[u8]| {
            let digits = std::str::from_utf8(digits).map_err(|_| wrong())?;
            u32::from_str_radix(digits, 16).map_err(|_| wrong())
        };
        let blocks = digits.chunks(8).map(hash).collect::<Result<Vec<u32>>>()?;
        if digits.len() % 8 != 0 || u32::try_from(blocks.len()) != Ok(end.div_ceil(block(end))) {
            return Err(wrong());
        }
        Ok(Fingerprint { end, blocks })
    }
}
