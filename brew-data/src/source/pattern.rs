//! Files whose names match a pattern such as `data/train-*.parquet`.

use std::path::{Component, Path, PathBuf};

use super::storage::Storage;
use crate::error::Result;

/// Whether a path is a pattern.
pub(super) fn has_pattern(path: &Path) -> bool {
    path.to_string_lossy().contains(['*', '?'])
}

/// The files whose names match: `*` stands for any letters of one name, `?` for one.
pub(super) fn matching(storage: &dyn Storage, pattern: &Path) -> Result<Vec<PathBuf>> {
    let parts: Vec<Component<'_>> = pattern.components().collect();
    let mut found = vec![PathBuf::new()];
    for (index, part) in parts.iter().enumerate() {
        let part = part.as_os_str();
        let text = part.to_string_lossy();
        if !text.contains(['*', '?']) {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        let mut next = Vec::new();
        for folder in found {
            let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
            // What is no folder has nothing in it that could match.
            for name in storage.list(listed).unwrap_or_default() {
                let name = name.file_name().unwrap_or_default();
                if matches(&text, &name.to_string_lossy()) {
                    next.push(folder.join(name));
                }
            }
        }
        found = next;
        if found.is_empty() && index + 1 < parts.len() {
            break;
        }
    }
    found.retain(|path| storage.open(path).is_ok());
    Ok(found)
}

/// Whether a name matches a pattern.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    // A leading point hides a file from patterns that do not have one.
    if name.first() == Some(&'.') && pattern.first() != Some(&'.') {
        return false;
    }
    // Where to go on when the last star has to stand for one letter more.
    let (mut at, mut in_name, mut star) = (0, 0, None);
    while in_name < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, in_name));
                at += 1;
            }
            Some(&letter) if letter == '?' || letter == name[in_name] => {
                at += 1;
                in_name += 1;
            }
            _ => match star {
                Some((place, taken)) => {
                    star = Some((place, taken + 1));
                    at = place + 1;
                    in_name = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|&letter| letter == '*')
}
