//! Task-agnostic distillation of masked language models from plain text: the recipes of DistilBERT, MiniLMv2 and
//! TinyBERT. Each in a few lines of the builder; losses fall, and runs resume to the last bit.

use std::path::{Path, PathBuf};

use brew_core::distill::{minilm_v2, student_layer, teacher_layer, tiny_bert};
use brew_core::loss::{Cos, Kl};
use brew_core::model::{
    Architecture, BertConfig, BertForMaskedLm, BertModel, EncoderOutputAdaptor, LayerMap, MaskedLmBatch,
    MaskedLmOutputAdaptor,
};
use brew_core::prelude::*;
use brew_core::train::Sgd;
use brew_data::augment::MaskedLm;
use brew_data::prelude::*;
use tempfile::TempDir;
use tests::{Totals, alone, killed_at};

/// Forty words in which each is followed by the next or the one after it, so that there is something to restore.
fn texts(folder: &Path) -> PathBuf {
    let words = (0..40).map(|word| format!("w{word}"));
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(str::to_owned);
    let vocabulary: Vec<String> = special.into_iter().chain(words).collect();
    std::fs::write(folder.join("vocab.txt"), vocabulary.join("\n")).unwrap();
    std::fs::write(folder.join("tokenizer_config.json"), r#"{"tokenizer_class": "BertTokenizer"}"#).unwrap();
    let row = |row: u64| {
        let words =
            (0..6 + row % 7).map(|place| format!("w{}", (row * 7 + place + place / (1 + row % 3)) % 40));
        let text = words.collect::<Vec<_>>().join(" ");
        // Labels of another task, which masking does not read.
        format!("{{\"text\": \"{text}\", \"labels\": {}}}\n", row % 2)
    };
    let path = folder.join("texts.jsonl");
    std::fs::write(&path, (0..24).map(row).collect::<String>()).unwrap();
    path
}

/// Batches of six rows, with new masks in each epoch if the batch has labels of tokens.
fn batches<B: brew_core::batch::FromColumns>(folder: &Path, masked: bool) -> Loader<B> {
    let texts = Dataset::open(texts(folder)).unwrap();
    let tokenizer = Tokenizer::from_folder(folder).unwrap();
    let settings = Tokenize::text("text", 16).carry(&["labels"]);
    let tokens = texts.tokenize(&tokenizer, &settings, folder.join("cache")).unwrap();
    let batches = tokens.batches(6).shuffled(3).bucketed();
    if masked { batches.masked_lm(MaskedLm::of(&tokenizer).seed(5)) } else { batches }
}

fn config(layers: usize, width: i64) -> BertConfig {
    BertConfig {
        vocab_size: 45,
        hidden_size: width,
        num_hidden_layers: layers,
        num_attention_heads: 4,
        intermediate_size: 2 * width,
        max_position_embeddings: 20,
        initializer_range: 0.2,
        ..BertConfig::base(Architecture::Bert)
    }
}

/// Trains; returns the totals, and the student's last checkpoint unless the run is stopped.
fn trained<A: Adaptor>(
    pipeline: Pipeline<A::Batch, A>,
    data: Loader<A::Batch>,
    (folder, steps, stop): (&Path, u64, Option<u64>),
) -> (Vec<f64>, Option<Vec<u8>>)
where
    A::Batch: brew_core::batch::FromColumns,
{
    let totals = Totals::default();
    let ended = Trainer::new(pipeline)
        .optimizer(AdamW::with_lr(1e-2))
        .steps(steps)
        .log_every(1)
        .checkpoint_every_steps(10)
        .run_dir(folder.join("run"))
        .observe(totals.clone())
        .on_checkpoint(killed_at(stop))
        .run(data);
    let totals = totals.so_far();
    if let Err(error) = ended {
        assert!(stop.is_some(), "{error}");
        return (totals, None);
    }
    let last = folder.join(format!("run/checkpoints/step-{steps}/student.safetensors"));
    (totals, Some(std::fs::read(last).unwrap()))
}

/// The loss falls to this share, and a run that is killed and resumed ends like one that is not.
fn learns_and_resumes<A: Adaptor>(
    pipeline: impl Fn() -> Pipeline<A::Batch, A>,
    data: impl Fn(&Path) -> Loader<A::Batch>,
    share: f64,
) where
    A::Batch: brew_core::batch::FromColumns,
{
    let _alone = alone();
    let folders = [(); 2].map(|()| TempDir::new().unwrap());
    let [whole, halves] = [folders[0].path(), folders[1].path()];
    let (totals, end) = trained(pipeline(), data(whole), (whole, 40, None));
    let mean = |totals: &[f64]| totals.iter().sum::<f64>() / totals.len() as f64;
    let (first, last) = (mean(&totals[..8]), mean(&totals[32..]));
    assert!(last < share * first, "{first} fell to {last}");
    let (_, killed) = trained(pipeline(), data(halves), (halves, 40, Some(20)));
    assert!(killed.is_none(), "it was killed");
    let (rest, resumed) = trained(pipeline(), data(halves), (halves, 40, None));
    assert!((20..40).contains(&rest.len()) && rest == totals[totals.len() - rest.len()..], "{}", rest.len());
    assert!(resumed == end, "another student");
}

// The page begins.
/// DistilBERT: what the teacher predicts for each token, the masked tokens, and the direction of the last hidden states.
fn distilbert(teacher: BertForMaskedLm) -> Result<Pipeline<MaskedLmBatch, MaskedLmOutputAdaptor>> {
    let student = BertForMaskedLm::from_layers_of(&teacher, Keep::every(2))?;
    Distill::new(teacher.seen(), student.seen())
        .soft_targets(Kl::at(2.0).times_temperature_squared().weight(5.0))
        .hard_labels(2.0)
        .matching(hidden(teacher_layer(-1), student_layer(-1)).by(Cos))
        .plan()
}

/// MiniLMv2: how the queries, keys and values of the last layers relate to each other. Widths may differ.
fn minilm(teacher: BertModel, student: BertModel) -> Result<Pipeline<TextBatch, EncoderOutputAdaptor>> {
    Distill::new(teacher.seen(), student.seen()).matching(minilm_v2(-1, -1, 8)).plan()
}

/// TinyBERT's general distillation: embeddings, hidden states and attention maps of every layer of the student.
fn tiny(teacher: BertModel, student: BertModel) -> Result<Pipeline<TextBatch, EncoderOutputAdaptor>> {
    let [of_teacher, of_student] = [&teacher, &student].map(|model| model.config().clone());
    let map = LayerMap::uniform(of_teacher.num_hidden_layers, of_student.num_hidden_layers)?;
    let matches = tiny_bert(&map, of_student.hidden_size, of_teacher.hidden_size);
    Distill::new(teacher.seen(), student.seen()).matching(matches).plan()
}
// The page ends.

fn new_encoder(layers: usize, width: i64) -> BertModel {
    BertModel::new(config(layers, width), 1, Device::Cpu).unwrap()
}

fn new_distilbert() -> Pipeline<MaskedLmBatch, MaskedLmOutputAdaptor> {
    distilbert(BertForMaskedLm::new(config(4, 16), 1, Device::Cpu).unwrap()).unwrap()
}

#[test]
fn distilberts_recipe_learns_and_resumes_to_the_last_bit() {
    learns_and_resumes(new_distilbert, |folder| batches(folder, true), 0.9);
}

#[test]
fn the_words_of_masked_tokens_are_learned_from_text_alone() {
    let supervised = || {
        let model = BertForMaskedLm::new(config(2, 16), 1, Device::Cpu).unwrap();
        Supervised::new(model.seen_by(MaskedLmOutputAdaptor)).plan().unwrap()
    };
    learns_and_resumes(supervised, |folder| batches(folder, true), 0.95);
}

// Plain text without masks, and a student of another width and depth with new weights.
#[test]
fn minilm_v2s_recipe_learns_and_resumes_to_the_last_bit() {
    let pipeline = || minilm(new_encoder(4, 16), new_encoder(2, 8)).unwrap();
    learns_and_resumes(pipeline, |folder| batches(folder, false), 0.8);
}

#[test]
fn tiny_berts_general_recipe_learns_and_resumes_to_the_last_bit() {
    let pipeline = || tiny(new_encoder(4, 16), new_encoder(2, 8)).unwrap();
    learns_and_resumes(pipeline, |folder| batches(folder, false), 0.8);
}

#[test]
fn the_page_prints_what_is_built_here() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = std::fs::read_to_string(root.join("docs/masked-language-models.md")).unwrap();
    let source = std::fs::read_to_string(root.join("tests/tests/bert/masked_students.rs")).unwrap();
    let (_, built) = source.split_once("// The page begins.\n").unwrap();
    let (built, _) = built.split_once("// The page ends.\n").unwrap();
    assert!(
        page.contains(&format!("```rust\n{built}```\n")),
        "docs/masked-language-models.md prints something else"
    );
}

// The same rows in other batches have the same masks: one batch of six, and six of one, accumulated.
#[test]
fn accumulated_masked_batches_teach_as_one_batch_of_their_rows() {
    let _alone = alone();
    let run = |size: usize, together: usize| {
        let folder = TempDir::new().unwrap();
        let texts = Dataset::open(texts(folder.path())).unwrap();
        let tokenizer = Tokenizer::from_folder(folder.path()).unwrap();
        let tokens =
            texts.tokenize(&tokenizer, &Tokenize::text("text", 16), folder.path().join("cache")).unwrap();
        let settings =
            BertConfig { hidden_dropout_prob: 0.0, attention_probs_dropout_prob: 0.0, ..config(2, 16) };
        let model = BertForMaskedLm::new(settings, 1, Device::Cpu).unwrap();
        let trained = Trainer::new(Supervised::new(model.seen_by(MaskedLmOutputAdaptor)).plan().unwrap())
            .optimizer(Sgd::with_lr(0.1))
            .accumulate(together)
            .epochs(2)
            .seed(7)
            .run(tokens.batches::<MaskedLmBatch>(size).masked_lm(MaskedLm::of(&tokenizer).seed(5)))
            .unwrap();
        let parameters = trained.student().parameters();
        let flat: Vec<Tensor> = parameters.iter().map(|(_, tensor)| tensor.flatten(0, -1)).collect();
        Tensor::cat(&flat, 0)
    };
    let whole = run(6, 1);
    for (size, together) in [(1, 6), (2, 3)] {
        let off = (run(size, together) - &whole).abs().max().double_value(&[]);
        assert!(off < 1e-5, "{together} batches of {size} are off by {off:e}");
    }
}

#[test]
fn a_teacher_cache_of_masked_rows_is_refused() {
    let _alone = tests::alone();
    let folder = TempDir::new().unwrap();
    let error = Trainer::new(new_distilbert())
        .optimizer(AdamW::with_lr(1e-3))
        .epochs(1)
        .teacher_cache(brew_core::cache::MemoryCache::new())
        .run(batches::<MaskedLmBatch>(folder.path(), true))
        .unwrap_err();
    assert!(error.to_string().contains("augmented or masked"), "{error}");
}

// A model with fewer tokens than the tokenizer that draws the random ones.
#[test]
fn a_random_token_without_an_embedding_is_found_before_the_first_step() {
    let _alone = tests::alone();
    let folder = TempDir::new().unwrap();
    let model = BertForMaskedLm::new(BertConfig { vocab_size: 44, ..config(2, 16) }, 1, Device::Cpu).unwrap();
    // No text has the last word.
    texts(folder.path());
    let tokenizer = Tokenizer::from_folder(folder.path()).unwrap();
    let text = folder.path().join("few.jsonl");
    std::fs::write(&text, "{\"text\": \"w1 w2 w3\"}\n{\"text\": \"w4 w5\"}\n").unwrap();
    let tokens = Dataset::open(&text).unwrap();
    let tokens =
        tokens.tokenize(&tokenizer, &Tokenize::text("text", 16), folder.path().join("cache")).unwrap();
    let error = Trainer::new(Supervised::new(model.seen_by(MaskedLmOutputAdaptor)).plan().unwrap())
        .optimizer(AdamW::with_lr(1e-3))
        .epochs(1)
        .run(tokens.batches::<MaskedLmBatch>(2).masked_lm(MaskedLm::of(&tokenizer)))
        .unwrap_err()
        .to_string();
    for part in ["the largest token that masks put there, 44", "`input_ids` must be integers from 0 to 43"] {
        assert!(error.contains(part), "{error}");
    }
}
