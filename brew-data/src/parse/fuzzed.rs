//! The fuzz targets over mutated files, for a second each: what `fuzz/` does for as long as one likes.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::builder::{ListBuilder, UInt32Builder};
use arrow::array::{ArrayRef, FixedSizeBinaryArray, LargeBinaryArray, RecordBatch, UInt32Array};
use arrow::datatypes::{Field, Schema};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::drive as targets;

/// What a mutation may put in: bytes that mean something to one reader or another.
const WORDS: [&[u8]; 16] = [
    b"\n",
    b"\r\n",
    b"\t",
    b"\"",
    b",",
    b"\n\n",
    b"{",
    b"}",
    b"[",
    b"null",
    b"1e999",
    b"\xff",
    b"\xef\xbb\xbf",
    b"9223372036854775808",
    b"\\ud800",
    b"-DOCSTART-",
];

/// Changes, removes, repeats and inserts bytes.
fn mutate(rng: &mut ChaCha8Rng, input: &mut Vec<u8>) {
    for _ in 0..=below(rng, 4) {
        let place = below(rng, input.len() + 1);
        match below(rng, 5) {
            0 if place < input.len() => input[place] ^= 1 << below(rng, 8),
            1 if place < input.len() => {
                let end = (place + 1 + below(rng, 16)).min(input.len());
                input.drain(place..end);
            }
            2 if place < input.len() => {
                let end = (place + 1 + below(rng, 64)).min(input.len());
                let piece = input[place..end].to_vec();
                let into = below(rng, input.len() + 1);
                input.splice(into..into, piece);
            }
            3 => {
                let word = WORDS[below(rng, WORDS.len())];
                input.splice(place..place, word.iter().copied());
            }
            _ if place < input.len() => input[place] = rng.next_u32() as u8,
            _ => input.truncate(place),
        }
    }
}

fn below(rng: &mut ChaCha8Rng, bound: usize) -> usize {
    rng.next_u32() as usize % bound
}

/// Drives a target with mutations of these files; which ones depends on the seed alone.
fn drive(target: fn(&[u8]), files: &[&[u8]], inputs: usize) {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for file in files {
        target(file);
    }
    for _ in 0..inputs {
        let mut input = files[below(&mut rng, files.len())].to_vec();
        mutate(&mut rng, &mut input);
        target(&input);
    }
}

/// How often a mutated file is tried; BREW_FUZZ multiplies it.
fn inputs(inputs: usize) -> usize {
    let times = std::env::var("BREW_FUZZ").ok().and_then(|times| times.parse().ok());
    inputs * times.unwrap_or(1_usize)
}

#[test]
fn no_separated_text_makes_the_reader_panic() {
    let files: [&[u8]; 3] = [
        b"\x01id,text,score\n1,\"a \"\"b\"\",\nc\",0.5\n2,d \"e\",\n3,,1\n",
        b"\x02id\ttext\r\n1\ta \"b\r\n\r\n2\t\xc3\xa9\r\n",
        b"\x05a;b\n\"1\";\"2\"\n",
    ];
    drive(targets::delimited, &files, inputs(20_000));
}

#[test]
fn no_conll_columns_make_the_reader_panic() {
    let files: [&[u8]; 3] = [
        b"\x00-DOCSTART- O\n\nEU NNP B-ORG\nrejects VBZ O\n\n# NN O\n",
        b"\x03# id\n1\ta b\tO\n2\tc\tB-X\n\n",
        b"\x04x y z\r\nu v w\r\n",
    ];
    drive(targets::conll, &files, inputs(20_000));
}

#[test]
fn no_lines_of_text_make_the_reader_panic() {
    let files: [&[u8]; 2] = [b"\xef\xbb\xbfa\r\n\n\xc3\xa9", b"one\ntwo\n"];
    drive(targets::text_lines, &files, inputs(5_000));
}

#[test]
fn no_json_lines_make_the_reader_panic() {
    let files: [&[u8]; 5] = [
        b"[{\"id\": 1, \"spans\": [{\"start\": 0}]},\n {\"id\": \"b\", \"n\": 18446744073709551616}]\n",
        b"{\n \"data\": [{\"paragraphs\": []}]\n}\n{\"data\": {}\n}",
        b"{\"a\": {\"b\": 1}}\n{\"a\": 1}\n{\"a\": {\"b\": [1, \"x\"]}}\n",
        b"{\"id\": 1, \"ids\": [[1, 2], []], \"who\": {\"n\": \"A\"}, \"ok\": true, \"x\": null}\n{\"id\": 2.5, \"who\": null}\n",
        b"{\"words\": [\"\\u00e9\", null]}\r\n\n{\"words\": []}",
    ];
    drive(targets::json_lines, &files, inputs(20_000));
    drive(targets::squad_keys, &files, inputs(5_000));
}

#[test]
fn no_arrow_stream_or_file_makes_the_reader_panic_or_read_outside() {
    let stream = include_bytes!("../../tests/fixtures/saved_by_datasets/data-00000-of-00002.arrow");
    let other = include_bytes!("../../tests/fixtures/saved_by_datasets/data-00001-of-00002.arrow");
    let mut file = Vec::new();
    let bytes = arrow::buffer::Buffer::from(&stream[..]);
    let index = super::ipc::Index::of(&bytes).unwrap();
    let mut writer = arrow::ipc::writer::FileWriter::try_new(&mut file, &index.schema).unwrap();
    index.decode(&bytes, |batch| writer.write(&batch).map_err(|error| error.to_string())).unwrap();
    writer.finish().unwrap();
    drop(writer);
    drive_quietly(targets::arrow, &[stream, other, &file], inputs(10_000));
}

/// As [`drive`]; the decoders' own panics are caught, and reports of them would fill the screen.
fn drive_quietly(target: fn(&[u8]), files: &[&[u8]], inputs: usize) {
    let (here, others) = (std::thread::current().id(), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().id() != here {
            others(panic);
        }
    }));
    let driven = std::panic::catch_unwind(|| drive(target, files, inputs));
    drop(std::panic::take_hook());
    if let Err(panic) = driven {
        std::panic::resume_unwind(panic);
    }
}

/// A block of three rows: two logits, and states of a row's tokens by width 2; with these sizes of the
/// last row's states.
fn block(sizes: [u32; 2]) -> Vec<u8> {
    let (mut shapes, mut of_logits) =
        (ListBuilder::new(UInt32Builder::new()), ListBuilder::new(UInt32Builder::new()));
    for shape in [[1, 2], [3, 2], sizes] {
        shapes.append_value(shape.map(Some));
        of_logits.append_value([Some(2)]);
    }
    let keys = FixedSizeBinaryArray::try_from_iter([[1_u8; 16], [2; 16], [3; 16]].into_iter()).unwrap();
    let states = LargeBinaryArray::from_vec(vec![&[1; 8], &[2; 24], &[3; 16]]);
    let columns: [(&str, ArrayRef); 7] = [
        ("key", Arc::new(keys)),
        ("tokens", Arc::new(UInt32Array::from(vec![1, 3, 2]))),
        ("length", Arc::new(UInt32Array::from(vec![4, 4, 4]))),
        ("hidden/2", Arc::new(states)),
        ("hidden/2.shape", Arc::new(shapes.finish())),
        ("logits/0", Arc::new(LargeBinaryArray::from_vec(vec![&[1; 4], &[2; 4], &[3; 4]]))),
        ("logits/0.shape", Arc::new(of_logits.finish())),
    ];
    let (fields, columns): (Vec<Field>, Vec<ArrayRef>) = columns
        .into_iter()
        .map(|(name, array)| {
            let dtype = if name == "logits/0" { "float16" } else { "float32" };
            let cut = if name == "hidden/2" { "0" } else { "" };
            let metadata = [("dtype", dtype), ("given", "float32"), ("cut", cut)];
            let metadata: HashMap<_, _> = metadata.map(|(key, value)| (key.into(), value.into())).into();
            (Field::new(name, array.data_type().clone(), false).with_metadata(metadata), array)
        })
        .unzip();
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    let mut writer = arrow::ipc::writer::FileWriter::try_new(Vec::new(), &rows.schema()).unwrap();
    writer.write(&rows).unwrap();
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

fn read(block: Vec<u8>) -> Result<super::store::block::Block, String> {
    let width = |dtype: &str| {
        [("float32", 4), ("float16", 2)]
            .into_iter()
            .find_map(|(name, width)| (name == dtype).then_some(width))
    };
    super::store::block::Block::read(&block.into(), width)
}

#[test]
fn no_file_of_a_teacher_store_makes_the_reader_panic_or_allocate_for_missing_values() {
    assert_eq!(read(block([2, 2])).unwrap().columns[0].shape(2), [2, 2]);
    let block = [vec![1], block([2, 2])].concat();
    // Choice 0, then keys without their checksum.
    let mut keys = super::store::keys::write(77, &[[1; 16], [2; 16]]);
    keys.truncate(keys.len() - 16);
    drive_quietly(targets::store, &[&block, &[vec![0], keys].concat()], inputs(10_000));
}

#[test]
fn sizes_that_are_not_those_of_a_rows_values_are_refused_whatever_they_multiply_to() {
    // 2^31 x 2^31 x 4 bytes is 0 in 64 bits; 0 x 2^32 values have no bytes either.
    for sizes in [[1 << 31, 1 << 31], [0, u32::MAX], [2, 3], [4, 2], [u32::MAX, u32::MAX]] {
        let refused = read(block(sizes)).unwrap_err();
        assert!(refused.contains("row 2 of `hidden/2` has 16 bytes"), "{refused}");
    }
}
