//! Rows whose values are a function of their number.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use brew_core::cache::{CachedRows, Card, KeptFeature, Payload, Row, RowKey, RowPart, TeacherCache};
use brew_core::tch::Kind;
use brew_data::TeacherStore;

/// Bytes of values in the longest row.
pub(crate) const ROW: usize = 4 * (3 + 8 * 16);

pub(crate) fn card() -> Card {
    Card {
        weights: "aaaa".to_owned(),
        precision: "Float".to_owned(),
        adaptor: "tests::Adaptor".to_owned(),
        inputs: vec!["input_ids Int64 (list)".to_owned()],
        payload: Payload::whole(),
        keeps: [
            KeptFeature { role: "logits".to_owned(), layer: None, padding: true },
            KeptFeature { role: "hidden".to_owned(), layer: Some(2), padding: false },
        ]
        .into(),
        ..Card::default()
    }
}

pub(crate) fn open(folder: &Path, block_bytes: usize) -> Arc<dyn CachedRows> {
    TeacherStore::at(folder).block_bytes(block_bytes).open("", &card()).unwrap()
}

pub(crate) fn key(row: u32) -> RowKey {
    let mut key = [0; 16];
    key[..4].copy_from_slice(&row.to_le_bytes());
    RowKey(key)
}

/// 3 logits and 1 to 8 states of 16 numbers.
pub(crate) fn row(number: u32) -> Row<'static> {
    let tokens = 1 + (number % 8) as usize;
    let part = |name: &'static str, shape: Vec<usize>, cut: &'static [usize]| {
        let values = (0..shape.iter().product::<usize>()).map(|place| number as f32 + place as f32 / 1000.0);
        RowPart {
            name: Cow::Borrowed(name),
            kind: Kind::Float,
            given: Kind::Float,
            shape,
            cut: Cow::Borrowed(cut),
            bytes: Cow::Owned(values.flat_map(f32::to_le_bytes).collect()),
        }
    };
    Row {
        tokens,
        length: 8,
        parts: vec![part("logits/0", vec![3], &[]), part("hidden/2", vec![tokens, 16], &[0])],
    }
}

/// Adds these rows in batches.
pub(crate) fn add(rows: &dyn CachedRows, numbers: std::ops::Range<u32>, batch: usize) {
    let numbers: Vec<u32> = numbers.collect();
    for batch in numbers.chunks(batch) {
        rows.add(&mut batch.iter().map(|number| (key(*number), row(*number)))).unwrap();
    }
}

/// Reads rows and compares each with what was added.
pub(crate) fn compare(rows: &dyn CachedRows, numbers: &[u32]) {
    let keys: Vec<RowKey> = numbers.iter().map(|number| key(*number)).collect();
    let mut shown = 0;
    let mut show = |position: usize, found: &Row<'_>| {
        assert_eq!(*found, row(numbers[position]), "row {}", numbers[position]);
        shown += 1;
        Ok(())
    };
    rows.read(&keys, &mut show).unwrap();
    assert_eq!(shown, numbers.len());
}
