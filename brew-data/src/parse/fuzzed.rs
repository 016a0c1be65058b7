//! The fuzz targets over mutated files, for a second each: what `fuzz/` does for as long as one likes.

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
fn no_json_lines_make_the_reader_panic() {
    let files: [&[u8]; 2] = [
        b"{\"id\": 1, \"ids\": [[1, 2], []], \"who\": {\"n\": \"A\"}, \"ok\": true, \"x\": null}\n{\"id\": 2.5, \"who\": null}\n",
        b"{\"words\": [\"\\u00e9\", null]}\r\n\n{\"words\": []}",
    ];
    drive(targets::json_lines, &files, inputs(20_000));
}

#[test]
fn no_arrow_stream_or_file_makes_the_reader_panic_or_read_outside() {
    let stream = include_bytes!("../../tests/fixtures/saved_by_datasets/data-00000-of-00002.arrow");
    let other = include_bytes!("../../tests/fixtures/saved_by_datasets/data-00001-of-00002.arrow");
    let mut file = Vec::new();
    let bytes = arrow_buffer::Buffer::from(&stream[..]);
    let index = super::arrow::Index::of(&bytes).unwrap();
    let mut writer = arrow_ipc::writer::FileWriter::try_new(&mut file, &index.schema).unwrap();
    index.decode(&bytes, |batch| writer.write(&batch).map_err(|error| error.to_string())).unwrap();
    writer.finish().unwrap();
    drop(writer);
    // The decoders' own panics are caught; reports of them would fill the screen.
    let (here, others) = (std::thread::current().id(), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().id() != here {
            others(panic);
        }
    }));
    let driven = std::panic::catch_unwind(|| drive(targets::arrow, &[stream, other, &file], inputs(10_000)));
    drop(std::panic::take_hook());
    if let Err(panic) = driven {
        std::panic::resume_unwind(panic);
    }
}
