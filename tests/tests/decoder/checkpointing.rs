//! Gradient checkpointing: losses and gradients to the last bit.

use brew_core::model::{DecoderConfig, DecoderForCausalLm};
use brew_core::prelude::*;
use tests::{alone, wants};

use super::support::{ALL, load, recorded};

#[test]
fn losses_and_gradients_are_equal_to_the_last_bit_with_dropout_too() {
    let _alone = alone();
    let roles = ["hidden", "attention", "query", "value", "losses"];
    for case in ALL {
        let golden = recorded(case);
        for roles in [&roles[..], &["losses"]] {
            let [recomputed, kept] = [true, false].map(|recompute| {
                let model = load(case);
                // All of them drop something of their attention.
                let config = DecoderConfig { attention_dropout: 0.2, ..model.config().clone() };
                let drops = DecoderForCausalLm::new(config, 1, Device::Cpu).unwrap();
                brew_core::tch::manual_seed(3);
                let (ids, mask, labels) =
                    (&golden["input_ids"], &golden["attention_mask"], &golden["labels"]);
                let pass = Pass::training(0, wants(roles)).recomputing(recompute);
                let output = drops.forward(ids, mask, Some(labels), &pass).unwrap();
                let features = output.hidden_states.iter().chain(&output.attentions);
                let features = features.filter(|feature| feature.defined());
                let features = features.map(|feature| feature.square().mean(None));
                let loss = features.fold(output.loss.unwrap(), |sum, feature| sum + feature);
                loss.backward();
                let parameters = drops.parameters();
                let gradients = parameters.iter().map(|(name, tensor)| (name.to_owned(), tensor.grad()));
                gradients.chain([("the loss".to_owned(), loss.detach())]).collect::<Vec<_>>()
            });
            assert!(recomputed.len() > 10);
            for ((name, recomputed), (_, kept)) in recomputed.iter().zip(&kept) {
                assert!(recomputed == kept, "{case}: {name} differs");
            }
        }
    }
}
