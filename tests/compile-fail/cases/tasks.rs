//! A task whose adaptor lacks a role that a loss reads, one without a loss, one whose data are of another
//! type than its models read, and epochs, which several tasks do not have in common.
use brew_core::prelude::*;
use brew_core::train::MultiTask;
use page::{Classifier, Prediction, Review};

#[path = "../src/page.rs"]
mod page;

struct LogitsOnly;

#[adaptor(batch = Review, output = Prediction)]
impl LogitsOnly {
    fn logits(output: &Prediction) -> &Tensor {
        &output.logits
    }
}

fn lacks_a_role() {
    let distill = Distill::new(page::seen(), page::seen());
    let movies = distill.soft_targets(loss::KdCe::at(8.0)).hard_labels(1.0).plan().unwrap();
    let distill = Distill::new(page::seen(), Classifier.seen_by(LogitsOnly));
    let products = distill.soft_targets(loss::KdCe::at(8.0)).hard_labels(1.0).plan().unwrap();
    let _ = MultiTask::new()
        .task("movies", movies, Vec::<Review>::new())
        .task("products", products, Vec::<Review>::new());
}

fn lacks_a_loss() {
    let movies = Distill::new(page::seen(), page::seen()).plan().unwrap();
    let _ = MultiTask::new().task("movies", movies, Vec::<Review>::new());
}

fn reads_other_data() {
    let movies = Supervised::new(page::seen()).plan().unwrap();
    let _ = MultiTask::new().task("movies", movies, Vec::<(Tensor, Tensor)>::new());
}

fn has_no_epochs() {
    let movies = Supervised::new(page::seen()).plan().unwrap();
    let tasks = MultiTask::new().task("movies", movies, Vec::<Review>::new());
    let _ = Trainer::new(tasks).epochs(3).run();
}

fn main() {
    lacks_a_role();
    lacks_a_loss();
    reads_other_data();
    has_no_epochs();
    // What is not a pipeline yet cannot be trained.
    let _ = Trainer::new(Distill::new(page::seen(), page::seen()).soft_targets(loss::KdCe::at(8.0)));
}
