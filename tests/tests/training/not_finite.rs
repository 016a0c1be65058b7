//! A loss that is no number: the run stops before the student is touched, or the step is left out.

use std::sync::atomic::{AtomicU64, Ordering};

use brew_core::distill::{SoftTarget, SoftTargets};
use brew_core::loss::{Loss, Read, Term};
use brew_core::prelude::*;
use brew_core::train::NotFinite;
use tests::{Toy, ToyOutputAdaptor, alone, sentences};

use super::support::{Quiet, flat};

/// The mean of the student's logits; NaN in the optimizer step of this number.
#[derive(Debug)]
struct NanAt(u64, AtomicU64);

impl Loss for NanAt {
    fn name(&self) -> &'static str {
        "nan_at"
    }
    fn before_step(&self, step: u64, _: u64) -> Result<()> {
        self.1.store(step, Ordering::Relaxed);
        Ok(())
    }
    fn mismatches(&self, _: &Read, _: &Read) -> Vec<String> {
        Vec::new()
    }
    fn term(&self, student: &Read, _: &Read) -> Result<Term> {
        let value = student.features[0].f_mean_dim(-1, false, None)?;
        let factor = if self.1.load(Ordering::Relaxed) == self.0 { f64::NAN } else { 1.0 };
        Term::rows(&value.f_mul_scalar(factor)?)
    }
}

impl<T, S> SoftTargets<T, S> for NanAt {
    fn into_loss(self) -> SoftTarget {
        SoftTarget::of(self)
    }
}

fn trainer(nan_at: u64, epochs: u64) -> (Trainer<'static, super::support::ToyPipeline>, Parameters) {
    let student = Toy::new(1, 6, 1);
    let parameters = student.parameters();
    let pipeline =
        Distill::new(Toy::new(2, 8, 0).seen_by(ToyOutputAdaptor), student.seen_by(ToyOutputAdaptor))
            .soft_targets(NanAt(nan_at, AtomicU64::new(u64::MAX)))
            .hard_labels(1.0)
            .plan()
            .unwrap();
    (Trainer::new(pipeline).optimizer(AdamW::with_lr(0.01)).epochs(epochs).observe(Quiet), parameters)
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_before_the_student_is_touched_and_keeps_the_batch() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let data = sentences(3, 4, 5);
    let third = data[2].tokens.copy();
    let (trainer, parameters) = trainer(2, 1);
    let error = trainer.run_dir(&run).run(data).unwrap_err().to_string();
    for part in ["epoch 0, batch 2", "step 3", "`nan_at` is NaN", "NotFinite::Skip"] {
        assert!(error.contains(part), "{part} is not in {error}");
    }
    assert!(!error.contains("hard_labels"), "only the term that is no number is named: {error}");
    assert!(flat(&parameters).iter().all(|value| value.is_finite()));
    let kept = std::fs::read(run.join("not-finite/step-3-batch-0.safetensors")).unwrap();
    let kept = safetensors::SafeTensors::deserialize(&kept).unwrap();
    let tokens: Vec<i64> = kept
        .tensor("tokens")
        .unwrap()
        .data()
        .chunks_exact(8)
        .map(|bytes| i64::from_le_bytes(bytes.try_into().unwrap()))
        .collect();
    assert_eq!(tokens, Vec::<i64>::try_from(third.view([-1])).unwrap());
}

#[test]
fn a_step_that_is_left_out_is_counted_and_changes_nothing() {
    let _alone = alone();
    let after = |nan_at: u64, epochs: u64| {
        let (trainer, parameters) = trainer(nan_at, epochs);
        let trained = trainer.on_not_finite(NotFinite::Skip).run(sentences(3, 4, 5)).unwrap();
        (flat(&parameters), trained.summary().skipped, trained.summary().steps)
    };
    // The third step of one epoch left out: what two steps made.
    let (left_out, skipped, steps) = after(2, 1);
    assert_eq!((skipped, steps), (1, 3));
    let (trainer, parameters) = trainer(u64::MAX - 1, 1);
    let first_two = trainer.run(sentences(3, 4, 5).into_iter().take(2).collect::<Vec<_>>()).unwrap();
    assert_eq!(first_two.summary().skipped, 0);
    let off = left_out.iter().zip(flat(&parameters)).map(|(left, right)| (left - right).abs());
    assert_eq!(off.fold(0.0, f64::max), 0.0);
}
