//! What a stage trains, and how, whatever the kind of labels: batches and adaptors differ, the recipe does not.

use brew_core::adaptor::Provides;
use brew_core::batch::FromColumns;
use brew_core::loss::{KdCe, MultiLabelKl, RegressionMse};
use brew_core::model::{ClassifierOutputAdaptor, FloatLabelClassifierAdaptor};
use brew_core::observe::{F1, Pearson};
use brew_core::prelude::*;
use brew_core::semantics::Semantics;
use brew_data::Loader;

use super::{Course, Init, Labels, Stage};
use crate::{every, matches};

/// An adaptor of a classifier: that of integer labels, or that of float labels.
pub(super) trait Reader:
    Adaptor<Batch: FromColumns> + Provides<role::Logits> + Provides<role::Hidden> + Provides<role::Losses>
{
    /// The model as this adaptor sees it.
    fn see(model: BertForSequenceClassification) -> Seen<Self>
    where
        Self: Sized;
}

impl Reader for ClassifierOutputAdaptor {
    fn see(model: BertForSequenceClassification) -> Seen<Self> {
        model.seen_by(ClassifierOutputAdaptor)
    }
}

impl Reader for FloatLabelClassifierAdaptor {
    fn see(model: BertForSequenceClassification) -> Seen<Self> {
        model.seen_by(FloatLabelClassifierAdaptor)
    }
}

/// What a stage trains; `teacher` gives the trained teacher.
pub(super) fn pipeline<A: Reader>(
    stage: Stage,
    course: &Course,
    teacher: &dyn Fn() -> Result<BertForSequenceClassification>,
) -> Result<Pipeline<A::Batch, A>> {
    let plain = |model| Supervised::new(A::see(model)).semantics(Semantics::TextBrewer).plan();
    match stage {
        Stage::Teacher => plain(course.encoder()?),
        Stage::Plain => plain(student(course, teacher)?),
        Stage::Distill => distillation::<A>(course, teacher()?, student(course, teacher)?),
    }
}

/// The student before training: layers of the encoder or of the teacher, and a new head.
fn student(
    course: &Course,
    teacher: &dyn Fn() -> Result<BertForSequenceClassification>,
) -> Result<BertForSequenceClassification> {
    let source = match course.init {
        Init::Teacher => teacher()?,
        Init::First | Init::Every => course.encoder()?,
    };
    let layers = course.training.layers;
    let stride = every(source.config().num_hidden_layers, layers)?;
    let keep = match course.init {
        Init::First => Keep::first(layers),
        Init::Every | Init::Teacher => Keep::every(stride),
    };
    let labels = &course.texts.labels;
    let student = BertForSequenceClassification::from_layers_of(&source, keep)?;
    labels.name(student.with_new_head(labels.outputs(), course.training.seed.into())?)
}

fn distillation<A: Reader>(
    course: &Course,
    teacher: BertForSequenceClassification,
    student: BertForSequenceClassification,
) -> Result<Pipeline<A::Batch, A>> {
    let (of_teacher, of_student) = (teacher.config().num_hidden_layers, student.config().num_hidden_layers);
    let stride = every(of_teacher, of_student)?;
    let pipeline = Distill::new(A::see(teacher), A::see(student)).semantics(Semantics::TextBrewer);
    let pipeline = match course.texts.labels {
        Labels::One(_) => pipeline.soft_targets(KdCe::at(course.training.temperature)),
        // Both as published: a sigmoid per class is not softened, and a number has no temperature.
        Labels::Several(_) => pipeline.soft_targets(MultiLabelKl::at(1.0)),
        Labels::Number => pipeline.soft_targets(RegressionMse),
    };
    pipeline.matching(matches(of_student, stride)).hard_labels(1.0).plan()
}

/// The batches that are trained on.
pub(super) fn train<A: Reader>(course: &Course) -> Loader<A::Batch> {
    let training = &course.training;
    course.texts.train.batches(training.batch).shuffled(training.seed.into()).bucketed()
}

/// The batches that are evaluated on.
pub(super) fn dev<A: Reader>(course: &Course) -> Loader<A::Batch> {
    course.texts.dev.batches(64).bucketed()
}

/// How a stage trains its pipeline.
pub(super) fn trainer<A: Reader>(
    stage: Stage,
    course: &Course,
    pipeline: Pipeline<A::Batch, A>,
) -> Trainer<'static, Pipeline<A::Batch, A>> {
    let (epochs, learning_rate) = match stage {
        Stage::Teacher => (course.training.teacher_epochs, 5e-5),
        Stage::Plain | Stage::Distill => (course.training.epochs, 1e-4),
    };
    let mut trainer = Trainer::new(pipeline)
        .optimizer(AdamW::with_lr(course.lr.unwrap_or(learning_rate)).weight_decay(0.01))
        .schedule(Decay::linear().with_warmup(0.1))
        .clip(1.0)
        .epochs(epochs)
        .seed(course.training.seed.into())
        .precision(course.precision.into())
        .run_dir(course.folder(stage));
    if let Some(dropout) = course.student_dropout.filter(|_| stage != Stage::Teacher) {
        trainer = trainer.student_dropout(dropout);
    }
    if course.fresh {
        trainer = trainer.fresh();
    }
    let dev = dev::<A>(course);
    match course.texts.labels {
        Labels::One(_) => trainer.evaluate(dev, Accuracy),
        Labels::Several(_) => trainer.evaluate(dev, F1::Micro),
        Labels::Number => trainer.evaluate(dev, Pearson),
    }
}
