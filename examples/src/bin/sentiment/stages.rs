//! The three stages: teacher, plain student, distilled student.

use std::path::PathBuf;

use brew_core::observe::Summary;
use brew_core::prelude::*;
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

/// Runs one stage and reports it.
pub(crate) fn run(stage: StageName, setting: &Setting<'_>) -> Result<()> {
    let arguments = setting.arguments;
    println!("\n{}", title(stage));
    let pipeline = match stage {
        StageName::Teacher => {
            let seed = u64::from(arguments.training.seed);
            let model =
                BertForSequenceClassification::from_encoder(&arguments.minilm, 2, seed, setting.device)?
                    .classes(CLASSES)?;
            Supervised::new(model.seen_by(ClassifierOutputAdaptor)).semantics(Semantics::TextBrewer).plan()?
        }
        StageName::Plain => Supervised::new(student(setting)?.seen_by(ClassifierOutputAdaptor))
            .semantics(Semantics::TextBrewer)
            .plan()?,
        StageName::Distill | StageName::All => distillation(setting)?,
    };
    if stage == StageName::Distill {
        println!("{}", pipeline.explain());
    }
    let parameters = pipeline.student().parameters().scalars();
    let (epochs, learning_rate) = match stage {
        StageName::Teacher => (arguments.training.teacher_epochs, 5e-5),
        _ => (arguments.training.epochs, 1e-4),
    };
    let seed = arguments.training.seed;
    let train =
        setting.reviews.train.batches::<TextBatch>(arguments.training.batch).shuffled(seed.into()).bucketed();
    let dev = setting.reviews.dev.batches::<TextBatch>(64).bucketed();
    let trainer = Trainer::new(pipeline)
        .optimizer(AdamW::with_lr(arguments.lr.unwrap_or(learning_rate)).weight_decay(0.01))
        .schedule(Warmup::linear(0.1))
        .clip(1.0)
        .epochs(epochs)
        .seed(seed.into())
        .evaluate(dev, Accuracy)
        .precision(arguments.precision.into())
        .run_dir(setting.folder(stage));
    let trained = if arguments.fresh { trainer.fresh() } else { trainer }.run(train)?;
    report(stage, setting, trained.summary(), parameters)
}

/// The student before training: layers of the encoder or of the teacher, and a new head.
fn student(setting: &Setting<'_>) -> Result<BertForSequenceClassification> {
    let arguments = setting.arguments;
    let seed = u64::from(arguments.training.seed);
    let source = match arguments.init {
        Init::Teacher => setting.teacher()?,
        Init::First | Init::Every => {
            BertForSequenceClassification::from_encoder(&arguments.minilm, 2, seed, setting.device)?
        }
    };
    let stride = every(source.config().num_hidden_layers, arguments.training.layers)?;
    let keep = match arguments.init {
        Init::First => Keep::first(arguments.training.layers),
        Init::Every | Init::Teacher => Keep::every(stride),
    };
    BertForSequenceClassification::from_layers_of(&source, keep)?.with_new_head(2, seed)?.classes(CLASSES)
}

fn distillation(setting: &Setting<'_>) -> Result<Pipeline<TextBatch, ClassifierOutputAdaptor>> {
    let (teacher, student) = (setting.teacher()?, student(setting)?);
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
