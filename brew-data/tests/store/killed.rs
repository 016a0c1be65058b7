//! A writer that is killed loses at most the rows since its last block.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::support::{add, compare, key, open};

/// The variable that tells the writer its folder.
const FOLDER: &str = "BREW_TEST_STORE";
const BLOCK_BYTES: usize = 6_000;
/// Rows of 12 + 64 x tokens bytes until a block is full, rounded up.
const BLOCK_ROWS: u32 = 32;

#[test]
#[ignore = "it is the writer that the next test starts and kills"]
fn a_writer_without_end() {
    let folder = std::env::var(FOLDER).unwrap();
    let store = open(Path::new(&folder), BLOCK_BYTES);
    let mut stdout = std::io::stdout();
    for row in 0.. {
        add(&*store, row..row + 1, 1);
        writeln!(stdout, "added {}", row + 1).unwrap();
        stdout.flush().unwrap();
    }
}

#[test]
fn a_killed_writer_loses_at_most_the_rows_since_its_last_block() {
    // Milliseconds after its first row: anywhere in a block, or in the writing of one.
    for moment in [0, 3, 7, 19, 31, 53, 71, 97, 131, 173] {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::a_writer_without_end", "--ignored", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        let count = |line: std::io::Result<String>| line.ok()?.strip_prefix("added ")?.parse::<u32>().ok();
        let mut added = lines.by_ref().find_map(count).unwrap();
        // Reading goes on meanwhile, or the writer would wait for the pipe.
        let reader = std::thread::spawn(move || lines.filter_map(count).last());
        std::thread::sleep(Duration::from_millis(moment));
        writer.kill().unwrap();
        writer.wait().unwrap();
        added = reader.join().unwrap().unwrap_or(added);

        let store = open(folder.path(), BLOCK_BYTES);
        let there = store.size().rows as u32;
        assert!(
            there + BLOCK_ROWS >= added,
            "killed after {moment} ms: {added} rows were added, {there} are there"
        );
        // What is there is the beginning, and right; the rest is added by whoever comes next.
        compare(&*store, &(0..there).collect::<Vec<_>>());
        assert!(!store.has(&key(there)));
        add(&*store, 0..added, 8);
        store.flush().unwrap();
        compare(&*store, &(0..added).collect::<Vec<_>>());
        eprintln!("killed after {moment} ms: {there} of {added} rows were there");
    }
}
