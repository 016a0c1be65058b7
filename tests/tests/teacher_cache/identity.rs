//! Everything a teacher's output depends on is in the cache's identity, and everything the teacher reads of a row is in its
//! key: with any change, a hit becomes a miss, or the cache is rejected by name.

use std::fs;
use std::sync::{Arc, Mutex};

use brew_core::adaptor::Provides;
use brew_core::cache::MemoryCache;
use brew_core::loss::KdMse;
use brew_core::model::ClassifierOutputAdaptor;
use brew_core::model::ErasedModel as _;
use brew_core::prelude::*;
use tests::{Count, alone};

use super::support::{Record, folder};

#[derive(Batch)]
struct Rows {
    #[column(i64, pad = 0)]
    tokens: Tensor,
    #[column(i64, pad = 0)]
    mask: Tensor,
    #[column(f32)]
    scale: Tensor,
    #[column(i64)]
    labels: Option<Tensor>,
    #[column(i64)]
    number: Tensor,
}

/// Four rows of two to five tokens, from a seed.
fn rows(seed: i64) -> Rows {
    let lengths = [5, 2, 4, 3];
    let value = |row: i64, place: i64| 1 + (seed * 5 + row * 7 + place * place * 3) % 11;
    let padded = |value: &dyn Fn(i64, i64) -> i64| {
        let values: Vec<i64> = (0..4)
            .flat_map(|row| (0..5).map(move |place| (row, place)))
            .map(|(row, place)| if place < lengths[row as usize] { value(row, place) } else { 0 })
            .collect();
        Tensor::from_slice(&values).view([4, 5])
    };
    Rows {
        tokens: padded(&value),
        mask: padded(&|_, _| 1),
        scale: Tensor::from_slice(&[1.0_f32, 0.5, 0.25, 2.0]),
        labels: Some(Tensor::from_slice(&[0_i64, 1, 2, 0])),
        number: Tensor::from_slice(&[10_i64, 11, 12, 13]),
    }
}

#[distill(batch = Rows, inputs_mask = mask)]
struct Output {
    #[role(logits)]
    logits: Tensor,
    #[role(hidden)]
    hidden: Vec<Tensor>,
}

/// What neither a teacher's tensors nor its identity show.
#[derive(Clone, Copy, PartialEq)]
enum Hidden {
    Nothing,
    /// Code that multiplies by another number.
    Factor(f64),
    /// Random numbers in every pass.
    Noise,
    /// The mean of the batch is subtracted.
    Centred,
}

struct Teacher {
    table: Tensor,
    head: Tensor,
    activation: &'static str,
    hidden: Arc<Mutex<Hidden>>,
    runs: Count,
}

impl Teacher {
    fn new() -> Self {
        let numbers = |rows: i64, columns: i64, shift: f64| {
            let count = Tensor::arange(rows * columns, (Kind::Float, Device::Cpu));
            (count * 0.7 + shift).sin().view([rows, columns]).set_requires_grad(true)
        };
        Teacher {
            table: numbers(12, 4, 0.3),
            head: numbers(4, 3, 0.9),
            activation: "tanh",
            hidden: Arc::new(Mutex::new(Hidden::Nothing)),
            runs: Count::default(),
        }
    }

    fn run(&self, tokens: &Tensor, mask: &Tensor, scale: &Tensor) -> Result<Output> {
        self.runs.add();
        let states = Tensor::f_embedding(&self.table, tokens, -1, false, false)?;
        let states = if self.activation == "tanh" { states.f_tanh()? } else { states.f_relu()? };
        let mask = mask.f_to_kind(Kind::Float)?.f_unsqueeze(-1)?;
        let sum = states.f_mul(&mask)?.f_sum_dim_intlist(1, false, None)?;
        let logits = sum.f_matmul(&self.head)?.f_mul(&scale.f_unsqueeze(-1)?)?;
        let logits = match *self.hidden.lock().unwrap() {
            Hidden::Nothing => logits,
            Hidden::Factor(factor) => logits * factor,
            Hidden::Noise => &logits + logits.rand_like(),
            Hidden::Centred => &logits - logits.mean_dim(0, true, None),
        };
        Ok(Output { logits, hidden: vec![states] })
    }
}

#[distill(batch = Rows)]
impl Teacher {
    fn forward(&self, tokens: &Tensor, mask: &Tensor, scale: &Tensor, _pass: &Pass) -> Result<Output> {
        self.run(tokens, mask, scale)
    }
}

impl Model for Teacher {
    fn parameters(&self) -> Parameters {
        Parameters::new([
            ("head".to_owned(), self.head.shallow_clone()),
            ("table".to_owned(), self.table.shallow_clone()),
        ])
    }

    fn identity(&self) -> Result<std::collections::BTreeMap<String, String>> {
        Ok([("activation".to_owned(), self.activation.to_owned())].into())
    }
}

/// The same reading as `OutputAdaptor`'s under another name.
struct Another;
#[adaptor(batch = Rows, output = Output)]
impl Another {
    fn logits(output: &Output) -> &Tensor {
        &output.logits
    }
}

/// Logits that are made of the batch, too.
struct Mixes;
#[adaptor(batch = Rows, output = Output)]
impl Mixes {
    fn logits(output: &Output, batch: &Rows) -> Tensor {
        &output.logits + batch.number.unsqueeze(-1)
    }
}

/// Takes the labels, too.
struct WithLabels(Teacher);
#[distill(batch = Rows)]
impl WithLabels {
    fn forward(
        &self,
        tokens: &Tensor,
        mask: &Tensor,
        scale: &Tensor,
        labels: Option<&Tensor>,
    ) -> Result<Output> {
        let _ = labels;
        self.0.run(tokens, mask, scale)
    }
}

impl Model for WithLabels {
    fn parameters(&self) -> Parameters {
        self.0.parameters()
    }
}

/// Reads any columns.
struct ByHand(Teacher);
impl brew_core::model::Forward<Rows> for ByHand {
    type Output = Output;
    fn run(&self, batch: &Rows, _: &Pass) -> Result<Output> {
        self.0.run(&batch.tokens, &batch.mask, &batch.scale)
    }
}

impl Model for ByHand {
    fn parameters(&self) -> Parameters {
        self.0.parameters()
    }
}

/// Changes one value of a column at a time, and says which columns are in the key of a row.
fn columns_in_key<A: Adaptor<Batch = Rows>>(seen: &Seen<A>) -> Vec<&'static str> {
    let before = seen.row_keys(&rows(3)).unwrap();
    let mut inside = Vec::new();
    for column in ["tokens", "mask", "scale", "labels", "number"] {
        let size = rows(3).column(column).unwrap().numel() as i64;
        let changed = (0..size).filter(|place| {
            let other = rows(3);
            let tensor = other.column(column).unwrap();
            let row = (place / (size / 4)) as usize;
            // A mask is 0 or 1; elsewhere the next number of the dtype.
            let value = tensor.view([-1]).double_value(&[*place]);
            let value = match column {
                "mask" => 1.0 - value,
                "scale" => f64::from((value as f32).next_up()),
                _ => value + 1.0,
            };
            let _ = tensor.view([-1]).get(*place).fill_(value);
            let after = seen.row_keys(&other).unwrap();
            for other in (0..4).filter(|other| *other != row) {
                assert_eq!(before.keys[other], after.keys[other], "{column} {place}: the key of another row");
            }
            before.keys[row] != after.keys[row]
        });
        let count = changed.count() as i64;
        assert!([0, size].contains(&count), "{column}: {count} of {size} changed values are in the key");
        if count > 0 {
            inside.push(column);
        }
    }
    inside
}

#[test]
fn every_value_of_a_column_that_is_read_is_in_the_key_and_others_are_not() {
    assert_eq!(columns_in_key(&Teacher::new().seen_by(OutputAdaptor)), ["tokens", "mask", "scale"]);
    let with_labels = WithLabels(Teacher::new()).seen_by(OutputAdaptor);
    assert_eq!(columns_in_key(&with_labels), ["tokens", "mask", "scale", "labels"]);
}

#[test]
fn where_nobody_says_what_is_read_every_column_is_in_the_key() {
    let all = ["tokens", "mask", "scale", "labels", "number"];
    assert_eq!(columns_in_key(&ByHand(Teacher::new()).seen_by(OutputAdaptor)), all);
    assert_eq!(columns_in_key(&Teacher::new().seen_by(Mixes)), all);
}

fn train<A: Adaptor<Batch = Rows, Output = Output> + Provides<role::Logits>>(
    teacher: Teacher,
    adaptor: A,
    cache: &MemoryCache,
) -> Result<Record> {
    let pipeline = Distill::new(teacher.seen_by(adaptor), Teacher::new().seen_by(OutputAdaptor))
        .soft_targets(KdMse::at(1.0))
        .plan()?;
    let record = Record::default();
    let trainer = Trainer::new(pipeline).epochs(2).observe(record.clone()).teacher_cache(cache.clone());
    trainer.run((0..5).map(rows).collect::<Vec<_>>())?;
    Ok(record)
}

#[track_caller]
fn refusal<A: Adaptor<Batch = Rows, Output = Output> + Provides<role::Logits>>(
    teacher: Teacher,
    adaptor: A,
    cache: &MemoryCache,
) -> String {
    let refused = train(teacher, adaptor, cache).err().map(|error| error.to_string());
    refused.unwrap_or_else(|| "the first teacher's rows were served".to_owned())
}

#[test]
fn a_teacher_of_which_anything_was_changed_is_refused_by_what_was_changed() {
    let _alone = alone();
    let cache = MemoryCache::new();
    train(Teacher::new(), OutputAdaptor, &cache).unwrap();
    for (name, size) in [("table", 48), ("head", 12)] {
        for place in 0..size {
            let other = Teacher::new();
            let tensor = if name == "table" { &other.table } else { &other.head };
            let flat = tensor.detach().view([-1]);
            let next = (flat.double_value(&[place]) as f32).next_up();
            let _ = flat.get(place).fill_(f64::from(next));
            let message = refusal(other, OutputAdaptor, &cache);
            assert!(message.contains("the teacher's weights (hash)"), "{name} {place}: {message}");
        }
    }
    let message = refusal(Teacher { activation: "relu", ..Teacher::new() }, OutputAdaptor, &cache);
    let expected = "the teacher's activation: `tanh` in the cache, `relu` in this pipeline";
    assert!(message.contains(expected), "{message}");
    assert!(refusal(Teacher::new(), Another, &cache).contains("the adaptor: `"));
    let again = train(Teacher::new(), OutputAdaptor, &cache).unwrap();
    assert_eq!(again.with("20 found, 0 computed").len(), 2, "{:?}", again.words.borrow());
}

/// A run with what is hidden in the teacher once the cache is filled.
fn after(hidden: Hidden) -> (Result<Record>, usize) {
    let cache = MemoryCache::new();
    train(Teacher::new(), OutputAdaptor, &cache).unwrap();
    let teacher = Teacher::new();
    *teacher.hidden.lock().unwrap() = hidden;
    let runs = teacher.runs.clone();
    let outcome = train(teacher, OutputAdaptor, &cache);
    (outcome, runs.get())
}

#[test]
fn a_teacher_whose_code_was_changed_is_noticed_at_a_sample_of_its_rows() {
    let _alone = alone();
    let message = after(Hidden::Factor(1.01)).0.expect_err("rows of other code were served").to_string();
    for part in ["epoch 0, batch 0", "row ", "whose key is ", "`logits/0` is ", "Give the run an empty cache"]
    {
        assert!(message.contains(part), "{part} is not in {message}");
    }
}

#[test]
fn what_a_sample_costs_is_a_pass_over_two_rows_of_few_batches() {
    let _alone = alone();
    let (record, runs) = after(Hidden::Nothing);
    assert_eq!(record.unwrap().with("20 found, 0 computed").len(), 2);
    // The rows that are checked first; what padding does, with and without; of 10 batches the first, the
    // second, the fourth and the eighth; and before the first step the four rows with extremes.
    assert_eq!(runs, 1 + 2 + 4 + 4);
}

#[test]
fn a_teacher_whose_output_is_no_function_of_the_row_is_warned_of() {
    let _alone = alone();
    for (hidden, what) in [
        (Hidden::Noise, "changes from one pass to the next"),
        (Hidden::Centred, "changes with the other rows"),
    ] {
        let cache = MemoryCache::new();
        let teacher = Teacher::new();
        *teacher.hidden.lock().unwrap() = hidden;
        let record = train(teacher, OutputAdaptor, &cache).unwrap();
        assert_eq!(record.with(what).len(), 1, "{:?}", record.words.borrow());
    }
}

#[test]
fn every_key_of_a_bert_config_that_its_output_depends_on_is_in_its_identity() {
    let _alone = alone();
    let cache = MemoryCache::new();
    let data = || super::support::Texts::of(6);
    let run = |teacher: BertForSequenceClassification| {
        let student = super::support::student().seen_by(ClassifierOutputAdaptor);
        let pipeline = Distill::new(teacher.seen_by(ClassifierOutputAdaptor), student)
            .soft_targets(KdMse::at(1.0))
            .plan()?;
        Trainer::new(pipeline).teacher_cache(cache.clone()).run(data())
    };
    let load =
        |path: &std::path::Path| BertForSequenceClassification::from_pretrained(path, Device::Cpu).unwrap();
    let original = folder("roberta/sequence");
    run(load(&original)).unwrap();
    let config = fs::read_to_string(original.join("config.json")).unwrap();
    for (key, from, to) in [
        ("hidden_act", "\"gelu\"", "\"relu\""),
        ("hidden_act", "\"gelu\"", "\"gelu_new\""),
        ("num_attention_heads", "2", "4"),
        ("layer_norm_eps", "1e-05", "1e-04"),
        ("pad_token_id", "1", "0"),
    ] {
        let other = tempfile::tempdir().unwrap();
        for file in fs::read_dir(&original).unwrap().flatten() {
            fs::copy(file.path(), other.path().join(file.file_name())).unwrap();
        }
        let changed = config.replace(&format!("\"{key}\": {from}"), &format!("\"{key}\": {to}"));
        assert_ne!(changed, config);
        fs::write(other.path().join("config.json"), changed).unwrap();
        let message = match run(load(other.path())) {
            Ok(_) => panic!("{key} {to}: the first teacher's rows were served"),
            Err(error) => error.to_string(),
        };
        assert!(message.contains(&format!("the teacher's {key}: `")), "{message}");
    }
}
