//! Calling `sentiment`, the program behind the demo and the benchmarks, on the data shipped here.

use std::path::Path;

use crate::failure::Result;
use crate::{process, workspace};

/// Builds and runs `sentiment` with `arguments`, followed by those `defaults` (pairs of a flag and its value) whose flags
/// are not among them.
pub(crate) fn run(arguments: &[String], defaults: &[(&str, String)]) -> Result<()> {
    let mut cargo = workspace::cargo();
    cargo.args(["run", "-p", "examples", "--bin", "sentiment", "--"]);
    cargo.args(with_defaults(arguments, defaults));
    process::run(&mut cargo)
}

/// Where `sentiment` finds the pretrained model and the reviews.
pub(crate) fn sources() -> [(&'static str, String); 2] {
    [("--minilm", shown(&workspace::minilm())), ("--data", shown(&workspace::movie_reviews()))]
}

/// A path relative to the repository's root, where `sentiment` runs.
pub(crate) fn shown(path: &Path) -> String {
    path.strip_prefix(workspace::root()).unwrap_or(path).display().to_string()
}

/// A flag given twice would be an error, so the user's value wins.
fn with_defaults(arguments: &[String], defaults: &[(&str, String)]) -> Vec<String> {
    let mut all = arguments.to_vec();
    for (flag, value) in defaults {
        let is_given = |argument: &String| argument.split('=').next() == Some(*flag);
        if !arguments.iter().any(is_given) {
            all.extend([(*flag).to_owned(), value.clone()]);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(arguments: &[&str]) -> String {
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        with_defaults(&arguments, &[("--limit", "640".into()), ("--stage", "all".into())]).join(" ")
    }

    #[test]
    fn defaults_stand_where_the_person_says_nothing() {
        assert_eq!(all(&[]), "--limit 640 --stage all");
        assert_eq!(all(&["--limits", "3"]), "--limits 3 --limit 640 --stage all");
    }

    #[test]
    fn the_persons_own_value_wins_in_both_spellings() {
        assert_eq!(all(&["--limit", "50"]), "--limit 50 --stage all");
        assert_eq!(all(&["--limit=50", "--stage", "plain"]), "--limit=50 --stage plain");
    }

    #[test]
    fn paths_are_shown_from_the_root_of_the_repository() {
        let [_, (_, data)] = sources();
        assert_eq!(data, "data/movie_reviews.parquet");
    }
}
