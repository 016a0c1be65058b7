//! Tokens and labels of rendered rows. Which tokens have a loss follows from their places in the text, never from
//! their ids: a padding token may also end a turn.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array};
use tokenizers::Encoding;

use super::read::RowText;
use super::tally::Tally;
use super::turns::Trained;
use super::{CausalRows, Truncate};
use crate::error::Result;
use crate::text::cells::{Cells, Lists};
use crate::text::tokenizer::Tokenizer;
use crate::text::words::NO_LABEL;

/// A row's tokens, and whether each has a loss.
#[derive(Default)]
struct Row {
    tokens: Vec<(u32, bool)>,
    /// Tokens that were cut off.
    cut: usize,
}

impl CausalRows {
    /// The columns of these rows.
    pub(super) fn encode(
        &self,
        tokenizer: &Tokenizer,
        max_length: usize,
        cells: &Cells<'_>,
        texts: Vec<RowText>,
        tally: &mut Tally,
    ) -> Result<Vec<ArrayRef>> {
        let is_plain = texts.first().is_some_and(|row| row.is_plain);
        let encodings =
            tokenizer.encode_placed(texts.iter().map(|row| row.text.as_str()).collect(), is_plain)?;
        let (special, _) = tokenizer.special_tokens();
        let is_special = |id: u32| special.contains(&i64::from(id));
        let (mut ids, mut mask, mut labels) = (Lists::default(), Lists::default(), Lists::default());
        let mut cut = Vec::with_capacity(texts.len());
        for (row, (text, encoding)) in texts.iter().zip(&encodings).enumerate() {
            let mut made = Row { tokens: placed(text, encoding, &is_special), cut: 0 };
            if is_plain {
                self.finish(&mut made, encoding, tokenizer);
            }
            tally.unstopped += unstopped(&made.tokens, &is_special);
            let length = made.tokens.len();
            if length > max_length && self.truncate == Truncate::Never {
                let message = format!(
                    "the row has {length} tokens, more than {max_length}: ask for more, or choose what is cut off \
                     (`CausalRows::truncate`)"
                );
                return Err(cells.bad(row, self.required()[0], message));
            }
            self.shorten(&mut made, max_length, &is_special);
            tally.add(length, made.cut, made.tokens.iter().filter(|(_, trained)| *trained).count());
            cut.push(made.cut as i32);
            ids.push(made.tokens.iter().map(|(id, _)| *id as i32));
            mask.push(made.tokens.iter().map(|_| 1));
            labels.push(made.tokens.iter().map(|&(id, trained)| if trained { id as i32 } else { NO_LABEL }));
        }
        let labels = self.has_labels().then(|| labels.finish());
        let cut: ArrayRef = Arc::new(Int32Array::from(cut));
        Ok([ids.finish(), mask.finish()].into_iter().chain(labels).chain([cut]).collect())
    }

    /// Sets right the special tokens of plain text: one at the start even where the text brings its own, and the
    /// end-of-sequence token after everything but a prompt.
    fn finish(&self, row: &mut Row, encoding: &Encoding, tokenizer: &Tokenizer) {
        let kept = tokenizer.of_prompt(encoding);
        row.tokens.truncate(kept.end);
        row.tokens.drain(..kept.start);
        if self.has_labels()
            && let Some(eos) = tokenizer.eos()
        {
            row.tokens.pop_if(|(last, _)| *last == eos);
            row.tokens.push((eos, true));
        }
    }

    /// Cuts a row to the maximum length.
    fn shorten(&self, row: &mut Row, max_length: usize, is_special: &impl Fn(u32) -> bool) {
        let over = row.tokens.len().saturating_sub(max_length);
        if self.truncate == Truncate::PromptStart {
            let prompt = row.tokens.iter().position(|(_, trained)| *trained).unwrap_or(row.tokens.len());
            let kept =
                usize::from(row.tokens.first().is_some_and(|(id, trained)| is_special(*id) && !trained));
            let dropped = over.min(prompt.saturating_sub(kept));
            row.tokens.drain(kept..kept + dropped);
        }
        row.tokens.truncate(max_length);
        row.cut = over;
    }
}

/// The tokens of a text, and whether each has a loss.
fn placed(text: &RowText, encoding: &Encoding, is_special: &impl Fn(u32) -> bool) -> Vec<(u32, bool)> {
    let (ids, offsets) = (encoding.get_ids(), encoding.get_offsets());
    let (spans, up_to_stop) = match &text.trained {
        Trained::All => return ids.iter().map(|&id| (id, true)).collect(),
        Trained::Exactly(spans) => (spans, false),
        Trained::UpToStop(spans) => (spans, true),
    };
    let mut tokens: Vec<(u32, bool)> = ids.iter().map(|&id| (id, false)).collect();
    for span in spans {
        // As transformers: every token that overlaps the span.
        let overlaps = |&(begins, ends): &(usize, usize)| begins < span.end && ends > span.start;
        let Some(begins) = offsets.iter().position(overlaps) else { continue };
        let mut ends = offsets.iter().rposition(overlaps).map_or(begins, |last| last + 1);
        if up_to_stop && let Some(stop) = (begins..ends).rev().find(|&place| is_special(ids[place])) {
            let after = text.text.get(offsets[stop].1..span.end).unwrap_or_default();
            ends = if after.trim().is_empty() { stop + 1 } else { ends };
        }
        tokens[begins..ends].iter_mut().for_each(|(_, trained)| *trained = true);
    }
    tokens
}

/// In how many places a loss ends right before a special token: the model does not learn to write it there.
fn unstopped(tokens: &[(u32, bool)], is_special: &impl Fn(u32) -> bool) -> usize {
    let ends = tokens.windows(2).filter(|pair| {
        let [(last, learnt), (next, also)] = [pair[0], pair[1]];
        learnt && !also && is_special(next) && !is_special(last)
    });
    ends.count()
}
