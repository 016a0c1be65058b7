//! A student of a language model: its loss falls, it resumes to the bit, and losses over logits and over hidden
//! states with the head's matrix teach the same.

use std::path::Path;

use brew_core::distill::{student_layer, teacher_layer};
use brew_core::loss::{Chunked, HiddenMse, Kl, next_token};
use brew_core::model::{
    CausalLmBatch, CausalLmOutputAdaptor, DecoderArchitecture, DecoderConfig, DecoderForCausalLm,
};
use brew_core::prelude::*;
use tests::{Totals, alone, killed_at};

use super::support::difference;

/// A teacher of four layers.
fn teacher(architecture: DecoderArchitecture) -> DecoderForCausalLm {
    let config = DecoderConfig {
        vocab_size: 30,
        hidden_size: 16,
        num_hidden_layers: 4,
        num_attention_heads: 4,
        num_key_value_heads: (architecture != DecoderArchitecture::Gpt2).then_some(2),
        head_dim: None,
        intermediate_size: Some(24),
        max_position_embeddings: 16,
        initializer_range: 0.3,
        pad_token_id: None,
        // So that the run has something to draw.
        attention_dropout: 0.1,
        ..DecoderConfig::base(architecture)
    };
    DecoderForCausalLm::new(config, 5, Device::Cpu).unwrap()
}

/// Batches of four rows of up to ten tokens.
pub(super) fn texts() -> Vec<CausalLmBatch> {
    (0..6)
        .map(|batch| {
            let places = Tensor::arange(10, (Kind::Int64, Device::Cpu)).unsqueeze(0);
            let lengths = Tensor::from_slice(&[10_i64, 3, 7, 5 + batch % 3]).unsqueeze(1);
            let mask = places.lt_tensor(&lengths).to_kind(Kind::Int64);
            let rows = Tensor::arange(40, (Kind::Int64, Device::Cpu)).view([4, 10]) * (7 + batch) + batch;
            let input_ids = rows.remainder(30) * &mask;
            let labels = input_ids.where_scalarother(&mask.to_kind(Kind::Bool), -100);
            CausalLmBatch { input_ids, attention_mask: mask, labels: Some(labels) }
        })
        .collect()
}

type Ends = Vec<(String, Vec<u8>)>;

/// A student of two of its layers and what it learns: the teacher's distributions, from logits or from hidden states
/// and the head's matrix; hidden states; the tokens themselves.
pub(super) fn pipeline(
    architecture: DecoderArchitecture,
    chunked: bool,
) -> Pipeline<CausalLmBatch, CausalLmOutputAdaptor> {
    let teacher = teacher(architecture);
    let student = DecoderForCausalLm::from_layers_of(&teacher, Keep::layers([0, 3])).unwrap();
    let begun =
        Distill::new(teacher.seen(), student.seen())
            .matching([(2, 1), (4, 2)].map(|(teacher, student)| {
                hidden(teacher_layer(teacher), student_layer(student)).by(HiddenMse)
            }))
            .hard_labels(0.5);
    let loss = Kl::at(2.0);
    let plan = if chunked {
        begun.soft_targets(next_token(Chunked::of(loss).rows(7))).plan()
    } else {
        begun.soft_targets(next_token(loss)).plan()
    };
    plan.unwrap()
}

/// What a run folder holds after this many steps, and the total of every step.
fn trained(
    pipeline: Pipeline<CausalLmBatch, CausalLmOutputAdaptor>,
    run: (&Path, u64, Option<u64>),
) -> (Option<Ends>, Vec<f64>) {
    trained_in(Precision::F32, pipeline, run)
}

fn trained_in(
    precision: Precision,
    pipeline: Pipeline<CausalLmBatch, CausalLmOutputAdaptor>,
    (folder, steps, stop): (&Path, u64, Option<u64>),
) -> (Option<Ends>, Vec<f64>) {
    let totals = Totals::default();
    let ended = Trainer::new(pipeline)
        .optimizer(AdamW::with_lr(3e-3))
        .precision(precision)
        .steps(steps)
        .log_every(1)
        .checkpoint_every_steps(5)
        .run_dir(folder.join("run"))
        .observe(totals.clone())
        .on_checkpoint(killed_at(stop))
        .run(texts());
    let totals = totals.so_far();
    if let Err(error) = ended {
        assert!(stop.is_some(), "{error}");
        return (None, totals);
    }
    let last = format!("run/checkpoints/step-{steps}");
    let files = ["student.safetensors", "optimizer.safetensors"].map(|file| format!("{last}/{file}"));
    let files = files.into_iter().chain(["run/student/model.safetensors".to_owned()]);
    let ends = files.map(|file| (file.clone(), std::fs::read(folder.join(&file)).unwrap()));
    (Some(ends.collect()), totals)
}

fn mean(totals: &[f64]) -> f64 {
    totals.iter().sum::<f64>() / totals.len() as f64
}

#[test]
fn a_student_learns_from_its_teacher_and_resumes_to_the_last_bit() {
    let _alone = alone();
    for architecture in [DecoderArchitecture::Llama, DecoderArchitecture::Gpt2] {
        let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let pipeline = || pipeline(architecture, false);
        let (alone, totals) = trained(pipeline(), (folders[0].path(), 60, None));
        let (first, last) = (mean(&totals[..6]), mean(&totals[54..]));
        assert!(last < 0.75 * first, "{architecture:?}: {first} fell to {last}");
        let (killed, _) = trained(pipeline(), (folders[1].path(), 60, Some(25)));
        assert!(killed.is_none(), "it was killed");
        let (resumed, rest) = trained(pipeline(), (folders[1].path(), 60, None));
        assert_eq!(rest, totals[totals.len() - rest.len()..], "{architecture:?}");
        assert!((30..60).contains(&rest.len()), "{}", rest.len());
        assert!(resumed == alone, "{architecture:?}: another student");
        let student = folders[0].path().join("run/student");
        let student = DecoderForCausalLm::from_pretrained(student, Device::Cpu).unwrap();
        assert_eq!(student.config().num_hidden_layers, 2);
    }
}

// The same dropout in each, which is reseeded for every batch of every step.
#[test]
fn a_loss_over_hidden_states_and_the_heads_matrix_teaches_as_one_over_logits() {
    let _alone = alone();
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let [dense, chunked] = [false, true].map(|chunked| {
        let folder = folders[usize::from(chunked)].path();
        trained(pipeline(DecoderArchitecture::Qwen2, chunked), (folder, 12, None)).1
    });
    for (dense, chunked) in dense.iter().zip(&chunked) {
        assert!((dense - chunked).abs() < 1e-4 * dense, "{chunked} of {dense}");
    }
    let weights = |folder: &Path| {
        let student = folder.join("run/student");
        let student = DecoderForCausalLm::from_pretrained(student, Device::Cpu).unwrap();
        Tensor::cat(
            &student.parameters().iter().map(|(_, tensor)| tensor.flatten(0, -1)).collect::<Vec<_>>(),
            0,
        )
    };
    let off = difference(&weights(folders[0].path()), &weights(folders[1].path()));
    assert!(off < 1e-3, "off by {off:e}");
}

#[test]
fn a_student_learns_in_low_precision_too() {
    let _alone = alone();
    let run = |precision: Precision| {
        let folder = tempfile::tempdir().unwrap();
        let pipeline = pipeline(DecoderArchitecture::Qwen3, false);
        trained_in(precision, pipeline, (folder.path(), 12, None)).1
    };
    let wide = run(Precision::F32);
    for precision in [Precision::Bf16, Precision::F16] {
        let totals = run(precision);
        assert_eq!(totals.len(), wide.len());
        // Before any step that float16 leaves out until its gradients are scaled to its range.
        assert!((totals[0] - wide[0]).abs() < 0.02 * wide[0], "{precision:?}: {} of {}", totals[0], wide[0]);
        assert!(totals.iter().all(|total| total.is_finite() && *total < 1.2 * wide[0]), "{totals:?}");
        assert!(totals != wide, "{precision:?}: it was rounded");
        let (first, last) = (mean(&totals[..6]), mean(&totals[6..]));
        assert!(last < first, "{precision:?}: {first} became {last}");
    }
}
