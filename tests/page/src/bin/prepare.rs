//! Writes what the page reads to the current folder: a teacher and two tokenised Parquet files, from a pretrained encoder
//! and the repository's reviews. `prepare ENCODER REVIEWS`

use brew_core::prelude::*;
use brew_data::prelude::*;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [encoder, reviews] = arguments.as_slice() else {
        return Err(Error::invalid("usage: prepare ENCODER REVIEWS"));
    };
    let teacher = BertForSequenceClassification::from_encoder(encoder, 2, 0, Device::Cpu)?;
    teacher.save("models/teacher".as_ref())?;

    let reviews = Dataset::open(reviews)?;
    let labels = reviews.floats("rating")?.into_iter().map(|rating| i64::from(rating > 0.0));
    let reviews = reviews.with_integers("labels", labels)?;
    let tokenizer = Tokenizer::from_folder(encoder)?;
    std::fs::create_dir_all("data").map_err(|error| Error::file("data", error))?;
    for (file, rows) in [("data/train.parquet", 0..64), ("data/dev.parquet", 64..96)] {
        let rows: Vec<usize> = rows.collect();
        let settings = Tokenize::text("text", 32).carry(&["labels"]);
        reviews.select(&rows)?.tokenize(&tokenizer, &settings, "data/tokens")?.write_parquet(file)?;
    }
    Ok(())
}
