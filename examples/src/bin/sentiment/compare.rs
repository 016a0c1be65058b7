//! The table that compares the three models, and the distilled student's predictions for some sentences.

use std::time::Instant;

use brew_core::model::ClassifierOutputAdaptor;
use brew_core::observe::Predictions;
use brew_core::prelude::*;
use brew_data::prelude::*;
use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};

use crate::arguments::StageName;
use crate::stages::Setting;

/// Prints the table and the predictions.
pub(crate) fn print(setting: &Setting<'_>) -> Result<()> {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header([
        "model",
        "accuracy",
        "agrees with the teacher",
        "parameters",
        "on disk",
        "one sentence",
        "32 sentences",
    ]);
    let dev = setting.reviews.dev.batches::<TextBatch>(64).bucketed();
    let mut of_teacher: Option<Predictions> = None;
    for (name, stage) in [
        ("teacher", StageName::Teacher),
        ("plain student", StageName::Plain),
        ("distilled student", StageName::Distill),
    ] {
        let model = setting.trained(stage)?.seen_by(ClassifierOutputAdaptor);
        let predictions = Predictions::of(&model, &dev)?;
        let accuracy = Accuracy.value(&predictions)?;
        let agreement = match &of_teacher {
            Some(teacher) => predictions.agreement(teacher)?,
            None => predictions.agreement(&predictions)?,
        };
        of_teacher.get_or_insert(predictions);
        let file = setting.model(stage).join("model.safetensors");
        let bytes = std::fs::metadata(&file).map_err(|error| Error::file(&file, error))?.len();
        let classifier = TextClassifier::from_pretrained(setting.model(stage), setting.device)?;
        table.add_row([
            name.to_owned(),
            format!("{accuracy:.4}"),
            format!("{agreement:.4}"),
            format!("{:.1} M", model.parameters().scalars() as f64 / 1e6),
            format!("{:.1} MB", bytes as f64 / 1e6),
            format!("{:.1} ms", latency(&classifier, &texts(setting, 1), 30)?),
            format!("{:.1} ms", latency(&classifier, &texts(setting, 32), 10)?),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!("\n{table}\n");
    let student = setting.trained(StageName::Distill)?;
    println!("the distilled student:\n{}\n", student.parameters().table(Some(3)));

    let student = TextClassifier::from_pretrained(setting.model(StageName::Distill), setting.device)?;
    let sentences: Vec<&str> = setting.arguments.sentence.iter().map(String::as_str).collect();
    for (sentence, prediction) in sentences.iter().zip(student.predict(&sentences)?) {
        println!("{} ({:.2})  {sentence}", prediction.label, prediction.score);
    }
    println!("\nthe distilled student is in {}", setting.model(StageName::Distill).display());
    Ok(())
}

fn texts<'s>(setting: &'s Setting<'_>, count: usize) -> Vec<&'s str> {
    setting.reviews.dev_texts.iter().take(count).map(String::as_str).collect()
}

/// The median time from text to prediction in milliseconds, after three warm-up runs.
fn latency(classifier: &TextClassifier, texts: &[&str], runs: usize) -> Result<f64> {
    let mut times = Vec::with_capacity(runs);
    for run in 0..runs + 3 {
        let started = Instant::now();
        classifier.predict(texts)?;
        if run >= 3 {
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}
