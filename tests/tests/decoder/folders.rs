//! Folders: what is saved of them, what they may lack, and what is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use brew_core::model::DecoderForCausalLm;
use brew_core::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::read_tensors;

use super::support::{ALL, config_of, copy_of, difference, edit_config, fixture, load, recorded, refusal};

fn logits(model: &DecoderForCausalLm, case: &str) -> Tensor {
    let golden = recorded(case);
    model.logits(&golden["input_ids"], &golden["attention_mask"]).unwrap()
}

#[test]
fn a_saved_folder_opens_again_with_the_same_logits_and_loses_no_key() {
    for case in ALL {
        let saved = TempDir::new().unwrap();
        let model = load(case);
        model.save(saved.path()).unwrap();
        let again = DecoderForCausalLm::from_pretrained(saved.path(), Device::Cpu).unwrap();
        assert_eq!(difference(&logits(&again, case), &logits(&model, case)), 0.0, "{case}");
        let (before, after) = (config_of(&fixture(case)), config_of(saved.path()));
        for (key, value) in before.as_object().unwrap() {
            if ["dtype", "torch_dtype"].contains(&key.as_str()) {
                assert_eq!(after[key], "float32", "{case}");
            } else {
                assert_eq!(&after[key], value, "{case}: {key}");
            }
        }
        if case != "gpt2" {
            assert!(after.get("rope_parameters").is_some() && after.get("rope_theta").is_some(), "{case}");
        }
        // The names that transformers gives, and those alone.
        let names: BTreeSet<String> =
            read_tensors(&saved.path().join("model.safetensors")).into_keys().collect();
        let golden = recorded(case);
        let theirs = golden.keys().filter_map(|name| name.strip_prefix("gradient.").map(str::to_owned));
        assert_eq!(names, theirs.collect::<BTreeSet<_>>(), "{case}");
        let generation = |folder: &std::path::Path| fs::read(folder.join("generation_config.json")).unwrap();
        assert_eq!(generation(saved.path()), generation(&fixture(case)), "{case}");
    }
}

#[test]
fn a_tied_head_may_be_stored_or_not_and_another_matrix_is_refused() {
    // It is bfloat16, too.
    let stored: BTreeMap<String, Tensor> =
        Tensor::read_safetensors(fixture("qwen2").join("model.safetensors")).unwrap().into_iter().collect();
    assert!(stored.contains_key("lm_head.weight"), "the fixture stores its tied head");
    let folder = copy_of("qwen2");
    let write = |tensors: &[(&str, &Tensor)]| {
        Tensor::write_safetensors(tensors, folder.path().join("model.safetensors")).unwrap();
    };
    let all = |without: &str| -> Vec<(&str, &Tensor)> {
        let named = stored.iter().map(|(name, tensor)| (name.as_str(), tensor));
        named.filter(|(name, _)| *name != without).collect()
    };
    let whole = logits(&load("qwen2"), "qwen2");
    for without in ["lm_head.weight", "model.embed_tokens.weight"] {
        write(&all(without));
        let model = DecoderForCausalLm::from_pretrained(folder.path(), Device::Cpu).unwrap();
        assert_eq!(difference(&logits(&model, "qwen2"), &whole), 0.0, "{without}");
    }
    let other = &stored["lm_head.weight"] + 1.0;
    let mut two = all("lm_head.weight");
    two.push(("lm_head.weight", &other));
    write(&two);
    let message = refusal(folder.path());
    assert!(message.contains("differs from `model.embed_tokens.weight`"), "{message}");
    // The advice works.
    edit_config(folder.path(), |config| config["tie_word_embeddings"] = json!(false));
    DecoderForCausalLm::from_pretrained(folder.path(), Device::Cpu).unwrap();
    write(&all("lm_head.weight"));
    let message = refusal(folder.path());
    assert!(message.contains("there is no `lm_head.weight`") && message.contains("to true"), "{message}");
}

#[test]
fn weights_of_another_architecture_are_refused_by_the_tensors_that_have_no_place() {
    let folder = copy_of("qwen2");
    edit_config(folder.path(), |config| config["model_type"] = json!("llama"));
    let message = refusal(folder.path());
    assert!(message.contains("a `llama` with this config does not use"), "{message}");
    assert!(message.contains("`model.layers.0.self_attn.k_proj.bias`"), "{message}");
    let folder = copy_of("qwen3");
    edit_config(folder.path(), |config| config["model_type"] = json!("llama"));
    assert!(refusal(folder.path()).contains("self_attn.k_norm.weight"));
}

// GPT-2's published file holds the causal triangle and has no prefix; Llama's old ones hold the frequencies.
#[test]
fn constants_of_old_checkpoints_are_passed_over() {
    for (case, constants) in [
        ("gpt2", &["h.0.attn.bias", "h.1.attn.masked_bias"][..]),
        ("qwen3", &["model.layers.0.self_attn.rotary_emb.inv_freq"]),
    ] {
        let folder = copy_of(case);
        let path = folder.path().join("model.safetensors");
        let stored = read_tensors(&path);
        let one = Tensor::ones([1, 1], (Kind::Float, Device::Cpu));
        let mut named: Vec<(&str, &Tensor)> =
            stored.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        named.extend(constants.iter().map(|name| (*name, &one)));
        Tensor::write_safetensors(&named, &path).unwrap();
        let model = DecoderForCausalLm::from_pretrained(folder.path(), Device::Cpu).unwrap();
        assert_eq!(difference(&logits(&model, case), &logits(&load(case), case)), 0.0, "{case}");
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let spoiled = |case: &str, edit: fn(&mut Value)| {
        let folder = copy_of(case);
        edit_config(folder.path(), edit);
        refusal(folder.path())
    };
    for (message, wanted) in [
        (
            spoiled("llama", |config| config["num_hidden_layers"] = json!(1)),
            "the checkpoint has 2 layers, but num_hidden_layers is 1: to use some of them, load all",
        ),
        (
            spoiled("gpt2", |config| config["n_layer"] = json!(3)),
            "the checkpoint has 2 layers, but n_layer is 3",
        ),
        (spoiled("llama", |config| config["vocab_size"] = json!(21)), "it should be (21, 8)"),
        (spoiled("llama", |config| config["mlp_bias"] = json!(false)), "with this config does not use"),
        (
            spoiled("mistral", |config| config["model_type"] = json!("mixtral")),
            "model_type is `mixtral`, which is not supported",
        ),
    ] {
        assert!(message.contains(wanted), "the message lacks `{wanted}`:\n{message}");
    }
}

#[test]
fn a_new_model_is_drawn_as_transformers_draws_it() {
    use brew_core::model::{DecoderArchitecture, DecoderConfig};
    let config = |architecture| DecoderConfig {
        vocab_size: 300,
        hidden_size: 64,
        num_hidden_layers: 8,
        num_attention_heads: 4,
        num_key_value_heads: None,
        head_dim: None,
        intermediate_size: Some(128),
        pad_token_id: Some(7),
        layer_types: None,
        ..DecoderConfig::base(architecture)
    };
    for architecture in [DecoderArchitecture::Llama, DecoderArchitecture::Gpt2, DecoderArchitecture::Gemma2] {
        let gpt2 = architecture == DecoderArchitecture::Gpt2;
        let model = |seed| DecoderForCausalLm::new(config(architecture), seed, Device::Cpu).unwrap();
        let (first, again, other) = (model(1), model(1), model(2));
        let named = |model: &DecoderForCausalLm| -> Vec<(String, Tensor)> {
            model.parameters().iter().map(|(name, tensor)| (name.to_owned(), tensor.detach())).collect()
        };
        for (((name, first), (_, again)), (_, other)) in
            named(&first).iter().zip(named(&again)).zip(named(&other))
        {
            assert_eq!(difference(first, &again), 0.0, "{name}");
            if first.dim() == 1 {
                let norm = name.ends_with(".weight") && architecture != DecoderArchitecture::Gemma2;
                assert_eq!(difference(first, &first.full_like(f64::from(u8::from(norm)))), 0.0, "{name}");
                continue;
            }
            assert!(difference(first, &other) > 0.0, "{name}");
            let residual = gpt2 && name.ends_with("c_proj.weight");
            let wanted = if residual { 0.02 / 4.0 } else { 0.02 };
            let found = first.std(true).double_value(&[]);
            // Five standard errors of the smallest matrix's 4,096 draws, and a row of zeros.
            assert!((found / wanted - 1.0).abs() < 0.06, "{name}: {found} of {wanted}");
        }
        let table = if gpt2 { "transformer.wte.weight" } else { "model.embed_tokens.weight" };
        let table = named(&first).into_iter().find(|(name, _)| name == table).unwrap().1;
        let padding = table.select(0, 7).abs().max().double_value(&[]);
        assert_eq!(padding == 0.0, !gpt2, "{architecture:?}");
    }
    let wrong = DecoderConfig { num_key_value_heads: Some(3), ..config(DecoderArchitecture::Llama) };
    let message = DecoderForCausalLm::new(wrong, 1, Device::Cpu).unwrap_err().to_string();
    assert!(
        message.contains("num_attention_heads 4 is not a multiple of num_key_value_heads 3"),
        "{message}"
    );
}

#[test]
fn the_files_of_the_tokenizer_travel_along_and_say_what_the_vocabulary_is() {
    assert_eq!(load("llama").vocabulary().unwrap(), None);
    let (folder, saved) = (copy_of("llama"), TempDir::new().unwrap());
    fs::write(folder.path().join("vocab.json"), r#"{"a": 0, "b": 1}"#).unwrap();
    fs::write(folder.path().join("chat_template.jinja"), "{{ messages }}").unwrap();
    let model = DecoderForCausalLm::from_pretrained(folder.path(), Device::Cpu).unwrap();
    assert!(model.vocabulary().unwrap().is_some());
    let student = DecoderForCausalLm::from_layers_of(&model, Keep::first(1)).unwrap();
    student.save(saved.path()).unwrap();
    for file in ["vocab.json", "chat_template.jinja", "generation_config.json"] {
        let read = |folder: &TempDir| fs::read(folder.path().join(file)).unwrap();
        assert_eq!(read(&folder), read(&saved), "{file}");
    }
}
