//! A changed byte is noticed, wherever it is, and costs the rows of its block alone.

use std::fs;
use std::path::{Path, PathBuf};

use brew_core::cache::{CachedRows, Recalled, TeacherCache as _};
use brew_core::tch::Device;
use brew_data::TeacherStore;

use super::support::{add, card, compare, key, open};

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|found| found == extension));
    files.sort();
    files
}

fn present(store: &dyn CachedRows, rows: u32) -> Vec<u32> {
    (0..rows).filter(|row| store.has(&key(*row))).collect()
}

/// A store of 24 rows in a folder, in blocks of a few; the block files.
fn written(folder: &Path) -> Vec<PathBuf> {
    let store = open(folder, 4_000);
    add(&*store, 0..24, 8);
    store.flush().unwrap();
    files(folder, "arrow")
}

#[test]
fn a_flipped_byte_anywhere_in_a_block_is_noticed_by_file_when_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let blocks = written(folder.path());
    assert!(blocks.len() >= 2, "{blocks:?}");
    let (block, keys) = (&blocks[0], blocks[0].with_extension("keys"));
    let (whole, whole_keys) = (fs::read(block).unwrap(), fs::read(&keys).unwrap());
    for position in (0..whole.len()).step_by(97).chain([whole.len() - 1]) {
        let mut flipped = whole.clone();
        flipped[position] ^= 1;
        fs::write(block, &flipped).unwrap();
        fs::write(&keys, &whole_keys).unwrap();
        let store = open(folder.path(), 4_000);
        let mut refused = Vec::new();
        for row in 0..24 {
            refused.extend(store.read(&[key(row)], &mut |_, _| Ok(())).err().map(|error| error.to_string()));
        }
        let (first, rest) = refused.split_first().unwrap();
        assert!(first.contains(&block.display().to_string()), "byte {position}: {first}");
        assert!(first.contains("this block of the teacher cache is corrupt: its checksum is"), "{first}");
        // The block is put aside: its other rows are not there any more, those of other blocks are.
        assert!(rest.iter().all(|message| message.contains("is not in the teacher cache")), "{rest:?}");
        let left = present(&*store, 24);
        assert_eq!(left.len(), 24 - refused.len());
        compare(&*store, &left);
        // They are computed again, and kept again.
        add(&*store, 0..24, 8);
        store.flush().unwrap();
        compare(&*store, &(0..24).collect::<Vec<_>>());
        drop(store);
        // As it was, without what was written in place of the damaged block.
        let _ = fs::remove_file(block.with_extension("corrupt"));
        for extra in files(folder.path(), "arrow").iter().filter(|file| !blocks.contains(file)) {
            fs::remove_file(extra).unwrap();
            fs::remove_file(extra.with_extension("keys")).unwrap();
        }
    }
}

#[test]
fn a_block_that_is_truncated_or_lacks_keys_is_detected_when_the_cache_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let blocks = written(folder.path());
    let rows = present(&*open(folder.path(), 4_000), 24).len();
    // A writer that was killed between a block and its keys: the block is taken in.
    fs::remove_file(blocks[0].with_extension("keys")).unwrap();
    let store = open(folder.path(), 4_000);
    assert_eq!(store.size().rows, rows);
    assert!(blocks[0].with_extension("keys").exists());
    compare(&*store, &(0..24).collect::<Vec<_>>());
    drop(store);
    let whole = fs::read(&blocks[1]).unwrap();
    fs::write(&blocks[1], &whole[..whole.len() / 2]).unwrap();
    let store = open(folder.path(), 4_000);
    let warnings = store.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains(&blocks[1].display().to_string()) && warnings[0].contains("was written with"),
        "{warnings:?}"
    );
    compare(&*store, &present(&*store, 24));
    assert!(store.size().rows < rows);
}

/// Flips, cuts and repeats bytes; which ones depends on the number alone.
fn damaged(bytes: &[u8], number: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let place = number.wrapping_mul(7919) % bytes.len();
    match number % 3 {
        0 => bytes[place] ^= 1 << (number % 8),
        1 => bytes.truncate(place),
        _ => bytes.extend_from_within(place..),
    }
    bytes
}

#[test]
fn no_damage_to_a_header_or_to_a_block_with_a_checksum_that_fits_makes_a_reader_panic() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 1 << 20);
    add(&*store, 0..24, 8);
    store.flush().unwrap();
    drop(store);
    let header = folder.path().join("cache.json");
    let whole = fs::read(&header).unwrap();
    let mut refused = 0;
    for number in 0..600 {
        fs::write(&header, damaged(&whole, number)).unwrap();
        if let Err(error) = TeacherStore::at(folder.path()).open("", &card()) {
            assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");
            refused += 1;
        }
    }
    assert!(refused > 500, "{refused} of 600 damaged headers were refused");
    fs::write(&header, vec![b' '; 2 << 20]).unwrap();
    let message = TeacherStore::at(folder.path()).open("", &card()).unwrap_err().to_string();
    assert!(message.contains("this is not a teacher cache header: it has 2097152 bytes"), "{message}");
    fs::write(&header, &whole).unwrap();

    // A block that was written by somebody else: its name is its checksum, whatever it holds.
    let block = files(folder.path(), "arrow").remove(0);
    let whole = fs::read(&block).unwrap();
    fs::remove_file(block.with_extension("keys")).unwrap();
    fs::remove_file(&block).unwrap();
    let keeps: Vec<_> = card().keeps.into_iter().collect();
    for number in 0..600 {
        let bytes = damaged(&whole, number);
        let path = folder.path().join(format!("{}.arrow", blake3::hash(&bytes).to_hex()));
        fs::write(&path, bytes).unwrap();
        let store = open(folder.path(), 1 << 20);
        for row in (0..24).filter(|row| store.has(&key(*row))) {
            // Values may have changed; that they are read at all is what is looked at.
            drop(Recalled::read(&*store, &keeps, &[key(row)], 8, Device::Cpu));
        }
        drop(store);
        let _ = fs::remove_file(&path);
        let _ = fs::remove_file(path.with_extension("keys"));
    }
}
