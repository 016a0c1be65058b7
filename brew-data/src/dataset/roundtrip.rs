//! Random tables of every type that is read: what was written and is read again is what it was, value by value,
//! with its nulls, names and metadata, through Arrow, Parquet and the token cache.
//!
//! What a table holds is told by Arrow's own accessors from the arrays that were made, not by anything of brew.

use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::*;
use arrow_buffer::{BooleanBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, FieldRef, Fields, Metadata, Schema, TimeUnit};
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::Dataset;
use crate::{Tokenize, Tokenizer, epoch_order};

/// A value, whatever type holds it.
#[derive(Debug, Clone, PartialEq)]
enum Cell {
    Null,
    Number(i128),
    /// Its bits, so that NaN is itself.
    Float(u64),
    Bytes(Vec<u8>),
    List(Vec<Cell>),
    Struct(Vec<Cell>),
}

fn cell(array: &dyn Array, row: usize) -> Cell {
    let float = |value: f64| Cell::Float(value.to_bits());
    let list = |values: ArrayRef| Cell::List((0..values.len()).map(|index| cell(&values, index)).collect());
    macro_rules! number {
        ($type:ty) => {
            Cell::Number(i128::from(array.as_primitive::<$type>().value(row)))
        };
    }
    if array.is_null(row) {
        return Cell::Null;
    }
    match array.data_type() {
        DataType::Null => Cell::Null,
        DataType::Boolean => Cell::Number(array.as_boolean().value(row).into()),
        DataType::Int8 => number!(Int8Type),
        DataType::Int16 => number!(Int16Type),
        DataType::Int32 => number!(Int32Type),
        DataType::Int64 => number!(Int64Type),
        DataType::UInt8 => number!(UInt8Type),
        DataType::UInt16 => number!(UInt16Type),
        DataType::UInt32 => number!(UInt32Type),
        DataType::UInt64 => number!(UInt64Type),
        DataType::Date32 => number!(Date32Type),
        DataType::Timestamp(..) => number!(TimestampMicrosecondType),
        DataType::Float16 => Cell::Float(array.as_primitive::<Float16Type>().value(row).to_bits().into()),
        DataType::Float32 => Cell::Float(array.as_primitive::<Float32Type>().value(row).to_bits().into()),
        DataType::Float64 => float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => Cell::Bytes(array.as_string::<i32>().value(row).into()),
        DataType::LargeUtf8 => Cell::Bytes(array.as_string::<i64>().value(row).into()),
        DataType::Utf8View => Cell::Bytes(array.as_string_view().value(row).into()),
        DataType::Binary => Cell::Bytes(array.as_binary::<i32>().value(row).into()),
        DataType::LargeBinary => Cell::Bytes(array.as_binary::<i64>().value(row).into()),
        DataType::FixedSizeBinary(_) => Cell::Bytes(array.as_fixed_size_binary().value(row).into()),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            cell(dictionary.values(), dictionary.normalized_keys()[row])
        }
        DataType::List(_) => list(array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => list(array.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => list(array.as_fixed_size_list().value(row)),
        DataType::Struct(_) => {
            Cell::Struct(array.as_struct().columns().iter().map(|member| cell(member, row)).collect())
        }
        other => panic!("a column of type {other}"),
    }
}

/// Random values of a type; under nulls lies whatever there is.
fn random(of: &DataType, rows: usize, nullable: bool, draws: &mut ChaCha8Rng) -> ArrayRef {
    let one_in = |chance: u32, draws: &mut ChaCha8Rng| draws.next_u32().is_multiple_of(chance);
    let valid =
        (nullable && !one_in(4, draws)).then(|| (0..rows).map(|_| !one_in(4, draws)).collect::<NullBuffer>());
    macro_rules! numbers {
        ($type:ty) => {{
            type Native = <$type as ArrowPrimitiveType>::Native;
            let values = (0..rows).map(|_| draws.next_u64() as Native);
            Arc::new(PrimitiveArray::<$type>::new(ScalarBuffer::from_iter(values), valid))
        }};
    }
    let is_null = |row: usize| valid.as_ref().is_some_and(|valid| valid.is_null(row));
    let texts = |draws: &mut ChaCha8Rng| -> Vec<Option<String>> {
        let words = ["", "a", "é", "\u{0}", "long enough to be out of line in a view", "日本"];
        let text = |draws: &mut ChaCha8Rng| words[draws.next_u32() as usize % words.len()].to_owned();
        (0..rows).map(|row| (!is_null(row)).then(|| text(draws))).collect()
    };
    match of {
        DataType::Null => Arc::new(NullArray::new(rows)),
        DataType::Boolean => {
            Arc::new(BooleanArray::new(BooleanBuffer::from_iter((0..rows).map(|_| one_in(2, draws))), valid))
        }
        DataType::Int8 => numbers!(Int8Type),
        DataType::Int16 => numbers!(Int16Type),
        DataType::Int32 => numbers!(Int32Type),
        DataType::Int64 => numbers!(Int64Type),
        DataType::UInt8 => numbers!(UInt8Type),
        DataType::UInt16 => numbers!(UInt16Type),
        DataType::UInt32 => numbers!(UInt32Type),
        DataType::UInt64 => numbers!(UInt64Type),
        DataType::Date32 => numbers!(Date32Type),
        DataType::Timestamp(..) => numbers!(TimestampMicrosecondType),
        DataType::Float16 => {
            type Half = <Float16Type as ArrowPrimitiveType>::Native;
            let values = (0..rows).map(|_| Half::from_bits(draws.next_u32() as u16));
            Arc::new(Float16Array::new(ScalarBuffer::from_iter(values), valid))
        }
        DataType::Float32 => {
            let values = (0..rows).map(|_| f32::from_bits(draws.next_u32()));
            Arc::new(Float32Array::new(ScalarBuffer::from_iter(values), valid))
        }
        DataType::Float64 => {
            let values = (0..rows).map(|_| f64::from_bits(draws.next_u64()));
            Arc::new(Float64Array::new(ScalarBuffer::from_iter(values), valid))
        }
        DataType::Utf8 => Arc::new(StringArray::from(texts(draws))),
        DataType::LargeUtf8 => Arc::new(LargeStringArray::from(texts(draws))),
        DataType::Utf8View => Arc::new(StringViewArray::from_iter(texts(draws))),
        DataType::Binary => Arc::new(BinaryArray::from_iter(
            texts(draws).into_iter().map(|text| text.map(String::into_bytes)),
        )),
        DataType::LargeBinary => Arc::new(LargeBinaryArray::from_iter(
            texts(draws).into_iter().map(|text| text.map(String::into_bytes)),
        )),
        DataType::FixedSizeBinary(2) => {
            let bytes = (0..2 * rows).map(|_| draws.next_u32() as u8).collect::<Vec<_>>();
            Arc::new(FixedSizeBinaryArray::new(2, bytes.into(), valid))
        }
        DataType::Dictionary(_, values) => {
            let length = 1 + draws.next_u32() as usize % 5;
            let dictionary = random(values, length, nullable, draws);
            let keys = (0..rows).map(|_| (draws.next_u32() as usize % length) as i8);
            Arc::new(DictionaryArray::new(Int8Array::new(ScalarBuffer::from_iter(keys), valid), dictionary))
        }
        DataType::List(item) | DataType::LargeList(item) => {
            let lengths: Vec<usize> = (0..rows).map(|_| draws.next_u32() as usize % 4).collect();
            let values = random(item.data_type(), lengths.iter().sum(), item.is_nullable(), draws);
            if matches!(of, DataType::List(_)) {
                Arc::new(ListArray::new(item.clone(), OffsetBuffer::from_lengths(lengths), values, valid))
            } else {
                Arc::new(LargeListArray::new(
                    item.clone(),
                    OffsetBuffer::from_lengths(lengths),
                    values,
                    valid,
                ))
            }
        }
        DataType::FixedSizeList(item, length) => {
            let values = random(item.data_type(), rows * *length as usize, item.is_nullable(), draws);
            Arc::new(FixedSizeListArray::new(item.clone(), *length, values, valid))
        }
        DataType::Struct(members) => {
            let columns =
                members.iter().map(|member| random(member.data_type(), rows, member.is_nullable(), draws));
            Arc::new(StructArray::new(members.clone(), columns.collect(), valid))
        }
        other => panic!("a column of type {other}"),
    }
}

fn types() -> impl Strategy<Value = DataType> {
    use DataType::*;
    let dictionary = |values| Dictionary(Box::new(Int8), Box::new(values));
    let leaf = prop::sample::select(vec![
        Null,
        Boolean,
        Int8,
        Int16,
        Int32,
        Int64,
        UInt8,
        UInt16,
        UInt32,
        UInt64,
        Float16,
        Float32,
        Float64,
        Utf8,
        LargeUtf8,
        Utf8View,
        Binary,
        LargeBinary,
        FixedSizeBinary(2),
        Date32,
        Timestamp(TimeUnit::Microsecond, None),
        dictionary(Utf8),
        dictionary(Int64),
        dictionary(UInt16),
    ]);
    leaf.prop_recursive(3, 8, 3, |inner| {
        let item = || inner.clone().prop_map(|of| Arc::new(Field::new_list_field(of, true)) as FieldRef);
        let members = prop::collection::vec(inner.clone(), 1..3).prop_map(|members| {
            let names = members.into_iter().enumerate();
            names.map(|(index, of)| Field::new(format!("m{index}"), of, true)).collect::<Fields>()
        });
        prop_oneof![
            item().prop_map(List),
            item().prop_map(LargeList),
            item().prop_map(|item| FixedSizeList(item, 2)),
            members.prop_map(Struct),
        ]
    })
}

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

/// The type with dictionaries unpacked, as Arrow's own printing of types shows it.
fn plain(of: &DataType) -> String {
    let mut text = of.to_string();
    while let Some(start) = text.find("Dictionary(Int8, ") {
        let end = start + text[start..].find(')').unwrap();
        text.replace_range(end..=end, "");
        text.replace_range(start..start + "Dictionary(Int8, ".len(), "");
    }
    text
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
