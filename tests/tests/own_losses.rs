//! A user's own loss: it reads the labels, learns a parameter, and carries a count from step to step.

#![expect(clippy::unwrap_used, reason = "a test fails where a helper does")]

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};

use brew_core::loss::{AlsoReads, Features, Gives, Learns, Loss, Place, SoftTargets, Term};
use brew_core::observe::{Event, Observer};
use brew_core::prelude::*;
use brew_core::role::{Labels, Logits, Role as _};
use brew_core::side::Side;
use brew_core::textbrewer::GeneralDistiller;
use brew_core::textbrewer::config::{DistillationConfig, TrainingConfig};
use tests::{Toy, ToyOutputAdaptor, alone, sentences};

struct Quiet;
impl Observer for Quiet {
    fn on(&mut self, _: &Event<'_>) {}
}

/// The squared distance to a learned multiple of the teacher's logits, where the teacher is right.
#[derive(Debug)]
struct WhereRight {
    factor: Option<Tensor>,
    /// How many batches of the current step were seen, and how many steps had each number of batches.
    seen: i64,
    made: Vec<i64>,
    /// Tells the test what the loss was told.
    told: Sender<Told>,
}

#[derive(Debug, PartialEq)]
enum Told {
    Before(u64, u64),
    After(i64),
}

impl WhereRight {
    fn new() -> (Self, Receiver<Told>) {
        let (told, heard) = channel();
        (WhereRight { factor: None, seen: 0, made: Vec::new(), told }, heard)
    }
}

impl Loss for WhereRight {
    fn name(&self) -> &'static str {
        "where_right"
    }
    fn also_reads(&self) -> &'static [AlsoReads] {
        &[AlsoReads { side: Side::Student, role: Labels::NAME }]
    }
    fn learns(&mut self) -> Option<&mut dyn Learns> {
        Some(self)
    }
    fn mismatches(&self, _: &Features, _: &Features) -> Vec<String> {
        Vec::new()
    }
    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        let teacher = &teacher.tensors[0];
        let right = teacher.f_argmax(-1, false)?.f_eq_tensor(student.labels()?)?;
        let scaled = teacher.f_mul(self.factor.as_ref().unwrap())?;
        let distance = student.tensors[0].f_sub(&scaled)?.f_square()?;
        Term::rows(&distance.f_sum_dim_intlist(-1, false, None)?.f_mul(&right)?)
    }
}

impl Learns for WhereRight {
    fn prepare(&mut self, place: &Place) -> Result<()> {
        self.factor = Some(Tensor::f_ones([1], (place.kind, place.device))?.f_set_requires_grad(true)?);
        Ok(())
    }
    fn parameters(&self) -> Parameters {
        Parameters::new(self.factor.iter().map(|factor| ("factor".to_owned(), factor.shallow_clone())))
    }
    fn before_step(&mut self, step: u64, steps: u64) -> Result<()> {
        self.seen = 0;
        self.told.send(Told::Before(step, steps)).unwrap();
        Ok(())
    }
    fn after_term(&mut self, term: &Term) -> Result<()> {
        assert!(term.sum.requires_grad(), "only a pass that trains is part of a step");
        self.seen += 1;
        Ok(())
    }
    fn after_step(&mut self) -> Result<()> {
        self.made.push(self.seen);
        self.told.send(Told::After(self.seen)).unwrap();
        Ok(())
    }
    fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        Ok([("made".to_owned(), Tensor::from_slice(&self.made))].into())
    }
    fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<()> {
        self.made = Vec::try_from(&state["made"])?;
        Ok(())
    }
}

impl<T: Gives<Logits>, S: Gives<Logits> + Gives<Labels>> SoftTargets<T, S> for WhereRight {}

#[test]
fn a_users_own_loss_reads_labels_learns_and_hears_of_every_step() {
    let _alone = alone();
    let (loss, heard) = WhereRight::new();
    let student = Toy::new(1, 6, 1);
    let pipeline =
        Distill::new(Toy::new(2, 8, 0).seen_by(ToyOutputAdaptor), student.seen_by(ToyOutputAdaptor))
            .soft_targets(loss)
            .plan()
            .unwrap();
    assert!(pipeline.explain().contains("labels"), "the plan shows what the loss reads");
    let trainer =
        Trainer::new(pipeline).optimizer(AdamW::with_lr(0.01)).accumulate(3).epochs(2).observe(Quiet);
    let trained = trainer.run(sentences(3, 4, 5)).unwrap();

    let expected = (0..2).flat_map(|step| [Told::Before(step, 2), Told::After(3)]);
    assert_eq!(heard.try_iter().collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    let [("where_right.factor", factor)] = *trained.projections().iter().collect::<Vec<_>>() else {
        panic!("it learns a factor: {:?}", trained.projections());
    };
    let factor = factor.double_value(&[0]);
    assert!((factor - 1.0).abs() > 1e-3, "the factor was trained, and is {factor}");
}

#[test]
fn a_loss_that_carries_what_it_cannot_take_back_is_refused_where_a_run_resumes() {
    #[derive(Debug)]
    struct Forgetful;
    impl Learns for Forgetful {}
    let error = Forgetful.restore(&[("seen".to_owned(), Tensor::from(3))].into()).unwrap_err().to_string();
    assert_eq!(
        error,
        "the loss has the state `seen` but cannot restore it: implement `restore` in its `Learns`"
    );
    Forgetful.restore(&BTreeMap::new()).unwrap();
}

#[test]
fn labels_that_a_loss_reads_must_be_provided() {
    struct NoLabels;
    #[adaptor(batch = tests::Sentence, output = tests::ToyOutput)]
    impl NoLabels {
        fn logits(output: &tests::ToyOutput) -> &Tensor {
            &output.logits
        }
    }
    let registry = brew_core::textbrewer::config::Registry::default()
        .soft_targets("where_right", |_, _| Box::new(WhereRight::new().0));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("distill.json");
    std::fs::write(&path, r#"{"kd_loss_type": "where_right"}"#).unwrap();
    let config = DistillationConfig::from_json_file_with(&path, &registry).unwrap();
    let (teacher, student) = (Toy::new(2, 8, 0).seen_by(NoLabels), Toy::new(1, 6, 1).seen_by(NoLabels));
    let error = GeneralDistiller::new(&TrainingConfig::default(), &config, teacher, student)
        .registry(registry)
        .plan()
        .unwrap_err()
        .to_string();
    assert!(error.contains("reads `labels`, which `student adaptor` does not provide"), "{error}");
}
