//! A loss that is not finite: the run stops before the student changes, or the step is skipped.

use brew_core::distill::{student_layer, teacher_layer};
use brew_core::loss::{Crd, Features, Learns, Loss, SoftTargets, Taid, Term, standardised};
use brew_core::prelude::*;
use brew_core::train::NotFinite;
use tests::{Sentence, Toy, ToyOutput, ToyOutputAdaptor, alone, sentences};

use super::support::{Quiet, flat};

/// The mean of the student's logits; NaN in the optimizer step of this number.
#[derive(Debug)]
struct NanAt {
    nan_at: u64,
    step: u64,
}

impl Loss for NanAt {
    fn name(&self) -> &'static str {
        "nan_at"
    }
    fn learns(&mut self) -> Option<&mut dyn Learns> {
        Some(self)
    }
    fn mismatches(&self, _: &Features, _: &Features) -> Vec<String> {
        Vec::new()
    }
    fn term(&self, student: &Features, _: &Features) -> Result<Term> {
        let value = student.tensors[0].f_mean_dim(-1, false, None)?;
        let factor = if self.step == self.nan_at { f64::NAN } else { 1.0 };
        Term::rows(&value.f_mul_scalar(factor)?)
    }
}

impl Learns for NanAt {
    fn before_step(&mut self, step: u64, _: u64) -> Result<()> {
        self.step = step;
        Ok(())
    }
}

impl<T, S> SoftTargets<T, S> for NanAt {}

fn trainer(nan_at: u64, epochs: u64) -> (Trainer<'static, super::support::ToyPipeline>, Parameters) {
    let student = Toy::new(1, 6, 1);
    let parameters = student.parameters();
    let pipeline =
        Distill::new(Toy::new(2, 8, 0).seen_by(ToyOutputAdaptor), student.seen_by(ToyOutputAdaptor))
            .soft_targets(NanAt { nan_at, step: u64::MAX })
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

/// A toy whose hidden states, logits and losses are NaN in the optimizer step of this number (from 0).
struct Stumbles(Toy, u64);

#[distill(batch = Sentence)]
impl Stumbles {
    fn forward(
        &self,
        tokens: &Tensor,
        mask: &Tensor,
        labels: Option<&Tensor>,
        pass: &Pass,
    ) -> Result<ToyOutput> {
        let mut output = self.0.forward(tokens, mask, labels, pass)?;
        if pass.is_training() && pass.step() == self.1 {
            let spoilt = |tensor: &Tensor| match tensor.defined() {
                true => tensor.f_mul_scalar(f64::NAN),
                false => Ok(Tensor::new()),
            };
            output.logits = spoilt(&output.logits)?;
            output.hidden = output.hidden.iter().map(spoilt).collect::<std::result::Result<_, _>>()?;
        }
        Ok(output)
    }
}

impl Model for Stumbles {
    fn parameters(&self) -> Parameters {
        self.0.parameters()
    }
}

/// The first token is the row of the data: each of the twelve is a row of the banks.
struct WithRows;
#[adaptor(batch = Sentence, output = ToyOutput)]
impl WithRows {
    fn logits(output: &ToyOutput) -> &Tensor {
        &output.logits
    }
    fn hidden(output: &ToyOutput) -> &Vec<Tensor> {
        &output.hidden
    }
    fn inputs_mask(batch: &Sentence) -> &Tensor {
        &batch.mask
    }
    fn index(batch: &Sentence) -> Tensor {
        batch.tokens.select(1, 0)
    }
}

/// A pipeline whose student fails in this optimizer step.
type Stumbling = Box<dyn Fn(u64) -> Pipeline<Sentence, WithRows>>;

#[test]
fn no_loss_keeps_anything_of_a_step_that_is_left_out() {
    let _alone = alone();
    let sides = |at| {
        let teacher = Toy::new(2, 8, 0).seen_by(ToyOutputAdaptor);
        Distill::new(teacher, Stumbles(Toy::new(1, 6, 1), at).seen_by(WithRows))
    };
    let crd =
        || hidden(teacher_layer(2), student_layer(1)).by(Crd::over(12).between(6, 8).width(4).negatives(3));
    let pipelines: [(&str, Stumbling); 4] = [
        ("crd", Box::new(move |at| sides(at).matching(crd()).plan().unwrap())),
        ("taid", Box::new(move |at| sides(at).soft_targets(Taid::at(1.0).alpha(0.5)).plan().unwrap())),
        ("inside", Box::new(move |at| sides(at).soft_targets(standardised(Taid::at(1.0))).plan().unwrap())),
        ("both", Box::new(move |at| sides(at).soft_targets(Taid::at(1.0)).matching(crd()).plan().unwrap())),
    ];
    for (name, pipeline) in &pipelines {
        // The first step of all, whose batch fixes what Crd divides by, and one in the middle; of one batch and
        // of two.
        for (at, accumulation) in [(0, 1), (2, 1), (0, 2), (2, 2)] {
            let folder = tempfile::tempdir().unwrap();
            let trained = Trainer::new(pipeline(at))
                .on_not_finite(NotFinite::Skip)
                .accumulate(accumulation)
                .steps(6)
                .checkpoint_every_steps(1)
                .run_dir(folder.path().join("run"))
                .observe(Quiet)
                .run(sentences(3, 4, 5))
                .unwrap();
            assert_eq!(trained.summary().skipped, 1, "{name}, step {at}: the steps after it are finite");
            let carried = |step: u64| -> Vec<(String, Vec<u8>)> {
                let file = folder.path().join(format!("run/checkpoints/step-{step}/optimizer.safetensors"));
                let bytes = std::fs::read(file).unwrap();
                let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
                let mut found: Vec<_> = (file.iter())
                    .filter(|(name, _)| name.starts_with("loss/"))
                    .map(|(name, view)| (name.to_owned(), view.data().to_vec()))
                    .collect();
                found.sort();
                found
            };
            if at > 0 {
                assert!(!carried(at).is_empty());
                assert_eq!(carried(at), carried(at + 1), "{name}: step {at} left nothing behind");
                assert_ne!(carried(at + 1), carried(at + 2), "{name}: the step after it does");
            }
        }
    }
}
