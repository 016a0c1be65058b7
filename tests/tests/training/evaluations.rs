//! Evaluations are tried before the first step: what cannot be evaluated is rejected there, all at once, wherever it is in
//! the data.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use brew_core::distill::{student_layer, teacher_layer};
use brew_core::loss::{HiddenMse, next_token};
use brew_core::model::ClassifierOutputAdaptor;
use brew_core::observe::Scheme;
use brew_core::observe::{
    EntityF1, F1, Matthews, Pearson, Predictions, SquadAnswers, SquadExactMatch, SquadF1,
};
use brew_core::prelude::*;
use brew_core::semantics::Semantics;
use brew_core::train::MultiTask;
use brew_data::prelude::*;
use tests::{Sentence, Toy, ToyOutputAdaptor, alone, sentences};

use crate::support::{Seen, ToyPipeline, pipeline};

/// A tiny encoder of 40 tokens and 12 positions.
fn encoder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/heads/bert/sequence")
}

fn bert() -> Pipeline<TextBatch, ClassifierOutputAdaptor> {
    let model = BertForSequenceClassification::from_encoder(encoder(), 2, 1, Device::Cpu).unwrap();
    Supervised::new(model.seen_by(ClassifierOutputAdaptor)).plan().unwrap()
}

/// Forty rows, of which one may be another: its ids and what stands for its label.
fn rows(folder: &Path, name: &str, other: Option<(usize, &[i64], &str)>) -> Dataset {
    let path = folder.join(name);
    let row = |row: usize| {
        let (ids, label) = match other {
            Some((at, ids, label)) if at == row => (ids.to_vec(), label.to_owned()),
            _ => (vec![1, 5, 7, (row % 30) as i64], format!(", \"labels\": {}", row % 2)),
        };
        let mask = vec![1; ids.len()];
        format!("{{\"input_ids\": {ids:?}, \"attention_mask\": {mask:?}{label}}}\n")
    };
    std::fs::write(&path, (0..40).map(row).collect::<String>()).unwrap();
    Dataset::open(&path).unwrap()
}

/// How a run over these data ends, which must be before its first step.
fn refusal(train: &Dataset, dev: &Dataset, metric: impl Metric + 'static) -> String {
    let seen = Seen::default();
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let error = Trainer::new(bert())
        .epochs(1)
        .evaluate(dev.batches::<TextBatch>(8), metric)
        .observe(seen.clone())
        .run_dir(&run)
        .run(train.batches::<TextBatch>(8))
        .unwrap_err();
    assert!(seen.steps.borrow().is_empty(), "a step was made before: {error}");
    assert!(!run.exists(), "a refused run leaves no folder");
    error.to_string()
}

#[test]
fn labels_that_cannot_be_evaluated_are_refused_before_the_first_step_wherever_they_are() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let train = rows(folder.path(), "train.jsonl", None);
    for (at, label, said) in [
        (0, ", \"labels\": -1", "the label of example 0 is -1"),
        (0, ", \"labels\": 2", "the label of example 0 is 2"),
        (31, ", \"labels\": -1", "dev.jsonl, row 31: the smallest `labels`, -1"),
        (31, ", \"labels\": 2", "dev.jsonl, row 31: the largest `labels`, 2"),
        (39, ", \"labels\": -101", "labels are 0 to 1, or -100"),
    ] {
        let dev = rows(folder.path(), "dev.jsonl", Some((at, &[1, 5], label)));
        let refused = refusal(&train, &dev, Accuracy);
        assert!(refused.contains("evaluation `accuracy`") && refused.contains(said), "{refused}");
    }
    // A label that does not count is fine.
    let dev = rows(folder.path(), "dev.jsonl", Some((0, &[1, 5], ", \"labels\": -100")));
    let trained = Trainer::new(bert())
        .evaluate(dev.batches::<TextBatch>(8), Accuracy)
        .observe(Seen::default())
        .run(train.batches::<TextBatch>(8))
        .unwrap();
    assert_eq!(trained.summary().evaluations.len(), 1);
}

#[test]
fn labels_that_are_absent_or_text_or_floats_are_refused() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let train = rows(folder.path(), "train.jsonl", None);
    for (label, said) in [
        ("", "accuracy needs labels"),
        (", \"labels\": \"good\"", "column `labels`"),
        (", \"labels\": 0.5", "column `labels`"),
    ] {
        let path = folder.path().join("dev.jsonl");
        let row = format!("{{\"input_ids\": [1, 5], \"attention_mask\": [1, 1]{label}}}\n");
        std::fs::write(&path, row.repeat(3)).unwrap();
        let refused = refusal(&train, &Dataset::open(&path).unwrap(), Accuracy);
        assert!(refused.contains("evaluation `accuracy`") && refused.contains(said), "{refused}");
    }
}

#[test]
fn tokens_without_an_embedding_and_texts_beyond_the_positions_are_refused_wherever_they_are() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let fine = rows(folder.path(), "fine.jsonl", None);
    let label = ", \"labels\": 1";
    let long: Vec<i64> = (0..13).collect();
    for (ids, said) in [
        (&[1, 40][..], "row 33: the largest `input_ids`, 40: stage"),
        (&[1, -1], "row 33: the smallest `input_ids`, -1: stage"),
        (&[1, -100], "row 33: `input_ids` has -100: stage"),
        (&[1, -100, -7], "`input_ids` has -100: stage"),
        (&long, "row 33: the longest list, 13 values of `input_ids`"),
    ] {
        let mend = if ids.len() > 3 { "truncate to that length" } else { "must be integers from 0 to 39" };
        let wrong = rows(folder.path(), "wrong.jsonl", Some((33, ids, label)));
        let of_dev = refusal(&fine, &wrong, Accuracy);
        assert!(of_dev.contains("evaluation `accuracy`"), "{of_dev}");
        let of_train = refusal(&wrong, &fine, Accuracy);
        assert!(of_train.contains("stage `student`"), "{of_train}");
        for refused in [of_dev, of_train] {
            let said = said.trim_end_matches(": stage");
            assert!(refused.contains(said) && refused.contains(mend), "{refused}");
        }
    }
}

// Nobody knows what a stream will hold: the step that meets it is the first that can say so.
#[test]
fn a_stream_names_batch_and_column_where_a_token_has_no_embedding() {
    let _alone = alone();
    for (id, last) in [(40_i64, false), (-100, true)] {
        let stream = brew_data::Stream::new("tokens", move |_| {
            Ok((0..4_i64).map(move |batch| {
                let wrong = batch == if last { 3 } else { 2 };
                let ids = Tensor::from_slice(&[1, 5, 7, if wrong { id } else { 8 }]).view([2, 2]);
                let (attention_mask, labels) = (ids.ones_like(), Some(Tensor::from_slice(&[0_i64, 1])));
                Ok(TextBatch { input_ids: ids, attention_mask, token_type_ids: None, labels })
            }))
        });
        let error =
            Trainer::new(bert()).steps(4).observe(Seen::default()).run(stream).unwrap_err().to_string();
        let batch = if last { "batch 3" } else { "batch 2" };
        assert!(error.contains(batch) && error.contains("stage `student`"), "{error}");
        assert!(error.contains("`input_ids` must be integers from 0 to 39"), "{error}");
    }
}

// 2 would have been added to the scores as 1e38: the model would have read nothing but that token.
#[test]
fn a_mask_of_other_values_than_0_and_1_is_refused_wherever_it_is() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let fine = rows(folder.path(), "fine.jsonl", None);
    for (value, said) in [("2", "the largest `attention_mask`, 2"), ("-100", "`attention_mask` has -100")] {
        for at in [0, 33] {
            let path = folder.path().join("wrong.jsonl");
            let text = std::fs::read_to_string(folder.path().join("fine.jsonl")).unwrap();
            let line = |(row, line): (usize, &str)| match row == at {
                true => {
                    line.replace("\"attention_mask\": [1,", &format!("\"attention_mask\": [{value},")) + "\n"
                }
                false => format!("{line}\n"),
            };
            std::fs::write(&path, text.lines().enumerate().map(line).collect::<String>()).unwrap();
            let wrong = Dataset::open(&path).unwrap();
            let of_dev = refusal(&fine, &wrong, Accuracy);
            assert!(of_dev.contains("evaluation `accuracy`"), "{of_dev}");
            for refused in [of_dev, refusal(&wrong, &fine, Accuracy)] {
                assert!(refused.contains("_mask` has values other than 0 and 1"), "{refused}");
                assert!(at == 0 || refused.contains(&format!("row {at}: {said}")), "{refused}");
            }
        }
    }
}

#[test]
fn metrics_that_do_not_suit_the_head_are_refused() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let data = rows(folder.path(), "data.jsonl", None);
    let refused = refusal(&data, &data, Pearson);
    assert!(refused.contains("pearson needs one number per example"), "{refused}");
    let refused = refusal(&data, &data, EntityF1::new(["O", "B-a"]).unwrap());
    assert!(refused.contains("entity_f1 needs logits of (examples, length, classes)"), "{refused}");
    let strict = EntityF1::new(["O", "B-a", "E-a"]).unwrap().strict(Scheme::Iobes).unwrap();
    assert!(refusal(&data, &data, strict).contains("entity_f1 needs logits"), "the strict one too");
    let answers = SquadAnswers::new(vec![vec!["x".to_owned()]], |_| unreachable!("two rows have no answers"));
    let refused = refusal(&data, &data, SquadF1::new(&answers));
    assert!(refused.contains("logits of starts and of ends"), "{refused}");
}

/// Its answers would be those to other questions.
#[test]
fn a_metric_that_goes_by_the_order_of_the_data_refuses_batches_in_another() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let data = rows(folder.path(), "data.jsonl", None);
    let answers = SquadAnswers::new(vec![vec!["x".to_owned()]], |_| unreachable!("nothing is evaluated"));
    let loader = || data.batches::<TextBatch>(8);
    let said = "these batches are shuffled or bucketed: evaluate them without";
    for reordered in [loader().shuffled(1), loader().shuffled_in_blocks(1), loader().bucketed()] {
        let trainer = Trainer::new(bert()).evaluate(reordered, SquadF1::new(&answers));
        let plain = trainer.observe(Seen::default()).run(loader()).unwrap_err().to_string();
        assert!(plain.contains("evaluation `squad_f1`: ") && plain.contains(said), "{plain}");
    }
    let processed = loader().shuffled(1).processed(|batch: TextBatch| Ok(batch));
    let trainer = Trainer::new(bert()).evaluate(processed, next_token(SquadExactMatch::new(&answers)));
    let refused = trainer.observe(Seen::default()).run(loader()).unwrap_err().to_string();
    assert!(refused.contains("evaluation `exact_match`: ") && refused.contains(said), "{refused}");
    let in_order = Trainer::new(bert()).evaluate(loader(), SquadF1::new(&answers));
    let refused = in_order.observe(Seen::default()).run(loader()).unwrap_err().to_string();
    assert!(!refused.contains(said), "{refused}");
}

#[test]
fn everything_that_is_wrong_with_the_data_and_every_evaluation_is_said_at_once() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let wrong = |name, at, label| rows(folder.path(), name, Some((at, &[1, 5], label)));
    let train = wrong("train.jsonl", 0, ", \"labels\": 5");
    let (fine, last) = (rows(folder.path(), "fine.jsonl", None), wrong("last.jsonl", 35, ", \"labels\": 9"));
    let empty = rows(folder.path(), "empty.jsonl", None).select(&[]).unwrap();
    let error = Trainer::new(bert())
        .evaluate(fine.batches::<TextBatch>(8), Accuracy)
        .evaluate(last.batches::<TextBatch>(8), F1::Macro)
        .evaluate(empty.batches::<TextBatch>(8), Matthews)
        .evaluate(Vec::new(), Accuracy)
        .observe(Seen::default())
        .run(train.batches::<TextBatch>(8))
        .unwrap_err()
        .to_string();
    for said in [
        "stage `student`: `labels` must be one class per example",
        "evaluation `f1_macro`: ",
        "last.jsonl, row 35: the largest `labels`, 9",
        "evaluation `matthews`: ",
        "empty.jsonl: there are no rows",
        "evaluation `accuracy`: nothing to evaluate",
    ] {
        assert!(error.contains(said), "{said}: {error}");
    }
    assert!(!error.contains("fine.jsonl"), "{error}");
}

#[test]
fn the_evaluation_of_every_task_is_tried() {
    let _alone = alone();
    let student = Arc::new(Mutex::new(Toy::new(1, 6, 1)));
    let of_task = |student: &Arc<Mutex<Toy>>| -> ToyPipeline {
        Supervised::new(Arc::clone(student).seen_by(ToyOutputAdaptor)).plan().unwrap()
    };
    let mut unlabelled = sentences(1, 4, 9);
    unlabelled[0].labels = None;
    let tasks = MultiTask::new().task("a", of_task(&student), sentences(2, 4, 1)).task(
        "b",
        of_task(&student),
        sentences(2, 4, 2),
    );
    let of_student = || Arc::clone(&student).seen_by(ToyOutputAdaptor);
    let error = Trainer::new(tasks)
        .steps(2)
        .evaluate("a", of_student(), sentences(1, 4, 8), Accuracy)
        .evaluate("b", of_student(), unlabelled, Accuracy)
        .observe(Seen::default())
        .run()
        .unwrap_err()
        .to_string();
    assert!(error.contains("evaluation `b/accuracy`: accuracy needs labels"), "{error}");
    assert!(!error.contains("a/accuracy"), "{error}");
}

/// Fails, or panics, when it is asked for its value the n-th time; else it is the accuracy.
#[derive(Debug)]
struct FailsAt {
    time: usize,
    panics: bool,
    asked: std::cell::Cell<usize>,
}

impl FailsAt {
    fn new(time: usize, panics: bool) -> Self {
        FailsAt { time, panics, asked: std::cell::Cell::new(0) }
    }
}

impl Metric for FailsAt {
    fn name(&self) -> &'static str {
        "accuracy"
    }
    fn check(&self, _: &Predictions) -> Result<()> {
        Ok(())
    }
    fn value(&self, predictions: &Predictions) -> Result<f64> {
        self.asked.set(self.asked.get() + 1);
        match self.asked.get() == self.time {
            true if self.panics => std::panic::resume_unwind(Box::new("out of memory, say")),
            true => Err(Error::invalid("no room for the predictions")),
            false => Accuracy.value(predictions),
        }
    }
}

/// A run of three epochs of three steps.
fn run(folder: &Path, every_epochs: u64, metric: impl Metric + 'static) -> Result<Vec<f64>> {
    let (pipeline, _) = pipeline(Semantics::Exact, 0.3);
    let trained = Trainer::new(pipeline)
        .optimizer(AdamW::with_lr(0.02))
        .epochs(3)
        .checkpoint_every_epochs(every_epochs)
        .evaluate(sentences(2, 8, 9), metric)
        .observe(Seen::default())
        .run_dir(folder)
        .run(sentences(3, 4, 5))?;
    Ok(trained.summary().evaluations.clone())
}

/// The lines of the metrics without what depends on the clock, and the last checkpoint's student.
fn outcome(folder: &Path) -> (Vec<String>, Vec<u8>) {
    let text = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let lines = lines.map(|line| format!("{} {} {}", line["step"], line["losses"], line["accuracy"]));
    (lines.collect(), std::fs::read(folder.join("checkpoints/step-9/student.safetensors")).unwrap())
}

#[test]
fn a_checkpoint_stands_before_an_evaluation_that_fails_or_panics_and_the_run_resumes_with_it() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let alone_run = folder.path().join("alone");
    let values = run(&alone_run, 1, Accuracy).unwrap();
    assert_eq!(values.len(), 3);
    // Where epoch 2 has no checkpoint of its own a failure writes one; what panics leaves those before.
    for (name, every_epochs, panics, kept) in
        [("fails", 1, false, "step-6"), ("panics", 1, true, "step-6"), ("rare", 2, false, "step-3")]
    {
        let path = folder.path().join(name);
        let fails_at = if name == "rare" { 1 } else { 2 };
        let metric = FailsAt::new(fails_at, panics);
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            run(&path, every_epochs, metric).unwrap_err().to_string()
        }));
        match ended {
            Ok(error) => {
                let step = kept.trim_start_matches("step-");
                assert!(error.contains(&format!("the evaluation after step {step}: no room")), "{error}");
                assert!(error.contains(kept) && error.contains("run again to resume"), "{error}");
            }
            Err(_) => assert!(panics),
        }
        assert!(path.join("checkpoints").join(kept).join("state.json").is_file(), "{name}");
        assert_eq!(run(&path, every_epochs, Accuracy).unwrap(), values, "{name}");
        assert_eq!(outcome(&path), outcome(&alone_run), "{name}");
    }
}

#[test]
fn a_run_without_a_checkpoint_step_at_the_evaluation_keeps_it_in_the_next_checkpoint() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let values = run(folder.path(), 3, Accuracy).unwrap();
    let state = std::fs::read_to_string(folder.path().join("checkpoints/step-9/state.json")).unwrap();
    let state: serde_json::Value = serde_json::from_str(&state).unwrap();
    assert_eq!(state["state"]["evaluations"], serde_json::json!(values));
    assert_eq!(state["state"]["to_evaluate"], serde_json::Value::Null);
}

/// The share of texts whose nearest other text, by the mean of the last hidden states, has their label.
#[derive(Debug)]
struct Nearest;

impl Metric<role::Hidden> for Nearest {
    fn name(&self) -> &'static str {
        "nearest"
    }
    fn of_batch(&self, layers: Vec<Tensor>, mask: Option<&Tensor>) -> Result<Vec<Tensor>> {
        let mask = mask.unwrap().unsqueeze(-1).to_kind(Kind::Double);
        let last = layers.last().unwrap();
        let mean = (last * &mask).sum_dim_intlist(1, false, None) / mask.sum_dim_intlist(1, false, None);
        Ok(vec![mean])
    }
    fn value(&self, predictions: &Predictions<role::Hidden>) -> Result<f64> {
        let [vectors] = predictions.values() else { unreachable!("one tensor is kept") };
        assert_eq!((vectors.dim(), vectors.kind()), (2, Kind::Double), "as the model gave it");
        let labels = &predictions.labels()[0];
        let unit = vectors / vectors.norm_scalaropt_dim(2.0, -1, true);
        let near = unit.matmul(&unit.transpose(0, 1)).fill_diagonal_(-1.0, false);
        let nearest = labels.index_select(0, &near.argmax(-1, false));
        Ok(nearest.eq_tensor(labels).mean(Kind::Double).double_value(&[]))
    }
}

/// A model of vectors: no logits at all.
struct Vectors;

#[adaptor(batch = Sentence, output = tests::ToyOutput)]
impl Vectors {
    fn hidden(output: &tests::ToyOutput) -> &[Tensor] {
        &output.hidden
    }
    fn inputs_mask(batch: &Sentence) -> &Tensor {
        &batch.mask
    }
}

#[test]
fn a_model_without_logits_is_evaluated_by_another_role_and_its_best_is_kept() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let teacher = Toy::new(1, 6, 2).seen_by(Vectors);
    let pipeline = Distill::new(teacher, Toy::new(1, 6, 1).seen_by(Vectors))
        .matching([hidden(teacher_layer(1), student_layer(1)).by(HiddenMse)])
        .plan()
        .unwrap();
    let seen = Seen::default();
    let trained = Trainer::new(pipeline)
        .optimizer(AdamW::with_lr(0.05))
        .epochs(30)
        .stop_after(2)
        .evaluate(sentences(4, 8, 9), Nearest)
        .observe(seen.clone())
        .run_dir(folder.path())
        .run(sentences(3, 4, 5))
        .unwrap();
    let summary = trained.summary();
    let best = summary.best.as_ref().unwrap();
    let highest = summary.evaluations.iter().copied().fold(0.0, f64::max);
    assert_eq!(best.value, highest);
    assert!(folder.path().join("best/toy.txt").is_file());
    assert!(summary.steps < 90, "it stopped after two evaluations that were no better");
    assert_eq!(seen.metrics.borrow()[0].1, "nearest");
    // The metric of the same vectors, all batches in one: how they were cut changes nothing.
    let rows = |data: Vec<Sentence>| {
        let cat = |of: fn(&Sentence) -> &Tensor| {
            Tensor::cat(&data.iter().map(|batch| of(batch).shallow_clone()).collect::<Vec<_>>(), 0)
        };
        let labels = cat(|batch| batch.labels.as_ref().unwrap());
        vec![Sentence {
            tokens: cat(|batch| &batch.tokens),
            mask: cat(|batch| &batch.mask),
            labels: Some(labels),
        }]
    };
    let whole = Predictions::<role::Hidden>::of_role(trained.student(), &rows(sentences(4, 8, 9))).unwrap();
    assert_eq!(whole.values().len(), 2, "the embeddings and a layer");
    let kept = Nearest.of_batch(whole.values().iter().map(Tensor::shallow_clone).collect(), whole.mask());
    let labels = vec![whole.labels()[0].shallow_clone()];
    let kept = Predictions::<role::Hidden>::of_values(kept.unwrap(), labels, None).unwrap();
    assert_eq!(Nearest.value(&kept).unwrap(), *summary.evaluations.last().unwrap());
}

/// Token numbers, of which the next are to be predicted.
#[derive(Batch, Debug)]
struct Text {
    #[column(i64, pad = 0)]
    input_ids: Tensor, // (batch, length)
    #[column(i64, pad = -100)]
    labels: Option<Tensor>, // (batch, length)
}

#[distill(batch = Text, labels = labels)]
struct Scores {
    #[role(logits)]
    logits: Tensor, // (batch, length, tokens)
    #[role(losses)]
    loss: Option<Tensor>, // one value
}

/// A bigram model: one row of logits per token.
struct Bigrams(Tensor);

#[distill(batch = Text)]
impl Bigrams {
    fn forward(&self, input_ids: &Tensor, labels: Option<&Tensor>) -> Result<Scores> {
        let logits = Tensor::f_embedding(&self.0, input_ids, -1, false, false)?;
        let loss = labels.map(|labels| {
            let (logits, next) =
                (logits.narrow(1, 0, logits.size()[1] - 1), labels.narrow(1, 1, labels.size()[1] - 1));
            logits.flatten(0, 1).cross_entropy_for_logits(&next.reshape([-1]))
        });
        Ok(Scores { logits, loss })
    }
}

impl Model for Bigrams {
    fn parameters(&self) -> Parameters {
        Parameters::new([("bigrams".to_owned(), self.0.shallow_clone())])
    }
}

/// Predicts that 5 follows 3, 7 follows 5, and 3 follows everything else.
fn bigrams() -> Bigrams {
    let logits = Tensor::zeros([8, 8], (Kind::Float, Device::Cpu));
    for token in 0..8_i64 {
        let next = match token {
            3 => 5,
            5 => 7,
            _ => 3,
        };
        let _ = logits.get(token).get(next).fill_(1.0);
    }
    Bigrams(logits.set_requires_grad(true))
}

/// Trains for one step that changes nothing, and evaluates.
fn accuracy_of(labels: &[i64], metric: impl Metric + 'static) -> Result<f64> {
    let ids = || Tensor::from_slice(&[3_i64, 5, 7, 3, 5, 5, 3, 7]).view([2, 4]);
    let text = |labels: Tensor| vec![Text { input_ids: ids(), labels: Some(labels) }];
    let pipeline = Supervised::new(bigrams().seen_by(ScoresAdaptor)).plan()?;
    let trained = Trainer::new(pipeline)
        .optimizer(AdamW::with_lr(1e-9))
        .steps(1)
        .evaluate(text(Tensor::from_slice(labels).view([2, 4])), metric)
        .observe(Seen::default())
        .run(text(ids()))?;
    Ok(trained.summary().evaluations[0])
}

// By hand: 3 5 7 3 is followed as the model says three times of three, 5 5 3 7 never (7, 7 and 5 are said).
#[test]
fn a_causal_model_whose_labels_are_its_input_is_refused_unshifted_and_measured_on_the_next_token() {
    use brew_core::loss::next_token;
    let _alone = alone();
    let same = [3, 5, 7, 3, 5, 5, 3, 7];
    let error = accuracy_of(&same, Accuracy).unwrap_err().to_string();
    assert!(error.contains("the labels are the column `input_ids` that the model reads"), "{error}");
    assert!(error.contains("`next_token(accuracy)`"), "{error}");
    assert_eq!(accuracy_of(&same, next_token(Accuracy)).unwrap(), 0.5);
    // A prompt that does not count: 7 3 is said, and of 5 3 7 none.
    let answers = [-100, -100, 7, 3, -100, 5, 3, 7];
    assert!(accuracy_of(&answers, Accuracy).is_err());
    assert_eq!(accuracy_of(&answers, next_token(Accuracy)).unwrap(), 2.0 / 5.0);
}

#[test]
fn labels_that_were_shifted_already_and_those_of_masked_tokens_are_taken_as_they_are() {
    let _alone = alone();
    // Each label is the next token.
    let shifted = [5, 7, 3, -100, 5, 3, 7, -100];
    assert_eq!(accuracy_of(&shifted, Accuracy).unwrap(), 0.5);
    // Masked language modelling: what stood in a place before it was masked, of which few are unchanged.
    let masked = [3, -100, 6, -100, -100, 4, -100, 2];
    assert_eq!(accuracy_of(&masked, Accuracy).unwrap(), 0.0);
}
