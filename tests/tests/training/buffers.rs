//! State that is not a parameter: a student with running statistics resumes as it was, or the run reports that its model
//! does not list them.

use std::cell::Cell;
use std::path::Path;

use brew_core::loss::KdCe;
use brew_core::prelude::*;
use brew_core::tch::nn::{self, ModuleT as _};
use brew_core::train::NotFinite;
use tests::{Sentence, ToyOutput, ToyOutputAdaptor, alone, drawn, killed_at, sentences};

use super::support::{Seen as Told, stored};

/// What `Model::parameters` of a [`Net`] lists.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Lists {
    Everything,
    TrainableAlone,
}

/// Embeddings, a batch norm, a count of its batches, and a head.
struct Net {
    variables: nn::VarStore,
    embeddings: Tensor,
    norm: nn::BatchNorm,
    head: Tensor,
    /// Replaced, not changed in place, as a careless model would.
    batches: Cell<Option<Tensor>>,
    lists: Lists,
    /// The optimizer step (from 0) in which what it reads is NaN.
    stumbles_at: Option<u64>,
}

impl Net {
    fn new(seed: i64, lists: Lists) -> Self {
        let variables = nn::VarStore::new(Device::Cpu);
        let root = variables.root();
        let embeddings = root.zeros("embeddings", &[12, 6]);
        // tch's default draws the weight.
        let ones = nn::BatchNormConfig { ws_init: nn::Init::Const(1.0), ..nn::BatchNormConfig::default() };
        let norm = nn::batch_norm1d(&root / "norm", 6, ones);
        let head = root.zeros("head", &[6, 3]);
        drop(root);
        brew_core::tch::no_grad(|| {
            embeddings.shallow_clone().copy_(&drawn(seed, &[12, 6]));
            head.shallow_clone().copy_(&drawn(seed + 100, &[6, 3]));
        });
        let batches = Cell::new(Some(Tensor::from_slice(&[0_i64])));
        Net { variables, embeddings, norm, head, batches, lists, stumbles_at: None }
    }

    fn count(&self) -> Tensor {
        let count = self.batches.take().unwrap();
        self.batches.set(Some(count.shallow_clone()));
        count
    }
}

#[distill(batch = Sentence)]
impl Net {
    fn forward(
        &self,
        tokens: &Tensor,
        mask: &Tensor,
        labels: Option<&Tensor>,
        pass: &Pass,
    ) -> Result<ToyOutput> {
        let states = Tensor::f_embedding(&self.embeddings, tokens, -1, false, false)?;
        let mask = mask.f_to_kind(Kind::Float)?.f_unsqueeze(-1)?;
        let mean = states.f_mul(&mask)?.f_mean_dim(1, false, None)?;
        let spoilt = pass.is_training() && self.stumbles_at == Some(pass.step());
        let mean = if spoilt { mean.f_mul_scalar(f64::NAN)? } else { mean };
        let normed = self.norm.forward_t(&mean, pass.is_training());
        if pass.is_training() {
            self.batches.set(Some(self.count() + 1));
        }
        let logits = normed.f_matmul(&self.head)?;
        let loss = labels.map(|labels| {
            logits.f_cross_entropy_loss(labels, None::<&Tensor>, brew_core::tch::Reduction::None, -100, 0.0)
        });
        Ok(ToyOutput { logits, hidden: Vec::new(), attention: Vec::new(), loss: loss.transpose()? })
    }
}

impl Model for Net {
    fn parameters(&self) -> Parameters {
        match self.lists {
            Lists::Everything => Parameters::of(&self.variables)
                .with_buffers([("norm.num_batches_tracked".to_owned(), self.count())]),
            Lists::TrainableAlone => {
                let named = self.variables.variables().into_iter();
                Parameters::new(named.filter(|(_, tensor)| tensor.requires_grad()))
            }
        }
    }
}

/// Six steps, or fewer if killed; every tensor of the student at the end, by name.
fn run(folder: &Path, lists: Lists, stop: Option<u64>) -> Result<Vec<(String, Vec<f64>)>> {
    let (teacher, student) = (Net::new(1, Lists::Everything), Net::new(2, lists));
    let pipeline = Distill::new(teacher.seen_by(ToyOutputAdaptor), student.seen_by(ToyOutputAdaptor))
        .soft_targets(KdCe::at(2.0))
        .hard_labels(1.0)
        .plan()?;
    let trained = Trainer::new(pipeline)
        .optimizer(AdamW::with_lr(0.05))
        .steps(6)
        .checkpoint_every_steps(1)
        .run_dir(folder.join("run"))
        .observe(Told::default())
        .on_checkpoint(killed_at(stop))
        .run(sentences(4, 4, 5))?;
    let parameters = trained.student().parameters();
    let values = |tensor: &Tensor| Vec::try_from(tensor.detach().to_kind(Kind::Double).view([-1])).unwrap();
    Ok(parameters.iter().map(|(name, tensor)| (name.to_owned(), values(tensor))).collect())
}

#[test]
fn a_student_with_buffers_resumes_to_the_student_it_would_have_been() {
    let _alone = alone();
    let (whole, cut) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let expected = run(whole.path(), Lists::Everything, None).unwrap();
    run(cut.path(), Lists::Everything, Some(3)).unwrap_err();
    assert_eq!(run(cut.path(), Lists::Everything, None).unwrap(), expected);
    let names: Vec<&str> = expected.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "embeddings",
            "head",
            "norm.bias",
            "norm.num_batches_tracked",
            "norm.running_mean",
            "norm.running_var",
            "norm.weight"
        ]
    );
    // Counted: six optimizer steps of one batch each, of both lives together.
    assert_eq!(expected[3].1, [6.0]);
    let saved =
        [whole.path(), cut.path()].map(|folder| std::fs::read(folder.join("run/student/model.safetensors")));
    let [whole, cut] = saved.map(Result::unwrap);
    assert!(whole == cut, "the student's folder holds the same bytes");
}

#[test]
fn a_model_that_does_not_name_its_state_is_refused_as_the_run_resumes() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), Lists::TrainableAlone, Some(3)).unwrap_err();
    let told = run(folder.path(), Lists::TrainableAlone, None).unwrap_err().to_string();
    for part in ["step-3", "`outputs/logits.0` differs", "Parameters::with_buffers", ".fresh()"] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
}

#[test]
fn what_a_model_saves_by_default_is_read_back_by_itself_and_by_a_var_store() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let saved = Net::new(1, Lists::Everything);
    let _ = saved.norm.running_mean.shallow_clone().fill_(0.25);
    saved.batches.set(Some(Tensor::from_slice(&[7_i64])));
    saved.save(folder.path()).unwrap();

    let read = Net::new(2, Lists::Everything);
    read.parameters().load(folder.path()).unwrap();
    assert_eq!(read.count(), Tensor::from_slice(&[7_i64]));
    assert_eq!(read.norm.running_mean, saved.norm.running_mean);
    assert_eq!(read.embeddings, saved.embeddings);
    // tch's own reader, which wants the variables it knows and no dtype but floats.
    let mut by_tch = Net::new(3, Lists::Everything);
    Parameters::of(&saved.variables).save(folder.path()).unwrap();
    by_tch.variables.load(folder.path().join("model.safetensors")).unwrap();
    assert_eq!(by_tch.norm.running_mean, saved.norm.running_mean);
}

#[test]
fn buffers_are_no_parameters_to_an_optimizer_or_a_count() {
    let net = Net::new(1, Lists::Everything);
    // By hand: 12 x 6 embeddings, 6 x 3 of the head, 6 + 6 of the norm.
    assert_eq!(net.parameters().scalars(), 72 + 18 + 12);
    assert_eq!(net.parameters().iter().count(), 7);
}

#[test]
fn a_step_that_is_left_out_does_not_move_the_buffers() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let student = Net { stumbles_at: Some(2), ..Net::new(2, Lists::Everything) };
    let teacher = Net::new(1, Lists::Everything);
    let pipeline = Distill::new(teacher.seen_by(ToyOutputAdaptor), student.seen_by(ToyOutputAdaptor))
        .soft_targets(KdCe::at(2.0))
        .plan()
        .unwrap();
    let trained = Trainer::new(pipeline)
        .on_not_finite(NotFinite::Skip)
        .steps(4)
        .checkpoint_every_steps(1)
        .run_dir(folder.path().join("run"))
        .observe(Told::default())
        .run(sentences(4, 4, 5))
        .unwrap();
    assert_eq!(trained.summary().skipped, 1);
    let student =
        |step: u64| stored(&folder.path().join(format!("run/checkpoints/step-{step}/student.safetensors")));
    assert_eq!(student(2), student(3), "the third step was left out whole");
    for buffer in ["norm.running_mean", "norm.running_var", "norm.num_batches_tracked"] {
        assert_ne!(student(3)[buffer], student(4)[buffer], "{buffer}");
    }
    // By hand: four steps, of which one does not count.
    assert_eq!(student(4)["norm.num_batches_tracked"].1, [3.0]);
}
