//! A user's distillation that knows nothing of ranks: dropout, masks of uneven length, a relation loss, a projection, a
//! sparse embedding, clipping, accumulation, and epochs that do not end with a whole step.
//!
//! `distils_as_one_of_several FOLDER [WHAT …]`; each process writes its student to `student-R.safetensors`, and prints what
//! it observed and how the run ended. WHAT: `run` writes a run folder; the other words make something go wrong, most of
//! them on rank 1 alone.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test's program fails where a helper does, and tells its test what came out"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use brew_core::distill::{student_layer, teacher_layer};
use brew_core::loss::{HiddenMse, KdCe, RkdDistance, Taid};
use brew_core::observe::{Event, F1, Matthews, Observer, Predictions};
use brew_core::plan::Projection;
use brew_core::prelude::*;
use brew_core::train::NotFinite;
use tests::{Sentence, Toy, ToyOutput, ToyOutputAdaptor, sentences};

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

/// A toy whose logits are not numbers for one batch, and that counts its passes in a buffer if asked to.
struct Student {
    toy: Toy,
    odd: Option<Tensor>,
    seen: Tensor,
}

#[distill(batch = Sentence)]
impl Student {
    fn forward(
        &self,
        tokens: &Tensor,
        mask: &Tensor,
        labels: Option<&Tensor>,
        pass: &Pass,
    ) -> Result<ToyOutput> {
        let mut output = self.toy.forward(tokens, mask, labels, pass)?;
        if pass.is_training() && has("buffer") {
            let _ = self.seen.shallow_clone().f_add_scalar_(1)?;
        }
        if pass.is_training() && pass.step() == 3 && self.odd.as_ref().is_some_and(|odd| odd == tokens) {
            output.logits = output.logits.f_mul_scalar(f64::NAN)?;
        }
        Ok(output)
    }
}

impl Model for Student {
    fn parameters(&self) -> Parameters {
        let parameters = Model::parameters(&self.toy);
        if !has("buffer") {
            return parameters;
        }
        let named: Vec<(String, Tensor)> =
            parameters.iter().map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone())).collect();
        Parameters::new(named).with_buffers([("seen".to_owned(), self.seen.shallow_clone())])
    }

    fn save(&self, folder: &Path) -> Result<()> {
        self.toy.save(folder)
    }
}

/// The share of examples of which the model is at least 40 percent sure: a metric of the user's own.
#[derive(Debug)]
struct Sure;

impl Metric for Sure {
    fn name(&self) -> &'static str {
        "sure"
    }
    fn value(&self, predictions: &Predictions) -> Result<f64> {
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
    let mut batches = sentences(BATCHES, 5, 3);
    if has("rows") && odd() {
        batches.swap(0, 1);
    }
    let odd_batches = ODD.map(|index| batches[index].tokens.shallow_clone());
    let teacher = Toy::new(2, 8, if has("teacher") && odd() { 5 } else { 0 });
    let student = Toy::new(1, 6, 1).with_dropout(0.1).with_sparse_gradients();
    let odd_batch = has("nan").then(|| odd_batches[1].shallow_clone());
    let student = Student { toy: student, odd: odd_batch, seen: Tensor::from_slice(&[0_i64]) };
    let temperature = if has("plan") && odd() { 3.0 } else { 2.0 };
    let pipeline = Distill::new(teacher.seen_by(ToyOutputAdaptor), student.seen_by(ToyOutputAdaptor));
    let pipeline = match has("state") {
        true => pipeline.soft_targets(Taid::at(2.0)),
        false => pipeline.soft_targets(KdCe::at(temperature)),
    };
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
        .epochs(5)
        .seed(if has("seed") && odd() { 8 } else { 7 })
        .checkpoints_per_epoch(3)
        .log_every(7)
        .on_not_finite(if has("skip") { NotFinite::Skip } else { NotFinite::Stop })
        .evaluate(dev(), F1::Macro)
        .evaluate(dev(), Matthews)
        .evaluate(dev(), Sure)
        .observe(Tells);
    if has("run") {
        trainer = trainer.run_dir(folder.join("run"));
    }
    let trained = trainer.run(batches.processed(move |batch| goes_wrong(&odd_batches, batch)))?;
    let rank = std::env::var("RANK").unwrap_or_else(|_| "0".to_owned());
    let student = Model::parameters(trained.student());
    let all: Vec<(String, Tensor)> = (student.iter().chain(trained.projections().iter()))
        .map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone()))
        .collect();
    Tensor::write_safetensors(&all, folder.join(format!("student-{rank}.safetensors")))?;
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
