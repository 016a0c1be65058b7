//! One divergence on every path: dense, chunked, with the top k of all classes, and from a teacher store on disk.
//!
//! Equal students are trained on each path with plain gradient descent, in float64: the losses of every step and the final
//! students must be the same.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use brew_core::cache::Payload;
use brew_core::loss::{
    AdaptiveKl, Chunked, Divergence, Jsd, Kl, ReverseKl, SkewKl, SkewReverseKl, TopK, TotalVariation,
    next_token,
};
use brew_core::observe::{Event, Observer};
use brew_core::prelude::*;
use brew_core::train::Sgd;
use brew_data::TeacherStore;
use tests::{Count, Sentence, alone, sentences};

use crate::tagger::{Tagger, TagsAdaptor};

const CLASSES: usize = 23;

type Pipe = Pipeline<Sentence, TagsAdaptor>;

fn divergences() -> Vec<Box<dyn Divergence>> {
    vec![
        Box::new(Kl::at(1.0)),
        Box::new(ReverseKl::at(1.0)),
        Box::new(Jsd::between(0.4)),
        Box::new(SkewKl::by(0.1)),
        Box::new(SkewReverseKl::by(0.1)),
        Box::new(TotalVariation::at(1.0)),
        Box::new(AdaptiveKl::with_head(0.5)),
    ]
}

/// A student that learns by these soft targets; the teacher's runs are counted.
macro_rules! pipeline {
    ($targets:expr) => {{
        let teacher = Tagger::new(8, 0.7);
        let runs = teacher.runs.clone();
        let sides = (teacher.seen_by(TagsAdaptor), Tagger::new(5, 0.1).seen_by(TagsAdaptor));
        let pipe: Pipe = Distill::new(sides.0, sides.1).soft_targets($targets).plan().unwrap();
        (pipe, runs)
    }};
}

/// The dense loss of [`divergences`] at this place.
fn dense(place: usize) -> Pipe {
    match place {
        0 => pipeline!(Kl::at(1.0)).0,
        1 => pipeline!(ReverseKl::at(1.0)).0,
        2 => pipeline!(Jsd::between(0.4)).0,
        3 => pipeline!(SkewKl::by(0.1)).0,
        4 => pipeline!(SkewReverseKl::by(0.1)).0,
        5 => pipeline!(TotalVariation::at(1.0)).0,
        _ => pipeline!(AdaptiveKl::with_head(0.5)).0,
    }
}

/// The losses of every step.
#[derive(Debug, Clone, Default)]
struct Losses(Rc<RefCell<Vec<f64>>>);

impl Observer for Losses {
    fn on(&mut self, event: &Event<'_>) {
        if let Event::Step(report) = event {
            self.0.borrow_mut().extend(report.losses.iter().flatten().map(|(_, loss)| *loss));
        }
    }
}

/// What a run gave: its losses, and the student's embeddings and output matrix in the end.
struct Run {
    losses: Vec<f64>,
    student: Vec<Tensor>,
}

/// Two epochs over twelve rows of different lengths, in batches of this size.
fn train(pipe: Pipe, rows: i64, store: Option<TeacherStore>) -> Run {
    let all = sentences(1, 12, 3).remove(0);
    let batches: Vec<Sentence> = (0..12 / rows)
        .map(|part| all.map(&mut |_, tensor| Ok(tensor.narrow(0, part * rows, rows))).unwrap())
        .collect();
    let losses = Losses::default();
    let trainer =
        Trainer::new(pipe).optimizer(Sgd::with_lr(0.5)).epochs(2).log_every(1).observe(losses.clone());
    let trainer = match store {
        Some(store) => trainer.teacher_cache(store),
        None => trainer,
    };
    let trained = trainer.run(batches).unwrap();
    let student = trained.student().parameters().iter().map(|(_, tensor)| tensor.copy()).collect();
    Run { losses: losses.0.take(), student }
}

#[track_caller]
fn assert_same(found: &Run, expected: &Run, what: &str) {
    assert!(!expected.losses.is_empty() && found.losses.len() == expected.losses.len(), "{what}");
    for (found, expected) in found.losses.iter().zip(&expected.losses) {
        assert!((found - expected).abs() < 1e-11, "{what}: a loss of {found}, expected {expected}");
    }
    for (found, expected) in found.student.iter().zip(&expected.student) {
        let error = (found - expected).abs().max().double_value(&[]);
        assert!(error < 1e-11, "{what}: the student differs by {error}");
    }
}

/// Fills a store in batches of three rows, and trains from it, read again, in batches of four.
fn stored(folder: &Path, payload: Payload, pipeline: impl Fn() -> (Pipe, Count)) -> Run {
    let store = || Some(TeacherStore::at(folder).keeping(payload));
    let (pipe, runs) = pipeline();
    train(pipe, 3, store());
    assert!(runs.get() >= 4, "the teacher filled nothing");
    let blocks = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    assert!(blocks.filter(|file| file.extension().is_some_and(|found| found == "arrow")).count() > 0);
    let (pipe, runs) = pipeline();
    let found = train(pipe, 4, store());
    // Two rows, what padding does, two batches of which a sample is computed again, and four rows with extremes;
    // without the store it would be six more.
    assert!(
        runs.get() <= 3 + 2 + 4,
        "the teacher ran {} times although every row is in the store",
        runs.get()
    );
    found
}

#[test]
fn dense_chunked_top_k_of_all_and_stored_losses_train_the_same_student() {
    let _alone = alone();
    for place in 0..divergences().len() {
        let of = || divergences().remove(place);
        let what = Divergence::name(&*of()).to_owned();
        let k = CLASSES as i64;
        let dense = train(dense(place), 4, None);
        let chunked = train(pipeline!(Chunked::of(of()).rows(5)).0, 4, None);
        assert_same(&chunked, &dense, &format!("{what}, chunked"));
        let live = train(pipeline!(TopK::of(k, of())).0, 4, None);
        assert_same(&live, &dense, &format!("{what}, the top {k}"));
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let whole = stored(&path("whole"), Payload::whole(), || pipeline!(TopK::of(k, of())));
        assert_same(&whole, &dense, &format!("{what}, all logits stored"));
        let top = stored(&path("top"), Payload::whole().top_logits(CLASSES), || pipeline!(TopK::of(k, of())));
        assert_same(&top, &dense, &format!("{what}, the top {k} stored"));
    }
}

// Fewer classes than there are: what is stored must be what is live, tail and all.
#[test]
fn some_classes_and_their_logsumexp_from_a_store_are_those_of_the_live_teacher() {
    let _alone = alone();
    for place in 0..divergences().len() {
        let of = || divergences().remove(place);
        let what = format!("{}, the top 5", Divergence::name(&*of()));
        let live = train(pipeline!(TopK::of(5, of())).0, 4, None);
        let folder = tempfile::tempdir().unwrap();
        let found = stored(&folder.path().join("top"), Payload::whole().top_logits(5), || {
            pipeline!(TopK::of(5, of()))
        });
        assert_same(&found, &live, &what);
    }
}

// The wrapper passes on that its loss reads top logits: a store of them serves it.
#[test]
fn the_next_tokens_top_logits_from_a_store_are_those_of_the_live_teacher() {
    let _alone = alone();
    let of = || next_token(TopK::of(5, Kl::at(1.0)));
    let live = train(pipeline!(of()).0, 4, None);
    let folder = tempfile::tempdir().unwrap();
    let found = stored(&folder.path().join("top"), Payload::whole().top_logits(5), || pipeline!(of()));
    assert_same(&found, &live, "next_token around top_k");
}
