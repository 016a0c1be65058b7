//! What each rank holds and sends, counted by hand: without any rank.

use std::path::Path;

use brew_core::distill::{student_layer, teacher_layer};
use brew_core::loss::{Crd, HiddenMse, KdCe, Vid};
use brew_core::model::{Architecture, BertConfig, ClassifierOutputAdaptor, Lora};
use brew_core::native::generator_state;
use brew_core::plan::Projection;
use brew_core::prelude::*;
use brew_core::train::{Adafactor, MultiTask, Sgd};
use tests::{Sentence, Toy, ToyOutput, ToyOutputAdaptor, alone, sentences};

/// A toy that lists its head under a second name, and a buffer.
struct Tied(Toy);

#[distill(batch = Sentence)]
impl Tied {
    fn forward(
        &self,
        tokens: &Tensor,
        mask: &Tensor,
        labels: Option<&Tensor>,
        pass: &Pass,
    ) -> Result<ToyOutput> {
        self.0.forward(tokens, mask, labels, pass)
    }
}

impl Model for Tied {
    fn parameters(&self) -> Parameters {
        let of_toy = Model::parameters(&self.0);
        let named = |(name, tensor): (&str, &Tensor)| (name.to_owned(), tensor.shallow_clone());
        let tied = of_toy.iter().filter(|(name, _)| *name == "head");
        let tied = tied.map(|(_, tensor)| ("tied".to_owned(), tensor.shallow_clone()));
        Parameters::new(of_toy.iter().map(named).chain(tied))
            .with_buffers([("seen".to_owned(), Tensor::zeros([10], (Kind::Int64, Device::Cpu)))])
    }

    fn save(&self, folder: &Path) -> Result<()> {
        self.0.save(folder)
    }
}

fn teacher() -> Seen<ToyOutputAdaptor> {
    // 12 x 8 + 2 x (8 x 8) + 8 x 3 = 248 numbers.
    Toy::new(2, 8, 0).seen_by(ToyOutputAdaptor)
}

#[test]
fn weights_count_once_whatever_their_names_and_frozen_ones_have_no_gradient() {
    let toy = Toy::new(1, 6, 1);
    for (name, tensor) in Model::parameters(&toy).iter() {
        let _ = tensor.set_requires_grad(name != "embeddings");
    }
    // Embeddings 12 x 6 frozen, layer 6 x 6, head 6 x 3 under two names: 126 numbers of 8 bytes, and 10 in a buffer.
    let pipeline = Distill::new(teacher(), Tied(toy).seen_by(ToyOutputAdaptor))
        .soft_targets(KdCe::at(2.0))
        .matching(hidden(teacher_layer(2), student_layer(1)).by(HiddenMse).project(Projection::linear(6, 8)))
        .matching(hidden(teacher_layer(1), student_layer(1)).by(Vid::between(6, 8)))
        .plan()
        .unwrap();
    let trainer = Trainer::new(pipeline).optimizer(AdamW::with_lr(1e-3)).accumulate(6);
    let _alone = alone();
    let before = generator_state(Device::Cpu).unwrap();
    let explained = trainer.explain_on(4).unwrap();
    assert_eq!(generator_state(Device::Cpu).unwrap(), before, "nothing is drawn");
    assert_eq!((explained.student, explained.frozen, explained.teachers), (8 * 136, 8 * 72, 8 * 248));
    // A projection of 8 x 6 + 8; VID's map of 8 x 6 + 8 and its 8 variances.
    assert_eq!(explained.learned, 8 * (56 + 64));
    let trained = 36 + 18 + 56 + 64;
    assert_eq!((explained.gradients, explained.optimizer_state), (8 * trained, 2 * 8 * trained));
    assert_eq!(explained.sent, 8 * trained * 2 * 3 / 4);
    assert_eq!(explained.held(), 8 * (136 + 248 + 120 + 3 * trained));
    assert_eq!(explained.with_bandwidth(1e3).seconds(), Some((12 * trained) as f64 / 1e3));

    // Six batches on two ranks are 0 to 2 and 3 to 5: two parts each, (0 1) 2 and 3 (4 5); on three, one part each.
    let trainer = trainer.exact_sums();
    assert_eq!(trainer.explain_on(2).unwrap().sent, 2 * 8 * trained);
    assert_eq!(trainer.explain_on(3).unwrap().sent, 2 * 8 * trained);
    assert_eq!(trainer.explain_on(1).unwrap().sent, 0);
    // Without momentum there is no state; with factors, rows and columns: (1, 6) and (6, 1) of the layer, and so on.
    assert_eq!(trainer.optimizer(Sgd::with_lr(0.1)).explain_on(2).unwrap().optimizer_state, 0);
}

#[test]
fn the_optimizers_own_state_is_what_counts() {
    let pipeline = |loss: Crd| {
        Distill::new(teacher(), Toy::new(1, 6, 1).seen_by(WithRows))
            .matching(hidden(teacher_layer(2), student_layer(1)).by(loss))
            .plan()
            .unwrap()
    };
    let crd = Crd::over(12).between(6, 8).width(4);
    let _alone = alone();
    let explained = Trainer::new(pipeline(crd)).optimizer(Adafactor::with_lr(1e-3)).explain_on(2).unwrap();
    // CRD's maps are 4 x 6 + 4 and 4 x 8 + 4; its banks are no weights.
    assert_eq!(explained.learned, 8 * (28 + 36));
    // Rows and columns of 12 x 6, 6 x 6, 6 x 3, 4 x 6 and 4 x 8, and the vectors of 4.
    assert_eq!(explained.optimizer_state, 8 * (18 + 12 + 9 + 10 + 12 + 4 + 4));
    assert_eq!(explained.optimizer, "adafactor");
}

/// With the first token as the row of the data.
struct WithRows;
#[adaptor(batch = Sentence, output = ToyOutput)]
impl WithRows {
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

/// A BERT of one layer.
fn small_bert() -> BertForSequenceClassification {
    let config = BertConfig {
        vocab_size: 10,
        hidden_size: 4,
        num_hidden_layers: 1,
        num_attention_heads: 1,
        intermediate_size: 8,
        max_position_embeddings: 6,
        ..BertConfig::base(Architecture::Bert)
    };
    BertForSequenceClassification::new(config, 3, 1, Device::Cpu).unwrap()
}

#[test]
fn teachers_count_in_the_dtype_that_they_run_in_and_tasks_share_what_they_share() {
    let bert = small_bert();
    // transformers 5.24.0, BertForSequenceClassification of this config: sum(p.numel() for p in model.parameters()).
    let numbers = 287;
    let student = BertForSequenceClassification::from_layers_of(&bert, Keep::first(1)).unwrap();
    let pipeline =
        Distill::new(bert.seen_by(ClassifierOutputAdaptor), student.seen_by(ClassifierOutputAdaptor))
            .soft_targets(KdCe::at(2.0))
            .plan()
            .unwrap();
    let trainer = Trainer::new(pipeline);
    let explained = trainer.explain_on(2).unwrap();
    assert_eq!((explained.student, explained.teachers), (4 * numbers, 4 * numbers));
    let explained = trainer.precision(Precision::Bf16).explain_on(2).unwrap();
    assert_eq!(
        (explained.student, explained.teachers, explained.gradients),
        (4 * numbers, 2 * numbers, 4 * numbers)
    );

    let student = std::sync::Arc::new(std::sync::Mutex::new(Toy::new(1, 6, 1)));
    let task = || {
        Distill::new(teacher(), std::sync::Arc::clone(&student).seen_by(ToyOutputAdaptor))
            .matching(
                hidden(teacher_layer(2), student_layer(1)).by(HiddenMse).project(Projection::linear(6, 8)),
            )
            .plan()
            .unwrap()
    };
    let tasks = MultiTask::new().task("a", task(), sentences(2, 2, 1)).task("b", task(), sentences(2, 2, 2));
    let explained = Trainer::new(tasks).steps(4).explain_on(2).unwrap();
    assert_eq!((explained.student, explained.learned, explained.teachers), (8 * 126, 8 * 56, 8 * 2 * 248));
    assert_eq!(explained.gradients, 8 * (126 + 56));
}

#[test]
fn the_base_of_an_adapter_is_held_and_never_sent() {
    let bert = small_bert();
    let student = bert.with_lora(Lora::rank(2).targets(["query"]), 7).unwrap();
    let teacher = student.lora_off().unwrap();
    let trained: u64 = Model::parameters(&student).scalars() as u64;
    let pipeline =
        Distill::new(teacher.seen_by(ClassifierOutputAdaptor), student.seen_by(ClassifierOutputAdaptor))
            .soft_targets(KdCe::at(2.0))
            .plan()
            .unwrap();
    let trainer = Trainer::new(pipeline);
    let explained = trainer.explain_on(2).unwrap();
    // A and B of rank 2 for a layer of 4 x 4, and a copy of the head of 4 x 3 + 3, which learns whole; the base of 287.
    assert_eq!(trained, 16 + 15);
    assert_eq!((explained.student, explained.frozen), (4 * (287 + trained), 4 * 287));
    assert_eq!((explained.teachers, explained.gradients), (0, 4 * trained), "the teacher shares the base");
    let explained = trainer.precision(Precision::Bf16).explain_on(2).unwrap();
    assert_eq!((explained.frozen, explained.teachers), (4 * 287, 2 * 287), "autocast converts a copy");
}

#[test]
fn no_ranks_are_refused() {
    let pipeline = Distill::new(teacher(), Toy::new(1, 6, 1).seen_by(ToyOutputAdaptor));
    let trainer = Trainer::new(pipeline.soft_targets(KdCe::at(2.0)).plan().unwrap()).accumulate(0);
    let told = trainer.explain_on(0).unwrap_err().to_string();
    assert!(told.contains("explain at least 1") && told.contains("`accumulate` is 0"), "{told}");
}

#[test]
fn the_page_shows_what_is_printed() {
    let config = BertConfig {
        vocab_size: 30_522,
        hidden_size: 384,
        num_hidden_layers: 6,
        num_attention_heads: 12,
        intermediate_size: 1_536,
        ..BertConfig::base(Architecture::Bert)
    };
    let teacher = BertForSequenceClassification::new(config, 2, 0, Device::Cpu).unwrap();
    let student = BertForSequenceClassification::from_layers_of(&teacher, Keep::every(2)).unwrap();
    let pipeline =
        Distill::new(teacher.seen_by(ClassifierOutputAdaptor), student.seen_by(ClassifierOutputAdaptor))
            .soft_targets(KdCe::at(8.0))
            .plan()
            .unwrap();
    let trainer = Trainer::new(pipeline).optimizer(AdamW::with_lr(1e-4)).accumulate(8);
    let explained = trainer.explain_on(4).unwrap().with_bandwidth(1.25e9);
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/ranks.md");
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains(&explained.to_string()), "docs/ranks.md does not have\n{explained}");
}
