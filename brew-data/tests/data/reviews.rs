//! The reviews that the repository ships are those of their authors, to the byte.

use std::path::Path;

use brew_data::{Dataset, Layout};

/// blake3 of the authors' TSV file (CRLF between lines, none after the last), by Python's `blake3`:
/// `blake3.blake3(open("movie_reviews.tsv", "rb").read()).hexdigest()`.
const ORIGINAL: &str = "f150a19f115089600d720991ca34418b9bed47a08fda1ddd30371e5f6a04ec80";

#[test]
fn the_shipped_parquet_holds_every_byte_of_the_original_tsv() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/movie_reviews.parquet");
    let layout = Layout::new().integer("id").float("rating").text("text");
    let reviews = Dataset::open_as(path, &layout).unwrap();
    assert_eq!(reviews.columns(), ["id", "rating", "text"]);
    assert_eq!(reviews.rows(), 10_605);
    let columns =
        (reviews.integers("id").unwrap(), reviews.floats("rating").unwrap(), reviews.texts("text").unwrap());
    let lines = columns.0.iter().zip(&columns.1).zip(&columns.2).map(|((id, rating), text)| {
        // With its fraction: the original says 2.0, not 2.
        format!("{id}\t{rating:?}\t{text}")
    });
    let text = lines.collect::<Vec<_>>().join("\r\n");
    assert_eq!(blake3::hash(text.as_bytes()).to_hex().as_str(), ORIGINAL);
}

/// Counted by `awk -F'\t' '$2 != 0 && n++ % 10 == 0' movie_reviews.tsv | wc -l`.
#[test]
fn dropping_neutral_reviews_leaves_1057_for_development() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/movie_reviews.parquet");
    let ratings = Dataset::open(path).unwrap().floats("rating").unwrap();
    let rated = ratings.iter().filter(|&&rating| rating != 0.0).count();
    assert_eq!((0..rated).filter(|number| number % 10 == 0).count(), 1057);
}
