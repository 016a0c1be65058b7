//! A run folder is read back as it was written, and everything that affects the numbers is compared.

use std::cell::{Cell, RefCell};
use std::path::Path;

use brew_core::loss::KdCe;
use brew_core::observe::Predictions;
use brew_core::observe::{Event, Observer, Summary};
use brew_core::prelude::*;
use brew_core::semantics::Semantics;
use tests::{Sentence, Toy, ToyOutputAdaptor, alone, killed_at, sentences};

use super::support::{Seen, checkpoints, pipeline};

/// Gives these values, one per evaluation of a process, and the last of them ever after.
#[derive(Debug)]
struct Values(RefCell<Vec<f64>>);

impl Metric for Values {
    fn name(&self) -> &'static str {
        "perplexity"
    }
    /// Two rows are tried before the first step, which takes none of the values.
    fn check(&self, _: &Predictions) -> Result<()> {
        Ok(())
    }
    fn value(&self, _: &Predictions) -> Result<f64> {
        let mut values = self.0.borrow_mut();
        Ok(if values.len() > 1 { values.remove(0) } else { values[0] })
    }
}

/// From where a run resumed, and whether the checks before the first step are over.
#[derive(Default)]
struct From(std::rc::Rc<Cell<u64>>, std::rc::Rc<Cell<bool>>);
impl Observer for From {
    fn on(&mut self, event: &Event<'_>) {
        match event {
            Event::Resumed { step, .. } => self.0.set(*step),
            Event::Started { .. } => self.1.set(true),
            _ => {}
        }
    }
}

/// Six steps with an evaluation and a checkpoint after each; where it resumed, and its summary.
fn evaluated(folder: &Path, values: &[f64], stop: Option<u64>) -> (u64, Result<Summary>) {
    let from = From::default();
    let resumed = std::rc::Rc::clone(&from.0);
    let trainer = Trainer::new(pipeline(Semantics::Exact, 0.0).0)
        .steps(6)
        .checkpoint_every_steps(1)
        .evaluate(sentences(1, 4, 9), Values(RefCell::new(values.to_vec())))
        .run_dir(folder.join("run"))
        .observe(from);
    let ended = trainer.on_checkpoint(killed_at(stop)).run(sentences(3, 4, 0));
    (resumed.get(), ended.map(|trained| trained.summary().clone()))
}

// By hand: the first of four equal values is the best, and three in a row have not risen after the fourth. 787 of
// 872 is a number that a parser which is not exact reads back one bit lower, so that the next equal one rises.
#[test]
fn a_value_that_does_not_rise_ends_a_resumed_run_where_it_ends_one_left_alone() {
    let _alone = alone();
    let ended = |stop: Option<u64>| {
        let folder = tempfile::tempdir().unwrap();
        let life = |stop: Option<u64>| {
            let trainer = Trainer::new(pipeline(Semantics::Exact, 0.0).0)
                .steps(12)
                .checkpoint_every_steps(1)
                .stop_after(3)
                .evaluate(sentences(1, 4, 9), Values(RefCell::new(vec![787.0 / 872.0])))
                .run_dir(folder.path().join("run"))
                .observe(Seen::default());
            trainer.on_checkpoint(killed_at(stop)).run(sentences(3, 4, 0))
        };
        if stop.is_some() {
            life(stop).unwrap_err();
        }
        let summary = life(None).unwrap().summary().clone();
        (summary.steps, summary.best.unwrap().step)
    };
    assert_eq!(ended(None), (4, 1));
    assert_eq!(ended(Some(2)), (4, 1));
}

/// With one NaN for all.
fn bits(number: f64) -> u64 {
    if number.is_nan() { f64::NAN.to_bits() } else { number.to_bits() }
}

#[test]
fn a_metric_of_any_value_is_read_back_from_a_checkpoint_with_its_bits() {
    let _alone = alone();
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 5e-324, f64::MAX, 0.3] {
        let folder = tempfile::tempdir().unwrap();
        evaluated(folder.path(), &[value, 0.25], Some(4)).1.unwrap_err();
        let (resumed, summary) = evaluated(folder.path(), &[0.25], None);
        assert_eq!(resumed, 4, "{value}");
        let summary = summary.unwrap();
        let expected = [value, 0.25, 0.25, 0.25, 0.25, 0.25].map(bits);
        assert_eq!(summary.evaluations.iter().copied().map(bits).collect::<Vec<_>>(), expected, "{value}");
        // By hand: the first value that no other is above; one that is no number is never the best.
        let best = summary.best.as_ref().unwrap();
        let expected = if value > 0.25 { (1, value) } else { (2, 0.25) };
        assert_eq!((best.step, best.value), expected);
        // What is on disk is the summary that was given.
        let run = folder.path().join("run");
        let written = std::fs::read_to_string(run.join("summary.json")).unwrap();
        let written: Summary = serde_json::from_str(&written).unwrap();
        assert_eq!(
            written.evaluations.iter().copied().map(bits).collect::<Vec<_>>(),
            summary.evaluations.iter().copied().map(bits).collect::<Vec<_>>()
        );
        assert_eq!(bits(written.best.unwrap().value), bits(best.value));
        let lines = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
        let first = lines.lines().find(|line| line.contains("perplexity")).unwrap();
        let expected = match value {
            _ if value.is_nan() => "\"NaN\"".to_owned(),
            f64::INFINITY => "\"Infinity\"".to_owned(),
            f64::NEG_INFINITY => "\"-Infinity\"".to_owned(),
            _ => serde_json::json!(value).to_string(),
        };
        assert!(first.contains(&format!("\"perplexity\":{expected}")), "{first}");
        assert!(run.join("report.html").is_file());
    }
}

#[test]
fn a_damaged_checkpoint_is_not_kept_in_place_of_whole_ones() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    // Ends after so many batches of one process's training, as if it had been killed.
    let life = |batches: usize, every_step: bool| {
        let from = From::default();
        let (resumed, started) = (std::rc::Rc::clone(&from.0), std::rc::Rc::clone(&from.1));
        let mut trainer = Trainer::new(pipeline(Semantics::Exact, 0.0).0)
            .steps(40)
            .checkpoint_every_steps(10)
            .run_dir(&run)
            .observe(from);
        if every_step {
            trainer = trainer.keep_checkpoints(1).checkpoint_every(std::time::Duration::ZERO);
        }
        let left = Cell::new(batches);
        let data = sentences(3, 4, 0).processed(move |batch: Sentence| {
            if started.get() {
                left.set(left.get().checked_sub(1).ok_or_else(|| Error::other("killed"))?);
            }
            Ok(batch)
        });
        let error = trainer.run(data).unwrap_err().to_string();
        assert!(error.contains("killed"), "{error}");
        resumed.get()
    };
    life(31, false);
    assert_eq!(checkpoints(&run), [10, 20, 30]);
    let file = run.join("checkpoints/step-30/student.safetensors");
    let mut bytes = std::fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&file, bytes).unwrap();
    // Counted: it resumes at 20; that its stream stands in the middle of an epoch of 3 costs 2 batches.
    assert_eq!(life(2 + 6, true), 20);
    let kept = checkpoints(&run);
    assert_eq!((kept.len(), kept[1]), (2, 30), "the newest whole one and the damaged one: {kept:?}");
    assert!((24..30).contains(&kept[0]), "{kept:?}");
    let newest = kept[0];
    assert_eq!(life(3, true), newest);
}

#[test]
fn older_checkpoints_that_cannot_be_removed_are_reported_as_what_they_are() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    // A file where a checkpoint would be moved to before it is removed: a folder cannot be renamed to it.
    std::fs::create_dir_all(run.join("checkpoints")).unwrap();
    let seen = Seen::default();
    struct InTheWay(std::path::PathBuf);
    impl Observer for InTheWay {
        fn on(&mut self, event: &Event<'_>) {
            if let Event::Saved(path) = event
                && path.ends_with("step-1")
            {
                std::fs::create_dir_all(self.0.join("checkpoints/step-0/inside")).unwrap();
                std::fs::write(self.0.join("checkpoints/.step-0.old.tmp"), "in the way").unwrap();
            }
        }
    }
    Trainer::new(pipeline(Semantics::Exact, 0.0).0)
        .steps(2)
        .checkpoint_every_steps(1)
        .keep_checkpoints(1)
        .run_dir(&run)
        .observe(InTheWay(run.clone()))
        .observe(seen.clone())
        .run(sentences(3, 4, 0))
        .unwrap();
    let warnings = seen.warnings.borrow();
    assert!(warnings[0].starts_with("older checkpoints could not be removed: "), "{warnings:?}");
    assert!(run.join("checkpoints/step-2/state.json").is_file());
}

#[test]
fn a_learning_rate_of_any_digits_is_the_one_that_the_run_had() {
    let _alone = alone();
    // About one in ten of such numbers is read back otherwise by a parser that is not exact.
    for number in 1..24 {
        let folder = tempfile::tempdir().unwrap();
        let life = |stop| {
            let trainer = Trainer::new(pipeline(Semantics::Exact, 0.0).0)
                .optimizer(
                    AdamW::with_lr(1e-5 * f64::from(number).sqrt()).weight_decay(f64::from(number) / 7.0),
                )
                .clip(f64::from(number) / 3.0)
                .steps(2)
                .checkpoint_every_steps(1)
                .run_dir(folder.path().join("run"))
                .observe(Seen::default());
            trainer.on_checkpoint(killed_at(stop)).run(sentences(3, 4, 0)).map(drop)
        };
        life(Some(1)).unwrap_err();
        life(None).unwrap();
    }
}

#[test]
fn files_of_somebody_else_are_not_overwritten() {
    let _alone = alone();
    for name in
        ["metrics.jsonl", "plan.json", "summary.json", "student/model.safetensors", "checkpoints/step-2/x"]
    {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, "theirs\n").unwrap();
        let error = Trainer::new(pipeline(Semantics::Exact, 0.0).0)
            .steps(1)
            .run_dir(folder.path())
            .observe(Seen::default())
            .run(sentences(1, 4, 0))
            .unwrap_err()
            .to_string();
        let first = name.split('/').next().unwrap();
        assert!(error.contains(&format!("`{first}`")) && error.contains("choose another folder"), "{error}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "theirs\n", "{name}");
    }
    // What no run writes may be there.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    let trainer = Trainer::new(pipeline(Semantics::Exact, 0.0).0).steps(1).run_dir(folder.path());
    trainer.observe(Seen::default()).run(sentences(1, 4, 0)).unwrap();
}

#[test]
fn another_teacher_is_noticed_as_the_run_resumes() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let life = |teacher: i64, stop| {
        let (teacher, student) = (Toy::new(2, 8, teacher), Toy::new(1, 6, 1));
        let pipeline = Distill::new(teacher.seen_by(ToyOutputAdaptor), student.seen_by(ToyOutputAdaptor))
            .soft_targets(KdCe::at(2.0))
            .plan()
            .unwrap();
        let trainer = Trainer::new(pipeline)
            .steps(3)
            .checkpoint_every_steps(1)
            .run_dir(folder.path().join("run"))
            .observe(Seen::default());
        trainer.on_checkpoint(killed_at(stop)).run(sentences(3, 4, 0)).map(drop)
    };
    life(0, Some(1)).unwrap_err();
    let error = life(5, None).unwrap_err().to_string();
    assert!(error.contains("different, unfinished run") && error.contains("teachers[0].tensors"), "{error}");
    life(0, None).unwrap();
}
