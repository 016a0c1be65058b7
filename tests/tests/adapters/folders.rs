//! Adapter folders: what brew writes, when it refuses to write, and that a folder is never half an adapter.

use std::fs;
use std::path::Path;

use brew_core::model::{BertModel, DecoderForCausalLm, Lora};
use brew_core::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::read_tensors;

use super::support::{Any, RECORDED, fill, fixture, inputs, peft};

fn config(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("adapter_config.json")).unwrap()).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn a_saved_adapter_has_the_names_and_values_of_the_one_that_was_loaded() {
    for (case, base) in RECORDED {
        let place = TempDir::new().unwrap();
        let folder = place.path().join("adapter");
        let adapted = Any::base(base).load_adapter(&peft(case)).unwrap();
        adapted.model().save(&folder).unwrap();
        assert_eq!(names(&folder), ["adapter_config.json", "adapter_model.safetensors", "base.json"]);
        let tensors = |folder: &Path| read_tensors(&folder.join("adapter_model.safetensors"));
        assert!(tensors(&folder) == tensors(&peft(case)), "{case}");
        let (ours, theirs) = (config(&folder), config(&peft(case)));
        for (key, value) in ours.as_object().unwrap() {
            match key.as_str() {
                "base_model_name_or_path" => {
                    assert!(value.as_str().unwrap().ends_with(theirs[key].as_str().unwrap()), "{value}");
                }
                "target_modules" => {
                    let sorted = |value: &Value| {
                        let mut names: Vec<String> = serde_json::from_value(value.clone()).unwrap();
                        names.sort_unstable();
                        names
                    };
                    assert_eq!(sorted(value), sorted(&theirs[key]), "{case}");
                }
                "lora_alpha" | "lora_dropout" => assert_eq!(value.as_f64(), theirs[key].as_f64(), "{case}"),
                _ => assert_eq!(value, &theirs[key], "{case}: {key}"),
            }
        }
        let again = Any::base(base).load_adapter(&folder).unwrap();
        assert_eq!(again.logits(&inputs(base)), adapted.logits(&inputs(base)), "{case}");
    }
}

#[test]
fn a_new_adapter_lists_its_layers_and_what_else_it_saves() {
    let folder = TempDir::new().unwrap();
    let lora = Lora::rank(4).alpha(2.5).rs_lora().all_linear();
    Any::base("decoders/gpt2").with_lora(lora, 1).unwrap().model().save(&folder.path().join("gpt2")).unwrap();
    let found = config(&folder.path().join("gpt2"));
    let targets: Vec<String> = serde_json::from_value(found["target_modules"].clone()).unwrap();
    assert_eq!(targets[..2], ["transformer.h.0.attn.c_attn", "transformer.h.0.attn.c_proj"]);
    assert_eq!(
        [&found["lora_alpha"], &found["use_rslora"], &found["fan_in_fan_out"], &found["task_type"]],
        [&json!(2.5), &json!(true), &json!(true), &json!("CAUSAL_LM")]
    );
    let model = Any::base("heads/roberta/token").with_lora(Lora::rank(4).modules_to_save(["lin"]), 1);
    assert!(model.is_err(), "nothing is called `lin`");
    let model = Any::base("heads/roberta/token").with_lora(Lora::rank(4), 1).unwrap();
    model.model().save(&folder.path().join("roberta")).unwrap();
    let found = config(&folder.path().join("roberta"));
    assert_eq!(
        [&found["modules_to_save"], &found["task_type"], &found["lora_alpha"]],
        [&json!(["classifier", "score"]), &json!("TOKEN_CLS"), &json!(4)]
    );
}

#[test]
fn an_adapter_never_overwrites_other_files_and_keeps_those_beside_an_older_one() {
    let place = TempDir::new().unwrap();
    let adapted = Any::base("decoders/llama").with_lora(Lora::rank(2), 1).unwrap();
    let foreign = place.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("model.safetensors"), "weights").unwrap();
    let error = adapted.model().save(&foreign).unwrap_err().to_string();
    assert!(error.contains("there is `model.safetensors` in this one: choose another folder"), "{error}");
    assert_eq!(names(&foreign), ["model.safetensors"]);

    let folder = place.path().join("adapter");
    adapted.model().save(&folder).unwrap();
    fs::write(folder.join("README.md"), "mine").unwrap();
    adapted.model().save(&folder).unwrap();
    assert_eq!(
        names(&folder),
        ["README.md", "adapter_config.json", "adapter_model.safetensors", "base.json"]
    );
    assert_eq!(fs::read_to_string(folder.join("README.md")).unwrap(), "mine");
}

#[test]
fn an_adapter_that_cannot_be_written_leaves_the_older_one_whole() {
    let place = TempDir::new().unwrap();
    let folder = place.path().join("adapter");
    let adapted = Any::base("decoders/llama").with_lora(Lora::rank(2), 1).unwrap();
    adapted.model().save(&folder).unwrap();
    let before = adapted.logits(&inputs("decoders/llama"));
    fill(&adapted.model().parameters(), 3);
    // A file that cannot be copied stops the second save in its middle.
    std::os::unix::fs::symlink(place.path().join("nowhere"), folder.join("README.md")).unwrap();
    let error = adapted.model().save(&folder).unwrap_err().to_string();
    assert!(error.contains("README.md"), "{error}");
    assert_eq!(names(place.path()), ["adapter"]);
    let again = Any::base("decoders/llama").load_adapter(&folder).unwrap();
    assert_eq!(again.logits(&inputs("decoders/llama")), before);
}

#[test]
fn the_folder_of_an_adapter_is_not_taken_for_a_model() {
    let error = DecoderForCausalLm::from_pretrained(peft("llama"), Device::Cpu).unwrap_err().to_string();
    assert!(error.contains("this is the folder of an adapter"), "{error}");
    let base = DecoderForCausalLm::from_pretrained(fixture("decoders/llama"), Device::Cpu).unwrap();
    let error = base.load_adapter(fixture("decoders/llama")).unwrap_err().to_string();
    assert!(error.contains("not an adapter folder: adapter_config.json is missing"), "{error}");
}

#[test]
fn the_adapter_of_an_encoder_alone_has_names_without_the_encoders_prefix() {
    let place = TempDir::new().unwrap();
    let folder = place.path().join("adapter");
    let encoder = || BertModel::from_pretrained(fixture("heads/bert/sequence"), Device::Cpu).unwrap();
    let adapted = encoder().with_lora(Lora::rank(2).all_linear(), 1).unwrap();
    fill(&adapted.parameters(), 3);
    adapted.save(&folder).unwrap();
    let stored = read_tensors(&folder.join("adapter_model.safetensors"));
    assert!(stored.keys().all(|name| !name.contains("bert.")), "{:?}", stored.keys());
    assert!(stored.contains_key("base_model.model.encoder.layer.0.attention.self.query.lora_A.weight"));
    let found = config(&folder);
    assert_eq!(found["task_type"], "FEATURE_EXTRACTION");
    assert!(
        found["target_modules"].as_array().unwrap().contains(&json!("encoder.layer.0.intermediate.dense"))
    );
    let again = encoder().load_adapter(&folder).unwrap();
    let (adapted, again) = (adapted.parameters(), again.parameters());
    assert!(adapted.iter().eq(again.iter()));

    // Names that are given lose it too.
    let given = Lora::rank(2)
        .targets(["bert.encoder.layer.0.attention.self.query", "key"])
        .modules_to_save(["bert.encoder.layer.0.output.dense"]);
    let adapted = encoder().with_lora(given, 1).unwrap();
    adapted.save(&folder).unwrap();
    let found = config(&folder);
    assert_eq!(found["target_modules"], json!(["encoder.layer.0.attention.self.query", "key"]));
    assert_eq!(found["modules_to_save"], json!(["encoder.layer.0.output.dense"]));
    let again = encoder().load_adapter(&folder).unwrap();
    assert!(adapted.parameters().iter().eq(again.parameters().iter()));
}

#[test]
fn the_base_may_be_in_a_folder_whose_name_is_not_text() {
    use std::os::unix::ffi::OsStrExt as _;
    let place = TempDir::new().unwrap();
    let base = place.path().join(std::ffi::OsStr::from_bytes(b"base\xff"));
    fs::create_dir(&base).unwrap();
    for entry in fs::read_dir(fixture("decoders/llama")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), base.join(entry.file_name())).unwrap();
    }
    let adapted = DecoderForCausalLm::from_pretrained(&base, Device::Cpu).unwrap();
    let adapted = adapted.with_lora(Lora::rank(2), 1).unwrap();
    let folder = place.path().join("adapter");
    adapted.save(&folder).unwrap();
    assert!(config(&folder)["base_model_name_or_path"].as_str().unwrap().ends_with("base\u{fffd}"));
}

#[test]
fn several_ranks_save_the_same_adapter_to_one_folder_and_keep_its_other_files() {
    let place = TempDir::new().unwrap();
    let folder = place.path().join("adapter");
    let adapted = || {
        let base = DecoderForCausalLm::from_pretrained(fixture("decoders/llama"), Device::Cpu).unwrap();
        base.with_lora(Lora::rank(2), 1).unwrap()
    };
    adapted().save(&folder).unwrap();
    fs::write(folder.join("README.md"), "of the user").unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let adapted = adapted();
                (0..25).for_each(|_| adapted.save(&folder).unwrap());
            });
        }
    });
    let expected = ["README.md", "adapter_config.json", "adapter_model.safetensors", "base.json"];
    assert_eq!(names(&folder), expected);
    assert_eq!(names(place.path()), ["adapter"]);
}

#[test]
fn an_adapter_names_the_folder_of_its_base_only_while_the_base_is_what_the_folder_holds() {
    let place = TempDir::new().unwrap();
    let folder = place.path().join("adapter");
    for (case, base) in RECORDED {
        let adapted = || Any::base(base).load_adapter(&peft(case)).unwrap();
        let name = |base: Any| {
            base.with_lora(Lora::rank(2), 1).unwrap().model().save(&folder).unwrap();
            config(&folder)["base_model_name_or_path"].clone()
        };
        assert_eq!(name(adapted().merge_lora().unwrap()), Value::Null, "{case}");
        let left = name(adapted().lora_off().unwrap());
        assert!(left.as_str().is_some_and(|left| left.ends_with(base)), "{case}: {left}");
    }
}
