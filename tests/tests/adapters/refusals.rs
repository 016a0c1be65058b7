//! Adapters that are refused: settings that fit no layer, keys that would change the result, tensors that do not fit.

use std::fs;
use std::path::Path;

use brew_core::model::{Architecture, BertConfig, BertForMaskedLm, Lora};
use brew_core::prelude::*;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::support::{Any, fill, inputs, peft};

fn refused(base: &str, lora: Lora) -> String {
    Any::base(base).with_lora(lora, 1).err().expect("it is refused").to_string()
}

/// A copy of a recorded adapter's folder, to spoil.
fn copy_of(case: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    for name in ["adapter_config.json", "adapter_model.safetensors"] {
        fs::copy(peft(case).join(name), folder.path().join(name)).unwrap();
    }
    folder
}

fn edit(folder: &Path, edit: impl FnOnce(&mut Map<String, Value>)) {
    let path = folder.join("adapter_config.json");
    let mut config: Map<String, Value> = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    edit(&mut config);
    fs::write(path, serde_json::to_vec(&config).unwrap()).unwrap();
}

/// Rewrites the tensors of a folder.
fn retensor(folder: &Path, edit: impl FnOnce(&mut Vec<(String, Tensor)>)) {
    let path = folder.join("adapter_model.safetensors");
    let mut tensors = Tensor::read_safetensors(&path).unwrap();
    tensors.sort_by(|(left, _), (right, _)| left.cmp(right));
    edit(&mut tensors);
    Tensor::write_safetensors(&tensors, &path).unwrap();
}

fn refusal(base: &str, folder: &Path) -> String {
    Any::base(base).load_adapter(folder).err().expect("it is refused").to_string()
}

#[test]
fn a_target_that_is_no_linear_layer_is_refused_with_those_that_there_are() {
    let message = refused("decoders/llama", Lora::rank(2).targets(["q_proj", "v_prj"]));
    assert!(message.contains("no linear layer has the name `v_prj` or ends with `.v_prj`"), "{message}");
    let there_are =
        "the linear layers are `down_proj`, `gate_proj`, `k_proj`, `o_proj`, `q_proj`, `up_proj`, `v_proj`";
    assert!(message.contains(there_are), "{message}");
    // Not the end of a word.
    let message = refused("decoders/llama", Lora::rank(2).targets(["proj"]));
    assert!(message.contains("no linear layer has the name `proj`"), "{message}");
    let message = refused("decoders/llama", Lora::rank(2).targets(["lm_head", "embed_tokens"]));
    assert!(message.contains("`lm_head` is not a linear layer that can have an adapter"), "{message}");
    assert!(message.contains("`embed_tokens` is not a linear layer"), "{message}");
}

#[test]
fn the_matrix_of_a_tied_head_is_neither_target_nor_saved() {
    for lora in [
        Lora::rank(2).targets(["c_attn", "lm_head"]),
        Lora::rank(2).targets(["wte"]),
        Lora::rank(2).modules_to_save(["lm_head"]),
        Lora::rank(2).modules_to_save(["wte"]),
    ] {
        let message = refused("decoders/gpt2", lora);
        assert!(message.contains("the head of this model is its matrix of embeddings"), "{message}");
    }
    let folder = copy_of("gpt2");
    edit(folder.path(), |config| {
        config.insert("target_modules".to_owned(), json!(["c_attn", "lm_head"]));
    });
    let message = refusal("decoders/gpt2", folder.path());
    assert!(message.contains("`lm_head` cannot be adapted"), "{message}");
    // A head of its own may learn whole.
    let untied =
        Any::base("decoders/llama").with_lora(Lora::rank(2).modules_to_save(["lm_head"]), 1).unwrap();
    assert!(untied.model().parameters().iter().any(|(name, _)| name == "lm_head.weight"));
}

#[test]
fn invalid_settings_are_listed_together() {
    let lora = Lora::rank(0).alpha(f64::NAN).dropout(1.0).targets([""; 0]);
    let message = refused("decoders/llama", lora);
    for part in
        ["the rank is 0; it must be at least 1", "alpha is NaN", "the dropout is 1", "there are no targets"]
    {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_model_gets_adapters_once() {
    let adapted = Any::base("decoders/llama").with_lora(Lora::rank(2), 1).unwrap();
    let message = adapted.with_lora(Lora::rank(2), 1).err().unwrap().to_string();
    assert!(message.contains("the model has adapters already"), "{message}");
    let message = Any::base("decoders/llama").merge_lora().err().unwrap().to_string();
    assert!(message.contains("the model has no adapters"), "{message}");
}

#[test]
fn keys_that_would_change_the_result_are_refused_by_name_and_others_read() {
    let regex = "list the adapted layers by their names";
    for (key, value, part) in [
        ("use_dora", json!(true), "not supported yet"),
        ("rank_pattern", json!({"q_proj": 3}), "not supported yet"),
        ("alpha_pattern", json!({"q_proj": 3}), "not supported yet"),
        ("layers_to_transform", json!([0]), "not supported yet"),
        ("bias", json!("lora_only"), "not supported yet"),
        ("lora_bias", json!(true), "not supported yet"),
        ("init_lora_weights", json!("pissa"), "changes the weights of the base"),
        ("exclude_modules", json!(["k_proj"]), "not supported yet"),
        ("target_modules", json!(".*q_proj"), regex),
        ("trainable_token_indices", json!([1]), "not supported yet"),
        ("a_key_of_a_later_version", json!({"of": 1}), "not supported yet"),
        ("peft_type", json!("IA3"), "only \"LORA\" is supported"),
        ("r", json!("three"), "a whole number"),
        ("modules_to_save", json!("head"), "a list of names"),
    ] {
        let folder = copy_of("llama");
        edit(folder.path(), |config| {
            config.insert(key.to_owned(), value.clone());
        });
        let message = refusal("decoders/llama", folder.path());
        assert!(message.contains(&format!("`{key}` is {value}")) && message.contains(part), "{message}");
    }
    let folder = copy_of("llama");
    edit(folder.path(), |config| {
        config.insert("a_key_of_a_later_version".to_owned(), json!(null));
        config.insert("init_lora_weights".to_owned(), json!("gaussian"));
        config.remove("peft_version");
    });
    Any::base("decoders/llama").load_adapter(folder.path()).unwrap();
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let name = "model.layers.1.self_attn.v_proj.lora_B.weight";
    let folder = copy_of("qwen2");
    retensor(folder.path(), |tensors| tensors.retain(|(found, _)| !found.ends_with(name)));
    let message = refusal("decoders/qwen2", folder.path());
    assert!(message.contains(&format!("`{name}` is missing")), "{message}");

    let folder = copy_of("qwen2");
    edit(folder.path(), |config| {
        config.insert("r".to_owned(), json!(5));
    });
    let message = refusal("decoders/qwen2", folder.path());
    let first =
        "`model.layers.0.self_attn.q_proj.lora_A.weight` is (4, 8), but by the config it should be (5, 8)";
    assert!(message.contains(first), "{message}");

    let folder = copy_of("qwen2");
    let left = "base_model.model.model.layers.0.self_attn.o_proj.lora_A.weight";
    retensor(folder.path(), |tensors| {
        tensors.push((left.to_owned(), Tensor::zeros([4, 8], (Kind::Float, Device::Cpu))))
    });
    let message = refusal("decoders/qwen2", folder.path());
    assert!(message.contains("`model.layers.0.self_attn.o_proj.lora_A.weight` has no place"), "{message}");

    // A base with other sizes, and one of another architecture.
    let message = refusal("decoders/qwen3", &peft("qwen2"));
    assert!(message.contains("self_attn.q_proj.lora_B.weight` is"), "{message}");
    let message = refusal("decoders/gpt2", &peft("qwen2"));
    assert!(message.contains("`model.layers.0.self_attn.q_proj.lora_A.weight` has no place"), "{message}");

    let folder = copy_of("qwen2");
    let path = folder.path().join("adapter_model.safetensors");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 40]).unwrap();
    let message = refusal("decoders/qwen2", folder.path());
    assert!(message.contains("adapter_model.safetensors") && message.contains("not a complete"), "{message}");
    fs::remove_file(&path).unwrap();
    let message = refusal("decoders/qwen2", folder.path());
    assert!(message.contains("the adapter's tensors are missing"), "{message}");
}

#[test]
fn an_adapter_of_brew_is_refused_on_a_base_with_other_weights() {
    let place = TempDir::new().unwrap();
    let folder = place.path().join("adapter");
    Any::base("decoders/llama").with_lora(Lora::rank(2), 1).unwrap().model().save(&folder).unwrap();
    let other = Any::base("decoders/llama");
    fill(&other.model().parameters(), 9);
    let message = other.load_adapter(&folder).err().unwrap().to_string();
    assert!(message.contains("this adapter was trained on another base"), "{message}");

    // The head that learns whole does not count: a new one starts anywhere.
    let folder = place.path().join("of a classifier");
    let sequence = "heads/bert/sequence";
    let adapted = Any::base(sequence).with_lora(Lora::rank(2), 1).unwrap();
    fill(&adapted.model().parameters(), 2);
    adapted.model().save(&folder).unwrap();
    let other = Any::base(sequence);
    let head = other.model().parameters();
    fill(
        &Parameters::new(
            head.iter()
                .filter(|(name, _)| name.starts_with("classifier"))
                .map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone())),
        ),
        4,
    );
    let other = other.load_adapter(&folder).unwrap();
    assert_eq!(other.logits(&inputs(sequence)), adapted.logits(&inputs(sequence)));
}

#[test]
fn the_matrix_of_a_masked_language_models_tied_head_is_no_target_either() {
    let config = BertConfig {
        vocab_size: 20,
        hidden_size: 8,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        intermediate_size: 8,
        ..BertConfig::base(Architecture::Bert)
    };
    let model = || BertForMaskedLm::new(config.clone(), 1, Device::Cpu).unwrap();
    for suffix in ["decoder", "predictions.decoder", "word_embeddings"] {
        let message = model().with_lora(Lora::rank(2).targets([suffix]), 1).err().unwrap().to_string();
        assert!(message.contains("the head of this model is its matrix of embeddings"), "{message}");
    }
    let adapted = model().with_lora(Lora::rank(2).all_linear(), 1).unwrap();
    let parameters = adapted.parameters();
    assert!(parameters.iter().any(|(name, _)| name.starts_with("cls.predictions.transform.dense.lora_A")));
    assert!(parameters.iter().all(|(name, _)| name.contains(".lora_")));
}
