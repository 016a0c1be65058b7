//! One way to train, whatever the pipeline and the task.

use brew_core::adaptor::Provides;
use brew_core::batch::Feeds;
use brew_core::distill::Match;
use brew_core::distill::{student_layer, teacher_layer};
use brew_core::loss::HiddenMse;
use brew_core::observe::Predictions;
use brew_core::observe::Progress;
use brew_core::prelude::*;
use brew_core::train::Trains;

use crate::Settings;

/// Trains a pipeline with AdamW, linear warm-up and clipping, under a title; the metric is taken after
/// each epoch.
pub fn train<'o, T: 'static, A, B, D, E>(
    title: &str,
    pipeline: Pipeline<T, A>,
    (settings, epochs, learning_rate): (&Settings, u64, f64),
    data: D,
    (dev, metric): (E, impl Metric + 'o),
) -> Result<Seen<A>>
where
    A: Adaptor + Provides<role::Logits>,
    B: Feeds<T, A::Batch>,
    D: Batches<Batch = B>,
    E: Batches<Batch = A::Batch> + 'o,
{
    println!("\n{title}");
    let trainer = configured(Trainer::new(pipeline), title, (settings, learning_rate));
    Ok(trainer.epochs(epochs).evaluate(dev, metric).run(data)?.into_student())
}

/// AdamW, linear warm-up, clipping, the seed, and progress under a title.
pub fn configured<'o, P: Trains>(
    trainer: Trainer<'o, P>,
    title: &str,
    (settings, learning_rate): (&Settings, f64),
) -> Trainer<'o, P> {
    trainer
        .optimizer(AdamW::with_lr(learning_rate).weight_decay(0.01))
        .schedule(Decay::linear().with_warmup(0.1))
        .clip(1.0)
        .seed(settings.training.seed.into())
        .observe(Progress::new(title))
}

/// A model's value of some metrics, and its predictions.
pub fn score<A, D>(model: &Seen<A>, dev: &D, metrics: &[&dyn Metric]) -> Result<(Vec<f64>, Predictions)>
where
    A: Adaptor + Provides<role::Logits>,
    D: Batches<Batch = A::Batch> + ?Sized,
{
    let predictions = Predictions::of(model, dev)?;
    let values = metrics.iter().map(|metric| metric.value(&predictions)).collect::<Result<_>>()?;
    Ok((values, predictions))
}

/// How many of the teacher's layers correspond to one of the student's.
///
/// # Errors
/// If the student's number of layers does not divide the teacher's.
pub fn every(teacher: usize, student: usize) -> Result<usize> {
    match teacher.checked_rem(student) {
        Some(0) => Ok(teacher / student),
        _ => Err(Error::invalid(format!(
            "--layers is {student}, and the teacher has {teacher}: choose a number that divides it"
        ))),
    }
}

/// TextBrewer's recipe for hidden states: matches layer `stride * l` of the teacher with layer `l` of the student,
/// including embeddings, by mean squared error.
pub fn matches(layers: usize, stride: usize) -> Vec<Match<role::Hidden>> {
    let layer = |layer: usize| {
        hidden(teacher_layer((stride * layer) as i64), student_layer(layer as i64)).by(HiddenMse)
    };
    (0..=layers).map(layer).collect()
}
