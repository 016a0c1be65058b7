//! A run that resumes over different batches says what differs.

use std::path::Path;

use brew_core::loss::KdCe;
use brew_core::prelude::*;
use brew_data::prelude::*;
use tests::{Sentence, Toy, ToyOutputAdaptor, alone};

use super::support::Seen;

fn rows(folder: &Path, count: i64) -> Dataset {
    let path = folder.join(format!("{count}.jsonl"));
    let rows = (0..count).map(|row| {
        let tokens = [row % 12, (row * 5) % 12];
        format!("{{\"tokens\": {tokens:?}, \"mask\": [1, 1], \"labels\": {}}}\n", row % 3)
    });
    std::fs::write(&path, rows.collect::<String>()).unwrap();
    Dataset::open(path).unwrap()
}

fn trainer<'o>(run_dir: &Path) -> Trainer<'o, Pipeline<Sentence, ToyOutputAdaptor>> {
    let (teacher, student) = (Toy::new(2, 8, 0), Toy::new(1, 6, 1));
    let pipeline = Distill::new(teacher.seen_by(ToyOutputAdaptor), student.seen_by(ToyOutputAdaptor))
        .soft_targets(KdCe::at(2.0))
        .plan()
        .unwrap();
    Trainer::new(pipeline).optimizer(AdamW::with_lr(0.01)).epochs(3).run_dir(run_dir).observe(Seen::default())
}

#[test]
fn a_run_that_resumes_with_another_batch_size_names_the_batch_size() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let run_dir = folder.path().join("run");
    let killed = trainer(&run_dir)
        .on_checkpoint(|_, _| Err(brew_core::Error::invalid("the power went")))
        .run(rows(folder.path(), 12).batches::<Sentence>(4));
    assert!(killed.unwrap_err().to_string().contains("the power went"));
    let resumed = |data: Dataset, size: usize| {
        trainer(&run_dir).run(data.batches::<Sentence>(size)).map(|_| ()).unwrap_err().to_string()
    };
    // 12 rows in batches of 4 are 9 steps in three epochs; of 2, 18.
    let smaller = resumed(rows(folder.path(), 12), 2);
    assert!(smaller.contains("batch size: 4 then, 2 now"), "{smaller}");
    let more = resumed(rows(folder.path(), 24), 4);
    assert!(more.contains("rows: 12 then, 24 now"), "{more}");
    // Both at once, and the advice that the message gives works: the same settings resume.
    let both = resumed(rows(folder.path(), 24), 2);
    assert!(both.contains("batch size: 4 then, 2 now") && both.contains("rows: 12 then, 24 now"), "{both}");
    trainer(&run_dir).run(rows(folder.path(), 12).batches::<Sentence>(4)).unwrap();
}
