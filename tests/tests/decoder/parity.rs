//! What the small models compute, beside what transformers computed (`fixtures/decoders/sweep.py`).

use brew_core::pass::Wants;
use brew_core::prelude::*;
use tests::{off, wants};

use super::support::{ALL, difference, load, off_at_tokens, recorded};

const INSIDE: [&str; 7] = ["logits", "hidden", "attention", "query", "key", "value", "losses"];

#[test]
fn logits_hidden_states_maps_and_projections_are_those_of_transformers() {
    for case in ALL {
        let (model, golden) = (load(case), recorded(case));
        let (ids, mask, labels) = (&golden["input_ids"], &golden["attention_mask"], &golden["labels"]);
        let pass = Pass::evaluation(wants(&INSIDE));
        let output = model.forward(ids, mask, Some(labels), &pass).unwrap();
        let at_tokens = |name: &str, ours: &Tensor| {
            let off = off_at_tokens(ours, &golden[name], mask);
            assert!(off < 1e-5, "{case}: {name} is off by {off:e}");
        };
        at_tokens("logits", &output.logits);
        assert_eq!(output.hidden_states.len(), 3, "{case}");
        for (layer, state) in output.hidden_states.iter().enumerate() {
            at_tokens(&format!("hidden.{layer}"), state);
        }
        for layer in 0..2 {
            let maps = |map: &Tensor| map.transpose(1, 2);
            let (ours, theirs) =
                (maps(&output.attentions[layer]), maps(&golden[&format!("attention.{layer}")]));
            let off = off_at_tokens(&ours.contiguous(), &theirs.contiguous(), mask);
            assert!(off < 1e-5, "{case}: the map of layer {layer} is off by {off:e}");
            for (role, ours) in [("query", &output.queries), ("key", &output.keys), ("value", &output.values)]
            {
                at_tokens(&format!("{role}.{layer}"), &ours[layer]);
            }
        }
        let off = off(&output.loss.unwrap(), &golden["loss"]);
        assert!(off < 1e-5, "{case}: the loss is off by {off:e}");
    }
}

#[test]
fn the_gradient_of_every_parameter_is_that_of_transformers_fused_and_step_by_step() {
    for case in ALL {
        let golden = recorded(case);
        for roles in [&["losses"][..], &["losses", "attention"], &["losses", "logits"]] {
            let model = load(case);
            let (ids, mask, labels) = (&golden["input_ids"], &golden["attention_mask"], &golden["labels"]);
            let pass = Pass::training(0, wants(roles));
            // GPT-2 drops while it trains, so its gradients are those of an evaluation.
            let pass = if case == "gpt2" { Pass::evaluation(wants(roles)) } else { pass };
            let loss = model.forward(ids, mask, Some(labels), &pass).unwrap().loss.unwrap();
            loss.backward();
            let parameters = model.parameters();
            let recorded = golden.keys().filter(|name| name.starts_with("gradient.")).count();
            assert_eq!(parameters.iter().count(), recorded, "{case}");
            for (name, parameter) in parameters.iter() {
                let theirs = &golden[&format!("gradient.{name}")];
                let off = off(&parameter.grad(), theirs);
                assert!(off < 1e-5, "{case}, {roles:?}: the gradient of {name} is off by {off:e}");
                assert!(theirs.abs().max().double_value(&[]) > 1e-7, "{case}: {name} has a gradient");
            }
        }
    }
}

#[test]
fn what_nobody_wants_is_not_kept_and_the_rest_is_the_same() {
    for case in ALL {
        let (model, golden) = (load(case), recorded(case));
        let run = |wants: Wants| {
            model
                .forward(
                    &golden["input_ids"],
                    &golden["attention_mask"],
                    Some(&golden["labels"]),
                    &Pass::evaluation(wants),
                )
                .unwrap()
        };
        let whole = run(wants(&INSIDE));
        let some = run(Wants::nothing().and_layer("hidden", -1).and_layer("query", 0));
        assert!(!some.logits.defined() && some.loss.is_none() && !some.output_weight.defined(), "{case}");
        let defined: Vec<bool> = some.hidden_states.iter().map(Tensor::defined).collect();
        assert_eq!(defined, [false, false, true], "{case}");
        assert!(some.queries[0].defined() && !some.queries[1].defined() && !some.attentions[0].defined());
        let off = off_at_tokens(&some.hidden_states[2], &whole.hidden_states[2], &golden["attention_mask"]);
        assert!(off < 1e-5, "{case}: fused and step by step differ by {off:e}");
        // The loss is that of the logits, whether those are kept or made of the rows that labels ask for.
        let off = difference(&run(wants(&["losses"])).loss.unwrap(), &whole.loss.unwrap());
        assert!(off < 1e-6, "{case}: the loss is off by {off:e}");
    }
}

#[test]
fn the_last_hidden_states_with_the_heads_matrix_and_cap_make_the_logits() {
    for case in ALL {
        let (model, golden) = (load(case), recorded(case));
        let (ids, mask) = (&golden["input_ids"], &golden["attention_mask"]);
        let pass = Pass::evaluation(wants(&["logits", "hidden", "output_weight", "logit_softcap"]));
        let output = model.forward(ids, mask, None, &pass).unwrap();
        let made = output.hidden_states[2].matmul(&output.output_weight.tr());
        assert_eq!(output.logit_softcap.is_some(), case == "gemma2", "{case}");
        let made = match output.logit_softcap {
            Some(softcap) => (made / &softcap).tanh() * softcap,
            None => made,
        };
        assert!(difference(&made, &output.logits) < 1e-5, "{case}");
    }
}
