//! Everything that changes in a run, part by part: a run that is interrupted and resumed by new parts equals an
//! uninterrupted one to the last bit.
//!
//! `parts.rs` has a row for each part. State without a row is detected: in the sources by what every stateful part
//! contains, and in the catalogue of losses by what each loss says it keeps.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod compared;
mod parts;
mod pipelines;
mod run;
mod sources;

use brew_core::loss::catalogue::{self, KeptKind};
use tests::alone;

use self::parts::{FIXED, Part, parts};
use self::run::{Outcome, STOP};

#[test]
fn every_part_resumes_to_the_last_bit() {
    let _alone = alone();
    for Part { name, kept, run, .. } in parts() {
        let (whole, cut) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let tried = |folder, stop| run(folder, stop).map_err(|error| error.to_string());
        assert_eq!(tried(whole.path(), None), Ok(()), "{name}");
        let stopped = tried(cut.path(), Some(STOP)).unwrap_err();
        assert!(stopped.contains("killed"), "{name}: {stopped}");
        assert_eq!(Outcome::newest(cut.path()), STOP, "{name}: it stops in the middle");
        assert_eq!(tried(cut.path(), None), Ok(()), "{name}");
        let (whole, cut) = (Outcome::of(whole.path()), Outcome::of(cut.path()));
        whole.assert_equal(&cut, name);
        for what in kept {
            let moves = whole.moves(what);
            assert_ne!(moves, FIXED.contains(what), "{name}: `{what}` moves: {moves}");
        }
    }
}

#[test]
fn what_keeps_state_in_the_sources_has_a_row() {
    let rows = parts();
    let missing: Vec<String> = sources::with_state()
        .into_iter()
        .filter(|(file, what)| !rows.iter().any(|part| part.file == file && part.covers(what)))
        .filter(|(file, _)| !sources::NO_PARTS.iter().any(|(known, _)| known == file))
        .map(|(file, what)| format!("{file}: {what}"))
        .collect();
    assert_eq!(missing, [""; 0], "each needs a row in parts.rs");
    for part in &rows {
        assert!(sources::exists(part.file), "the row of {} names a file that is not there", part.name);
    }
}

#[test]
fn a_loss_that_learns_or_carries_something_has_a_row_and_says_so() {
    let _alone = alone();
    let rows = parts();
    for entry in catalogue::entries() {
        let kept: Vec<&str> =
            entry.keeps.iter().filter(|kept| kept.kind != KeptKind::Draw).map(|kept| kept.name).collect();
        for name in &kept {
            let ending = format!(".{name}");
            let found = rows.iter().any(|part| {
                part.name.starts_with(entry.name) && part.kept.iter().any(|kept| kept.ends_with(&ending))
            });
            assert!(found, "`{}` keeps `{name}`, and no row shows that it goes on", entry.name);
        }
        // Options without a default keep a loss from being made here; those have their rows by `keeps`.
        let Ok(mut loss) = catalogue::make(entry.name, &serde_json::Map::new()) else { continue };
        let place = brew_core::loss::Place {
            kind: brew_core::prelude::Kind::Double,
            device: brew_core::prelude::Device::Cpu,
            seed: 1,
        };
        let Some(learns) = loss.learns() else {
            assert_eq!(
                kept, [""; 0],
                "`{}` learns nothing, and its row says that it keeps something",
                entry.name
            );
            continue;
        };
        if learns.prepare(&place).is_err() {
            continue;
        }
        let learned = learns.parameters();
        let carried = learns.state().unwrap();
        let found = learned.iter().map(|(name, _)| name).chain(carried.keys().map(String::as_str));
        for name in found {
            assert!(kept.contains(&name), "`{}` keeps `{name}`, which its row does not say", entry.name);
        }
    }
}
