//! The recorded training run of `fixtures/trajectory`, and others of its layout: see the README there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use brew_core::prelude::TextBatch;
use brew_core::tch::{Kind, Tensor};
use safetensors::{Dtype, SafeTensors};

/// A file or folder of the recorded run.
pub fn trajectory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/trajectory").join(name)
}

/// The first batches of a recorded run in this folder: [`trajectory`] of nothing, or another's.
///
/// # Panics
/// If the folder has no such batches.
pub fn recorded_batches(folder: &Path, count: i64) -> Vec<TextBatch> {
    let columns = read_tensors(&folder.join("batches.safetensors"));
    let of = |number: i64| TextBatch {
        input_ids: columns["input_ids"].get(number),
        attention_mask: columns["attention_mask"].get(number),
        token_type_ids: None,
        labels: Some(columns["labels"].get(number)),
    };
    (0..count).map(of).collect()
}

/// The tensors of a safetensors file of float32 and int64.
///
/// # Panics
/// If the file is missing or has another dtype.
#[expect(clippy::expect_used, clippy::panic, reason = "a test without its golden values must fail")]
pub fn read_tensors(path: &Path) -> BTreeMap<String, Tensor> {
    let bytes = std::fs::read(path).expect("the fixture is there");
    let file = SafeTensors::deserialize(&bytes).expect("the fixture is a safetensors file");
    file.iter()
        .map(|(name, view)| {
            let kind = match view.dtype() {
                Dtype::F32 => Kind::Float,
                Dtype::I64 => Kind::Int64,
                other => panic!("the fixture has a tensor of {other:?}"),
            };
            let shape: Vec<i64> = view.shape().iter().map(|size| *size as i64).collect();
            let scalars: i64 = shape.iter().product();
            assert_eq!(view.data().len(), scalars as usize * kind.elt_size_in_bytes());
            (name.to_owned(), Tensor::from_data_size(view.data(), &shape, kind))
        })
        .collect()
}
