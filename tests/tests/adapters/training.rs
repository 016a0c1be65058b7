//! A student that learns by its adapters from its own base: what a checkpoint holds, and that a killed run resumes to
//! the last bit.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use brew_core::loss::{Kl, next_token};
use brew_core::model::{CausalLmBatch, CausalLmOutputAdaptor, DecoderForCausalLm, Lora};
use brew_core::prelude::*;
use tempfile::TempDir;
use tests::{alone, off, read_tensors};

use super::support::fixture;

fn base() -> DecoderForCausalLm {
    DecoderForCausalLm::from_pretrained(fixture("decoders/llama"), Device::Cpu).unwrap()
}

fn texts() -> Vec<CausalLmBatch> {
    (0..6)
        .map(|batch| {
            let rows = Tensor::arange(28, (Kind::Int64, Device::Cpu)).view([4, 7]) * (7 + batch) + batch;
            let input_ids = rows.remainder(20);
            let labels = Some(input_ids.shallow_clone());
            CausalLmBatch { attention_mask: input_ids.ones_like(), input_ids, labels }
        })
        .collect()
}

fn lora() -> Lora {
    Lora::rank(2).dropout(0.2).all_linear()
}

/// A student that learns the tokens and stays near its base, whose weights it shares.
fn pipeline(base: DecoderForCausalLm, lora: Lora) -> Pipeline<CausalLmBatch, CausalLmOutputAdaptor> {
    let student = base.with_lora(lora, 3).unwrap();
    let teacher = student.lora_off().unwrap();
    let begun = Distill::new(teacher.seen(), student.seen());
    begun.soft_targets(next_token(Kl::at(1.0))).hard_labels(1.0).plan().unwrap()
}

fn trained(
    pipeline: Pipeline<CausalLmBatch, CausalLmOutputAdaptor>,
    folder: &Path,
    precision: Precision,
    stop: Option<u64>,
) -> Result<()> {
    let trainer = Trainer::new(pipeline)
        .optimizer(AdamW::with_lr(3e-3))
        .precision(precision)
        .accumulate(2)
        .clip(1.0)
        .steps(6)
        .gradient_checkpointing(true)
        .checkpoint_every_steps(2)
        .run_dir(folder)
        .on_checkpoint(move |_, step| if Some(step) == stop { Err(Error::other("killed")) } else { Ok(()) });
    trainer.run(texts()).map(drop)
}

/// The last checkpoint's tensors and the adapter folder.
fn outcome(folder: &Path) -> BTreeMap<&'static str, Vec<u8>> {
    let files = [
        "checkpoints/step-6/student.safetensors",
        "checkpoints/step-6/optimizer.safetensors",
        "student/adapter_model.safetensors",
        "student/adapter_config.json",
    ];
    files.map(|file| (file, fs::read(folder.join(file)).unwrap())).into()
}

#[test]
fn a_checkpoint_holds_the_adapters_alone_and_a_killed_run_resumes_to_the_last_bit() {
    let _alone = alone();
    let [whole, killed] = [(); 2].map(|()| TempDir::new().unwrap());
    trained(pipeline(base(), lora()), whole.path(), Precision::F32, None).unwrap();
    let error = trained(pipeline(base(), lora()), killed.path(), Precision::F32, Some(2)).unwrap_err();
    assert!(error.to_string().contains("killed"), "{error}");
    trained(pipeline(base(), lora()), killed.path(), Precision::F32, None).unwrap();
    assert!(outcome(killed.path()) == outcome(whole.path()), "another student");

    let adapted = base().with_lora(lora(), 3).unwrap();
    let names: Vec<String> = adapted.parameters().iter().map(|(name, _)| name.to_owned()).collect();
    let checkpoint = whole.path().join("checkpoints/step-6");
    let student = read_tensors(&checkpoint.join("student.safetensors"));
    assert!(student.keys().eq(names.iter()), "{:?}", student.keys());
    for name in read_tensors(&checkpoint.join("optimizer.safetensors")).keys() {
        assert!(name.contains(".lora_"), "{name}");
    }
    // The student's folder is that of an adapter, with the values of the last checkpoint.
    let loaded = base().load_adapter(whole.path().join("student")).unwrap();
    for (name, tensor) in loaded.parameters().iter() {
        assert_eq!(tensor.detach(), student[name], "{name}");
        assert!(
            name.ends_with("lora_A.weight") || tensor.abs().max().double_value(&[]) > 0.0,
            "{name} learned"
        );
    }
}

#[test]
fn training_leaves_the_base_as_it_is_in_low_precision_too() {
    let _alone = alone();
    for precision in [Precision::F32, Precision::Bf16] {
        let folder = TempDir::new().unwrap();
        let model = base();
        let before: Vec<Tensor> =
            model.parameters().iter().map(|(_, tensor)| tensor.detach().copy()).collect();
        let held: Vec<Tensor> = model.parameters().iter().map(|(_, tensor)| tensor.shallow_clone()).collect();
        trained(pipeline(model, lora()), folder.path(), precision, None).unwrap();
        assert!(held.iter().zip(&before).all(|(held, before)| held.kind() == Kind::Float && held == before));
    }
}

#[test]
fn a_run_resumes_only_with_its_base_and_its_settings() {
    let _alone = alone();
    let folder = TempDir::new().unwrap();
    trained(pipeline(base(), lora()), folder.path(), Precision::F32, Some(2)).unwrap_err();
    let other = base();
    {
        let _guard = brew_core::tch::no_grad_guard();
        let parameters = other.parameters();
        let (_, first) = parameters.iter().next().unwrap();
        let _ = first.shallow_clone().get(0).get(0).fill_(0.125);
    }
    let error =
        trained(pipeline(other, lora()), folder.path(), Precision::F32, None).unwrap_err().to_string();
    assert!(error.contains("students[0].lora.base was"), "{error}");
    let lora = lora().alpha(3.0);
    let error = trained(pipeline(base(), lora), folder.path(), Precision::F32, None).unwrap_err().to_string();
    assert!(error.contains("students[0].lora was"), "{error}");
}

#[test]
fn a_student_with_adapters_learns_the_tokens() {
    let _alone = alone();
    let folder = TempDir::new().unwrap();
    let batch = texts().swap_remove(0);
    let loss = |model: &DecoderForCausalLm| {
        let pass = super::support::evaluation();
        let (ids, mask) = (&batch.input_ids, &batch.attention_mask);
        model.forward(ids, mask, batch.labels.as_ref(), &pass).unwrap().loss.unwrap().detach()
    };
    trained(pipeline(base(), lora()), folder.path(), Precision::F32, None).unwrap();
    let student = base().load_adapter(folder.path().join("student")).unwrap();
    let (before, after) = (loss(&student.lora_off().unwrap()), loss(&student));
    assert_eq!(off(&before, &loss(&base())), 0.0);
    let [before, after] = [before, after].map(|loss| loss.double_value(&[]));
    assert!(after < before, "{before} became {after}");
}
