//! The three stages: teacher, plain student, distilled student.

use std::path::PathBuf;

use brew_core::distill::{student_layer, teacher_layer};
use brew_core::loss::{HiddenMse, KdCe};
use brew_core::model::ClassifierOutputAdaptor;
use brew_core::observe::Summary;
use brew_core::prelude::*;
use brew_core::semantics::Semantics;
use brew_data::prelude::*;
use examples::every;

use crate::arguments::{Arguments, Init, StageName};
use crate::report;
use crate::reviews::Reviews;

/// What every stage needs.
#[derive(Debug)]
pub(crate) struct Setting<'a> {
    pub(crate) arguments: &'a Arguments,
    pub(crate) device: Device,
    pub(crate) reviews: Reviews,
}

impl Setting<'_> {
    /// The run folder of a stage; a student's carries its seed.
    pub(crate) fn folder(&self, stage: StageName) -> PathBuf {
        let seed = self.arguments.training.seed;
        self.arguments.run_dir.join(match stage {
            StageName::Teacher | StageName::All => "teacher".to_owned(),
            StageName::Plain => format!("plain-seed-{seed}"),
            StageName::Distill => format!("distill-seed-{seed}"),
        })
    }

    /// The folder of a stage's trained model.
    pub(crate) fn model(&self, stage: StageName) -> PathBuf {
        self.folder(stage).join("student")
    }

    /// Loads the model that a stage trained.
    pub(crate) fn trained(&self, stage: StageName) -> Result<BertForSequenceClassification> {
        let folder = self.model(stage);
        BertForSequenceClassification::from_pretrained(&folder, self.device)
    }

    fn teacher(&self) -> Result<BertForSequenceClassification> {
        let folder = self.model(StageName::Teacher);
        if !folder.exists() {
            return Err(Error::file(
                folder,
                "there is no teacher yet: run `--stage teacher` with the same `--run-dir` first",
            ));
        }
        self.trained(StageName::Teacher)
    }
}

/// The names of the reviews' labels, 0 and 1.
const CLASSES: [&str; 2] = ["negative", "positive"];

type Reviewer = Pipeline<TextBatch, ClassifierOutputAdaptor>;

/// Builds the plan of each stage and checks its settings, with the encoder in place of a teacher that is not trained yet:
/// everything that cannot work is reported before the first stage, at once.
pub(crate) fn check(stages: &[StageName], setting: &Setting<'_>) -> Result<()> {
    let report = setting.arguments.report.iter().map(|path| report::read(path).map(drop));
    let of_stages = stages.iter().map(|stage| {
        let pipeline = pipeline(*stage, setting, &|| encoder(setting))?;
        trainer(*stage, setting, pipeline).check()?;
        Ok(train(setting).check().and(dev(setting).check())?)
    });
    let mut problems: Vec<String> =
        report.chain(of_stages).filter_map(|checked| checked.err().map(|error| error.to_string())).collect();
    // Stages share settings.
    let mut said = std::collections::BTreeSet::new();
    problems.retain(|problem| said.insert(problem.clone()));
    if problems.is_empty() { Ok(()) } else { Err(Error::invalid(problems.join("\n"))) }
}

/// Runs one stage and reports it.
pub(crate) fn run(stage: StageName, setting: &Setting<'_>) -> Result<()> {
    println!("\n{}", title(stage));
    let pipeline = pipeline(stage, setting, &|| setting.teacher())?;
    if stage == StageName::Distill {
        println!("{}", pipeline.explain());
    }
    let parameters = pipeline.student().parameters().scalars();
    let trained = trainer(stage, setting, pipeline).run(train(setting))?;
    report(stage, setting, trained.summary(), parameters)
}

/// What a stage trains.
fn pipeline(
    stage: StageName,
    setting: &Setting<'_>,
    teacher: &dyn Fn() -> Result<BertForSequenceClassification>,
) -> Result<Reviewer> {
    let plain = |model: BertForSequenceClassification| {
        Supervised::new(model.seen_by(ClassifierOutputAdaptor)).semantics(Semantics::TextBrewer).plan()
    };
    match stage {
        StageName::Teacher => plain(encoder(setting)?),
        StageName::Plain => plain(student(setting, teacher)?),
        StageName::Distill | StageName::All => distillation(setting, teacher()?, student(setting, teacher)?),
    }
}

fn train(setting: &Setting<'_>) -> Loader<TextBatch> {
    let training = &setting.arguments.training;
    setting.reviews.train.batches(training.batch).shuffled(training.seed.into()).bucketed()
}

fn dev(setting: &Setting<'_>) -> Loader<TextBatch> {
    setting.reviews.dev.batches(64).bucketed()
}

/// How a stage trains it.
fn trainer(stage: StageName, setting: &Setting<'_>, pipeline: Reviewer) -> Trainer<'static, Reviewer> {
    let arguments = setting.arguments;
    let (epochs, learning_rate) = match stage {
        StageName::Teacher => (arguments.training.teacher_epochs, 5e-5),
        _ => (arguments.training.epochs, 1e-4),
    };
    let trainer = Trainer::new(pipeline)
        .optimizer(AdamW::with_lr(arguments.lr.unwrap_or(learning_rate)).weight_decay(0.01))
        .schedule(Decay::linear().with_warmup(0.1))
        .clip(1.0)
        .epochs(epochs)
        .seed(arguments.training.seed.into())
        .evaluate(dev(setting), Accuracy)
        .precision(arguments.precision.into())
        .run_dir(setting.folder(stage));
    if arguments.fresh { trainer.fresh() } else { trainer }
}

/// The pretrained encoder with a new head.
fn encoder(setting: &Setting<'_>) -> Result<BertForSequenceClassification> {
    let arguments = setting.arguments;
    let seed = u64::from(arguments.training.seed);
    BertForSequenceClassification::from_encoder(&arguments.minilm, 2, seed, setting.device)?.classes(CLASSES)
}

/// The student before training: layers of the encoder or of the teacher, and a new head.
fn student(
    setting: &Setting<'_>,
    teacher: &dyn Fn() -> Result<BertForSequenceClassification>,
) -> Result<BertForSequenceClassification> {
    let arguments = setting.arguments;
    let source = match arguments.init {
        Init::Teacher => teacher()?,
        Init::First | Init::Every => encoder(setting)?,
    };
    let stride = every(source.config().num_hidden_layers, arguments.training.layers)?;
    let keep = match arguments.init {
        Init::First => Keep::first(arguments.training.layers),
        Init::Every | Init::Teacher => Keep::every(stride),
    };
    let seed = u64::from(arguments.training.seed);
    BertForSequenceClassification::from_layers_of(&source, keep)?.with_new_head(2, seed)?.classes(CLASSES)
}

fn distillation(
    setting: &Setting<'_>,
    teacher: BertForSequenceClassification,
    student: BertForSequenceClassification,
) -> Result<Reviewer> {
    let (of_teacher, of_student) = (teacher.config().num_hidden_layers, student.config().num_hidden_layers);
    let stride = every(of_teacher, of_student)? as i64;
    let matches: Vec<_> = (0..=of_student as i64)
        .map(|layer| hidden(teacher_layer(stride * layer), student_layer(layer)).by(HiddenMse))
        .collect();
    Distill::new(teacher.seen_by(ClassifierOutputAdaptor), student.seen_by(ClassifierOutputAdaptor))
        .semantics(Semantics::TextBrewer)
        .soft_targets(KdCe::at(setting.arguments.training.temperature))
        .matching(matches)
        .hard_labels(1.0)
        .plan()
}

fn report(stage: StageName, setting: &Setting<'_>, summary: &Summary, parameters: usize) -> Result<()> {
    let accuracy = summary.evaluations.last().copied().unwrap_or_default();
    println!("{}: accuracy {accuracy:.4}", title(stage));
    match &setting.arguments.report {
        Some(path) => report::write(path, key(stage), accuracy, summary, parameters),
        None => Ok(()),
    }
}

/// The key of a stage in the report.
pub(crate) fn key(stage: StageName) -> &'static str {
    match stage {
        StageName::Teacher => "teacher",
        StageName::Plain => "plain",
        StageName::Distill | StageName::All => "distill",
    }
}

fn title(stage: StageName) -> &'static str {
    match stage {
        StageName::Teacher => "teacher",
        StageName::Plain => "plain student",
        StageName::Distill | StageName::All => "distilled student",
    }
}
