//! Sentences from reviews with a rating, as positive and negative texts.

use std::path::{Path, PathBuf};

use brew_core::Result;
use brew_data::Layout;
use brew_data::prelude::*;

use crate::Settings;

/// Which reviews an example reads.
#[derive(Debug, Clone, clap::Args)]
pub struct ReviewsFile {
    /// The reviews: a Parquet file, or a TSV file of id, rating and text without a header.
    #[arg(long, value_name = "FILE", default_value = "data/movie_reviews.parquet")]
    pub data: PathBuf,
    /// Only N training reviews, spread evenly over the file, and half as many to evaluate on; 0 for
    /// all.
    #[arg(long, value_name = "N", default_value_t = 1024)]
    pub sample: usize,
}

impl ReviewsFile {
    /// Opens them with the encoder's tokenizer.
    ///
    /// # Errors
    /// Those of [`open_reviews`]; an encoder without a tokenizer.
    pub fn open(&self, program: &str, settings: &Settings) -> Result<Reviews> {
        let tokenizer = Tokenizer::from_folder(&settings.encoder)?;
        let sample = Some(self.sample).filter(|sample| *sample > 0);
        let tokens = (&tokenizer, settings.training.max_length);
        open_reviews(&self.data, tokens, sample, &settings.place(program, "tokens"))
    }
}

/// Tokenised reviews with the columns that `TextBatch` reads.
#[derive(Debug)]
pub struct Reviews {
    /// What is trained on.
    pub train: Dataset,
    /// What is evaluated on: every tenth review.
    pub dev: Dataset,
}

/// Opens, labels, splits, and tokenises the reviews in a file with the columns `id`, `rating`, and `text`.
///
/// Reviews with rating 0 are dropped; the others are numbered from 0 in the file's order. The label is
/// whether the rating is above 0; numbers divisible by 10 are the development split. `sample` of the
/// others, spread evenly over the file, are the training data, and the development split is cut to half as many if it is
/// larger.
pub fn open_reviews(
    file: &Path,
    (tokenizer, max_length): (&Tokenizer, usize),
    sample: Option<usize>,
    cache: &Path,
) -> Result<Reviews> {
    // TSV files have no header, and in one of them ids are not numbers.
    let layout = Layout::new().text("id").float("rating").text("text");
    let parquet = file.extension().is_some_and(|extension| extension == "parquet");
    let all = if parquet { Dataset::open(file) } else { Dataset::open_as(file, layout) }?;
    let ratings = all.floats("rating")?;
    let rated: Vec<usize> = (0..all.rows()).filter(|&row| ratings[row] != 0.0).collect();
    let labels = rated.iter().map(|&row| i64::from(ratings[row] > 0.0));
    let rated = all.select(&rated)?.with_integers("labels", labels)?;
    let (dev, train): (Vec<usize>, Vec<usize>) = (0..rated.rows()).partition(|number| number % 10 == 0);
    let settings = Tokenize::text("text", max_length).carry(&["labels"]);
    let tokenised = |rows: &[usize]| rated.select(rows)?.tokenize(tokenizer, &settings, cache);
    let (train, dev) = match sample {
        Some(sample) => (spread(&train, sample), spread(&dev, sample.div_ceil(2))),
        None => (train, dev),
    };
    Ok(Reviews { train: tokenised(&train)?, dev: tokenised(&dev)? })
}

/// This many rows, spread evenly.
pub fn spread(rows: &[usize], count: usize) -> Vec<usize> {
    let count = count.min(rows.len());
    (0..count).map(|place| rows[place * rows.len() / count]).collect()
}
