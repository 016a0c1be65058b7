//! What may come with a batch or happen to it: a teacher's output, a function over every batch, an argument for every
//! forward pass.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its case must fail")]

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use brew_core::batch::{Batches as _, Output as _, WithTeacherOutput};
use brew_core::distill::{student_layer, teacher_layer};
use brew_core::execute::Executor;
use brew_core::loss::{AttentionMse, HiddenMse, KdCe};
use brew_core::observe::{Event, Observer};
use brew_core::pass::Wants;
use brew_core::prelude::*;
use brew_core::train::Trained;
use tests::{Sentence, Toy, ToyOutput, ToyOutputAdaptor, alone, sentences};

struct Quiet;
impl Observer for Quiet {
    fn on(&mut self, _: &Event<'_>) {}
}

fn toy(layers: usize, seed: i64) -> Toy {
    Toy::new(layers, 6, seed)
}

/// Logits, layers, maps and labels.
fn pipeline(teacher: Seen<ToyOutputAdaptor>) -> Pipeline<Sentence, ToyOutputAdaptor> {
    Distill::new(teacher, toy(1, 1).seen_by(ToyOutputAdaptor))
        .soft_targets(KdCe::at(2.0))
        .matching(hidden(teacher_layer(2), student_layer(1)).by(HiddenMse))
        .matching(attention(teacher_layer(1), student_layer(0)).by(AttentionMse::probabilities()))
        .hard_labels(0.5)
        .plan()
        .unwrap()
}

/// What the teacher computes for each batch, for all of its roles.
fn outputs(batches: &[Sentence]) -> Vec<ToyOutput> {
    let teacher = toy(2, 0).seen_by(ToyOutputAdaptor);
    let wants = Wants::nothing().and_role("logits").and_role("hidden").and_role("attention");
    let pass = Pass::evaluation(wants);
    let _guard = brew_core::tch::no_grad_guard();
    batches.iter().map(|batch| teacher.run(batch, &pass).unwrap()).collect()
}

fn taught(batches: Vec<Sentence>) -> Vec<WithTeacherOutput<Sentence, ToyOutput>> {
    let outputs = outputs(&batches);
    batches.into_iter().zip(outputs).map(|(batch, output)| WithTeacherOutput::of(batch, output)).collect()
}

fn student_of(trained: &Trained<ToyOutputAdaptor>) -> Vec<Vec<f64>> {
    let parameters = trained.student().parameters();
    parameters.iter().map(|(_, tensor)| Vec::try_from(tensor.detach().reshape([-1])).unwrap()).collect()
}

#[test]
fn a_teacher_whose_output_comes_with_the_batch_is_never_called_nor_needed() {
    let _alone = alone();
    let teacher = toy(2, 0);
    let passes = teacher.passes.clone();
    let ran = Trainer::new(pipeline(teacher.seen_by(ToyOutputAdaptor)))
        .observe(Quiet)
        .run(sentences(4, 3, 7))
        .unwrap();
    // Two rows are checked first, and those that hold the extremes of the data.
    assert_eq!(passes.lock().unwrap().len(), 5 + sentences(4, 3, 7).extremes().unwrap().len());

    let teacher = toy(2, 0);
    let passes = teacher.passes.clone();
    let batches = || Stream(taught(sentences(4, 3, 7)));
    let given =
        Trainer::new(pipeline(teacher.seen_by(ToyOutputAdaptor))).observe(Quiet).run(batches()).unwrap();
    assert_eq!(passes.lock().unwrap().len(), 0);
    assert_eq!(student_of(&given), student_of(&ran));

    // Its adaptor alone is enough.
    let absent = Trainer::new(pipeline(Seen::given(ToyOutputAdaptor))).observe(Quiet).run(batches()).unwrap();
    assert_eq!(student_of(&absent), student_of(&ran));
    let error = Trainer::new(pipeline(Seen::given(ToyOutputAdaptor)))
        .observe(Quiet)
        .run(sentences(4, 3, 7))
        .unwrap_err();
    assert!(
        error.to_string().contains("stage `teacher`")
            && error.to_string().contains("WithTeacherOutput::of(batch, output)"),
        "{error}"
    );
}

#[test]
fn teachers_after_the_last_given_output_run() {
    let _alone = alone();
    let (first, second) = (toy(2, 0), toy(2, 5));
    let passes = [first.passes.clone(), second.passes.clone()];
    let teachers = vec![first.seen_by(ToyOutputAdaptor), second.seen_by(ToyOutputAdaptor)];
    let pipeline = Distill::new(teachers, toy(1, 1).seen_by(ToyOutputAdaptor))
        .soft_targets(KdCe::at(2.0))
        .plan()
        .unwrap();
    let executor = Executor::new(&pipeline, 0).unwrap();
    let pass = Pass::training(0, Wants::nothing());
    let batch = sentences(1, 3, 7).remove(0);
    let expected = executor.run(&batch, &pass, None).unwrap().total;
    passes.iter().for_each(|passes| passes.lock().unwrap().clear());
    let found = executor.run(&taught(vec![batch]).remove(0), &pass, None).unwrap().total;
    assert_eq!(found.double_value(&[]), expected.double_value(&[]));
    assert_eq!(passes.map(|passes| passes.lock().unwrap().len()), [0, 1]);
}

#[test]
fn an_output_of_another_model_is_named() {
    let batch = sentences(1, 3, 7).remove(0);
    let logits = outputs(std::slice::from_ref(&batch)).remove(0).logits;
    let pipeline = pipeline(Seen::given(ToyOutputAdaptor));
    let executor = Executor::new(&pipeline, 0).unwrap();
    let error = executor.probe(&WithTeacherOutput::of(batch, logits)).unwrap_err().to_string();
    assert!(error.contains("`tests::toy::ToyOutputAdaptor` reads `tests::toy::ToyOutput`"), "{error}");
}

/// Batches that are no [`Batch`] themselves, again and again.
struct Stream(Vec<WithTeacherOutput<Sentence, ToyOutput>>);
impl Batches for Stream {
    type Batch = WithTeacherOutput<Sentence, ToyOutput>;
    fn batches_per_epoch(&self) -> Option<usize> {
        Some(self.0.len())
    }
    fn rows(&self) -> Option<usize> {
        None
    }
    fn epoch(&self, _: u64) -> Result<brew_core::batch::Walk<'_, Self::Batch>> {
        use brew_core::batch::Feeds;
        Ok(Box::new(self.0.iter().map(|batch| Feeds::<Sentence, Sentence>::to_device(batch, Device::Cpu))))
    }
}

#[test]
fn every_batch_is_processed_before_anything_sees_it_and_an_error_names_it() {
    let _alone = alone();
    let seen = Rc::new(RefCell::new(0));
    let count = seen.clone();
    let masked = sentences(4, 3, 7).processed(move |batch| {
        *count.borrow_mut() += 1;
        batch.map(&mut |name, tensor| {
            Ok(if name == "tokens" { tensor.f_zeros_like()? } else { tensor.shallow_clone() })
        })
    });
    assert_eq!((masked.batches_per_epoch(), masked.rows()), (Some(4), Some(12)));
    let plan = || {
        Distill::new(toy(2, 0).seen_by(ToyOutputAdaptor), toy(1, 1).seen_by(ToyOutputAdaptor))
            .soft_targets(KdCe::at(2.0))
            .plan()
            .unwrap()
    };
    let processed = Trainer::new(plan()).observe(Quiet).epochs(2).run(masked).unwrap();
    // Each once per epoch, and those that hold the extremes of the data; the first epoch is opened once.
    assert_eq!(*seen.borrow(), 8 + sentences(4, 3, 7).extremes().unwrap().len());
    let by_hand: Vec<Sentence> = sentences(4, 3, 7)
        .into_iter()
        .map(|batch| Sentence { tokens: batch.tokens.zeros_like(), ..batch })
        .collect();
    let by_hand = Trainer::new(plan()).observe(Quiet).epochs(2).run(by_hand).unwrap();
    assert_eq!(student_of(&processed), student_of(&by_hand));

    // It may make another type of them, such as one with the teacher's output.
    let taught = sentences(4, 3, 7).processed(|batch| Ok(taught(vec![batch]).remove(0)));
    Trainer::new(pipeline(Seen::given(ToyOutputAdaptor))).observe(Quiet).run(taught).unwrap();

    let broken = sentences(4, 3, 7).processed(|batch| match batch.tokens.size()[0] {
        3 if batch.tokens.int64_value(&[0, 0]) == sentences(4, 3, 7)[2].tokens.int64_value(&[0, 0]) => {
            Err(Error::invalid("no such column"))
        }
        _ => Ok(batch),
    });
    let errors: Vec<String> =
        broken.epoch(5).unwrap().filter_map(|batch| batch.err().map(|error| error.to_string())).collect();
    assert!(
        errors
            .iter()
            .any(|error| error.starts_with("epoch 5, batch 2: ") && error.ends_with("no such column")),
        "{errors:?}"
    );
}

#[test]
fn an_argument_reaches_every_forward_pass_of_teacher_and_student() {
    /// Multiplies its logits by the argument of the pass.
    #[derive(Debug)]
    struct Scaled(Toy, Arc<Mutex<Vec<Option<f64>>>>);
    impl Model for Scaled {
        fn parameters(&self) -> Parameters {
            self.0.parameters()
        }
    }
    impl Forward<Sentence> for Scaled {
        type Output = ToyOutput;
        fn run(&self, batch: &Sentence, pass: &Pass) -> Result<ToyOutput> {
            self.1.lock().unwrap().push(pass.argument::<f64>().copied());
            assert!(pass.argument::<String>().is_none());
            Forward::run(&self.0, batch, pass)
        }
    }
    let _alone = alone();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let model = |seed| Scaled(toy(1, seed), seen.clone()).seen_by(ToyOutputAdaptor);
    let plan = |argument: Option<f64>| {
        let pipeline = Distill::new(model(0), model(1)).soft_targets(KdCe::at(2.0)).plan().unwrap();
        match argument {
            Some(argument) => pipeline.forward_argument(argument),
            None => pipeline,
        }
    };
    Trainer::new(plan(Some(0.5))).observe(Quiet).run(sentences(1, 3, 7)).unwrap();
    // Two rows, those that hold the extremes of the data, and one step: the teacher and the student each.
    let passes = 2 * (2 + sentences(1, 3, 7).extremes().unwrap().len());
    assert_eq!(std::mem::take(&mut *seen.lock().unwrap()), vec![Some(0.5); passes]);
    Trainer::new(plan(None)).observe(Quiet).run(sentences(1, 3, 7)).unwrap();
    assert_eq!(std::mem::take(&mut *seen.lock().unwrap()), vec![None; passes]);
}

#[test]
fn an_output_is_moved_tensor_by_tensor() {
    let output = outputs(&sentences(1, 3, 7)).remove(0);
    let mut count = 0;
    let doubled = output
        .map(&mut |tensor| {
            count += 1;
            Ok(tensor.f_mul_scalar(2.0)?)
        })
        .unwrap();
    // Logits, three layers, two maps, no loss.
    assert_eq!(count, 6);
    assert_eq!(doubled.hidden[2], &output.hidden[2] * 2.0);
}
