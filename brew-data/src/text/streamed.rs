//! Text that grows token by token. A token may end in the middle of a character, whose bytes then wait for the next.

use super::tokenizer::Tokenizer;
use crate::error::Result;

/// What a decoder writes for bytes that are not, or not yet, a character.
const INCOMPLETE: char = char::REPLACEMENT_CHARACTER;

/// The text of an answer while it is written.
#[derive(Debug)]
pub(super) struct Streamed<'t> {
    tokenizer: &'t Tokenizer,
    ids: Vec<i64>,
    /// The part that was given out.
    given: String,
}

impl<'t> Streamed<'t> {
    /// Nothing yet.
    pub(super) fn new(tokenizer: &'t Tokenizer) -> Self {
        Streamed { tokenizer, ids: Vec::new(), given: String::new() }
    }

    /// Appends a token, and returns the characters that it completes.
    pub(super) fn push(&mut self, id: i64) -> Result<Option<String>> {
        self.ids.push(id);
        let text = self.tokenizer.decode(&self.ids)?;
        // The text so far may change only in its last, incomplete character.
        Ok(if text.ends_with(INCOMPLETE) { None } else { self.give(text) })
    }

    /// Returns the rest after the last token.
    pub(super) fn finish(mut self) -> Result<Option<String>> {
        let text = self.tokenizer.decode(&self.ids)?;
        Ok(self.give(text))
    }

    fn give(&mut self, text: String) -> Option<String> {
        let rest = text.strip_prefix(&self.given)?.to_owned();
        self.given = text;
        (!rest.is_empty()).then_some(rest)
    }
}
