//! The data, the batches, and the schedule of one seed in a file, so that the sides written in Python train on exactly
//! the same.

use std::fs;
use std::path::PathBuf;

use brew_core::prelude::*;
use brew_core::schedule::Schedule;
use brew_core::tch::Tensor;
use brew_data::prelude::*;
use serde_json::{Value, json};

use crate::recipe::{Order, Recipe, schedule};

/// What `data` needs.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    recipe: Recipe,
    /// The folder with the tokenizer.
    #[arg(long, value_name = "DIR")]
    tokenizer: PathBuf,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// A batch that knows its rows; it has a list column, because buckets are made by the length of lists.
#[derive(Debug, Batch)]
struct Numbered {
    /// Token numbers, `(batch, length)`.
    #[column(i64, pad = 0)]
    input_ids: Tensor,
    /// The number of each row, `(batch,)`.
    #[column(i64)]
    row: Tensor,
    /// The class of each row, `(batch,)`.
    #[column(i64)]
    labels: Tensor,
    /// 1 where there is a token, `(batch, length)`.
    #[column(i64, pad = 0)]
    attention_mask: Tensor,
}

/// Writes the file.
pub(crate) fn run(Arguments { recipe, tokenizer, out }: &Arguments) -> Result<()> {
    let reviews = recipe.reviews(&Tokenizer::from_folder(tokenizer)?)?;
    let train = numbered(&reviews.train)?;
    let [random, bucketed] = [Order::Random, Order::Bucketed].map(|order| {
        let batches = recipe.batches::<Numbered>(&train, order);
        (0..recipe.epochs).map(|epoch| rows(&batches, epoch)).collect::<Result<Vec<_>>>()
    });
    let random = random?;
    let steps = random.iter().map(|epoch| epoch.len() as u64).sum::<u64>();
    let told = json!({
        "train": texts(&train)?,
        "dev": texts(&numbered(&reviews.dev)?)?,
        "batches": { "random": random, "bucketed": bucketed? },
        "schedule": (0..steps).map(|step| schedule().multiplier(step, steps)).collect::<Vec<_>>(),
    });
    fs::write(out, told.to_string())
        .map_err(|error| Error::invalid(format!("cannot write `{}`: {error}", out.display())))
}

/// The same rows with their numbers.
fn numbered(rows: &Dataset) -> Result<Dataset> {
    // A dataset holds fewer than 2^32 rows.
    Ok(rows.with_integers("row", (0..rows.rows()).map(|row| row as i64))?)
}

/// The rows of each batch of an epoch.
fn rows(batches: &Loader<Numbered>, epoch: u64) -> Result<Vec<Vec<i64>>> {
    batches.epoch(epoch)?.map(|batch| numbers(&batch?.row)).collect()
}

/// The token numbers and the label of each row.
fn texts(rows: &Dataset) -> Result<Vec<Value>> {
    let mut texts = Vec::with_capacity(rows.rows());
    for batch in rows.batches::<Numbered>(64).epoch(0)? {
        let batch = batch?;
        let lengths = numbers(&batch.attention_mask.f_sum_dim_intlist(1, false, None)?)?;
        for ((row, length), label) in (0..).zip(lengths).zip(numbers(&batch.labels)?) {
            let ids = batch.input_ids.f_select(0, row)?.f_narrow(0, 0, length)?;
            texts.push(json!({ "input_ids": numbers(&ids)?, "label": label }));
        }
    }
    Ok(texts)
}

fn numbers(tensor: &Tensor) -> Result<Vec<i64>> {
    Ok(Vec::<i64>::try_from(tensor)?)
}
