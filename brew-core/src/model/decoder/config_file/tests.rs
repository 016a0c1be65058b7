//! Both dialects of a config, what is written of it, and what is refused.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::super::rope::{Rope, RopeScaling};
use super::{DecoderArchitecture, DecoderConfig};

fn object(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).unwrap()
}

fn read(value: Value) -> DecoderConfig {
    DecoderConfig::understand(Path::new("model"), object(value)).unwrap()
}

fn refusal(value: Value) -> String {
    DecoderConfig::understand(Path::new("model"), object(value)).unwrap_err().to_string()
}

const LLAMA3: Rope = Rope {
    theta: 5e5,
    scaling: RopeScaling::Llama3 {
        factor: 32.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_position_embeddings: 8192,
    },
};

// The keys of Llama-3.2-1B's config.json as transformers 4.45 and 5.24 write them.
#[test]
fn a_rotation_is_read_in_both_dialects() {
    let old = json!({ "model_type": "llama", "rope_theta": 500000.0, "rope_scaling": {
        "factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
        "original_max_position_embeddings": 8192, "rope_type": "llama3" } });
    let new = json!({ "model_type": "llama", "rope_parameters": {
        "factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
        "original_max_position_embeddings": 8192, "rope_theta": 500000.0, "rope_type": "llama3" } });
    assert_eq!(read(old).rope, LLAMA3);
    assert_eq!(read(new).rope, LLAMA3);
    let whole = json!({ "model_type": "llama", "rope_theta": 500000.0, "rope_scaling": {
        "factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
        "original_max_position_embeddings": 8192.0, "rope_type": "llama3" } });
    assert_eq!(read(whole).rope, LLAMA3);
    let linear = json!({ "model_type": "llama", "rope_scaling": { "type": "linear", "factor": 2 } });
    assert_eq!(read(linear).rope, Rope { theta: 1e4, scaling: RopeScaling::Linear { factor: 2.0 } });
    let beside = json!({ "model_type": "qwen3", "rope_theta": 1000000, "rope_parameters": { "rope_type": "default" } });
    assert_eq!(read(beside).rope, Rope::of_theta(1e6));
    // A missing original length is the length of the config.
    let short = json!({ "model_type": "llama", "max_position_embeddings": 64, "rope_scaling": {
        "factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0, "rope_type": "llama3" } });
    let RopeScaling::Llama3 { original_max_position_embeddings, .. } = read(short).rope.scaling else {
        panic!("llama3")
    };
    assert_eq!(original_max_position_embeddings, 64);
}

#[test]
fn what_no_key_says_is_the_architectures_own() {
    assert_eq!(read(json!({ "model_type": "llama" })).rope, Rope::of_theta(1e4));
    assert_eq!(read(json!({ "model_type": "smollm3" })).rope, Rope::of_theta(2e6));
    assert_eq!(read(json!({ "model_type": "qwen3" })).head_size(), 128);
    let gemma = read(json!({ "model_type": "gemma3_text" }));
    assert_eq!((gemma.rope.theta, gemma.local_rope.unwrap().theta), (1e6, 1e4));
    let null = read(json!({ "model_type": "llama", "num_key_value_heads": null, "attention_dropout": null }));
    assert_eq!((null.key_value_heads(), null.attention_dropout), (32, 0.0));
    let gpt2 = read(json!({ "model_type": "gpt2", "n_inner": null }));
    assert_eq!((gpt2.feed_forward_size(), gpt2.head_size()), (3072, 64));
}

// Gemma 3 of transformers 4.5x: theta and scaling of full layers, and a theta of those with a window.
#[test]
fn gemma_3_has_two_rotations_in_both_dialects() {
    let old = read(json!({ "model_type": "gemma3_text", "rope_theta": 2e6, "rope_local_base_freq": 3e4,
        "rope_scaling": { "factor": 8.0, "rope_type": "linear" } }));
    let new = read(json!({ "model_type": "gemma3_text", "rope_parameters": {
        "full_attention": { "factor": 8.0, "rope_type": "linear", "rope_theta": 2e6 },
        "sliding_attention": { "rope_type": "default", "rope_theta": 3e4 } } }));
    for config in [old, new] {
        assert_eq!(config.rope, Rope { theta: 2e6, scaling: RopeScaling::Linear { factor: 8.0 } });
        assert_eq!(config.local_rope, Some(Rope::of_theta(3e4)));
    }
}

#[test]
fn both_dialects_are_written_and_nothing_is_lost() {
    let source = json!({ "model_type": "llama", "vocab_size": 40, "hidden_size": 8, "num_attention_heads": 2,
        "num_hidden_layers": 1, "eos_token_id": [2, 7], "hidden_act": "swish", "somebodys_own": { "a": 1 },
        "rope_theta": 500000.0, "torch_dtype": "bfloat16", "rope_scaling": {
        "factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
        "original_max_position_embeddings": 8192, "rope_type": "llama3" } });
    let written = read(source).to_file("float32").unwrap();
    for (key, wanted) in [
        ("rope_theta", json!(500000.0)),
        ("eos_token_id", json!([2, 7])),
        ("hidden_act", json!("swish")),
        ("somebodys_own", json!({ "a": 1 })),
        ("dtype", json!("float32")),
        ("torch_dtype", json!("float32")),
        ("architectures", json!(["LlamaForCausalLM"])),
    ] {
        assert_eq!(written[key], wanted, "{key}");
    }
    assert_eq!(written["rope_parameters"]["rope_theta"], 500000.0);
    assert_eq!(written["rope_parameters"]["rope_type"], "llama3");
    assert_eq!(written["rope_scaling"]["factor"], 32.0);
    assert!(written.get("head_dim").is_none() && written.get("no_rope_layers").is_none());
    for name in DecoderArchitecture::names() {
        let config = read(json!({ "model_type": name }));
        let again = read(config.to_file("float32").unwrap());
        let spelled_out = DecoderConfig {
            file: again.file.clone(),
            layer_types: again.layer_types.clone(),
            no_rope_layers: again.no_rope_layers.clone(),
            num_key_value_heads: again.num_key_value_heads,
            ..config.clone()
        };
        assert_eq!(again, spelled_out, "{name}");
        for layer in 0..config.num_hidden_layers {
            assert_eq!(again.window(layer), config.window(layer), "{name}");
            assert_eq!(again.rope_of(layer), config.rope_of(layer), "{name}");
        }
    }
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    for (config, wanted) in [
        (
            json!({ "model_type": "qwen2_moe" }),
            "model_type is `qwen2_moe`, which is not supported; these decoders are: `llama`",
        ),
        (json!({ "vocab_size": 3 }), "there is no model_type"),
        (
            json!({ "model_type": "llama", "rope_scaling": { "type": "yarn", "factor": 2 } }),
            "the rope_type `yarn`",
        ),
        (
            json!({ "model_type": "llama", "rope_parameters": { "rope_type": "dynamic", "factor": 2 } }),
            "the rope_type `dynamic` is not supported yet",
        ),
        (json!({ "model_type": "llama", "rope_scaling": { "type": "linear" } }), "lacks the number `factor`"),
        (
            json!({ "model_type": "llama", "rope_scaling": { "type": "linear", "factor": "2.0" } }),
            "factor is \"2.0\"; it must be a number",
        ),
        (
            json!({ "model_type": "qwen3", "rope_theta": "1000000" }),
            "rope_theta is \"1000000\"; it must be a number",
        ),
        (json!({ "model_type": "qwen3", "rope_parameters": { "rope_type": 7 } }), "the rope_type is 7"),
        (
            json!({ "model_type": "llama", "partial_rotary_factor": "0.5" }),
            "partial_rotary_factor is \"0.5\"; it must be a number",
        ),
        (
            json!({ "model_type": "llama", "rope_scaling": { "rope_type": "llama3", "factor": 8, "low_freq_factor": 1,
                "high_freq_factor": 4, "original_max_position_embeddings": 16.5 } }),
            "original_max_position_embeddings is 16.5; it must be a whole number",
        ),
        (json!({ "model_type": "llama", "rms_norm_eps": -1 }), "rms_norm_eps is -1; it must be at least 0"),
        (
            json!({ "model_type": "gpt2", "n_embd": 4_611_686_018_427_387_904_i64 }),
            "n_embd is 4611686018427387904",
        ),
        (
            json!({ "model_type": "llama", "rope_scaling": { "type": "linear", "factor": 2 },
                "rope_parameters": { "rope_type": "default" } }),
            "are both present and disagree",
        ),
        (json!({ "model_type": "llama", "partial_rotary_factor": 0.5 }), "partial_rotary_factor is 0.5"),
        (json!({ "model_type": "gpt2", "add_cross_attention": true }), "add_cross_attention is true"),
        (
            json!({ "model_type": "llama", "quantization_config": { "quant_method": "gptq" } }),
            "quantised (quant_method `gptq`)",
        ),
        (
            json!({ "model_type": "llama", "num_key_value_heads": 5 }),
            "num_attention_heads 32 is not a multiple",
        ),
        (
            json!({ "model_type": "gpt2", "n_embd": 10, "n_head": 3 }),
            "n_embd 10 is not a multiple of n_head 3",
        ),
        (json!({ "model_type": "llama", "head_dim": 3 }), "it must be even"),
        (json!({ "model_type": "llama", "hidden_size": "8" }), "`hidden_size`: invalid type"),
        (
            json!({ "model_type": "qwen3", "layer_types": ["linear_attention"] }),
            "`layer_types`: unknown variant",
        ),
        (
            json!({ "model_type": "gemma2", "num_hidden_layers": 1, "layer_types": [] }),
            "layer_types has 0 entries for 1 layers",
        ),
        (json!({ "model_type": "smollm3", "no_rope_layers": [1, 0] }), "no_rope_layers has 2 entries"),
        (json!({ "model_type": "gemma2", "sliding_window": null }), "but sliding_window is null"),
        (json!({ "model_type": "llama", "hidden_act": "prelu" }), "`prelu` has learned parameters"),
    ] {
        let message = refusal(config);
        assert!(message.contains(wanted), "the message lacks `{wanted}`:\n{message}");
    }
}
