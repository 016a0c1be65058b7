//! The student's dropout as a setting of the run: in every model of brew's, and in no evaluation.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use brew_core::loss::KdCe;
use brew_core::model::{
    Architecture, BertConfig, BertForMaskedLm, BertForQuestionAnswering, BertForTokenClassification,
    BertModel, BiGruConfig, BiGruForSequenceClassification, CausalLmBatch, DecoderArchitecture,
    DecoderConfig, DecoderForCausalLm, Forward, Lora, MaskedLmBatch, SpanBatch, TokenBatch,
};
use brew_core::observe::{Event, Observer};
use brew_core::pass::Wants;
use brew_core::prelude::*;
use brew_core::tch;
use brew_core::train::MultiTask;
use tests::{Sentence, Toy, ToyOutput, ToyOutputAdaptor, alone, sentences};

/// The lines of a run's check, and its losses at each step.
#[derive(Default, Clone)]
struct Told(Rc<RefCell<(Vec<String>, Vec<f64>)>>);

impl Observer for Told {
    fn on(&mut self, event: &Event<'_>) {
        let mut told = self.0.borrow_mut();
        match event {
            Event::Started { found, .. } => told.0 = found.to_vec(),
            Event::Step(report) => told.1.extend(report.losses.iter().flatten().map(|(_, value)| *value)),
            _ => {}
        }
    }
}

/// The losses of two steps, the student's parameters after them, and what the run found before them.
fn trained(own: f64, set: Option<f64>, seed: i64) -> (Vec<f64>, Vec<Tensor>, Vec<String>) {
    let teacher = Toy::new(2, 8, 0).seen_by(ToyOutputAdaptor);
    let student = Toy::new(1, 6, 1).with_dropout(own).seen_by(ToyOutputAdaptor);
    let pipeline = Distill::new(teacher, student).soft_targets(KdCe::at(2.0)).plan().unwrap();
    let told = Told::default();
    let mut trainer = Trainer::new(pipeline).steps(2).seed(seed).log_every(1).observe(told.clone());
    if let Some(dropout) = set {
        trainer = trainer.student_dropout(dropout);
    }
    let student = trainer.run(sentences(2, 4, 5)).unwrap();
    let parameters = student.into_student().parameters().iter().map(|(_, tensor)| tensor.copy()).collect();
    let (found, losses) = told.0.take();
    (losses, parameters, found)
}

#[test]
fn a_student_dropout_of_zero_trains_as_a_student_that_has_none_from_the_first_step_on() {
    let _alone = alone();
    let (losses, parameters, _) = trained(0.0, None, 3);
    let (without, same, found) = trained(0.5, Some(0.0), 4);
    assert_eq!((&without, &same), (&losses, &parameters));
    assert!(found.contains(&"the student's dropout is 0, in place of its own".to_owned()), "{found:?}");
    let (with, other, found) = trained(0.5, None, 3);
    assert!(with[0] != losses[0] && other != parameters);
    assert!(found.iter().all(|line| !line.contains("dropout")), "{found:?}");
    // The other way round: as a student whose own it is.
    let (set, same, _) = trained(0.0, Some(0.5), 3);
    assert_eq!((set, same), (with, other));
}

#[test]
fn a_student_dropout_that_is_no_probability_is_refused() {
    for dropout in [-0.1, 1.0, f64::NAN] {
        let student = || Toy::new(1, 6, 1).seen_by(ToyOutputAdaptor);
        let pipeline = Distill::new(student(), student()).soft_targets(KdCe::at(2.0)).plan().unwrap();
        let told = Trainer::new(pipeline).student_dropout(dropout).check().unwrap_err().to_string();
        assert_eq!(told, format!("`student_dropout` is {dropout}; it must be at least 0 and below 1"));
    }
}

/// A toy that says nothing about its dropout.
struct Silent(Toy);

impl Model for Silent {
    fn parameters(&self) -> Parameters {
        self.0.parameters()
    }
}

impl Forward<Sentence> for Silent {
    type Output = ToyOutput;
    fn run(&self, batch: &Sentence, pass: &Pass) -> Result<ToyOutput> {
        self.0.run(batch, pass)
    }
}

/// A wrapper that names the model inside it.
struct Wrapper(Toy);

impl Model for Wrapper {
    fn parameters(&self) -> Parameters {
        self.0.parameters()
    }
    fn inner(&self) -> Option<&dyn Model> {
        Some(&self.0)
    }
}

impl Forward<Sentence> for Wrapper {
    type Output = ToyOutput;
    fn run(&self, batch: &Sentence, pass: &Pass) -> Result<ToyOutput> {
        self.0.run(batch, pass)
    }
}

#[test]
fn a_student_that_does_not_take_its_dropout_from_the_pass_is_refused_before_the_first_step() {
    let _alone = alone();
    let teacher = || Toy::new(1, 6, 2).seen_by(ToyOutputAdaptor);
    let pipeline = |student| Distill::new(teacher(), student).soft_targets(KdCe::at(2.0)).plan().unwrap();
    let silent = || pipeline(Silent(Toy::new(1, 6, 1)).seen_by(ToyOutputAdaptor));
    let run = |pipeline: Pipeline<Sentence, ToyOutputAdaptor>, dropout: Option<f64>| {
        let trainer = Trainer::new(pipeline).observe(Told::default());
        let trainer = match dropout {
            Some(dropout) => trainer.student_dropout(dropout),
            None => trainer,
        };
        trainer.run(sentences(1, 4, 5)).map(drop)
    };
    let told = run(silent(), Some(0.25)).unwrap_err().to_string();
    assert!(
        told.starts_with("`.student_dropout(0.25)`: this student's `Model::takes_dropout` is false"),
        "{told}"
    );
    run(silent(), None).unwrap();
    run(pipeline(Wrapper(Toy::new(1, 6, 1)).seen_by(ToyOutputAdaptor)), Some(0.25)).unwrap();

    let tasks = MultiTask::new().task("movies", silent(), sentences(1, 4, 5));
    let told = Trainer::new(tasks).steps(1).student_dropout(0.0).observe(Told::default()).run();
    let told = told.map(drop).unwrap_err().to_string();
    assert!(told.contains("movies") && told.contains("`.student_dropout(0)`"), "{told}");
}

/// Notes which passes train and what they drop.
struct Asked(Toy, Passes);

type Passes = Arc<Mutex<Vec<(bool, f64)>>>;

impl Model for Asked {
    fn parameters(&self) -> Parameters {
        self.0.parameters()
    }
    fn inner(&self) -> Option<&dyn Model> {
        Some(&self.0)
    }
}

impl Forward<Sentence> for Asked {
    type Output = ToyOutput;
    fn run(&self, batch: &Sentence, pass: &Pass) -> Result<ToyOutput> {
        self.1.lock().unwrap().push((pass.is_training(), pass.dropout(0.125)));
        self.0.run(batch, pass)
    }
}

#[test]
fn evaluations_and_teachers_never_drop() {
    let _alone = alone();
    let (of_teacher, of_student) = (Passes::default(), Passes::default());
    let asked =
        |seed, passes: &Passes| Asked(Toy::new(1, 6, seed), Arc::clone(passes)).seen_by(ToyOutputAdaptor);
    let pipeline = Distill::new(asked(0, &of_teacher), asked(1, &of_student)).soft_targets(KdCe::at(2.0));
    let trainer = Trainer::new(pipeline.plan().unwrap()).student_dropout(0.5).observe(Told::default());
    let _ = trainer.evaluate(sentences(1, 4, 9), Accuracy).run(sentences(2, 4, 5)).unwrap();
    assert!(of_teacher.lock().unwrap().iter().all(|pass| *pass == (false, 0.0)), "{of_teacher:?}");
    let passes = of_student.lock().unwrap();
    assert_eq!(passes.iter().filter(|pass| **pass == (true, 0.5)).count(), 2, "{passes:?}");
    assert!(passes.iter().filter(|pass| !pass.0).all(|pass| pass.1 == 0.0), "{passes:?}");
    assert!(passes.len() > 3);
}

/// The output of a model in a training pass, from one seed.
type Output = Box<dyn Fn(&Pass) -> Tensor>;

fn ids() -> Tensor {
    Tensor::from_slice(&[2_i64, 5, 7, 3, 2, 9, 3, 0]).view([2, 4])
}

fn mask() -> Tensor {
    Tensor::from_slice(&[1_i64, 1, 1, 1, 1, 1, 1, 0]).view([2, 4])
}

fn bert(model_type: Architecture, dropout: f64) -> BertConfig {
    BertConfig {
        vocab_size: 12,
        hidden_size: 16,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        intermediate_size: 24,
        max_position_embeddings: 12,
        hidden_dropout_prob: dropout,
        attention_probs_dropout_prob: dropout,
        classifier_dropout: (model_type != Architecture::DistilBert).then_some(dropout),
        seq_classif_dropout: if model_type == Architecture::DistilBert { dropout } else { 0.2 },
        qa_dropout: if model_type == Architecture::DistilBert { dropout } else { 0.1 },
        initializer_range: 0.3,
        ..BertConfig::base(model_type)
    }
}

fn decoder(model_type: DecoderArchitecture, dropout: f64) -> DecoderConfig {
    let gpt = model_type == DecoderArchitecture::Gpt2;
    DecoderConfig {
        model_type,
        vocab_size: 12,
        hidden_size: 16,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        intermediate_size: Some(24),
        max_position_embeddings: 12,
        attention_dropout: dropout,
        residual_dropout: if gpt { dropout } else { 0.0 },
        embedding_dropout: if gpt { dropout } else { 0.0 },
        initializer_range: 0.3,
        bos_token_id: None,
        eos_token_id: None,
        ..DecoderConfig::base(model_type)
    }
}

/// Every model of brew's that learns, with this dropout in its config.
fn models(dropout: f64) -> BTreeMap<String, Output> {
    let mut models: BTreeMap<String, Output> = BTreeMap::new();
    let mut add = |name: String, output: Output| assert!(models.insert(name, output).is_none());
    for architecture in [Architecture::Bert, Architecture::Roberta, Architecture::DistilBert] {
        let config = || bert(architecture, dropout);
        let name = |head: &str| format!("{architecture:?} {head}");
        let text =
            || TextBatch { input_ids: ids(), attention_mask: mask(), token_type_ids: None, labels: None };
        let model = BertForSequenceClassification::new(config(), 2, 7, Device::Cpu).unwrap();
        add(name("sequence"), Box::new(move |pass| model.run(&text(), pass).unwrap().logits));
        let model = BertForSequenceClassification::new(config(), 2, 7, Device::Cpu).unwrap();
        let model = model.with_lora(Lora::rank(2).dropout(dropout).all_linear(), 7).unwrap();
        for (_, tensor) in model.parameters().iter().filter(|(name, _)| name.contains("lora_B")) {
            let _ = tch::no_grad(|| tensor.shallow_clone().fill_(0.1));
        }
        add(name("adapters"), Box::new(move |pass| model.run(&text(), pass).unwrap().logits));
        let model = BertForTokenClassification::new(config(), 3, 7, Device::Cpu).unwrap();
        let tokens =
            || TokenBatch { input_ids: ids(), attention_mask: mask(), token_type_ids: None, labels: None };
        add(name("token"), Box::new(move |pass| model.run(&tokens(), pass).unwrap().logits));
        let model = BertForQuestionAnswering::new(config(), 7, Device::Cpu).unwrap();
        let spans = || SpanBatch {
            input_ids: ids(),
            attention_mask: mask(),
            token_type_ids: None,
            start_positions: None,
            end_positions: None,
        };
        add(name("spans"), Box::new(move |pass| model.run(&spans(), pass).unwrap().start_logits));
        let model = BertForMaskedLm::new(config(), 7, Device::Cpu).unwrap();
        let masked =
            || MaskedLmBatch { input_ids: ids(), attention_mask: mask(), token_type_ids: None, labels: None };
        add(name("masked"), Box::new(move |pass| model.run(&masked(), pass).unwrap().logits));
        let model = BertModel::new(config(), 7, Device::Cpu).unwrap();
        add(
            name("headless"),
            Box::new(move |pass| model.run(&text(), pass).unwrap().hidden_states.remove(2)),
        );
    }
    let text = || TextBatch { input_ids: ids(), attention_mask: mask(), token_type_ids: None, labels: None };
    let gru =
        BiGruConfig { vocab_size: 12, embedding_size: 8, hidden_size: 8, dropout, ..BiGruConfig::default() };
    let model = BiGruForSequenceClassification::new(gru, 7, Device::Cpu).unwrap();
    add("BiGRU".to_owned(), Box::new(move |pass| model.run(&text(), pass).unwrap().logits));
    for architecture in [DecoderArchitecture::Llama, DecoderArchitecture::Gpt2] {
        let model = DecoderForCausalLm::new(decoder(architecture, dropout), 7, Device::Cpu).unwrap();
        let batch = || CausalLmBatch { input_ids: ids(), attention_mask: mask(), labels: None };
        add(format!("{architecture:?}"), Box::new(move |pass| model.run(&batch(), pass).unwrap().logits));
    }
    models
}

fn output(of: &Output, training: bool, dropout: Option<f64>) -> Tensor {
    let wants = Wants::nothing().and_role("logits").and_layer("hidden", -1);
    let pass = if training { Pass::training(0, wants) } else { Pass::evaluation(wants) };
    tch::manual_seed(5);
    of(&pass.with_dropout(dropout)).detach()
}

/// Both sides of each comparison are brew's: the dropout of the configs is compared with transformers elsewhere.
#[test]
fn the_pass_sets_all_dropout_of_every_model_and_adds_none_where_an_architecture_has_none() {
    let _alone = alone();
    let (with, without) = (models(0.25), models(0.0));
    assert_eq!(with.len(), 21);
    for (name, with) in &with {
        let without = &without[name];
        let evaluated = output(with, false, None);
        assert_eq!(output(with, false, Some(0.5)), evaluated, "{name}");
        let off = |one: &Tensor| (one - &evaluated).abs().max().double_value(&[]);
        // Not to the bit: training takes other kernels.
        assert!(
            off(&output(with, true, Some(0.0))) < 1e-5,
            "{name}: {}",
            off(&output(with, true, Some(0.0)))
        );
        assert_eq!(output(with, true, Some(0.0)), output(without, true, None), "{name}");
        let dropped = output(with, true, None);
        assert!(off(&dropped) > 1e-2, "{name}: its own dropout does nothing");
        assert_eq!(
            output(without, true, Some(0.25)),
            dropped,
            "{name}: not all of it is set, or more than all"
        );
    }
}

#[test]
fn the_saved_student_has_its_own_dropout_in_its_config() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let model = |seed| {
        let model = BertForSequenceClassification::new(bert(Architecture::Bert, 0.25), 2, seed, Device::Cpu);
        model.unwrap().seen_by(brew_core::model::ClassifierOutputAdaptor)
    };
    let pipeline = Distill::new(model(1), model(2)).soft_targets(KdCe::at(2.0)).plan().unwrap();
    let batch = TextBatch { input_ids: ids(), attention_mask: mask(), token_type_ids: None, labels: None };
    let trainer = Trainer::new(pipeline).student_dropout(0.0).observe(Told::default());
    trainer.run(vec![batch]).unwrap().save(folder.path()).unwrap();
    let config = |path: &Path| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(path.join("config.json")).unwrap()).unwrap()
    };
    assert_eq!(config(folder.path())["hidden_dropout_prob"], 0.25);
}
