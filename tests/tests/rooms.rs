//! Imports run down: ARCHITECTURE.md lists the rooms of each crate, lowest first, and no room uses one above it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failure is a panic")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Files of a crate that are not rooms: its front page, what macros expand to, and tests.
const NO_ROOMS: [&str; 3] = ["lib", "__private", "tests"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The rooms that the page lists under `### Rooms of <crate>`, lowest first.
fn listed(page: &str, name: &str) -> Vec<String> {
    let heading = format!("### Rooms of {name}, lowest first\n");
    let section = page.split(&heading).nth(1).unwrap_or_else(|| panic!("ARCHITECTURE.md lacks `{heading}`"));
    let rows = section.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let rows = rows.take_while(|line| line.starts_with('|'));
    rows.map(|row| row.split('`').nth(1).unwrap().to_owned()).collect()
}

/// Every source file of a crate, with the room it is in; modules that are tests are left out.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let (mut found, mut tests) = (Vec::new(), Vec::new());
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                for rest in fs::read_to_string(&path).unwrap().split("#[cfg(test)]\nmod ").skip(1) {
                    let module = path.parent().unwrap().join(rest.split([';', ' ']).next().unwrap());
                    tests.extend([module.with_extension("rs"), module]);
                }
                let inside = path.strip_prefix(folder).unwrap();
                let room = inside.iter().next().unwrap().to_string_lossy();
                found.push((path.clone(), room.trim_end_matches(".rs").to_owned()));
            }
        }
    }
    found.sort();
    found.retain(|(path, room)| {
        !NO_ROOMS.contains(&room.as_str()) && !tests.iter().any(|test| path.starts_with(test))
    });
    found
}

/// The rooms that a file's code names, each with its line; its tests at the end may use any.
fn used(text: &str) -> Vec<(usize, String)> {
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or(text);
    let mut found = Vec::new();
    for (number, line) in code.lines().enumerate() {
        if line.trim_start().starts_with("//") {
            continue;
        }
        for (at, _) in line.match_indices("crate::") {
            let before = line[..at].chars().next_back();
            if before.is_some_and(|before| before.is_alphanumeric() || "_$".contains(before)) {
                continue;
            }
            let rest = &line[at + "crate::".len()..];
            let end = rest.find(|next: char| !(next.is_alphanumeric() || next == '_')).unwrap_or(rest.len());
            found.push((number + 1, rest[..end].to_owned()));
        }
    }
    found
}

/// Where a crate differs from the page.
fn problems(page: &str, name: &str) -> Vec<String> {
    let rooms = listed(page, name);
    let height = |room: &str| rooms.iter().position(|listed| listed == room);
    let folder = root().join(name).join("src");
    let mut problems = Vec::new();
    let mut there = BTreeSet::new();
    for (path, room) in sources(&folder) {
        there.insert(room.clone());
        let Some(own) = height(&room) else { continue };
        let text = fs::read_to_string(&path).unwrap();
        for (line, other) in used(&text) {
            let place = format!("{}:{line}", path.strip_prefix(root()).unwrap().display());
            match height(&other) {
                Some(height) if height > own => {
                    problems.push(format!("{place}: `{room}` uses `{other}`, which stands above it"));
                }
                // Macros are known to the whole crate.
                None if !text.contains(&format!("macro_rules! {other}")) => {
                    problems.push(format!("{place}: `crate::{other}` does not say which room it uses"));
                }
                _ => {}
            }
        }
    }
    problems.extend(
        (there.iter().filter(|room| height(room).is_none()))
            .map(|room| format!("{name}/src/{room} is in no list of ARCHITECTURE.md")),
    );
    problems.extend(
        (rooms.iter().filter(|room| !there.contains(*room)))
            .map(|room| format!("ARCHITECTURE.md lists `{room}`, which {name} does not have")),
    );
    problems
}

#[test]
fn no_room_uses_one_that_stands_above_it() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let found: Vec<String> =
        ["brew-macros", "brew-core", "brew-data"].iter().flat_map(|name| problems(&page, name)).collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn an_import_that_runs_up_is_found_wherever_it_stands() {
    let text = "//! See [`x`](crate::train).\nuse crate::role::Role;\nfn f() -> crate::train::Trainer {}\n\
                use brew_crate::plan;\n#[cfg(test)]\nmod tests {\n    use crate::train::Trainer;\n}\n";
    assert_eq!(used(text), [(2, "role".to_owned()), (3, "train".to_owned())]);
    let page = "### Rooms of house, lowest first\n\n| room | what |\n|---|---|\n| `role` | a |\n| `train` | b |\n\nMore.\n";
    assert_eq!(listed(page, "house"), ["role", "train"]);
}
