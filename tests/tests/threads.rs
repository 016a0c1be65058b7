//! What may move to another thread: a pipeline is built on one and trained on another.

use std::sync::{Arc, Mutex};
use std::thread;

use brew_core::loss::KdCe;
use brew_core::model::{BiGruForSequenceClassification, TorchScript};
use brew_core::prelude::*;
use brew_data::prelude::*;
use tests::{Sentence, Toy, ToyOutputAdaptor, alone, sentences};

fn sent<T: Send>() {}

#[test]
fn models_pipelines_and_classifiers_are_send() {
    sent::<Seen<ToyOutputAdaptor>>();
    sent::<Pipeline<Sentence, ToyOutputAdaptor>>();
    sent::<TextClassifier>();
    sent::<TorchScript>();
    sent::<BiGruForSequenceClassification>();
    sent::<Arc<Mutex<Toy>>>();
}

#[test]
fn a_pipeline_laid_here_is_trained_on_another_thread_to_the_same_student() {
    let _alone = alone();
    let pipeline = |student: Arc<Mutex<Toy>>| {
        let teacher = Toy::new(2, 8, 0).seen_by(ToyOutputAdaptor);
        Distill::new(teacher, student.seen_by(ToyOutputAdaptor)).soft_targets(KdCe::at(2.0)).plan().unwrap()
    };
    let train = |pipeline: Pipeline<Sentence, ToyOutputAdaptor>| {
        Trainer::new(pipeline).optimizer(AdamW::with_lr(0.01)).run(sentences(3, 4, 5)).map(|_| ())
    };
    let [here, there] = [0, 0].map(|_| Arc::new(Mutex::new(Toy::new(1, 6, 1).with_dropout(0.2))));
    train(pipeline(Arc::clone(&here))).unwrap();
    let laid = pipeline(Arc::clone(&there));
    thread::spawn(move || train(laid)).join().unwrap().unwrap();
    let untrained = Toy::new(1, 6, 1).parameters();
    for (((name, one), (_, other)), (_, before)) in
        here.parameters().iter().zip(there.parameters().iter()).zip(untrained.iter())
    {
        assert_eq!(one, other, "{name}");
        assert_ne!(one, before, "{name} was trained");
    }
}
