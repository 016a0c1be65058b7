//! The three stages: teacher, plain student, distilled student.

use std::collections::BTreeSet;
use std::path::PathBuf;

use brew_core::model::{ClassifierOutputAdaptor, FloatLabelClassifierAdaptor};
use brew_core::observe::Summary;
use brew_core::prelude::*;

use super::pipelines::{Reader, dev, pipeline, train, trainer};
use super::{Course, Labels, Stage, TeacherFrom};

/// A stage that has been run.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The first metric after the last epoch.
    pub value: f64,
    /// The number of the model's parameters.
    pub parameters: usize,
    /// What the run reports.
    pub summary: Summary,
}

impl Course {
    /// The run folder of a stage; a student's has its seed in the name.
    pub fn folder(&self, stage: Stage) -> PathBuf {
        let seed = self.training.seed;
        self.run_dir.join(match stage {
            Stage::Teacher => "teacher".to_owned(),
            Stage::Plain => format!("plain-seed-{seed}"),
            Stage::Distill => format!("distill-seed-{seed}"),
        })
    }

    /// The folder of a stage's trained model.
    pub fn model(&self, stage: Stage) -> PathBuf {
        match (&self.teacher, stage) {
            (TeacherFrom::Folder(folder), Stage::Teacher) => folder.clone(),
            _ => self.folder(stage).join("student"),
        }
    }

    /// Loads the model that a stage trained.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn trained(&self, stage: Stage) -> Result<BertForSequenceClassification> {
        BertForSequenceClassification::from_pretrained(self.model(stage), self.device)
    }

    fn trained_teacher(&self) -> Result<BertForSequenceClassification> {
        let folder = self.model(Stage::Teacher);
        if !folder.exists() {
            return Err(Error::file(
                folder,
                "there is no teacher yet: run `--stage teacher` with the same `--run-dir` first",
            ));
        }
        self.trained(Stage::Teacher)
    }

    /// The pretrained encoder with a new head.
    pub(super) fn encoder(&self) -> Result<BertForSequenceClassification> {
        let (labels, seed) = (&self.texts.labels, u64::from(self.training.seed));
        let folder = self.teacher.folder();
        let model = BertForSequenceClassification::from_encoder(folder, labels.outputs(), seed, self.device)?;
        labels.name(model)
    }
}

/// Builds the plan of each stage and checks its settings, with the encoder in place of a teacher that is not trained yet:
/// everything that cannot work is found before the first stage.
pub fn problems(stages: &[Stage], course: &Course) -> Vec<String> {
    let check = match course.texts.labels {
        Labels::One(_) => check::<ClassifierOutputAdaptor>,
        Labels::Several(_) | Labels::Number => check::<FloatLabelClassifierAdaptor>,
    };
    let checked = stages.iter().filter_map(|stage| check(*stage, course).err());
    // Stages share settings.
    let mut said = BTreeSet::new();
    checked.map(|error| error.to_string()).filter(|problem| said.insert(problem.clone())).collect()
}

fn check<A: Reader>(stage: Stage, course: &Course) -> Result<()> {
    let teacher = || match &course.teacher {
        TeacherFrom::Encoder(_) => course.encoder(),
        TeacherFrom::Folder(_) => course.trained_teacher(),
    };
    let pipeline = pipeline::<A>(stage, course, &teacher)?;
    trainer(stage, course, pipeline).check()?;
    Ok(train::<A>(course).check().and(dev::<A>(course).check())?)
}

/// Runs one stage.
///
/// # Errors
/// Those of the run.
pub fn run(stage: Stage, course: &Course) -> Result<Trained> {
    match course.texts.labels {
        Labels::One(_) => run_on::<ClassifierOutputAdaptor>(stage, course),
        Labels::Several(_) | Labels::Number => run_on::<FloatLabelClassifierAdaptor>(stage, course),
    }
}

fn run_on<A: Reader>(stage: Stage, course: &Course) -> Result<Trained> {
    println!("\n{}", stage.title());
    let pipeline = pipeline::<A>(stage, course, &|| course.trained_teacher())?;
    if stage == Stage::Distill {
        println!("{}", pipeline.explain());
    }
    let parameters = pipeline.student().parameters().scalars();
    let trained = trainer(stage, course, pipeline).run(train::<A>(course))?;
    let summary = trained.summary().clone();
    let value = summary.evaluations.last().copied().unwrap_or_default();
    let [metric, _] = course.texts.labels.metrics();
    println!("{}: {} {value:.4}", stage.title(), metric.name());
    Ok(Trained { value, parameters, summary })
}
