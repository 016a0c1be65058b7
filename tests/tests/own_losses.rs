//! A loss of the user's own: it reads the labels, learns a parameter, and carries a count from step to
//! step.

#![expect(clippy::unwrap_used, reason = "a test fails where a helper does")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use brew_core::distill::{Gives, SoftTarget, SoftTargets};
use brew_core::loss::{AlsoReads, Loss, Place, Read, Term};
use brew_core::observe::{Event, Observer};
use brew_core::prelude::*;
use brew_core::role::{Labels, Logits, Role as _};
use brew_core::side::Side;
use tests::{Toy, ToyOutputAdaptor, alone, sentences};

struct Quiet;
impl Observer for Quiet {
    fn on(&mut self, _: &Event<'_>) {}
}

/// The squared distance to a learned multiple of the teacher's logits, where the teacher is right.
#[derive(Debug, Clone, Default)]
struct WhereRight(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    factor: Option<Tensor>,
    begun: Vec<(u64, u64)>,
    ended: usize,
}

impl Loss for WhereRight {
    fn name(&self) -> &'static str {
        "where_right"
    }
    fn also_reads(&self) -> &'static [AlsoReads] {
        &[AlsoReads { side: Side::Student, role: Labels::NAME }]
    }
    fn prepare(&self, place: &Place) -> Result<()> {
        let factor = Tensor::f_ones([1], (place.kind, place.device))?.f_set_requires_grad(true)?;
        self.0.lock().unwrap().factor = Some(factor);
        Ok(())
    }
    fn parameters(&self) -> Parameters {
        let factor = self.0.lock().unwrap().factor.as_ref().map(Tensor::shallow_clone);
        Parameters::new(factor.map(|factor| ("factor".to_owned(), factor)))
    }
    fn before_step(&self, step: u64, steps: u64) -> Result<()> {
        self.0.lock().unwrap().begun.push((step, steps));
        Ok(())
    }
    fn after_step(&self) -> Result<()> {
        self.0.lock().unwrap().ended += 1;
        Ok(())
    }
    fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        Ok([("ended".to_owned(), Tensor::from(self.0.lock().unwrap().ended as i64))].into())
    }
    fn mismatches(&self, _: &Read, _: &Read) -> Vec<String> {
        Vec::new()
    }
    fn term(&self, student: &Read, teacher: &Read) -> Result<Term> {
        let (inner, teacher) = (self.0.lock().unwrap(), &teacher.features[0]);
        let right = teacher.f_argmax(-1, false)?.f_eq_tensor(student.labels()?)?;
        let scaled = teacher.f_mul(inner.factor.as_ref().unwrap())?;
        let distance = student.features[0].f_sub(&scaled)?.f_square()?;
        Term::rows(&distance.f_sum_dim_intlist(-1, false, None)?.f_mul(&right)?)
    }
}

impl<T: Gives<Logits>, S: Gives<Logits> + Gives<Labels>> SoftTargets<T, S> for WhereRight {
    fn into_loss(self) -> SoftTarget {
        SoftTarget::of(self)
    }
}

#[test]
fn a_loss_of_ones_own_reads_labels_learns_and_is_told_of_every_step() {
    let _alone = alone();
    let loss = WhereRight::default();
    let student = Toy::new(1, 6, 1);
    let pipeline =
        Distill::new(Toy::new(2, 8, 0).seen_by(ToyOutputAdaptor), student.seen_by(ToyOutputAdaptor))
            .soft_targets(loss.clone())
            .plan()
            .unwrap();
    assert!(pipeline.explain().contains("labels"), "the plan shows what the loss reads");
    let trainer = Trainer::new(pipeline).optimizer(AdamW::with_lr(0.01)).epochs(2).observe(Quiet);
    let trained = trainer.run(sentences(3, 4, 5)).unwrap();

    let inner = loss.0.lock().unwrap();
    let steps: Vec<(u64, u64)> = (0..6).map(|step| (step, 6)).collect();
    assert_eq!((inner.begun.as_slice(), inner.ended), (steps.as_slice(), 6));
    let factor = inner.factor.as_ref().unwrap().double_value(&[0]);
    assert!((factor - 1.0).abs() > 1e-3, "the factor was trained, and is {factor}");
    let learned: Vec<&str> = trained.projections().iter().map(|(name, _)| name).collect();
    assert_eq!(learned, ["where_right.factor"]);
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
        .soft_targets("where_right", |_, _| Box::new(WhereRight::default()));
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
