//! A written copy means what the original meant: what two bytes are, what classes are called, what a
//! dictionary says. The files are pyarrow's (`fixtures/carried.py`), and so are the values.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, DictionaryArray, ListArray, RecordBatch, StringArray, UInt16Array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Int8Type, Schema};
use brew_data::{Dataset, Pieces, Tokenize, Tokenizer, Words};
use tempfile::tempdir;

use crate::batches::{Scores, array, epoch};
use crate::python;

fn carried(name: &str) -> Dataset {
    Dataset::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/carried").join(name)).unwrap()
}

fn tokenizer() -> Tokenizer {
    Tokenizer::from_folder(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tokenize/bert"))
        .unwrap()
}

/// The table, and what is read of its copies: an Arrow file, a Parquet file, the rows of another order, a
/// table in which rows are in use twice and a column was added.
pub(crate) fn copies(table: &Dataset, folder: &Path) -> Vec<Dataset> {
    let (arrow, parquet): (PathBuf, PathBuf) = (folder.join("copy.arrow"), folder.join("copy.parquet"));
    table.write_arrow(&arrow).unwrap();
    table.write_parquet(&parquet).unwrap();
    let again = Dataset::open(&parquet).unwrap();
    again.write_arrow(folder.join("again.arrow")).unwrap();
    let rows: Vec<usize> = (0..table.rows()).collect();
    let twice: Vec<usize> = rows.iter().copied().chain([0]).collect();
    let more = table.select(&twice).unwrap().with_integers("more", vec![0; twice.len()]).unwrap();
    vec![
        table.clone(),
        Dataset::open(&arrow).unwrap(),
        again,
        Dataset::open(folder.join("again.arrow")).unwrap(),
        more.select(&rows).unwrap(),
    ]
}

const SCORES: [f64; 4] = [1.0, -2.5, 3.0, 0.15625];

#[test]
fn two_bytes_mean_the_same_number_in_every_copy_and_to_every_reader() {
    let folder = tempdir().unwrap();
    for copy in copies(&carried("bf16.arrow"), folder.path()) {
        assert_eq!(copy.floats("scores").unwrap(), SCORES);
        let batch = epoch(&copy.batches::<Scores>(4), 0).remove(0).scores.unwrap();
        assert_eq!(Vec::<f64>::try_from(batch).unwrap(), SCORES);
        let whole = copy.integers("scores").unwrap_err().to_string();
        assert!(
            whole.ends_with("cannot be read as integers: its metadata `brew.dtype` says `bfloat16`"),
            "{whole}"
        );
    }
}

#[test]
fn what_two_bytes_mean_is_carried_beside_tokens() {
    let folder = tempdir().unwrap();
    let scores = carried("bf16.arrow");
    let texts = ["a", "b", "c", "d"];
    let bits = UInt16Array::from(vec![16256, 49184, 16448, 15904]);
    let fields = vec![Field::new("text", DataType::Utf8, false), scores.schema().field(0).clone()];
    let columns: Vec<ArrayRef> = vec![array(StringArray::from(texts.to_vec())), array(bits)];
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    let rows = Dataset::from_record_batches("rows", vec![batch]).unwrap();
    let settings = Tokenize::text("text", 8).carry(&["scores"]);
    assert_eq!(
        rows.tokenize(&tokenizer(), &settings, folder.path()).unwrap().floats("scores").unwrap(),
        SCORES
    );
}

#[test]
fn classes_keep_their_names_in_every_copy() {
    let folder = tempdir().unwrap();
    let names = Some(vec!["negative".to_owned(), "positive".to_owned()]);
    for copy in copies(&carried("classes.parquet"), folder.path()) {
        assert_eq!(copy.class_names("label").unwrap(), names);
        assert_eq!(copy.integers("label").unwrap(), [1, 0]);
    }
    let settings = Tokenize::text("text", 8).carry(&["label"]);
    let tokens = carried("classes.parquet").tokenize(&tokenizer(), &settings, folder.path()).unwrap();
    for tokens in copies(&tokens, folder.path()) {
        assert_eq!(tokens.class_names("label").unwrap(), names);
        assert_eq!(tokens.class_names("input_ids").unwrap(), None);
    }
}

/// The classes of words are those of the tokens that stand for them.
#[test]
fn labels_made_of_the_labels_of_words_keep_their_names() {
    let folder = tempdir().unwrap();
    let saved = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/saved_by_datasets");
    let saved = Dataset::open(saved).unwrap().select(&[0, 2]).unwrap();
    let words = [vec!["a", "b", "c"], vec!["a", "b"]];
    let mut builder = arrow::array::builder::ListBuilder::new(arrow::array::builder::StringBuilder::new());
    for row in words {
        row.iter().for_each(|word| builder.values().append_value(word));
        builder.append(true);
    }
    let metadata = saved.schema().metadata().clone();
    let tags: ArrayRef = array(ListArray::from_iter_primitive::<arrow::datatypes::Int64Type, _, _>([
        Some(vec![Some(0), Some(1), Some(2)]),
        Some(vec![Some(0), Some(0)]),
    ]));
    let words: ArrayRef = array(builder.finish());
    let fields = vec![
        Field::new("words", words.data_type().clone(), false),
        Field::new("tags", tags.data_type().clone(), false),
    ];
    let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
    let rows =
        Dataset::from_record_batches("words", vec![RecordBatch::try_new(schema, vec![words, tags]).unwrap()]);
    let settings = Tokenize::words(Words::of("words").labels("tags", Pieces::First), 16).carry(&["tags"]);
    let tokens = rows.unwrap().tokenize(&tokenizer(), &settings, folder.path()).unwrap();
    let names = Some(["O", "B-PER", "I-PER"].map(str::to_owned).to_vec());
    assert_eq!(tokens.class_names("labels").unwrap(), names);
    assert_eq!(tokens.class_names("tags").unwrap(), names);
}

/// Other numbers under the same name are not of the old classes any more.
#[test]
fn a_column_that_is_replaced_has_lost_the_names_of_its_classes() {
    let folder = tempdir().unwrap();
    let flipped = carried("classes.parquet").with_integers("label", [0, 1]).unwrap();
    for copy in copies(&flipped, folder.path()) {
        assert_eq!(copy.class_names("label").unwrap(), None);
    }
    let other = carried("classes.parquet").with_integers("score", [0, 1]).unwrap();
    assert_eq!(other.class_names("label").unwrap().map(|names| names.len()), Some(2));
}

#[test]
fn a_dictionary_that_is_replaced_within_a_stream_is_copied_as_its_values() {
    let folder = tempdir().unwrap();
    let stream = carried("two_batches.arrow");
    // By hand: pos and neg in turn, 512 times; then neg, neutral.
    let labels: Vec<&str> = ["pos", "neg"].into_iter().cycle().take(1024).chain(["neg", "neutral"]).collect();
    for copy in copies(&stream, folder.path()) {
        assert_eq!(copy.rows(), 1026);
        assert_eq!(copy.texts("label").unwrap(), labels);
    }
    let settings = Tokenize::text("text", 8).carry(&["label"]);
    let tokens = stream.tokenize(&tokenizer(), &settings, folder.path()).unwrap();
    assert_eq!(tokens.texts("label").unwrap(), labels);
}

fn words(of: &[&str]) -> ArrayRef {
    array(of.iter().copied().collect::<DictionaryArray<Int8Type>>())
}

/// Each shard has a dictionary of its own, and all together more words than a key of 8 bits can number.
#[test]
fn shards_with_dictionaries_of_their_own_are_one_table_that_can_be_written() {
    let folder = tempdir().unwrap();
    let all: Vec<String> = (0..300).map(|number| format!("word {number}")).collect();
    for (shard, words_) in all.chunks(100).enumerate() {
        let words_: Vec<&str> = words_.iter().map(String::as_str).collect();
        let shard = folder.path().join(format!("shard-{shard}.arrow"));
        let batch = RecordBatch::try_from_iter([("word", words(&words_))]).unwrap();
        let file = std::fs::File::create(shard).unwrap();
        let mut writer = arrow::ipc::writer::FileWriter::try_new(file, &batch.schema()).unwrap();
        writer.write(&batch).unwrap();
        writer.finish().unwrap();
    }
    let out = tempdir().unwrap();
    for copy in copies(&Dataset::open(folder.path()).unwrap(), out.path()) {
        assert_eq!(copy.texts("word").unwrap(), all);
    }
}

/// Lists and structs of dictionaries, of which the second batch has another one.
#[test]
fn dictionaries_within_lists_and_structs_are_copied_as_their_values() {
    let batch = |of: [&str; 3]| {
        let item = Arc::new(Field::new_list_field(words(&of).data_type().clone(), true));
        let lists = ListArray::new(item, OffsetBuffer::from_lengths([2, 0, 1]), words(&of), None);
        let member = Arc::new(Field::new("word", words(&of).data_type().clone(), true));
        let outer = arrow::array::StructArray::from(vec![(member, words(&of))]);
        RecordBatch::try_from_iter([("lists", array(lists)), ("outer", array(outer))]).unwrap()
    };
    let batches = vec![batch(["a", "b", "c"]), batch(["d", "a", "e"])];
    let folder = tempdir().unwrap();
    for copy in copies(&Dataset::from_record_batches("lists", batches.clone()).unwrap(), folder.path()) {
        let lists: [&[&str]; 6] = [&["a", "b"], &[], &["c"], &["d", "a"], &[], &["e"]];
        assert_eq!(copy.text_lists("lists").unwrap(), lists);
        assert_eq!(copy.texts("outer.word").unwrap(), ["a", "b", "c", "d", "a", "e"]);
    }
    // The same in compressed Arrow, whose dictionaries are unpacked as it is opened.
    for compression in [None, Some(arrow::ipc::CompressionType::ZSTD)] {
        let path = folder.path().join("packed.arrow");
        let options =
            arrow::ipc::writer::IpcWriteOptions::default().try_with_compression(compression).unwrap();
        let file = std::fs::File::create(&path).unwrap();
        let schema = batches[0].schema();
        let mut writer =
            arrow::ipc::writer::StreamWriter::try_new_with_options(file, &schema, options).unwrap();
        batches.iter().for_each(|batch| writer.write(batch).unwrap());
        writer.finish().unwrap();
        let read = Dataset::open(&path).unwrap();
        assert_eq!(read.texts("outer.word").unwrap(), ["a", "b", "c", "d", "a", "e"]);
        assert_eq!(read.text_lists("lists").unwrap()[3], ["d", "a"]);
    }
}

/// pyarrow reads in the copies what it reads in its own files. The interpreter is `BREW_PYTHON`, or `python3`.
#[test]
fn pyarrow_reads_the_same_in_a_copy_as_in_its_original() {
    let Some(python) = python("import pyarrow") else { return };
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    for name in ["bf16.arrow", "classes.parquet", "two_batches.arrow"] {
        let folder = tempdir().unwrap();
        copies(&carried(name), folder.path());
        let mut compare = std::process::Command::new(&python);
        compare.arg(fixtures.join("same_table.py")).arg(fixtures.join("carried").join(name));
        compare.args(["copy.arrow", "copy.parquet", "again.arrow"].map(|copy| folder.path().join(copy)));
        let output = compare.output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert_eq!(printed.trim(), "the same", "{name}");
    }
}
