//! The table that compares the three models.

use std::time::Instant;

use brew_core::model::{ClassifierOutputAdaptor, FloatLabelClassifierAdaptor};
use brew_core::observe::{Pearson, Predictions};
use brew_core::prelude::*;
use brew_core::tch::Kind;
use brew_data::prelude::*;
use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};

use super::pipelines::{Reader, dev};
use super::{Course, Labels, Stage};

/// A model's quality.
#[derive(Debug, Clone)]
pub struct Compared {
    /// Which model it is.
    pub stage: Stage,
    /// Its metrics by name.
    pub metrics: Vec<(&'static str, f64)>,
    /// The share of predictions that are the teacher's; for numbers, their Pearson correlation with the teacher's.
    pub agreement: f64,
    /// The number of its parameters.
    pub parameters: usize,
}

/// Prints the table, and returns what is in it.
///
/// # Errors
/// A model that cannot be loaded or run.
pub fn compare(course: &Course) -> Result<Vec<Compared>> {
    match course.texts.labels {
        Labels::One(_) => compare_by::<ClassifierOutputAdaptor>(course),
        Labels::Several(_) | Labels::Number => compare_by::<FloatLabelClassifierAdaptor>(course),
    }
}

fn compare_by<A: Reader>(course: &Course) -> Result<Vec<Compared>> {
    let metrics = course.texts.labels.metrics();
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header([
        "model",
        metrics[0].name(),
        "agrees with the teacher",
        "parameters",
        "on disk",
        "one sentence",
        "32 sentences",
    ]);
    let (dev, mut of_teacher, mut compared) = (dev::<A>(course), None, Vec::new());
    for stage in [Stage::Teacher, Stage::Plain, Stage::Distill] {
        let model = A::see(course.trained(stage)?);
        let predictions = Predictions::of(&model, &dev)?;
        let values = metrics.iter().map(|metric| Ok((metric.name(), metric.value(&predictions)?)));
        let values = values.collect::<Result<Vec<_>>>()?;
        let agreement =
            agreement(of_teacher.as_ref().unwrap_or(&predictions), &predictions, &course.texts.labels)?;
        of_teacher.get_or_insert(predictions);
        let file = course.model(stage).join("model.safetensors");
        let parameters = model.parameters().scalars();
        let classifier = TextClassifier::from_pretrained(course.model(stage), course.device)?;
        table.add_row([
            stage.title().to_owned(),
            format!("{:.4}", values[0].1),
            format!("{agreement:.4}"),
            format!("{:.1} M", parameters as f64 / 1e6),
            // A teacher's folder may have its weights in other files.
            std::fs::metadata(&file)
                .map_or_else(|_| "–".to_owned(), |file| format!("{:.1} MB", file.len() as f64 / 1e6)),
            latency(&classifier, course, (1, 30))?,
            latency(&classifier, course, (32, 10))?,
        ]);
        compared.push(Compared { stage, metrics: values, agreement, parameters });
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!("\n{table}\n");
    Ok(compared)
}

/// How far a model's predictions are the teacher's.
fn agreement(teacher: &Predictions, model: &Predictions, labels: &Labels) -> Result<f64> {
    if *labels != Labels::Number {
        return model.agreement(teacher);
    }
    let numbers =
        |predictions: &Predictions| Ok::<_, Error>(predictions.logits()[0].f_to_kind(Kind::Double)?);
    Pearson.value(&Predictions::new(vec![numbers(model)?], vec![numbers(teacher)?.f_reshape([-1])?], None)?)
}

/// The median time from text to prediction, after three warm-up runs; a dash for pairs of texts.
fn latency(classifier: &TextClassifier, course: &Course, (count, runs): (usize, usize)) -> Result<String> {
    let texts: Vec<&str> = course.texts.dev_texts.iter().take(count).map(String::as_str).collect();
    if texts.is_empty() {
        return Ok("–".to_owned());
    }
    let mut times = Vec::with_capacity(runs);
    for run in 0..runs + 3 {
        let started = Instant::now();
        classifier.predict(&texts)?;
        if run >= 3 {
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(format!("{:.1} ms", times[times.len() / 2]))
}
