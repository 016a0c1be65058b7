//! The cache on disk in the loop: a path is enough, and a damaged block is recomputed.

use std::fs;

use brew_core::cache::Payload;
use brew_core::prelude::*;
use brew_data::TeacherStore;
use tests::alone;

use super::losses::everything;
use super::support::{Counting, Record, Texts, difference};

fn train(data: Texts, cache: Option<TeacherStore>) -> (Record, usize) {
    let (teacher, runs) = Counting::new("roberta/sequence");
    let record = Record::default();
    let mut trainer = Trainer::new(everything(teacher))
        .optimizer(AdamW::with_lr(1e-5))
        .epochs(2)
        .log_every(1)
        .observe(record.clone());
    if let Some(cache) = cache {
        trainer = trainer.teacher_cache(cache);
    }
    trainer.run(data).unwrap();
    (record, runs.get())
}

#[test]
fn two_students_share_a_folder_and_a_damaged_block_is_computed_again_with_a_warning() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("teacher");
    let data = Texts { shuffled: true, bucketed: true, ..Texts::of(5) };
    let (without, _) = train(data.clone(), None);
    let store = || Some(TeacherStore::at(&path).block_bytes(8_000));
    let (first, _) = train(data.clone(), store());
    assert!(difference(&first, &without) < 1e-6);
    let (second, runs) = train(data.clone(), store());
    assert!(difference(&second, &without) < 1e-6);
    assert!(runs <= 3 + 4, "the teacher ran {runs} times although every row was there");
    assert_eq!(second.with("24 found, 0 computed").len(), 2, "{:?}", second.words.borrow());
    // One more than there are texts: where a batch is padded to as many tokens as there are classes, its
    // logits look like values of positions, and its rows are kept for that length apart.
    assert_eq!(second.with("25 rows are already cached").len(), 1, "{:?}", second.words.borrow());

    let blocks = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path());
    let block = blocks.filter(|file| file.extension().is_some_and(|found| found == "arrow")).min().unwrap();
    let mut bytes = fs::read(&block).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&block, bytes).unwrap();
    let (third, runs) = train(data, store());
    assert!(difference(&third, &without) < 1e-6);
    assert!(runs > 3 + 4);
    let warnings = third.with("warning: the teacher cache cannot be read");
    assert_eq!(warnings.len(), 1, "{:?}", third.words.borrow());
    assert!(warnings[0].contains(&block.display().to_string()), "{warnings:?}");
}

#[test]
fn a_path_is_a_cache_and_float16_takes_half_the_room() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, cache: Option<Payload>| {
        let (teacher, _) = Counting::new("roberta/sequence");
        let record = Record::default();
        let trainer = Trainer::new(everything(teacher)).epochs(2).observe(record.clone());
        let path = folder.path().join(name);
        match cache {
            None => trainer.teacher_cache(path).run(Texts::of(6)).unwrap(),
            Some(payload) => {
                trainer.teacher_cache(TeacherStore::at(path).keeping(payload)).run(Texts::of(6)).unwrap()
            }
        };
        assert_eq!(record.with("24 found, 0 computed").len(), 1, "{:?}", record.words.borrow());
        record.with("cache of the teacher").remove(0)
    };
    let whole = run("whole", None);
    let half = run("half", Some(Payload::whole().floats_as(Kind::Half)));
    eprintln!("{whole}\n{half}");
    // Logits, two layers of 9 x 16 and a map of 2 heads of 9 x 9: the longest of the first six has 9.
    assert!(whole.contains("bytes per row of"), "{whole}");
    let bytes = |line: &str| -> u64 {
        let words: Vec<&str> = line.split(' ').collect();
        let place = words.windows(2).position(|pair| pair == ["bytes", "per"]).unwrap();
        words[place - 1].replace(',', "").parse().unwrap()
    };
    assert_eq!(bytes(&whole), 2 * bytes(&half));
}
