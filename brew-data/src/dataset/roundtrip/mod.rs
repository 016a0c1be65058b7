//! Random tables of every type that is read: what was written and is read again is what it was, value by value,
//! with its nulls, names and metadata, through Arrow, Parquet and the token cache.
//!
//! What a table holds is told by Arrow's own accessors from the arrays that were made, not by anything of brew.

mod arrays;
mod cells;

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, FieldRef, Metadata, Schema};
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use self::arrays::{random, types};
use self::cells::{Cell, cell};
use super::Dataset;
use crate::{Tokenize, Tokenizer, epoch_order};

/// Record batches of some columns, each batch a slice of a longer one and with dictionaries of its own.
fn batches(columns: &[DataType], rows: &[usize], seed: u64) -> Vec<RecordBatch> {
    let mut draws = ChaCha8Rng::seed_from_u64(seed);
    let mut fields =
        vec![Field::new("text", DataType::Utf8, false), Field::new("label", DataType::Int64, true)];
    for (index, of) in columns.iter().enumerate() {
        let nullable = *of == DataType::Null || !draws.next_u32().is_multiple_of(4);
        let metadata = Metadata::from([("about".to_owned(), format!("column {index}"))]);
        fields.push(Field::new(format!("c{index}"), of.clone(), nullable).with_metadata(metadata));
    }
    let described = r#"{"info": {"features": {"label": {"names": ["no", "yes"], "_type": "ClassLabel"}}}}"#;
    let metadata = [("huggingface".to_owned(), described.to_owned()), ("by".to_owned(), "hand".to_owned())];
    let schema = Arc::new(Schema::new_with_metadata(fields, Metadata::from(metadata)));
    let batch = rows.iter().map(|&rows| {
        let (before, after) = (draws.next_u32() as usize % 3, draws.next_u32() as usize % 3);
        let column = |field: &FieldRef| {
            random(field.data_type(), before + rows + after, field.is_nullable(), &mut draws)
                .slice(before, rows)
        };
        let columns = schema.fields().iter().map(column).collect();
        RecordBatch::try_new(schema.clone(), columns).unwrap()
    });
    batch.collect()
}

/// The columns of a table: names, whether values may be missing, metadata, and values; members of structs are
/// columns, missing where a struct around them is.
fn told(field: &Field, name: String, cells: Vec<Cell>) -> Vec<(String, Metadata, Vec<Cell>)> {
    let DataType::Struct(members) = field.data_type() else {
        return vec![(name, field.metadata().clone(), cells)];
    };
    let member = |(index, member): (usize, &FieldRef)| {
        let of = |cell: &Cell| match cell {
            Cell::Struct(members) => members[index].clone(),
            _ => Cell::Null,
        };
        told(member, format!("{name}.{}", member.name()), cells.iter().map(of).collect())
    };
    members.iter().enumerate().flat_map(member).collect()
}

fn expected(batches: &[RecordBatch], rows: &[usize]) -> Vec<(String, Metadata, Vec<Cell>)> {
    let schema = batches[0].schema();
    let columns = schema.fields().iter().enumerate().flat_map(|(index, field)| {
        let of =
            |batch: &RecordBatch| (0..batch.num_rows()).map(|row| cell(batch.column(index), row)).collect();
        let all: Vec<Cell> = batches.iter().flat_map(|batch| -> Vec<Cell> { of(batch) }).collect();
        told(field, field.name().clone(), rows.iter().map(|&row| all[row].clone()).collect())
    });
    columns.collect()
}

fn read(table: &Dataset) -> Vec<(String, Metadata, Vec<Cell>)> {
    let column = |field: &FieldRef| {
        let chunks = table.column_chunks(field.name()).unwrap();
        let cells = (0..table.rows()).map(|row| {
            let (chunk, row) = table.locate(row);
            cell(&chunks[chunk], row)
        });
        (field.name().clone(), field.metadata().clone(), cells.collect())
    };
    table.schema().fields().iter().map(column).collect()
}

/// The type with dictionaries unpacked, at any depth.
fn plain(of: &DataType) -> DataType {
    let within = |field: &FieldRef| {
        Arc::new(field.as_ref().clone().with_data_type(plain(field.data_type()))) as FieldRef
    };
    match of {
        DataType::Dictionary(_, values) => plain(values),
        DataType::List(item) => DataType::List(within(item)),
        DataType::LargeList(item) => DataType::LargeList(within(item)),
        DataType::FixedSizeList(item, length) => DataType::FixedSizeList(within(item), *length),
        DataType::Struct(members) => DataType::Struct(members.iter().map(within).collect()),
        DataType::Map(entries, sorted) => DataType::Map(within(entries), *sorted),
        other => other.clone(),
    }
}

/// Whether a copy is the table `of` in all but how its dictionaries are kept.
fn check(copy: &Dataset, of: &Dataset, cells: &[(String, Metadata, Vec<Cell>)]) {
    assert_eq!(read(copy), cells);
    for (copied, field) in copy.schema().fields().iter().zip(of.schema().fields()) {
        assert_eq!(plain(copied.data_type()), plain(field.data_type()));
        assert_eq!(copied.is_nullable(), field.is_nullable());
    }
    assert_eq!(copy.schema().metadata().get("by").map(String::as_str), Some("hand"));
    assert_eq!(copy.class_names("label").unwrap().unwrap(), ["no", "yes"]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn what_is_written_and_read_again_is_what_it_was(
        columns in prop::collection::vec(types(), 0..5),
        rows in prop::collection::vec(0..6_usize, 1..5),
        seed in any::<u64>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let batches = batches(&columns, &rows, seed);
        let table = Dataset::from_record_batches("table", batches.clone()).unwrap();
        let order: Vec<usize> = epoch_order(table.rows() as u32, seed, 0).into_iter().map(|row| row as usize).collect();
        let shard: Vec<usize> = (0..table.rows()).step_by(3).collect();
        let all: Vec<usize> = (0..table.rows()).collect();
        for rows in [all.clone(), order.clone(), shard, Vec::new()] {
            let (some, cells) = (table.select(&rows).unwrap(), expected(&batches, &rows));
            prop_assert_eq!(read(&some), cells.clone());
            some.write_arrow(at("copy.arrow")).unwrap();
            check(&Dataset::open(at("copy.arrow")).unwrap(), &some, &cells);
            some.write_parquet(at("copy.parquet")).unwrap();
            let parquet = Dataset::open(at("copy.parquet")).unwrap();
            check(&parquet, &some, &cells);
            parquet.write_arrow(at("again.arrow")).unwrap();
            check(&Dataset::open(at("again.arrow")).unwrap(), &some, &cells);
        }
        // Two shards in a folder, and rows in use twice with a column more.
        std::fs::create_dir(at("shards")).unwrap();
        let (first, second) = order.split_at(order.len() / 2);
        table.select(first).unwrap().write_arrow(at("shards/a.arrow")).unwrap();
        table.select(second).unwrap().write_arrow(at("shards/b.arrow")).unwrap();
        check(&Dataset::open(at("shards")).unwrap(), &table, &expected(&batches, &order));
        let twice = table.select(&[order.clone(), order.clone()].concat()).unwrap();
        let more = twice.with_integers("more", vec![7; 2 * order.len()]).unwrap();
        check(&more.select(&all).unwrap(), &table, &[expected(&batches, &order), vec![
            ("more".to_owned(), Metadata::default(), vec![Cell::Number(7); order.len()]),
        ]].concat());

        let tokenizer = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tokenize/bert");
        let tokenizer = Tokenizer::from_folder(tokenizer).unwrap();
        let carried = &table.columns()[1..];
        let tokens = table.tokenize(&tokenizer, &Tokenize::text("text", 8).carry(carried), at("tokens")).unwrap();
        prop_assert_eq!(&read(&tokens)[2..], &expected(&batches, &all)[1..]);
        prop_assert_eq!(tokens.class_names("label").unwrap().unwrap(), ["no", "yes"]);
    }
}
