//! The race: TextBrewer, the loop an expert writes by hand in PyTorch, and brew on the same reviews, with the same
//! teacher, initial student, batches, and learning rates, one run after the other; and what each of brew's switches
//! gains.
//!
//! Reports are kept, so an interrupted race resumes.

#[cfg(test)]
mod dropout;
mod fair;
mod pythons;
mod sides;
mod table;
mod told;
mod ways;

use std::fs;

use fair::fair;
use pythons::Pythons;
use serde_json::Value;
use sides::Seed;
use table::table;
use ways::{Side, WAYS, Way};

use crate::bench::stage::{Kind, Stage};
use crate::failure::{AtPath, Result};
use crate::{setup, workspace};

/// The arguments of the race.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) seeds: u64,
    pub(crate) epochs: u64,
    pub(crate) rows: Option<u64>,
    pub(crate) threads: u64,
    pub(crate) fresh: bool,
}

/// One way with one seed, and what it reported.
struct Run {
    way: &'static Way,
    seed: u64,
    measured: Value,
}

/// `cargo xtask bench race`.
pub(crate) fn command(asked: Asked) -> Result<()> {
    setup::run()?;
    let folder = workspace::runs("race");
    if asked.fresh && folder.exists() {
        fs::remove_dir_all(&folder).at("remove", &folder)?;
    }
    fs::create_dir_all(&folder).at("create", &folder)?;
    let teacher = Stage::new(Kind::Teacher, 0, &folder, &[]);
    if !teacher.is_done()? {
        teacher.run()?;
    }
    let pythons = Pythons::found(&folder);
    let mut runs = Vec::new();
    for number in 0..asked.seeds {
        let seed = Seed { folder: &folder, number, asked };
        seed.prepare()?;
        for way in turns(number) {
            if let Some(measured) = seed.run(way, &pythons)? {
                runs.push(Run { way, seed: number, measured });
            }
        }
        fair(&runs)?;
    }
    println!("\n{}", table(&runs, asked)?);
    Ok(())
}

/// The ways that run with a seed, side by side in an order that is another one with the next seed: a machine may be
/// slower at the end of an hour than at its beginning.
fn turns(seed: u64) -> Vec<&'static Way> {
    let mut sides = [Side::TextBrewer, Side::Expert, Side::Brew];
    sides.rotate_left(usize::try_from(seed % 3).unwrap_or(0));
    let ways = sides.iter().flat_map(|side| WAYS.iter().filter(move |way| way.side == *side));
    ways.filter(|way| seed == 0 || way.all_seeds).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_side_is_first_with_one_of_three_seeds_and_a_cache_is_filled_before_it_is_read() {
        let sides = |seed| {
            let mut sides: Vec<Side> = turns(seed).iter().map(|way| way.side).collect();
            sides.dedup();
            sides
        };
        assert_eq!(sides(0), [Side::TextBrewer, Side::Expert, Side::Brew]);
        assert_eq!(sides(1), [Side::Expert, Side::Brew, Side::TextBrewer]);
        assert_eq!(sides(2), [Side::Brew, Side::TextBrewer, Side::Expert]);
        assert_eq!(sides(3), sides(0));
        for seed in 0..2 {
            let keys: Vec<&str> = turns(seed).iter().map(|way| way.key).collect();
            let place = |key| keys.iter().position(|known| *known == key);
            assert!(place("cache").unwrap() < place("rows").unwrap(), "{keys:?}");
        }
        assert_eq!(turns(0).len(), WAYS.len());
        assert_eq!(turns(1).len(), 4);
    }
}
