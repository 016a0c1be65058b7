//! Prepares the reviews: drops neutral ones, labels, splits, and tokenises.

use brew_core::Result;
use brew_data::Layout;
use brew_data::prelude::*;
use examples::classify::{Labels, Texts};

use crate::arguments::Arguments;

/// The names of the reviews' labels, 0 and 1.
const CLASSES: [&str; 2] = ["negative", "positive"];

/// Opens, labels, splits and tokenises the reviews.
///
/// Reviews with rating 0 are dropped; the others are numbered from 0 in the file's order. The label is whether the
/// rating is above 0; numbers divisible by 10 are the development split.
pub(crate) fn open(arguments: &Arguments) -> Result<Texts> {
    let layout = Layout::new().integer("id").float("rating").text("text");
    let all = Dataset::open_as(&arguments.data, &layout)?;
    let ratings = all.floats("rating")?;
    let rated: Vec<usize> = (0..all.rows()).filter(|&row| ratings[row] != 0.0).collect();
    let labels = rated.iter().map(|&row| i64::from(ratings[row] > 0.0));
    let rated = all.select(&rated)?.with_integers("labels", labels)?;
    let (dev, mut train): (Vec<usize>, Vec<usize>) = (0..rated.rows()).partition(|number| number % 10 == 0);
    train.truncate(arguments.limit.unwrap_or(train.len()));
    if let Some(sample) = arguments.sample {
        train = examples::spread(&train, sample);
    }

    let tokenizer = Tokenizer::from_folder(&arguments.minilm)?;
    let settings = Tokenize::text("text", arguments.training.max_length).carry(&["labels"]);
    let cache = arguments.run_dir.join("tokens");
    let tokenised = |rows: &[usize]| rated.select(rows)?.tokenize(&tokenizer, &settings, &cache);
    let dev_texts = rated.select(&dev)?.texts("text")?;
    let labels = Labels::One(CLASSES.map(str::to_owned).to_vec());
    Ok(Texts { train: tokenised(&train)?, dev: tokenised(&dev)?, dev_texts, labels })
}
