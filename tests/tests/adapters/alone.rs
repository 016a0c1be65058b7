//! New adapters: what they are at first, which tensors learn, and the dtypes of both.

use brew_core::generate::{GenerationConfig, Prompts, generate};
use brew_core::model::{DecoderForCausalLm, Lora};
use brew_core::pass::Wants;
use brew_core::prelude::*;
use tests::{alone, off};

use super::support::{Any, RECORDED, evaluation, fill, fixture, inputs, wants};

#[test]
fn new_adapters_change_nothing_and_alone_learn() {
    for (case, base) in RECORDED {
        let (inputs, bare) = (inputs(base), Any::base(base));
        let before = bare.logits(&inputs);
        let adapted = bare.with_lora(Lora::rank(2).all_linear(), 3).unwrap();
        assert_eq!(adapted.logits(&inputs), before, "{case}");
        let parameters = adapted.model().parameters();
        for (name, tensor) in parameters.iter() {
            let is_head = case == "bert" && name.starts_with("classifier.");
            assert!(name.contains(".lora_") || is_head, "{case}: {name}");
            assert!(tensor.requires_grad() && tensor.kind() == Kind::Float, "{case}: {name}");
            if name.ends_with(".lora_B.weight") {
                assert_eq!(tensor.abs().max().double_value(&[]), 0.0, "{case}: {name}");
            }
            if name.ends_with(".lora_A.weight") {
                // Uniform in ±1/√inputs.
                let bound = 1.0 / (tensor.size()[1] as f64).sqrt();
                let largest = tensor.abs().max().double_value(&[]);
                assert!(largest <= bound && largest > 0.5 * bound, "{case}: {name} is up to {largest}");
            }
        }
        let same = Any::base(base).with_lora(Lora::rank(2).all_linear(), 3).unwrap();
        let other = Any::base(base).with_lora(Lora::rank(2).all_linear(), 4).unwrap();
        let equal = |other: &Any| {
            let other = other.model().parameters();
            parameters.iter().zip(other.iter()).all(|((_, left), (_, right))| left == right)
        };
        assert!(equal(&same) && !equal(&other), "{case}: the seed decides");
    }
}

#[test]
fn a_base_in_half_precision_stays_so_and_its_adapters_learn_in_float32() {
    let inputs = inputs("decoders/llama");
    for (kind, tolerance) in [(Kind::BFloat16, 0.1), (Kind::Half, 0.01), (Kind::Double, 1e-6)] {
        let base = DecoderForCausalLm::frozen(fixture("decoders/llama"), kind, Device::Cpu).unwrap();
        let adapted = base.with_lora(Lora::rank(3).all_linear(), 1).unwrap();
        fill(&adapted.parameters(), 5);
        let wide = if kind == Kind::Double { Kind::Double } else { Kind::Float };
        assert!(adapted.parameters().iter().all(|(_, tensor)| tensor.kind() == wide));
        let teacher = adapted.lora_off().unwrap();
        assert!(teacher.parameters().iter().all(|(_, tensor)| tensor.kind() == kind));
        // The same adapter on the base in float32.
        let exact = Any::base("decoders/llama").with_lora(Lora::rank(3).all_linear(), 1).unwrap();
        fill(&exact.model().parameters(), 5);
        let adapted = Any::Decoder(adapted);
        let (logits, loss) = adapted.run(&inputs, &evaluation());
        assert_eq!(logits.kind(), kind);
        assert!(off(&adapted.logits(&inputs), &exact.logits(&inputs)) < tolerance, "{kind:?}");
        loss.backward();
        let parameters = adapted.model().parameters();
        assert!(parameters.iter().all(|(_, tensor)| tensor.grad().kind() == wide));
        let merged = adapted.merge_lora().unwrap();
        assert!(merged.model().parameters().iter().all(|(_, tensor)| tensor.kind() == kind));
        assert!(off(&merged.logits(&inputs), &exact.logits(&inputs)) < tolerance, "{kind:?}");
    }
}

#[test]
fn training_a_merged_model_leaves_the_base_as_it_is() {
    let inputs = inputs("decoders/llama");
    let adapted = Any::base("decoders/llama").with_lora(Lora::rank(2), 1).unwrap();
    let teacher = adapted.lora_off().unwrap();
    let before = teacher.logits(&inputs);
    fill(&adapted.merge_lora().unwrap().model().parameters(), 2);
    assert_eq!(teacher.logits(&inputs), before);
}

#[test]
fn layers_of_a_model_with_adapters_are_taken_with_the_adapters_merged() {
    let inputs = inputs("decoders/llama");
    let Any::Decoder(adapted) = Any::base("decoders/llama").with_lora(Lora::rank(2), 1).unwrap() else {
        panic!("a decoder");
    };
    fill(&adapted.parameters(), 2);
    let taken = DecoderForCausalLm::from_layers_of(&adapted, Keep::layers([0, 1])).unwrap();
    let (adapted, taken) = (Any::Decoder(adapted), Any::Decoder(taken));
    assert!(off(&taken.logits(&inputs), &adapted.logits(&inputs)) < 1e-6);
}

#[test]
fn gradients_are_the_same_with_recomputed_layers_and_dropout() {
    let _alone = alone();
    for (case, base) in RECORDED {
        let inputs = inputs(base);
        let adapted = Any::base(base).with_lora(Lora::rank(2).all_linear().dropout(0.3), 1).unwrap();
        fill(&adapted.model().parameters(), 2);
        let [kept, recomputed] = [false, true].map(|recompute| {
            brew_core::tch::manual_seed(11);
            let pass = Pass::training(0, wants()).recomputing(recompute);
            let (logits, loss) = adapted.run(&inputs, &pass);
            let parameters = adapted.model().parameters();
            for (_, tensor) in parameters.iter() {
                tensor.shallow_clone().zero_grad();
            }
            (loss + logits.square().mean(None)).backward();
            let gradients = parameters.iter().map(|(name, tensor)| (name.to_owned(), tensor.grad().copy()));
            gradients.chain([("logits".to_owned(), logits.detach())]).collect::<Vec<_>>()
        });
        assert!(kept == recomputed, "{case}");
        let without =
            adapted.run(&inputs, &Pass::evaluation(Wants::nothing().and_role("logits").and_role("losses"))).0;
        assert!(off(&kept.last().unwrap().1, &without) > 1e-3, "{case}: something was dropped");
    }
}

#[test]
fn a_model_with_adapters_writes_what_the_merged_one_writes() {
    for base in ["decoders/llama", "decoders/gpt2"] {
        let adapted = Any::base(base).with_lora(Lora::rank(2).all_linear(), 1).unwrap();
        fill(&adapted.model().parameters(), 2);
        let write = |model: &Any| {
            let Any::Decoder(model) = model else { panic!("a decoder") };
            let config = GenerationConfig { max_new_tokens: 6, ..GenerationConfig::of(model) };
            generate(model, &Prompts::of_ids([vec![3, 1, 4], vec![1, 5]]), &config).unwrap().answers
        };
        let (before, base) = (write(&adapted), write(&adapted.lora_off().unwrap()));
        assert_ne!(before, base, "the adapters change the answers");
        assert_eq!(write(&adapted.merge_lora().unwrap()), before);
    }
}
