//! Packs the tokens of short rows into rows of one length, whole: documents that a model keeps apart.

mod best_fit;
mod write;

use std::path::Path;

use arrow::datatypes::DataType;

use self::best_fit::best_fit_decreasing;
use self::write::write;
use super::cache::{cached_or, key_of};
use crate::arrays::lists::range;
use crate::dataset::{Dataset, TooLong};
use crate::error::{Error, Result};

impl Dataset {
    /// Packs rows of tokens into rows of at most `capacity` tokens: columns `input_ids`, `labels` if the table has them,
    /// and `attention_mask`, which numbers the documents of a row 1, 2, 3, … (padding is 0). Other columns are left out.
    ///
    /// Every row of the table becomes one whole document. A model that reads the mask's numbers keeps documents apart: its
    /// positions start at 0 in each, and no token sees another document. No loss reaches across a border either: the first
    /// token of each document has the label -100.
    ///
    /// Which rows share a row is decided by best-fit decreasing: the longest first, the earlier of two equally long ones
    /// before the later, each where it leaves the least room, or in the earliest of such places. So the same table gives
    /// the same rows, in an order by length: shuffle them. How full they are, and how many tokens were cut off, is said in
    /// one line on standard error.
    ///
    /// They are written once to `cache_folder`, as by [`tokenize`](Self::tokenize).
    ///
    /// ```no_run
    /// use brew_data::{CausalRows, Dataset, Tokenize, Tokenizer, TooLong};
    ///
    /// # fn main() -> brew_data::Result<()> {
    /// let tokenizer = Tokenizer::from_folder("models/SmolLM2-135M-Instruct")?;
    /// let rows = Tokenize::causal(CausalRows::text("text"), 2048);
    /// let tokens = Dataset::open("data/train.parquet")?.tokenize(&tokenizer, &rows, "runs/cache")?;
    /// let packed = tokens.pack(2048, TooLong::Refuse, "runs/cache")?;
    /// # let _ = packed;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The capacity is 0; there is no column `input_ids` of lists of whole numbers; by row: it has no token, it has more than `capacity` (unless
    /// `too_long` cuts it to its first tokens), labels or mask do not match the tokens, or it is packed or padded already; the
    /// table is [limited](Self::limited_to); the cache cannot be written.
    pub fn pack(&self, capacity: usize, too_long: TooLong, cache_folder: impl AsRef<Path>) -> Result<Self> {
        if capacity == 0 {
            return Err(Error::Setting("packed rows of 0 tokens have no room: ask for 1 or more".to_owned()));
        }
        if self.is_limited() {
            let message = "the table's lists are limited (`limited_to`), and so would packed rows be: pack without a limit, \
                           and choose what happens to long rows in `pack`";
            return Err(Error::Setting(message.to_owned()));
        }
        let known = self.columns();
        let names = ["input_ids", "attention_mask", "labels"];
        let names: Vec<&str> =
            names.into_iter().filter(|name| *name == "input_ids" || known.contains(name)).collect();
        names.iter().try_for_each(|name| self.refuse_nulls(name))?;
        let whole = self.lengths(capacity, too_long)?;
        let lengths: Vec<usize> = whole.iter().map(|length| (*length).min(capacity)).collect();
        let key = key_of(self, &names, &[], &("pack", capacity, too_long))?;
        let path = cache_folder.as_ref().join(format!("packed-{}.arrow", &key[..32]));
        cached_or(&path, &key, || {
            let packed = best_fit_decreasing(&lengths, capacity);
            write(self, &names, &lengths, &packed, &key, &path)?;
            let tokens: usize = lengths.iter().sum();
            let full = 100.0 * tokens as f64 / (capacity * packed.len().max(1)) as f64;
            eprintln!(
                "{}: packed {} rows of {tokens} tokens into {} of {capacity}, {full:.1} % full{}",
                self.path().display(),
                self.rows(),
                packed.len(),
                cut_off(&whole, capacity)
            );
            Ok(())
        })
    }

    /// The length of each document, also of those that will be cut.
    fn lengths(&self, capacity: usize, too_long: TooLong) -> Result<Vec<usize>> {
        let field = self.field("input_ids")?;
        if !matches!(
            field.data_type(),
            DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..)
        ) {
            return Err(self.wrong_type(field, "lists of token ids"));
        }
        let chunks = self.column_chunks("input_ids")?;
        let lengths = (0..self.rows()).map(|row| {
            let (chunk, offset) = self.locate(row);
            match (range(&chunks[chunk], offset).len(), too_long) {
                (0, _) => Err(self.bad_value(row, "input_ids", "the row has no tokens: leave it out")),
                (length, TooLong::Refuse) if length > capacity => {
                    let message = format!(
                        "the row has {length} tokens, and a packed row {capacity}: ask for more, tokenise to fewer, or cut \
                         long rows with TooLong::Cut"
                    );
                    Err(self.bad_value(row, "input_ids", message))
                }
                (length, _) => Ok(length),
            }
        });
        lengths.collect()
    }
}

/// The end of the line that says what was packed: what was cut off, if anything was.
fn cut_off(lengths: &[usize], capacity: usize) -> String {
    let long = lengths.iter().filter(|length| **length > capacity);
    let (rows, tokens) = long.fold((0, 0), |(rows, tokens), length| (rows + 1, tokens + length - capacity));
    if rows == 0 { String::new() } else { format!("; {tokens} tokens were cut off {rows} rows") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_says_what_it_cuts_off() {
        assert_eq!(cut_off(&[3, 9, 8, 12], 8), "; 5 tokens were cut off 2 rows");
        assert_eq!(cut_off(&[3, 8], 8), "");
    }
}
