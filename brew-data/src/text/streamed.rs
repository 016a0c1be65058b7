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
        // The end may still change: it is incomplete.
        Ok(if text.ends_with(INCOMPLETE) { None } else { self.give(text) })
    }

    /// Returns the rest after the last token.
    pub(super) fn finish(mut self) -> Result<Option<String>> {
        let text = self.tokenizer.decode(&self.ids)?;
        Ok(self.give(text))
    }

    fn give(&mut self, text: String) -> Option<String> {
        // With byte fallback, a byte that makes a run of bytes invalid also undoes the characters before it in the run.
        // What was given cannot be taken back, so what follows as many characters is new.
        let rest = match text.strip_prefix(&self.given) {
            Some(rest) => rest.to_owned(),
            None => text.chars().skip(self.given.chars().count()).collect(),
        };
        self.given = text;
        (!rest.is_empty()).then_some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tokenizer of single bytes: 0 is special, and the others are `a`, `b`, a space, and the bytes of `é` and `€`.
    fn bytes() -> Tokenizer {
        let folder = tempfile::tempdir().unwrap();
        let tokens = ["<s>", "a", "b", "\u{120}", "\u{c3}", "\u{a9}", "\u{e2}", "\u{124}", "\u{ac}"];
        let vocabulary: serde_json::Map<_, _> =
            tokens.iter().enumerate().map(|(id, token)| ((*token).to_owned(), id.into())).collect();
        let tokenizer = serde_json::json!({
            "version": "1.0",
            "added_tokens": [{ "id": 0, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true }],
            "decoder": { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false },
            "model": { "type": "BPE", "vocab": vocabulary, "merges": [] },
        });
        std::fs::write(folder.path().join("tokenizer.json"), tokenizer.to_string()).unwrap();
        Tokenizer::from_folder(folder.path()).unwrap()
    }

    /// A tokenizer whose tokens are characters and, where it has none, the bytes of `é` and `€`, as Llama 2's.
    fn byte_fallback() -> Tokenizer {
        let folder = tempfile::tempdir().unwrap();
        let tokens = ["<unk>", "a", "b", "c", "<0xC3>", "<0xA9>", "<0xE2>", "<0x82>", "<0xAC>"];
        let vocabulary: serde_json::Map<_, _> =
            tokens.iter().enumerate().map(|(id, token)| ((*token).to_owned(), id.into())).collect();
        let tokenizer = serde_json::json!({
            "version": "1.0",
            "decoder": { "type": "Sequence", "decoders": [{ "type": "ByteFallback" }, { "type": "Fuse" }] },
            "model": { "type": "BPE", "vocab": vocabulary, "merges": [], "unk_token": "<unk>", "byte_fallback": true },
        });
        std::fs::write(folder.path().join("tokenizer.json"), tokenizer.to_string()).unwrap();
        Tokenizer::from_folder(folder.path()).unwrap()
    }

    fn pieces(tokenizer: &Tokenizer, ids: &[i64]) -> Vec<Option<String>> {
        let mut streamed = Streamed::new(tokenizer);
        let mut pieces: Vec<_> = ids.iter().map(|id| streamed.push(*id).unwrap()).collect();
        pieces.push(streamed.finish().unwrap());
        pieces
    }

    #[test]
    fn a_character_of_several_tokens_is_given_when_it_is_complete() {
        let tokenizer = bytes();
        let given = pieces(&tokenizer, &[1, 4, 5, 0, 6, 7, 8, 3, 2]);
        let given: Vec<&str> = given.iter().map(|piece| piece.as_deref().unwrap_or("-")).collect();
        assert_eq!(given, ["a", "-", "é", "-", "-", "-", "€", " ", "b", "-"]);
        // The answer ended before its last character was complete.
        let cut = pieces(&tokenizer, &[1, 6, 7]);
        assert_eq!(cut, [Some("a".to_owned()), None, None, Some("\u{fffd}".to_owned())]);
    }

    #[test]
    fn what_follows_a_character_that_byte_fallback_undoes_is_given() {
        let tokenizer = byte_fallback();
        let given = pieces(&tokenizer, &[4, 5, 6, 1, 2, 3]);
        let given: Vec<&str> = given.iter().map(|piece| piece.as_deref().unwrap_or("-")).collect();
        assert_eq!(tokenizer.decode(&[4, 5, 6, 1, 2, 3]).unwrap(), "\u{fffd}\u{fffd}\u{fffd}abc");
        assert_eq!(given, ["-", "é", "-", "\u{fffd}\u{fffd}a", "b", "c", "-"]);
    }

    #[test]
    fn the_pieces_of_any_tokens_are_their_text() {
        let tokenizer = bytes();
        // Every sequence of five tokens of bytes, characters or not.
        for number in 0..9_i64.pow(5) {
            let ids: Vec<i64> = (0..5).map(|place| number / 9_i64.pow(place) % 9).collect();
            if number % 7 != 0 {
                continue;
            }
            let text: String = pieces(&tokenizer, &ids).into_iter().flatten().collect();
            assert_eq!(text, tokenizer.decode(&ids).unwrap(), "{ids:?}");
        }
    }
}
