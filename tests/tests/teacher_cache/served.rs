//! What the cache once served wrongly, each case with the losses of a run without it.

use brew_core::cache::MemoryCache;
use brew_core::distill::{student_layer, teacher_layer};
use brew_core::loss::{AttentionCe, AttentionCeMean, HiddenMse, KdCe, KdMse};
use brew_core::model::{BiGruConfig, BiGruForSequenceClassification, ClassifierOutputAdaptor, TorchScript};
use brew_core::model::{Part, ScriptOutputAdaptor};
use brew_core::prelude::*;
use tests::{Toy, ToyOutputAdaptor, alone, sentences};

use super::support::{Record, difference};

/// Trains with steps so small that the student hardly moves.
fn train<A: Adaptor<Batch: Batch>>(
    pipeline: Pipeline<A::Batch, A>,
    data: Vec<A::Batch>,
    cache: Option<MemoryCache>,
) -> Record {
    try_train(pipeline, data, cache).unwrap()
}

fn try_train<A: Adaptor<Batch: Batch>>(
    pipeline: Pipeline<A::Batch, A>,
    data: Vec<A::Batch>,
    cache: Option<MemoryCache>,
) -> Result<Record> {
    let record = Record::default();
    let trainer = Trainer::new(pipeline).optimizer(AdamW::with_lr(1e-6)).epochs(2).log_every(1);
    let trainer = trainer.observe(record.clone());
    match cache {
        Some(cache) => trainer.teacher_cache(cache).run(data)?,
        None => trainer.run(data)?,
    };
    Ok(record)
}

// --- Another TorchScript teacher.

fn texts() -> Vec<TextBatch> {
    let batch = |ids: [[i64; 3]; 2]| TextBatch {
        input_ids: Tensor::from_slice2(&ids),
        attention_mask: Tensor::from_slice2(&[[1_i64, 1, 1], [1, 1, 0]]),
        token_type_ids: None,
        labels: None,
    };
    vec![batch([[1, 2, 3], [4, 5, 0]]), batch([[6, 7, 8], [9, 1, 0]])]
}

fn script(name: &str) -> TorchScript {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/torchscript").join(name);
    TorchScript::load(path, Device::Cpu).unwrap()
}

fn scripted(teacher: TorchScript) -> Pipeline<TextBatch, ClassifierOutputAdaptor> {
    let config = BiGruConfig {
        vocab_size: 10,
        embedding_size: 4,
        hidden_size: 3,
        dropout: 0.0,
        ..BiGruConfig::default()
    };
    let student = BiGruForSequenceClassification::new(config, 5, Device::Cpu).unwrap();
    Distill::new(teacher.seen_by(ScriptOutputAdaptor), student.seen_by(ClassifierOutputAdaptor))
        .soft_targets(KdMse::at(1.0))
        .plan()
        .unwrap()
}

#[test]
fn a_torchscript_teacher_is_distinguished_from_another_by_code_constants_buffers_and_parts() {
    let _alone = alone();
    let pairs: [(&str, TorchScript, TorchScript); 5] = [
        ("constants of a frozen module", script("frozen.pt"), script("frozen-scaled.pt")),
        ("a buffer", script("buffer.pt"), script("buffer-changed.pt")),
        ("its code", script("buffer.pt"), script("code-changed.pt")),
        ("the parts that are read", script("tuple.pt"), script("tuple.pt").hidden(Part::At(1))),
        (
            "the columns it is given",
            script("tensor.pt"),
            script("tensor.pt").inputs(["attention_mask", "attention_mask"]),
        ),
    ];
    for (what, first, second) in pairs {
        let cache = MemoryCache::new();
        train(scripted(first), texts(), Some(cache.clone()));
        let message = match try_train(scripted(second), texts(), Some(cache)) {
            Ok(_) => panic!("{what}: the first teacher's rows were served"),
            Err(error) => error.to_string(),
        };
        assert!(message.contains("` in the cache, `"), "{what}: {message}");
    }
}

#[test]
fn a_copy_of_a_torchscript_file_is_the_same_teacher() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("renamed.pt");
    let original = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/torchscript/buffer.pt");
    std::fs::copy(original, &copy).unwrap();
    let cache = MemoryCache::new();
    train(scripted(script("buffer.pt")), texts(), Some(cache.clone()));
    let copied = TorchScript::load(&copy, Device::Cpu).unwrap();
    let again = train(scripted(copied), texts(), Some(cache));
    assert_eq!(again.with("4 found, 0 computed").len(), 2, "{:?}", again.words.borrow());
}

// --- Padding that no row of the first batch has.

#[derive(Batch)]
pub(crate) struct Words {
    #[column(i64, pad = 0)]
    pub(crate) tokens: Tensor,
    #[column(i64, pad = 0)]
    pub(crate) mask: Tensor,
}

/// One vector per token, and the mean of all of them: it sees its padding.
pub(crate) struct Blind {
    embedding: Tensor,
    head: Tensor,
}

impl Blind {
    pub(crate) fn new(scale: f64) -> Self {
        let numbers = |rows: i64, columns: i64, shift: f64| {
            let count = Tensor::arange(rows * columns, (Kind::Float, Device::Cpu));
            ((count * 0.7 + shift).sin() * scale).view([rows, columns]).set_requires_grad(true)
        };
        Blind { embedding: numbers(12, 4, 0.3), head: numbers(4, 3, 0.9) }
    }
}

#[distill(batch = Words)]
impl Blind {
    fn forward(&self, tokens: &Tensor, _pass: &Pass) -> Result<Pooled> {
        let states = Tensor::f_embedding(&self.embedding, tokens, -1, false, false)?;
        let logits = states.f_mean_dim(1, false, None)?.f_tanh()?.f_matmul(&self.head)?;
        Ok(Pooled { logits })
    }
}

#[distill(batch = Words)]
pub(crate) struct Pooled {
    #[role(logits)]
    pub(crate) logits: Tensor,
}

impl Model for Blind {
    fn parameters(&self) -> Parameters {
        Parameters::new([
            ("embedding".to_owned(), self.embedding.shallow_clone()),
            ("head".to_owned(), self.head.shallow_clone()),
        ])
    }
}

/// A batch of texts, padded to the longest or to a length.
fn words(texts: &[&[i64]], length: Option<usize>) -> Words {
    let longest = length.or(texts.iter().map(|text| text.len()).max()).unwrap();
    let row = |text: &[i64], value: &dyn Fn(i64) -> i64| {
        (0..longest).map(|place| text.get(place).map_or(0, |token| value(*token))).collect::<Vec<_>>()
    };
    let tensor = |value: &dyn Fn(i64) -> i64| {
        let values: Vec<i64> = texts.iter().flat_map(|text| row(text, value)).collect();
        Tensor::from_slice(&values).view([texts.len() as i64, longest as i64])
    };
    Words { tokens: tensor(&|token| token), mask: tensor(&|_| 1) }
}

fn blind() -> Pipeline<Words, PooledAdaptor> {
    Distill::new(Blind::new(1.0).seen_by(PooledAdaptor), Blind::new(0.5).seen_by(PooledAdaptor))
        .soft_targets(KdMse::at(1.0))
        .plan()
        .unwrap()
}

const TEXTS: [&[i64]; 4] = [&[5, 6, 7], &[8, 9, 10], &[1, 2, 3, 4, 5, 6, 7], &[2, 4, 6, 8, 10, 11, 1]];

#[test]
fn padding_that_changes_a_teacher_is_noticed_whatever_the_first_batch_holds() {
    let _alone = alone();
    let fillings: [(&str, Vec<Words>); 4] = [
        ("a batch of one", TEXTS.iter().map(|text| words(&[text], None)).collect()),
        ("two rows of one length", vec![words(&TEXTS[..2], None), words(&TEXTS[2..], None)]),
        (
            "two rows of which one is padded",
            vec![words(&TEXTS[1..3], None), words(&[TEXTS[0], TEXTS[3]], None)],
        ),
        ("rows that all were cut", vec![words(&[&TEXTS[0][..1], &TEXTS[1][..1], &TEXTS[2][..1]], None)]),
    ];
    let data = || {
        let first = words(&[TEXTS[0], TEXTS[2], &TEXTS[0][..1]], None);
        vec![first, words(&[TEXTS[1], TEXTS[3], &TEXTS[1][..1], &TEXTS[2][..1]], None)]
    };
    for (what, filling) in fillings {
        let without = train(blind(), data(), None);
        let cache = MemoryCache::new();
        let filled = train(blind(), filling, Some(cache.clone()));
        assert_eq!(filled.with("depends on the padding of a row").len(), 1, "{what}");
        let with = train(blind(), data(), Some(cache));
        assert!(difference(&with, &without) < 1e-5, "{what}: {}", difference(&with, &without));
    }
}

// --- A narrower pipeline, and padding that a loss reads.

fn toys(layers: &[i64]) -> Pipeline<tests::Sentence, ToyOutputAdaptor> {
    let teacher = Toy::new(2, 6, 0).seen_by(ToyOutputAdaptor);
    let student = Toy::new(2, 6, 1).seen_by(ToyOutputAdaptor);
    let matches: Vec<_> = layers
        .iter()
        .map(|layer| {
            hidden(teacher_layer(*layer), student_layer(*layer)).by(HiddenMse).named(format!("layer {layer}"))
        })
        .collect();
    Distill::new(teacher, student).soft_targets(KdCe::at(2.0)).matching(matches).plan().unwrap()
}

#[test]
fn a_narrower_pipeline_adds_to_the_store_of_a_wider_one_and_leaves_it_whole() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let part = || sentences(5, 4, 9).into_iter().take(2).collect::<Vec<_>>();
    let all = || sentences(5, 4, 9);
    let without = train(toys(&[0, 2]), all(), None);
    let narrow_without = train(toys(&[0]), all(), None);
    let memory = MemoryCache::new();
    for on_disk in [false, true] {
        let run = |pipeline, data| match on_disk {
            false => train(pipeline, data, Some(memory.clone())),
            true => {
                let record = Record::default();
                let trainer = Trainer::new(pipeline).optimizer(AdamW::with_lr(1e-6)).epochs(2).log_every(1);
                let store = brew_data::TeacherStore::at(folder.path());
                trainer.observe(record.clone()).teacher_cache(store).run(data).unwrap();
                record
            }
        };
        run(toys(&[0, 2]), part());
        let narrow = run(toys(&[0]), all());
        assert!(difference(&narrow, &narrow_without) < 1e-9);
        assert_eq!(narrow.with("8 found, 12 computed").len(), 1, "{:?}", narrow.words.borrow());
        assert_eq!(narrow.with("20 found, 0 computed").len(), 1, "{:?}", narrow.words.borrow());
        let wide = run(toys(&[0, 2]), all());
        assert!(wide.with("warning").is_empty(), "{:?}", wide.words.borrow());
        assert!(difference(&wide, &without) < 1e-9);
        assert_eq!(wide.with("20 found, 0 computed").len(), 1, "{:?}", wide.words.borrow());
    }
}

#[test]
fn a_loss_that_reads_padding_behind_a_mask_finds_it_in_the_cache() {
    let _alone = alone();
    let pipeline = || {
        let teacher = Toy::new(1, 6, 0).seen_by(ToyOutputAdaptor);
        Distill::new(teacher, Toy::new(1, 6, 1).seen_by(ToyOutputAdaptor))
            .matching(attention(teacher_layer(0), student_layer(0)).by(AttentionCe::textbrewer()))
            .matching(
                attention(teacher_layer(0), student_layer(0)).by(AttentionCeMean::textbrewer()).named("mean"),
            )
            .plan()
            .unwrap()
    };
    let without = train(pipeline(), sentences(3, 4, 5), None);
    let with = train(pipeline(), sentences(3, 4, 5), Some(MemoryCache::new()));
    assert_eq!(with.with("12 found, 0 computed").len(), 1, "{:?}", with.words.borrow());
    assert!(difference(&with, &without) < 1e-12, "{}", difference(&with, &without));
}

// --- Augmented rows.

#[test]
fn a_loader_of_augmented_rows_is_refused_and_so_is_what_is_made_of_it() {
    use brew_data::augment::Augmentation;
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    // Two rows: one object of lists alone may be a table.
    let row = "{\"input_ids\": [1, 2, 3], \"attention_mask\": [1, 1, 1]}\n";
    std::fs::write(&path, row.repeat(2)).unwrap();
    let rows = || {
        let steps = Augmentation::of_tokens([1, 2], Some(3)).masking(0.5);
        brew_data::Dataset::open(&path).unwrap().batches::<TextBatch>(1).augmented(steps)
    };
    let trainer = || Trainer::new(scripted(script("tensor.pt"))).teacher_cache(MemoryCache::new());
    for refused in [trainer().run(rows()), trainer().run(rows().processed(Ok))] {
        let message = refused.unwrap_err().to_string();
        assert!(
            message.contains("the rows differ from epoch to epoch (they are augmented or masked)"),
            "{message}"
        );
    }
}

// --- A causal language model whose labels are its input ids.

#[distill(batch = Words, logits_mask = mask, labels = tokens)]
pub(crate) struct NextToken {
    #[role(logits)]
    pub(crate) logits: Tensor,
}

/// The next token by the two before it: logits (batch, length, tokens).
struct Causal(Blind);

#[distill(batch = Words)]
impl Causal {
    fn forward(&self, tokens: &Tensor, _pass: &Pass) -> Result<NextToken> {
        let states = Tensor::f_embedding(&self.0.embedding, tokens, -1, false, false)?;
        let before = states.f_cumsum(1, Kind::Float)?.f_tanh()?;
        Ok(NextToken { logits: before.f_matmul(&self.0.embedding.f_transpose(0, 1)?)? })
    }
}

impl Model for Causal {
    fn parameters(&self) -> Parameters {
        self.0.parameters()
    }
}

#[test]
fn labels_that_are_the_input_ids_stay_in_the_key_of_a_row() {
    let _alone = alone();
    let data = || {
        let rows: Vec<Vec<i64>> = (0..24_i64)
            .map(|row| (0..2 + row % 3).map(|place| 1 + (row * 5 + place) % 11).collect())
            .collect();
        let batches = rows.chunks(4).map(|rows| {
            let rows: Vec<&[i64]> = rows.iter().map(Vec::as_slice).collect();
            words(&rows, None)
        });
        batches.collect::<Vec<_>>()
    };
    let pipeline = || {
        Distill::new(
            Causal(Blind::new(1.0)).seen_by(NextTokenAdaptor),
            Causal(Blind::new(0.5)).seen_by(NextTokenAdaptor),
        )
        .soft_targets(KdCe::at(2.0))
        .plan()
        .unwrap()
    };
    let without = train(pipeline(), data(), None);
    let with = train(pipeline(), data(), Some(MemoryCache::new()));
    assert!(difference(&with, &without) < 1e-5, "{}", difference(&with, &without));
    // 11 starts x 3 lengths, of which the 24 rows are 24 different ones.
    assert_eq!(with.with("24 found, 0 computed, 24 rows").len(), 1, "{:?}", with.words.borrow());
}
