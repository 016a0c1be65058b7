//! Students of the layers that change most of what passes through them.

use brew_core::model::{CausalLmBatch, DecoderArchitecture, DecoderConfig, DecoderForCausalLm};
use brew_core::prelude::*;

use super::support::{load, recorded};

/// A full row, one padded on the right and one on the left, in batches of one row.
fn sample(case: &str) -> Vec<CausalLmBatch> {
    let golden = recorded(case);
    let row = |name: &str, row: i64| golden[name].narrow(0, row, 1);
    let batch = |number| CausalLmBatch {
        input_ids: row("input_ids", number),
        attention_mask: row("attention_mask", number),
        labels: None,
    };
    (0..3).map(batch).collect()
}

#[test]
fn influences_are_those_measured_by_transformers() {
    // Printed by `fixtures/decoders/influence.py`.
    for (case, theirs) in [
        ("llama", [0.703105, 0.445604]),
        ("mistral", [0.401415, 0.395631]),
        ("qwen2", [0.409848, 0.330077]),
        ("qwen3", [0.735552, 0.385006]),
        ("smollm3", [0.437652, 0.386894]),
        ("gpt2", [0.785140, 0.319478]),
        ("gemma2", [0.550983, 0.304373]),
        ("gemma3", [0.617880, 0.233277]),
    ] {
        let ours = load(case).block_influence(&sample(case)).unwrap();
        assert_eq!(ours.of_layers().len(), theirs.len(), "{case}");
        for (ours, theirs) in ours.of_layers().iter().zip(theirs) {
            assert!((ours - theirs).abs() < 2e-6, "{case}: {ours} and {theirs}");
        }
    }
}

#[test]
fn the_most_influential_layers_are_kept_in_their_order() {
    let config = DecoderConfig {
        vocab_size: 20,
        hidden_size: 8,
        num_hidden_layers: 5,
        num_attention_heads: 2,
        intermediate_size: Some(12),
        ..DecoderConfig::base(DecoderArchitecture::Llama)
    };
    let teacher = DecoderForCausalLm::new(config, 3, Device::Cpu).unwrap();
    {
        // Layers 1 and 3 add nothing to what they read.
        let _guard = brew_core::tch::no_grad_guard();
        for (name, tensor) in teacher.parameters().iter() {
            let adds = ["layers.1.", "layers.3."].iter().any(|layer| name.contains(layer))
                && ["o_proj", "down_proj"].iter().any(|part| name.contains(part));
            if adds {
                let _ = tensor.shallow_clone().zero_();
            }
        }
    }
    let input_ids = Tensor::from_slice(&[3_i64, 1, 4, 1, 5, 9, 2, 6]).unsqueeze(0);
    let batch = CausalLmBatch {
        input_ids: input_ids.shallow_clone(),
        attention_mask: input_ids.ones_like(),
        labels: None,
    };
    let influence = teacher.block_influence(&vec![batch]).unwrap();
    let kept = Keep::by_influence(3, &influence);
    assert_eq!(kept.of(5).unwrap(), [0, 2, 4], "{influence}");
    let student = DecoderForCausalLm::from_layers_of(&teacher, kept.clone()).unwrap();
    let logits = |model: &DecoderForCausalLm| model.logits(&input_ids, &input_ids.ones_like()).unwrap();
    assert!(logits(&student).allclose(&logits(&teacher), 1e-6, 1e-6, false));

    assert_eq!(Keep::by_influence(5, &influence).of(5).unwrap(), [0, 1, 2, 3, 4]);
    let refused = |keep: &Keep, layers| keep.of(layers).unwrap_err().to_string();
    assert!(refused(&Keep::by_influence(0, &influence), 5).contains("no layer would be kept"));
    assert!(
        refused(&Keep::by_influence(7, &influence), 5)
            .contains("7 layers would be kept, and the model has 5")
    );
    let message = refused(&kept, 6);
    assert!(message.contains("on a model of 5 layers, and this one has 6"), "{message}");
    let message = teacher.block_influence(&Vec::new()).unwrap_err().to_string();
    assert!(message.contains("the sample has no tokens"), "{message}");
}

#[test]
fn a_batch_that_the_model_cannot_read_is_named_by_its_number() {
    let mut batches = sample("llama");
    batches[1].input_ids = batches[1].input_ids.full_like(20);
    let message = load("llama").block_influence(&batches).unwrap_err().to_string();
    assert!(message.contains("`batch 1 of the sample`"), "{message}");
}
