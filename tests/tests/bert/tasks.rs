//! A new head starts a new task, its settings are saved with it, and class names are compared between teachers, student,
//! and data before the first step.

use brew_core::batch::Walk;
use brew_core::cache::{MemoryCache, Payload};
use brew_core::distill::{student_layer, teacher_layer};
use brew_core::execute::Executor;
use brew_core::model::{
    BertForQuestionAnswering, BertForTokenClassification, BiGruConfig, BiGruForSequenceClassification,
    ClassifierOutputAdaptor, ProblemType,
};
use brew_core::pass::Wants;
use brew_core::prelude::*;
use brew_core::textbrewer::config::{DistillationConfig, TrainingConfig};
use brew_core::textbrewer::{BasicDistiller, GeneralDistiller, MultiTeacherDistiller};
use brew_core::train::Sgd;
use brew_core::train::Trained;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::support::{difference, edit_config, everything, head_folder, head_folder_copy, recorded};

const TOXIC: [&str; 3] = ["toxic", "insult", "threat"];

/// A folder of three classes with these names.
fn named(names: &[&str]) -> TempDir {
    let folder = head_folder_copy("distilbert/sequence");
    edit_config(folder.path(), |config| {
        let pairs = || names.iter().enumerate();
        config["id2label"] = pairs().map(|(class, name)| (class.to_string(), json!(name))).collect();
        config["label2id"] = pairs().map(|(class, name)| (name.to_string(), json!(class))).collect();
    });
    folder
}

fn loaded(names: &[&str]) -> BertForSequenceClassification {
    BertForSequenceClassification::from_pretrained(named(names).path(), Device::Cpu).unwrap()
}

/// The config that a model is saved with.
fn saved(model: &impl Model) -> Value {
    let folder = TempDir::new().unwrap();
    model.save(folder.path()).unwrap();
    serde_json::from_slice(&std::fs::read(folder.path().join("config.json")).unwrap()).unwrap()
}

fn batch(labels: Option<&[i64]>) -> TextBatch {
    let inputs = recorded("distilbert/sequence");
    TextBatch {
        input_ids: inputs["input_ids"].shallow_clone(),
        attention_mask: inputs["attention_mask"].shallow_clone(),
        token_type_ids: None,
        labels: labels.map(Tensor::from_slice),
    }
}

// transformers 5.24.0: AutoModelForSequenceClassification.from_config(BertConfig(num_labels=3)) writes
// {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}, its inverse, and no problem type.
#[test]
fn a_new_head_has_neither_the_names_nor_the_problem_type_of_the_old_one() {
    let folder = named(&TOXIC);
    edit_config(folder.path(), |config| {
        config["problem_type"] = json!("multi_label_classification");
        config["finetuning_task"] = json!("toxicity");
    });
    let new = BertForSequenceClassification::from_encoder(folder.path(), 3, 1, Device::Cpu).unwrap();
    let old = BertForSequenceClassification::from_pretrained(folder.path(), Device::Cpu).unwrap();
    assert_eq!(saved(&old)["id2label"], json!({"0": "toxic", "1": "insult", "2": "threat"}));
    let tagger = BertForTokenClassification::from_encoder(folder.path(), 3, 1, Device::Cpu).unwrap();
    let reader = BertForQuestionAnswering::from_encoder(folder.path(), 1, Device::Cpu).unwrap();
    for (config, classes) in [
        (saved(&new), 3),
        (saved(&old.with_new_head(3, 1).unwrap()), 3),
        (saved(&tagger), 3),
        (saved(&reader), 2),
    ] {
        let names = |class: i64| format!("LABEL_{class}");
        let id2label: Value = (0..classes).map(|class| (class.to_string(), json!(names(class)))).collect();
        let label2id: Value = (0..classes).map(|class| (names(class), json!(class))).collect();
        assert_eq!((&config["id2label"], &config["label2id"]), (&id2label, &label2id));
        assert_eq!(config["problem_type"], Value::Null);
        assert_eq!(config.get("finetuning_task"), None);
    }
    // Its first labels say what it is, and the saved config too: 0, 1 and 2 are classes.
    let batch = batch(Some(&[0, 1, 2, 0]));
    let output = new.run(&batch, &Pass::evaluation(everything())).unwrap();
    let expected = output.logits.cross_entropy_for_logits(batch.labels.as_ref().unwrap());
    assert!(difference(&output.loss.unwrap().mean(None), &expected) < 1e-6);
    assert_eq!(saved(&new)["problem_type"], "single_label_classification");
}

#[test]
fn classes_and_problem_type_are_given_and_saved() {
    let folder = head_folder("distilbert/sequence");
    let new = || BertForSequenceClassification::from_encoder(&folder, 2, 1, Device::Cpu).unwrap();
    let model = new().classes(["negative", "positive"]).unwrap();
    let model = model.problem(ProblemType::MultiLabelClassification).unwrap();
    assert_eq!(model.class_names().unwrap(), ["negative", "positive"]);
    let student = BertForSequenceClassification::from_layers_of(&model, Keep::first(1)).unwrap();
    let gru = BiGruForSequenceClassification::new(BiGruConfig::default(), 1, Device::Cpu).unwrap();
    let gru = gru.classes(["negative", "positive"]).unwrap();
    let gru = gru.problem(ProblemType::MultiLabelClassification).unwrap();
    let tagger = BertForTokenClassification::from_encoder(head_folder("bert/token"), 2, 1, Device::Cpu);
    let tagger = tagger.unwrap().classes(["negative", "positive"]).unwrap();
    for config in [saved(&model), saved(&student), saved(&gru), saved(&tagger)] {
        assert_eq!(config["id2label"], json!({"0": "negative", "1": "positive"}));
        assert_eq!(config["label2id"], json!({"negative": 0, "positive": 1}));
    }
    for config in [saved(&model), saved(&student), saved(&gru)] {
        assert_eq!(config["problem_type"], "multi_label_classification");
    }
    // A BiGRU reads its names back.
    let saved = TempDir::new().unwrap();
    gru.save(saved.path()).unwrap();
    let gru = BiGruForSequenceClassification::from_pretrained(saved.path(), Device::Cpu).unwrap();
    assert_eq!(gru.class_names().unwrap(), ["negative", "positive"]);

    let refused = |names: &[&str]| new().classes(names.iter().copied()).unwrap_err().to_string();
    assert_eq!(
        refused(&["a", " ", "a"]),
        "these class names cannot be used, 3 problems:\n  1. there are 3 names, but the head has 2 classes\n  \
         2. the name of class 1 is empty\n  3. `a` is the name of two classes"
    );
    assert!(refused(&["one"]).contains("there are 1 names"));
    let refused = tagger.problem(ProblemType::Regression).unwrap_err().to_string();
    assert_eq!(
        refused,
        "a head for TokenClassification is always single_label_classification, not regression"
    );
}

type TextPipeline = Pipeline<TextBatch, ClassifierOutputAdaptor>;

fn pipeline(teacher: Seen<ClassifierOutputAdaptor>, student: BertForSequenceClassification) -> TextPipeline {
    let student = student.seen_by(ClassifierOutputAdaptor);
    Distill::new(teacher, student).soft_targets(loss::KdCe::at(2.0)).hard_labels(1.0).plan().unwrap()
}

/// What the check before the first step says of these names of teacher, student and data: an error, or the
/// warnings.
fn probed(
    teacher: &[&str],
    student: &[&str],
    data: Option<&[&str]>,
) -> std::result::Result<Vec<String>, String> {
    let pipeline = pipeline(loaded(teacher).seen_by(ClassifierOutputAdaptor), loaded(student));
    let data = data.map(|names| names.iter().map(ToString::to_string).collect::<Vec<_>>());
    let executor = Executor::new(&pipeline, 0).unwrap();
    let probe = executor.probe_data(&batch(Some(&[0, 1, 2, 0])), data.as_deref(), &|_| Ok(None));
    probe.map(|probe| probe.warnings).map_err(|error| error.to_string())
}

/// The three classes of natural language inference, as public checkpoints number them.
const MNLI: [&str; 3] = ["contradiction", "entailment", "neutral"];
const OTHER_MNLI: [&str; 3] = ["CONTRADICTION", "NEUTRAL", "ENTAILMENT"];
/// Each class in the place of another.
const TURNED: [&str; 3] = ["neutral", "contradiction", "entailment"];
const NONE: [&str; 3] = ["LABEL_0", "LABEL_1", "LABEL_2"];

#[test]
fn names_that_a_head_has_are_not_given_to_it_in_another_order() {
    for family in ["distilbert", "bert", "roberta"] {
        let folder = head_folder(&format!("{family}/sequence"));
        let new = BertForSequenceClassification::from_encoder(&folder, 2, 1, Device::Cpu).unwrap();
        let named = new.classes(["negative", "positive"]).unwrap();
        // A copied head has the names of the one it is copied from.
        let copied = || BertForSequenceClassification::from_layers_of(&named, Keep::first(1)).unwrap();
        let message = copied().classes(["Positive", "negative"]).unwrap_err().to_string();
        assert!(
            message.contains("the head's classes are `negative`, `positive`, and `Positive`, `negative`"),
            "{family}: {message}"
        );
        assert!(
            message.contains("number the labels in the head's order, or give the student a new head"),
            "{family}: {message}"
        );
        // Other words, and another way of writing the same, say nothing of another order.
        for names in [["bad", "good"], ["NEGATIVE", "POSITIVE"]] {
            assert_eq!(copied().classes(names).unwrap().class_names().unwrap(), names);
        }
        // What the message advises.
        let fresh = copied().with_new_head(2, 1).unwrap().classes(["positive", "negative"]).unwrap();
        assert_eq!(fresh.class_names().unwrap(), ["positive", "negative"]);
        // A head of tokens likewise.
        let folder = head_folder(&format!("{family}/token"));
        let tagger = BertForTokenClassification::from_pretrained(&folder, Device::Cpu).unwrap();
        let names: Vec<String> = (0..tagger.config().classes()).map(|class| format!("tag {class}")).collect();
        let tagger = tagger.classes(names.clone()).unwrap();
        let copied = BertForTokenClassification::from_layers_of(&tagger, Keep::first(1)).unwrap();
        let message = copied.classes(names.into_iter().rev()).unwrap_err().to_string();
        assert!(message.contains("are the same names in a different order"), "{family}: {message}");
    }
}

#[test]
fn another_order_of_the_same_classes_is_refused_with_both_lists() {
    for (teacher, student, data, whose) in [
        (&MNLI, &OTHER_MNLI, None, ["the teacher", "the student"]),
        (&MNLI, &MNLI, Some(&OTHER_MNLI), ["the teacher", "the data"]),
        (&NONE, &MNLI, Some(&OTHER_MNLI), ["the student", "the data"]),
        (&MNLI, &NONE, Some(&OTHER_MNLI), ["the teacher", "the data"]),
        // Some of the names are enough: class 1 of one side is class 2 of the other.
        (&["x", "entailment", "y"], &OTHER_MNLI, None, ["the teacher", "the student"]),
        (&["LABEL_0", "entailment", "LABEL_2"], &OTHER_MNLI, None, ["the teacher", "the student"]),
        // The case tells classes apart where one side has both.
        (&["a", "A", "b"], &["A", "a", "b"], None, ["the teacher", "the student"]),
        // Default names under other numbers are none; the third is.
        (&["LABEL_1", "c", "LABEL_0"], &["c", "LABEL_1", "LABEL_2"], None, ["the teacher", "the student"]),
    ] {
        let message = probed(teacher, student, data.map(|names| names.as_slice())).unwrap_err();
        let [one, other] = whose;
        assert!(
            message.contains(&format!("the classes of {one} are `"))
                && message.contains(&format!("those of {other} are `")),
            "{message}"
        );
        assert!(message.contains("the same name stands for different classes; "), "{message}");
        // A trained head keeps its order whatever its classes are called: only a new one is named.
        for (before, _) in message.match_indices(".classes([…])").map(|(place, _)| message.split_at(place))
        {
            assert!(before.contains("with a new head"), "{message}");
        }
    }
    let message = probed(&MNLI, &OTHER_MNLI, None).unwrap_err();
    assert!(message.contains("`contradiction`, `entailment`, `neutral`"), "{message}");
    assert!(message.contains("`CONTRADICTION`, `NEUTRAL`, `ENTAILMENT`"), "{message}");
}

#[test]
fn names_that_agree_or_say_nothing_pass_and_other_words_are_a_warning() {
    for (teacher, student, data) in [
        (&MNLI, &MNLI, Some(&MNLI)),
        (&MNLI, &["Contradiction", " ENTAILMENT ", "neutral"], None),
        (&MNLI, &NONE, Some(&NONE)),
        (&NONE, &NONE, Some(&OTHER_MNLI)),
        (&["LABEL_2", "LABEL_1", "LABEL_0"], &MNLI, None),
        (&["", "", ""], &MNLI, None),
        (&["twice", "twice", "once"], &["twice", "twice", "once"], None),
    ] {
        let warnings = probed(teacher, student, data.map(|names| names.as_slice())).unwrap();
        assert_eq!(warnings, [""; 0], "{teacher:?} {student:?} {data:?}");
    }
    let warnings = probed(&["bad", "fair", "good"], &["1 star", "3 stars", "5 stars"], None).unwrap();
    assert_eq!(
        warnings,
        [
            "the classes of the teacher are `bad`, `fair`, `good`, those of the student are `1 star`, `3 stars`, `5 stars`: \
          they are assumed to be the same classes in this order"
        ]
    );
}

// A teacher whose logits no loss reads may be of any task; so may data whose labels no loss reads.
#[test]
fn names_that_no_loss_brings_together_are_not_compared() {
    let teacher = loaded(&MNLI).seen_by(ClassifierOutputAdaptor);
    let student = loaded(&OTHER_MNLI).seen_by(ClassifierOutputAdaptor);
    let states = hidden(teacher_layer(1), student_layer(1)).by(loss::HiddenMse);
    let pipeline = Distill::new(teacher, student).matching(states).plan().unwrap();
    let names = TOXIC.map(str::to_owned);
    let executor = Executor::new(&pipeline, 0).unwrap();
    executor.probe_data(&batch(None), Some(&names), &|_| Ok(None)).unwrap();
}

#[test]
fn a_teacher_read_by_name_gives_the_losses_of_one_whose_classes_stand_in_order() {
    let value = |pipeline: &TextPipeline| {
        let executor = Executor::new(pipeline, 0).unwrap();
        let batch = batch(Some(&[0, 1, 2, 0]));
        executor.probe(&batch).unwrap();
        let pass = Pass::evaluation(Wants::nothing());
        executor.run(&batch, &pass, None).unwrap().total.double_value(&[])
    };
    // The rows of the classifier in the student's order, by hand.
    let by_hand = loaded(&TURNED);
    let order = Tensor::from_slice(&[2_i64, 0, 1]);
    {
        let _guard = brew_core::tch::no_grad_guard();
        for (name, tensor) in by_hand.parameters().iter().filter(|(name, _)| name.starts_with("classifier")) {
            let rows = tensor.index_select(0, &order);
            assert!(difference(&rows, tensor) > 0.0, "{name}");
            tensor.shallow_clone().copy_(&rows);
        }
    }
    let expected = value(&pipeline(by_hand.seen_by(ClassifierOutputAdaptor), loaded(&TURNED)));
    let teacher = || loaded(&MNLI).seen_by(ClassifierOutputAdaptor).classes_by_name();
    let mapped = value(&pipeline(teacher(), loaded(&TURNED)));
    assert!((mapped - expected).abs() < 1e-6, "{mapped} {expected}");

    for (student, message) in [
        (NONE, "the student's have no names; give them with `.classes([…])`"),
        (["contradiction", "entailment", "other"], "both must name the same classes"),
    ] {
        let error = Executor::new(&pipeline(teacher(), loaded(&student)), 0).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    let unnamed = loaded(&NONE).seen_by(ClassifierOutputAdaptor).classes_by_name();
    let error = Executor::new(&pipeline(unnamed, loaded(&MNLI)), 0).unwrap_err().to_string();
    assert!(error.contains("cannot be matched by name: they have no names"), "{error}");
}

// The stored top k of a teacher read by name: all k classes are the dense loss.
#[test]
fn a_kept_top_k_is_read_by_name_too() {
    let _alone = tests::alone();
    let train = |cache: bool| {
        let teacher = loaded(&MNLI).seen_by(ClassifierOutputAdaptor).classes_by_name();
        let student = loaded(&TURNED).seen_by(ClassifierOutputAdaptor);
        let pipeline =
            Distill::new(teacher, student).soft_targets(loss::TopK::of(2, loss::Kl::at(1.0))).plan().unwrap();
        let trainer = Trainer::new(pipeline).optimizer(Sgd::with_lr(0.1)).epochs(4).seed(1);
        let trainer = if cache {
            trainer.teacher_cache(MemoryCache::keeping(Payload::whole().top_logits(2)))
        } else {
            trainer
        };
        let trained = trainer.run(vec![batch(None)]).unwrap();
        trained.student().parameters().iter().map(|(_, tensor)| tensor.detach()).collect::<Vec<_>>()
    };
    for (kept, dense) in train(true).iter().zip(&train(false)) {
        let off = difference(kept, dense);
        assert!(off < 1e-5, "{off:e}");
    }
}

/// Batches whose labels have names.
struct Labelled(Vec<TextBatch>, [&'static str; 3]);

impl Batches for Labelled {
    type Batch = TextBatch;
    fn batches_per_epoch(&self) -> Option<usize> {
        self.0.batches_per_epoch()
    }
    fn rows(&self) -> Option<usize> {
        Batches::rows(&self.0)
    }
    fn epoch(&self, epoch: u64) -> Result<Walk<'_, TextBatch>> {
        self.0.epoch(epoch)
    }
    fn class_names(&self, column: &str) -> Result<Option<Vec<String>>> {
        Ok((column == "labels").then(|| self.1.map(str::to_owned).to_vec()))
    }
}

#[test]
fn a_student_without_names_is_saved_with_those_of_its_teacher_or_of_the_data() {
    let _alone = tests::alone();
    let new = || {
        let folder = head_folder("distilbert/sequence");
        BertForSequenceClassification::from_encoder(folder, 3, 1, Device::Cpu).unwrap()
    };
    let data = |names| Labelled(vec![batch(Some(&[0, 1, 2, 0]))], names).processed(Ok);
    let config = |trained: Trained<ClassifierOutputAdaptor>| saved(trained.student());
    let taught = pipeline(loaded(&MNLI).seen_by(ClassifierOutputAdaptor), new());
    let trained = Trainer::new(taught).optimizer(AdamW::with_lr(1e-3)).steps(1).run(data(NONE)).unwrap();
    assert_eq!(config(trained)["id2label"], json!({"0": MNLI[0], "1": MNLI[1], "2": MNLI[2]}));

    let alone = || Supervised::new(new().seen_by(ClassifierOutputAdaptor)).plan().unwrap();
    let trained = Trainer::new(alone()).optimizer(AdamW::with_lr(1e-3)).steps(1).run(data(TOXIC)).unwrap();
    let config = config(trained);
    assert_eq!(config["label2id"], json!({"toxic": 0, "insult": 1, "threat": 2}));
    assert_eq!(config["problem_type"], "single_label_classification");

    // Names that were given stay, and a run over data of another order does not begin.
    let given =
        Supervised::new(new().classes(MNLI).unwrap().seen_by(ClassifierOutputAdaptor)).plan().unwrap();
    let error =
        Trainer::new(given).optimizer(AdamW::with_lr(1e-3)).steps(1).run(data(OTHER_MNLI)).unwrap_err();
    assert!(
        error.to_string().contains("those of the data are `CONTRADICTION`, `NEUTRAL`, `ENTAILMENT`"),
        "{error}"
    );
}

#[test]
fn evaluation_data_whose_classes_are_in_another_order_are_refused_before_the_first_step() {
    let _alone = tests::alone();
    let data = |names| Labelled(vec![batch(Some(&[0, 1, 2, 0]))], names).processed(Ok);
    let run = |student: BertForSequenceClassification, dev: [&'static str; 3]| {
        let pipeline = pipeline(loaded(&MNLI).seen_by(ClassifierOutputAdaptor), student);
        let trainer = Trainer::new(pipeline).optimizer(AdamW::with_lr(1e-3)).epochs(1);
        trainer.evaluate(data(dev), Accuracy).run(data(NONE)).map(|_| ()).map_err(|error| error.to_string())
    };
    let message = run(loaded(&MNLI), OTHER_MNLI).unwrap_err();
    for part in [
        "accuracy",
        "the classes of the student are `",
        "those of the data are `CONTRADICTION`, `NEUTRAL`, `ENTAILMENT`",
        "number the labels in the student's order",
    ] {
        assert!(message.contains(part), "{part} is not in {message}");
    }
    // A student without names has those of its teacher by then.
    let unnamed =
        BertForSequenceClassification::from_encoder(head_folder("distilbert/sequence"), 3, 1, Device::Cpu);
    assert!(run(unnamed.unwrap(), OTHER_MNLI).unwrap_err().contains("those of the data are `CONTRADICTION`"));
    // The same order, no names and other words pass.
    for names in [MNLI, NONE, TOXIC] {
        run(loaded(&MNLI), names).unwrap();
    }
}

// TextBrewer's front doors run the same check.
#[test]
fn front_doors_compare_names_too() {
    let distill = DistillationConfig { temperature: 2.0, ..DistillationConfig::default() };
    let train = TrainingConfig::default();
    let teacher = || loaded(&MNLI).seen_by(ClassifierOutputAdaptor);
    let student = || loaded(&OTHER_MNLI).seen_by(ClassifierOutputAdaptor);
    let refused = |plan: Result<TextPipeline>| {
        let plan = plan.unwrap();
        Executor::new(&plan, 0)
            .and_then(|executor| executor.probe(&batch(None)))
            .map_err(|error| error.to_string())
    };
    let expected = "the same name stands for different classes";
    let basic = refused(BasicDistiller::new(&train, &distill, teacher(), student()).plan()).unwrap_err();
    assert!(basic.contains(expected), "{basic}");
    let general = refused(GeneralDistiller::new(&train, &distill, teacher(), student()).plan()).unwrap_err();
    assert!(general.contains(expected), "{general}");
    let two = vec![teacher(), teacher().classes_by_name()];
    let several = refused(MultiTeacherDistiller::new(&train, &distill, two, student()).plan()).unwrap_err();
    assert!(several.contains("the classes of teacher 0 are"), "{several}");
    assert!(several.contains("those of teacher 1 are `CONTRADICTION`"), "{several}");
    let mapped = GeneralDistiller::new(&train, &distill, teacher().classes_by_name(), student()).plan();
    refused(mapped).unwrap();
}

// transformers 5.24.0 (`PreTrainedModel._init_weights`): linear layers are drawn with
// `std=self.config.initializer_range`.
#[test]
fn a_new_head_is_drawn_with_the_deviation_that_the_config_states() {
    for (architecture, heads) in
        [("bert", &["classifier."][..]), ("roberta", &["classifier.dense.", "classifier.out_proj."])]
    {
        let folder = head_folder_copy(&format!("{architecture}/sequence"));
        let weights = |range: Value| {
            edit_config(folder.path(), |config| config["initializer_range"] = range.clone());
            BertForSequenceClassification::from_encoder(folder.path(), 200, 7, Device::Cpu)
        };
        let of = |range: f64, name: &str| {
            let parameters = weights(json!(range)).unwrap().parameters();
            let wanted = format!("{name}weight");
            let (_, weight) = parameters.iter().find(|(name, _)| *name == wanted).unwrap();
            weight.to_kind(Kind::Double)
        };
        for head in heads {
            let (usual, wide) = (of(0.02, head), of(0.5, head));
            let deviation = wide.std(false).double_value(&[]);
            // 3.3 standard deviations of what so many draws give: 1 in 1,000.
            let near = 3.3 / f64::sqrt(2.0 * wide.numel() as f64);
            assert!((deviation / 0.5 - 1.0).abs() < near, "{architecture} {head}: {deviation}");
            assert!(difference(&(usual * 25.0), &wide) < 1e-6, "the draws are the same");
        }
        assert_eq!(of(0.0, heads[0]).abs().max().double_value(&[]), 0.0);
        let error = weights(json!(-0.02)).unwrap_err().to_string();
        assert!(error.contains("initializer_range is -0.02"), "{error}");
    }
}
