//! A folder of another teacher, tokenizer, payload or version is refused by name, with both values.

use brew_core::cache::{Card, Payload, TeacherCache as _};
use brew_core::tch::Kind;
use brew_data::TeacherStore;

use super::support::{card, open};

#[test]
fn another_teacher_adaptor_precision_and_payload_are_refused_all_at_once() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path(), 1000);
    let payload = Payload::whole().floats_as(Kind::Half);
    let other = Card {
        weights: "bbbb".to_owned(),
        precision: "BFloat16".to_owned(),
        adaptor: "tests::Other".to_owned(),
        payload,
        ..card()
    };
    let store = TeacherStore::at(folder.path()).keeping(payload);
    let message = store.open("", &other).unwrap_err().to_string();
    for part in [
        &folder.path().display().to_string(),
        "the teacher's weights (hash): `aaaa` in the cache, `bbbb` in this pipeline",
        "the teacher's precision: `Float` in the cache, `BFloat16` in this pipeline",
        "the adaptor: `tests::Adaptor` in the cache, `tests::Other` in this pipeline",
        "the payload: `the teacher's own dtype, all logits` in the cache, `Half, all logits` in this pipeline",
    ] {
        assert!(message.contains(part), "{message}");
    }
    // Several teachers have folders of their own.
    store.open("teacher-2", &other).unwrap();
}

#[test]
fn a_header_of_another_version_or_none_at_all_is_refused_with_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let header = folder.path().join("cache.json");
    for (text, expected) in [
        ("{\"version\": 9, \"more\": 1}", "the cache has version 9, this program reads version 2"),
        ("{}", "this is not a teacher cache header: missing field `version`"),
        ("{\"version\": 1", "this is not a teacher cache header: EOF"),
    ] {
        std::fs::write(&header, text).unwrap();
        let message = TeacherStore::at(folder.path()).open("", &card()).unwrap_err().to_string();
        assert!(message.contains(expected) && message.contains(&header.display().to_string()), "{message}");
    }
}

#[test]
fn another_model_is_refused_by_every_value_of_its_identity_that_differs() {
    let folder = tempfile::tempdir().unwrap();
    let with = |values: &[(&str, &str)]| Card {
        model: values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        ..card()
    };
    let store = TeacherStore::at(folder.path());
    store.open("", &with(&[("heads", "2"), ("activation", "gelu")])).unwrap();
    let other = with(&[("heads", "4"), ("activation", "gelu"), ("eps", "1e-5")]);
    let message = store.open("", &other).unwrap_err().to_string();
    for part in [
        "the teacher's heads: `2` in the cache, `4` in this pipeline",
        "the teacher's eps: `nothing` in the cache, `1e-5` in this pipeline",
    ] {
        assert!(message.contains(part), "{message}");
    }
    assert!(!message.contains("activation"), "{message}");
}

// Without a lock both find no header, both write theirs, and both find the one that came last.
#[test]
fn of_two_that_open_an_empty_folder_for_different_teachers_one_is_refused() {
    for _ in 0..30 {
        let folder = tempfile::tempdir().unwrap();
        let together = std::sync::Barrier::new(2);
        let open = |weights: &str| {
            let card = Card { weights: weights.to_owned(), ..card() };
            together.wait();
            TeacherStore::at(folder.path()).open("", &card).is_ok()
        };
        let (first, second) = std::thread::scope(|scope| {
            let second = scope.spawn(|| open("bbbb"));
            (open("aaaa"), second.join().unwrap())
        });
        assert!(first != second, "both or neither opened it: {first}, {second}");
    }
}
