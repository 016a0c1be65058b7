//! Turns a TSV file of rated sentences (id, rating, text; no header) into a Parquet file.
//!
//! This is how `data/movie_reviews.parquet` was made:
//!
//! ```text
//! cargo run -p brew-data --example tsv_to_parquet -- movie_reviews.tsv data/movie_reviews.parquet
//! ```

use brew_data::Layout;
use brew_data::prelude::*;
use brew_data::{Error, Result};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [tsv, parquet] = &arguments[..] else {
        return Err(Error::Setting("usage: tsv_to_parquet FROM.tsv TO.parquet".to_owned()));
    };
    let layout = Layout::new().integer("id").float("rating").text("text");
    Dataset::open_as(tsv, &layout)?.write_parquet(parquet)
}
