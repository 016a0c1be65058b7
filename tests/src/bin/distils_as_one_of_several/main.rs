//! A user's distillation that knows nothing of ranks: dropout, masks of uneven length, a relation loss, a projection, a
//! sparse embedding, clipping, accumulation, and epochs that do not end with a whole step.
//!
//! `distils_as_one_of_several FOLDER [WHAT …]`; each process writes its student to `student-R.safetensors`, and prints what
//! it observed and how the run ended. WHAT: `run` writes a run folder, `exact` adds up exactly, `taid`, `crd` and `running`
//! add a loss with state; the other words make something go wrong, most of them on rank 1 alone.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test's program fails where a helper does, and tells its test what came out"
)]

mod running;
mod student;
mod unnamed;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use brew_core::distill::{student_layer, teacher_layer};
use brew_core::loss::{Crd, HiddenMse, KdCe, RkdDistance, Taid};
use brew_core::observe::{Event, F1, Matthews, Observer, Predictions};
use brew_core::plan::Projection;
use brew_core::prelude::*;
use brew_core::train::NotFinite;
use running::Running;
use student::{Student, WithRows};
use tests::{Sentence, Toy, ToyOutputAdaptor, sentences};
use unnamed::Unnamed;

/// The batches at which things go wrong, of the fourth step: rank 1 of 3 or 4 has the first, rank 1 of 2 the second.
const ODD: [usize; 2] = [13, 14];
const BATCHES: usize = 38;

fn has(what: &str) -> bool {
    std::env::args().skip(2).any(|word| word == what)
}

/// Whether this process is rank 1.
fn odd() -> bool {
    std::env::var("RANK").is_ok_and(|rank| rank == "1")
}

/// The file that says that rank 0 evaluates.
fn evaluating() -> PathBuf {
    PathBuf::from(std::env::args().nth(1).unwrap()).join("evaluating")
}

/// Dies while rank 0 evaluates.
fn dies_during_an_evaluation() {
    while !evaluating().exists() {
        std::thread::sleep(Duration::from_millis(20));
    }
    std::process::abort();
}

/// The batches that this process has predicted, those of the check before the first step among them.
static PREDICTED: AtomicUsize = AtomicUsize::new(0);

/// The share of examples of which the model is at least 40 percent sure: a metric of the user's own.
#[derive(Debug)]
struct Sure;

impl Metric for Sure {
    fn name(&self) -> &'static str {
        "sure"
    }
    fn check(&self, _: &Predictions) -> Result<()> {
        // Whatever goes wrong does so during the run.
        Ok(())
    }
    fn of_batch(&self, logits: Vec<Tensor>, _: Option<&Tensor>) -> Result<Vec<Tensor>> {
        PREDICTED.fetch_add(1, Ordering::Relaxed);
        Ok(logits)
    }
    fn value(&self, predictions: &Predictions) -> Result<f64> {
        if has("metric") {
            return Err(Error::invalid("nobody is sure of anything"));
        }
        if has("absent") {
            std::fs::write(evaluating(), "").unwrap();
            std::thread::sleep(Duration::from_millis(500));
        }
        let sure = predictions.logits()[0].f_softmax(-1, Kind::Double)?.f_amax([-1_i64], false)?.f_ge(0.4)?;
        Ok(sure.f_mean(Kind::Double)?.f_double_value(&[])?)
    }
}

/// Prints what only one process may say.
struct Tells;

impl Observer for Tells {
    fn on(&mut self, event: &Event<'_>) {
        match event {
            Event::Evaluated { step, metric, value, .. } => println!("{step} {metric} {value:?}"),
            Event::Warning(text) => println!("warning {text}"),
            Event::Started { found, .. } => {
                found
                    .iter()
                    .filter(|line| line.contains(" ranks "))
                    .for_each(|line| println!("started {line}"));
            }
            Event::Resumed { step, .. } => println!("resumed {step}"),
            Event::Step(report) if report.losses.is_some() => {
                println!("step {} {:.9}", report.step, report.losses.as_ref().unwrap()[0].1);
            }
            _ => {}
        }
    }
}

/// Makes something go wrong on rank 1 when it has drawn an odd batch.
fn goes_wrong(odd_batches: &[Tensor], batch: Sentence) -> Result<Sentence> {
    if odd() && odd_batches.contains(&batch.tokens) {
        if has("loader") {
            return Err(Error::invalid("the file ends here"));
        }
        if has("dies") {
            std::process::abort();
        }
        if has("signal") {
            let told = Command::new("kill").args(["-TERM", &std::process::id().to_string()]).status();
            assert!(told.unwrap().success());
        }
    }
    Ok(batch)
}

fn train(folder: &Path) -> Result<()> {
    if has("threads") && odd() {
        brew_core::tch::set_num_threads(2);
    }
    if has("absent") && odd() {
        std::thread::spawn(dies_during_an_evaluation);
    }
    let mut batches = sentences(BATCHES + usize::from(has("longer") && odd()), 5, 3);
    if has("rows") && odd() {
        batches.swap(0, 1);
    }
    let odd_batches = ODD.map(|index| batches[index].tokens.shallow_clone());
    let teacher = Toy::new(2, 8, if has("teacher") && odd() { 5 } else { 0 });
    let student = Toy::new(1, 6, 1).with_dropout(0.1).with_sparse_gradients();
    let odd_batch = has("nan").then(|| odd_batches[1].shallow_clone());
    let student = Student {
        toy: student,
        odd: odd_batch,
        seen: Tensor::from_slice(&[0_i64]),
        hidden: Tensor::from_slice(&[if has("start") && odd() { 1.0_f32 } else { 0.0 }]),
    };
    let temperature = if has("plan") && odd() { 3.0 } else { 2.0 };
    let pipeline = Distill::new(teacher.seen_by(ToyOutputAdaptor), student.seen_by(WithRows));
    let mut pipeline = pipeline.soft_targets(KdCe::at(temperature));
    if has("taid") {
        pipeline = pipeline.soft_targets(Taid::at(2.0));
    }
    if has("crd") {
        let crd = Crd::over(12).between(6, 8).width(4).negatives(3);
        pipeline = pipeline.matching(hidden(teacher_layer(2), student_layer(1)).by(crd));
    }
    if has("running") {
        pipeline = pipeline.soft_targets(Running::default());
    }
    let pipeline = pipeline
        .matching(hidden(teacher_layer(2), student_layer(1)).by(HiddenMse).project(Projection::linear(6, 8)))
        .matching(hidden(teacher_layer(1), student_layer(1)).by(RkdDistance::of_means()))
        .hard_labels(1.0)
        .plan()?;
    let dev = || -> Vec<Sentence> {
        let seven = sentences(1, 7, 9).swap_remove(0);
        let part = |(from, rows)| seven.map(&mut |_, tensor| Ok(tensor.narrow(0, from, rows))).unwrap();
        [(0, 3), (3, 3), (6, 1)].map(part).into()
    };
    let mut trainer = Trainer::new(pipeline)
        .optimizer(AdamW::with_lr(1e-2))
        .schedule(Decay::linear().with_warmup(0.1))
        .clip(0.5)
        .accumulate(4)
        .seed(if has("seed") && odd() { 8 } else { 7 })
        .log_every(7)
        .on_not_finite(if has("skip") { NotFinite::Skip } else { NotFinite::Stop })
        .evaluate(dev(), F1::Macro)
        .evaluate(dev(), Matthews)
        .evaluate(dev(), Sure)
        .observe(Tells);
    trainer = match has("steps") {
        // Steps 10 and 20 end in another epoch than they begin in.
        true => trainer.steps(45).checkpoint_every_steps(9),
        false => trainer.epochs(5).checkpoints_per_epoch(3),
    };
    if has("absent") {
        trainer = trainer.checkpoint_every_epochs(2);
    }
    if has("exact") {
        trainer = trainer.exact_sums();
    }
    if has("run") {
        trainer = trainer.run_dir(folder.join("run"));
    }
    let processed = move |batch| goes_wrong(&odd_batches, batch);
    let trained = match has("longer") {
        true => trainer.run(Unnamed(batches).processed(processed))?,
        false => trainer.run(batches.processed(processed))?,
    };
    let rank = std::env::var("RANK").unwrap_or_else(|_| "0".to_owned());
    let student = Model::parameters(trained.student());
    let all: Vec<(String, Tensor)> = (student.iter().chain(trained.projections().iter()))
        .map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone()))
        .collect();
    Tensor::write_safetensors(&all, folder.join(format!("student-{rank}.safetensors")))?;
    let predicted = PREDICTED.load(Ordering::Relaxed).to_string();
    std::fs::write(folder.join(format!("predicted-{rank}")), predicted).unwrap();
    let summary = trained.summary();
    let (examples, tokens) = (summary.examples, summary.tokens);
    println!("end {} {examples} {tokens:?} {} {:?}", summary.steps, summary.skipped, summary.evaluations);
    Ok(())
}

fn main() {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap());
    let begun = Instant::now();
    if let Err(error) = train(&folder) {
        println!("error {:.1} {error}", begun.elapsed().as_secs_f64());
        std::process::exit(1);
    }
}
