//! What all sides are told of a seed (tokens, batches, learning rates), which stays the same while a race is resumed.

use std::fs;
use std::path::Path;

use crate::failure::{AtPath, Failure, Result};

/// Puts a new file in the place of the one that earlier runs read, if there is one.
///
/// # Errors
///
/// If the two differ: reports of earlier runs would not compare with new ones.
pub(super) fn keep(now: &Path, told: &Path) -> Result<()> {
    if told.exists() && fs::read(told).at("read", told)? != fs::read(now).at("read", now)? {
        return Err(Failure::new(format!(
            "`{}` holds other tokens, batches, or learning rates than this race would train with: repeat the arguments, \
             the data, and the code of the race before, or add --fresh to start over",
            told.display()
        )));
    }
    fs::rename(now, told).at("rename", now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_race_whose_batches_changed_is_not_resumed() {
        let folder = std::env::temp_dir().join(format!("brew-xtask-{}-told", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (now, told) = (folder.join("told-0.new.json"), folder.join("told-0.json"));
        let prepared = |text: &str| {
            fs::write(&now, text).unwrap();
            keep(&now, &told)
        };
        assert_eq!(prepared("[1, 2]"), Ok(()));
        assert_eq!(prepared("[1, 2]"), Ok(()));
        let refused = prepared("[2, 1]").unwrap_err().to_string();
        assert!(refused.contains("told-0.json` holds other tokens, batches, or learning rates"), "{refused}");
        assert_eq!(fs::read_to_string(&told).unwrap(), "[1, 2]", "what the kept reports were trained on");
        fs::remove_dir_all(&folder).unwrap();
    }
}
