//! Ids of one vocabulary never silently reach a model of another.

use std::path::Path;

use brew_core::batch::{Both, Feeds};
use brew_core::model::{Architecture, BertConfig, ClassifierOutput, ClassifierOutputAdaptor};
use brew_core::prelude::*;
use brew_data::{Dataset, Tokenize, Tokenizer};
use tempfile::TempDir;

/// Three hundred words that start with this letter, and BERT's special tokens.
fn words(letter: char) -> Vec<String> {
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(str::to_owned);
    special.into_iter().chain((0..300).map(|word| format!("{letter}{word}"))).collect()
}

/// A folder with a tokenizer of these words.
fn tokenizer(words: &[String]) -> TempDir {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("vocab.txt"), words.join("\n")).unwrap();
    std::fs::write(folder.path().join("tokenizer_config.json"), r#"{"tokenizer_class": "BertTokenizer"}"#)
        .unwrap();
    folder
}

fn model(architecture: Architecture, tokenizer: Option<&Path>) -> BertForSequenceClassification {
    let config = BertConfig {
        vocab_size: 310,
        hidden_size: 8,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        intermediate_size: 8,
        max_position_embeddings: 20,
        ..BertConfig::base(architecture)
    };
    let model = BertForSequenceClassification::new(config, 2, 1, Device::Cpu).unwrap();
    match tokenizer {
        Some(folder) => model.with_tokenizer_of(folder),
        None => model,
    }
}

fn batch() -> TextBatch {
    TextBatch {
        input_ids: Tensor::from_slice2(&[[2, 17, 40, 3], [2, 290, 9, 3]]),
        attention_mask: Tensor::ones([2, 4], (Kind::Int64, Device::Cpu)),
        token_type_ids: None,
        labels: Some(Tensor::from_slice(&[0_i64, 1])),
    }
}

/// The warnings of the check before the first step, or its error.
fn probed<B: Feeds<TextBatch, TextBatch>>(
    teacher: Seen<ClassifierOutputAdaptor>,
    student: Seen<ClassifierOutputAdaptor>,
    batch: &B,
) -> std::result::Result<Vec<String>, String> {
    let pipeline = Distill::new(teacher, student).soft_targets(loss::KdCe::at(2.0)).plan().unwrap();
    let executor = brew_core::execute::Executor::new(&pipeline, 0).unwrap();
    executor.probe(batch).map(|probe| probe.warnings).map_err(|error| error.to_string())
}

const REFUSAL: &str = "the pipeline cannot run: stage `teacher adaptor`: the teacher and the student read the same `input_ids`, and have different vocabularies: id 5 is `r0` to one and `b0` to the other; tokenise the texts once for each and stream `Both<TeacherBatch, StudentBatch>`, or take a student with the teacher's vocabulary";

#[test]
fn a_teacher_of_another_vocabulary_is_refused_on_a_common_batch_and_runs_on_one_of_its_own() {
    let (of_teacher, of_student) = (tokenizer(&words('r')), tokenizer(&words('b')));
    let teacher = || model(Architecture::Roberta, Some(of_teacher.path())).seen_by(ClassifierOutputAdaptor);
    let student = || model(Architecture::Bert, Some(of_student.path())).seen_by(ClassifierOutputAdaptor);
    assert_eq!(probed(teacher(), student(), &batch()).unwrap_err(), REFUSAL);
    let both = Both { teacher: batch(), student: batch() };
    assert_eq!(probed(teacher(), student(), &both), Ok(vec![]));
}

/// A user's model around one of brew's.
struct Wrapped(BertForSequenceClassification);

#[distill(batch = TextBatch)]
impl Wrapped {
    fn forward(&self, input_ids: &Tensor, attention_mask: &Tensor, pass: &Pass) -> Result<ClassifierOutput> {
        self.0.forward(input_ids, attention_mask, None, None, pass)
    }
}

impl Model for Wrapped {
    fn parameters(&self) -> Parameters {
        self.0.parameters()
    }
    fn inner(&self) -> Option<&dyn Model> {
        Some(&self.0)
    }
}

#[test]
fn a_wrapper_says_what_the_model_inside_says() {
    let (of_teacher, of_student) = (tokenizer(&words('r')), tokenizer(&words('b')));
    let inside = || model(Architecture::Roberta, Some(of_teacher.path())).classes(["no", "yes"]).unwrap();
    let wrapped = Wrapped(inside());
    assert_eq!(wrapped.class_names().unwrap(), ["no", "yes"]);
    assert_eq!(wrapped.vocabulary().unwrap().unwrap().token(5), Some("r0"));
    let (own, of_inside) = (wrapped.identity().unwrap(), inside().identity().unwrap());
    assert!(own["type"].ends_with("Wrapped"), "{own:?}");
    for (key, value) in &of_inside {
        assert_eq!(own.get(&format!("inner.{key}")), Some(value));
    }
    wrapped.learn_task(Some(brew_core::model::ProblemType::SingleLabelClassification), None);
    assert_eq!(wrapped.problem_type(), wrapped.0.problem_type());
    assert!(wrapped.problem_type().is_some());
    let student = model(Architecture::Bert, Some(of_student.path())).seen_by(ClassifierOutputAdaptor);
    assert_eq!(probed(wrapped.seen_by(ClassifierOutputAdaptor), student, &batch()).unwrap_err(), REFUSAL);
}

#[test]
fn students_of_the_teachers_vocabulary_pass_however_they_were_made() {
    let folder = tokenizer(&words('b'));
    let teacher = || model(Architecture::Bert, Some(folder.path()));
    let saved = TempDir::new().unwrap();
    teacher().save(saved.path()).unwrap();
    let opened = BertForSequenceClassification::from_pretrained(saved.path(), Device::Cpu).unwrap();
    assert_eq!(opened.vocabulary().unwrap(), teacher().vocabulary().unwrap());
    let layers = BertForSequenceClassification::from_layers_of(&teacher(), Keep::first(1)).unwrap();
    let encoder = BertForSequenceClassification::from_encoder(saved.path(), 2, 1, Device::Cpu).unwrap();
    // Its embeddings may be the teacher's: without tokenizer files nothing is known.
    let unknown = model(Architecture::Bert, None);
    for (student, known) in [(opened, true), (layers, true), (encoder, true), (unknown, false)] {
        assert_eq!(student.vocabulary().unwrap().is_some(), known);
        assert_eq!(
            probed(
                teacher().seen_by(ClassifierOutputAdaptor),
                student.seen_by(ClassifierOutputAdaptor),
                &batch()
            ),
            Ok(vec![])
        );
    }
}

#[test]
fn added_and_replaced_tokens_are_no_other_vocabulary() {
    let folder = tokenizer(&words('b'));
    let mut changed = words('b');
    changed.push("[E1]".to_owned());
    let longer = tokenizer(&changed);
    changed[30] = "[E2]".to_owned();
    let replaced = tokenizer(&changed);
    let with =
        |folder: &TempDir| model(Architecture::Bert, Some(folder.path())).seen_by(ClassifierOutputAdaptor);
    assert_eq!(probed(with(&folder), with(&longer), &batch()), Ok(vec![]));
    let warning = "the teacher and the student read the same `input_ids`, and share a vocabulary but for 1 of 305 ids: id 30 is `b25` to one and `[E2]` to the other";
    assert_eq!(probed(with(&folder), with(&replaced), &batch()), Ok(vec![warning.to_owned()]));
}

/// Two texts of a letter's words, tokenised by a folder's tokenizer.
fn texts(letter: char, folder: &TempDir, cache: &TempDir) -> Dataset {
    let path = cache.path().join(format!("{letter}.csv"));
    std::fs::write(&path, format!("text,labels\n{letter}1 {letter}2,0\n{letter}3 {letter}250,1\n")).unwrap();
    let tokenizer = Tokenizer::from_folder(folder.path()).unwrap();
    let settings = Tokenize::text("text", 10).carry(&["labels"]);
    Dataset::open(path).unwrap().tokenize(&tokenizer, &settings, cache.path()).unwrap()
}

#[test]
fn data_of_another_tokenizer_is_refused_in_training_and_in_evaluations() {
    let (own, other, work) = (tokenizer(&words('b')), tokenizer(&words('r')), TempDir::new().unwrap());
    let (right, wrong) = (texts('b', &own, &work), texts('r', &other, &work));
    let refusal = "the student and the tokenizer that made `input_ids` have different vocabularies; tokenise the texts with the tokenizer of this model's folder";
    let run = |data: &Dataset, dev: &Dataset, name: &str| {
        let student = model(Architecture::Bert, Some(own.path())).seen_by(ClassifierOutputAdaptor);
        let pipeline = Supervised::new(student).plan().unwrap();
        let _alone = tests::alone();
        Trainer::new(pipeline)
            .evaluate(dev.batches::<TextBatch>(2), Accuracy)
            .run_dir(work.path().join(name))
            .run(data.batches::<TextBatch>(2))
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    assert_eq!(run(&right, &right, "right"), Ok(()));
    let error = run(&wrong, &right, "data").unwrap_err();
    assert!(error.contains(&format!("stage `student adaptor`: {refusal}")), "{error}");
    let error = run(&right, &wrong, "dev").unwrap_err();
    assert!(error.contains("accuracy") && error.contains(refusal), "{error}");
    // The vocabulary follows the column through copies.
    let copy = work.path().join("copy.parquet");
    wrong.write_parquet(&copy).unwrap();
    let copy = Dataset::open(copy).unwrap();
    assert_eq!(copy.vocabulary("input_ids").unwrap(), wrong.vocabulary("input_ids").unwrap());
    assert!(copy.vocabulary("input_ids").unwrap().is_some());
    assert!(run(&copy, &right, "copy").unwrap_err().contains(refusal));
}

/// A model whose `Forward` does not say what it reads.
struct Unstated(BertForSequenceClassification);

impl Forward<TextBatch> for Unstated {
    type Output = ClassifierOutput;
    fn run(&self, batch: &TextBatch, pass: &Pass) -> Result<ClassifierOutput> {
        self.0.run(batch, pass)
    }
}

impl Model for Unstated {
    fn parameters(&self) -> Parameters {
        self.0.parameters()
    }
    fn inner(&self) -> Option<&dyn Model> {
        Some(&self.0)
    }
}

#[test]
fn a_model_that_may_read_another_column_is_warned_of_and_so_is_a_tokenizer_that_is_gone() {
    let (of_teacher, of_student) = (tokenizer(&words('r')), tokenizer(&words('b')));
    let teacher = || Unstated(model(Architecture::Roberta, Some(of_teacher.path())));
    let student = || model(Architecture::Bert, Some(of_student.path())).seen_by(ClassifierOutputAdaptor);
    let warnings = probed(teacher().seen_by(ClassifierOutputAdaptor), student(), &batch()).unwrap();
    assert!(warnings.len() == 1 && warnings[0].starts_with("if its values are token ids: "), "{warnings:?}");
    let gone = model(Architecture::Roberta, Some(of_teacher.path()));
    of_teacher.close().unwrap();
    let warnings = probed(gone.seen_by(ClassifierOutputAdaptor), student(), &batch()).unwrap();
    assert!(warnings[0].starts_with("the vocabulary of the teacher is not compared: "), "{warnings:?}");
}
