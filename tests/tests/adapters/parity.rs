//! Recorded adapters of peft: the same logits and the same gradients, merged and not.

use brew_core::prelude::*;
use tests::{off, read_tensors};

use super::support::{Any, RECORDED, differences, fixture, inputs, peft};

#[test]
fn logits_and_all_gradients_are_those_of_peft() {
    for (case, base) in RECORDED {
        let golden = read_tensors(&fixture("adapters").join(case).join("golden.safetensors"));
        let model = Any::base(base).load_adapter(&peft(case)).unwrap();
        let problems = differences(&model, base, &golden);
        assert!(problems.is_empty(), "{case}: {}", problems.join("; "));
    }
}

#[test]
fn a_merged_model_computes_what_the_adapters_compute() {
    for (case, base) in RECORDED {
        let (inputs, bare) = (inputs(base), Any::base(base));
        let before = bare.logits(&inputs);
        let adapted = bare.load_adapter(&peft(case)).unwrap();
        let logits = adapted.logits(&inputs);
        assert!(off(&before, &logits) > 1e-2, "{case}: the adapter changes something");
        let merged = adapted.merge_lora().unwrap();
        let off = off(&merged.logits(&inputs), &logits);
        assert!(off < 1e-6, "{case}: off by {off}");
        assert!(merged.lora().is_none());
        let names = |model: &Any| {
            let parameters = model.model().parameters();
            parameters.iter().map(|(name, tensor)| (name.to_owned(), tensor.size())).collect::<Vec<_>>()
        };
        assert_eq!(names(&merged), names(&Any::base(base)), "{case}");
        assert!(merged.model().parameters().iter().all(|(_, tensor)| tensor.requires_grad()), "{case}");
    }
}

#[test]
fn a_merged_model_is_saved_and_loaded_like_any_other() {
    for (case, base) in RECORDED {
        let (folder, inputs) = (tempfile::tempdir().unwrap(), inputs(base));
        let merged = Any::base(base).load_adapter(&peft(case)).unwrap().merge_lora().unwrap();
        // The name decides the type.
        let place = folder.path().join(base.rsplit('/').next().unwrap());
        merged.model().save(&place).unwrap();
        let again = Any::base(place.to_str().unwrap());
        assert_eq!(again.logits(&inputs), merged.logits(&inputs), "{case}");
    }
}

#[test]
fn without_adapters_the_base_is_what_it_was_to_the_last_bit_and_shares_its_weights() {
    for (case, base) in RECORDED {
        let (inputs, bare) = (inputs(base), Any::base(base));
        let before = bare.logits(&inputs);
        let adapted = bare.load_adapter(&peft(case)).unwrap();
        let off = adapted.lora_off().unwrap();
        assert_eq!(off.logits(&inputs), before, "{case}");
        assert!(off.lora().is_none());
        let places = |parameters: &Parameters| {
            parameters
                .iter()
                .map(|(name, tensor)| (name.to_owned(), tensor.data_ptr() as usize))
                .collect::<Vec<_>>()
        };
        let again = adapted.lora_off().unwrap();
        assert_eq!(places(&off.model().parameters()), places(&again.model().parameters()), "{case}");
        assert!(off.model().parameters().iter().all(|(_, tensor)| !tensor.requires_grad()), "{case}");
    }
}
