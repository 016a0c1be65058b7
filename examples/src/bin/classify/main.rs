//! Distils a classifier of texts from a table of any kind: fine-tunes a teacher or takes one, trains a student with and
//! without it, and compares all three.
//!
//! ```sh
//! classify --data news.csv --text headline --label section --encoder .brew/models/all-MiniLM-L6-v2
//! ```

#![expect(clippy::print_stdout, reason = "a program's results go to standard output")]

mod arguments;
mod report;

use std::process::ExitCode;

use arguments::Arguments;
use brew_core::prelude::*;
use brew_data::prelude::*;
use clap::Parser as _;
use examples::classify::{self, Course, Init, Rows, Stage, TeacherClasses, TeacherFrom, Texts};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    examples::run(|| run(&arguments))
}

fn run(arguments: &Arguments) -> Result<()> {
    let device = Device::cuda_if_available();
    println!("device: {device:?}, {} threads", brew_core::tch::get_num_threads());
    if let Some(path) = &arguments.report {
        report::check(path)?;
    }
    let (teacher, init) = match (&arguments.teacher, &arguments.encoder) {
        (Some(folder), _) => (TeacherFrom::Folder(folder.clone()), Init::Teacher),
        (None, Some(folder)) => (TeacherFrom::Encoder(folder.clone()), Init::First),
        (None, None) => return Err(Error::invalid("give `--teacher DIR` or `--encoder DIR`")),
    };
    let texts = open(arguments, &teacher, device)?;
    println!(
        "{} rows to train on, {} to judge by; {}",
        texts.train.rows(),
        texts.dev.rows(),
        texts.labels.described()
    );
    let stages = match teacher {
        TeacherFrom::Encoder(_) => vec![Stage::Teacher, Stage::Plain, Stage::Distill],
        TeacherFrom::Folder(_) => vec![Stage::Plain, Stage::Distill],
    };
    let course = Course {
        texts,
        teacher,
        training: arguments.training.clone(),
        init,
        lr: arguments.lr,
        student_dropout: arguments.student_dropout,
        precision: arguments.precision,
        run_dir: arguments.run_dir.clone(),
        fresh: arguments.fresh,
        device,
    };
    let problems = classify::problems(&stages, &course);
    if !problems.is_empty() {
        return Err(Error::invalid(problems.join("\n")));
    }
    let mut trained = Vec::new();
    for stage in stages {
        trained.push((stage, classify::run(stage, &course)?));
    }
    let compared = classify::compare(&course)?;
    println!("the distilled student is in {}", course.model(Stage::Distill).display());
    match &arguments.report {
        Some(path) => report::write(path, &course, &trained, &compared),
        None => Ok(()),
    }
}

fn open(arguments: &Arguments, teacher: &TeacherFrom, device: Device) -> Result<Texts> {
    let rows = Rows::open(&arguments.data, arguments.dev.as_deref(), arguments.limit)?;
    let classes = match teacher {
        TeacherFrom::Encoder(_) => None,
        TeacherFrom::Folder(folder) => {
            let model = BertForSequenceClassification::from_pretrained(folder, device)?;
            let outputs = model.config().id2label.len();
            Some(TeacherClasses { outputs, names: model.class_names() })
        }
    };
    let tokenizer = Tokenizer::from_folder(teacher.folder())?;
    let cache = arguments.run_dir.join("tokens");
    let tokens = (&tokenizer, arguments.training.max_length);
    Texts::of(&rows, &arguments.columns, classes.as_ref(), tokens, &cache)
}
