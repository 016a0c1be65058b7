//! What is rejected, and whether the message names the file, the tensor, and what to do.

use std::fs;

use brew_core::pass::Wants;
use brew_core::prelude::*;
use serde_json::json;
use tempfile::TempDir;

use super::folders::{folder_of, weights, write};
use super::support::{batch, copy_of_teacher, edit_config, refusal, run, teacher};

/// Checks that a message holds every one of these.
fn assert_says(message: &str, wanted: &[&str]) {
    for text in wanted {
        assert!(message.contains(text), "the message lacks `{text}`:\n{message}");
    }
    // One problem a line, no frames of libtorch.
    assert!(message.lines().count() < 12 && !message.contains("frame #"), "{message}");
}

#[test]
fn a_folder_without_config() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().to_str().unwrap();
    assert_says(&refusal(folder.path()), &[path, "config.json is missing", "model folder"]);
}

#[test]
fn a_config_that_is_not_json() {
    let folder = copy_of_teacher();
    fs::write(folder.path().join("config.json"), "{\"hidden_size\": 48,").unwrap();
    assert_says(&refusal(folder.path()), &["config.json", "not a JSON object", "line 1"]);
}

#[test]
fn a_config_of_another_architecture() {
    let folder = copy_of_teacher();
    edit_config(folder.path(), |config| config["model_type"] = json!("electra"));
    let known = "there are: `bert`, `roberta`, `xlm-roberta`, `camembert`, `distilbert`";
    assert_says(&refusal(folder.path()), &["config.json", "model_type is `electra`", known]);
    edit_config(folder.path(), |config| {
        config.as_object_mut().unwrap().remove("model_type");
    });
    assert_says(
        &refusal(folder.path()),
        &["config.json", "model_type is missing", "\"model_type\": \"bert\""],
    );
}

#[test]
fn an_activation_that_does_not_exist() {
    let folder = copy_of_teacher();
    edit_config(folder.path(), |config| config["hidden_act"] = json!("gelu_now"));
    assert_says(&refusal(folder.path()), &["config.json", "`gelu_now`", "did you mean `gelu_new`?"]);
    edit_config(folder.path(), |config| config["hidden_act"] = json!("softmax"));
    assert_says(&refusal(folder.path()), &["`softmax`", "there are: `gelu`, `gelu_python`, `gelu_new`"]);
}

#[test]
fn values_of_another_type_are_named_by_their_keys() {
    let folder = copy_of_teacher();
    edit_config(folder.path(), |config| {
        config["hidden_size"] = json!("48");
        config["num_hidden_layers"] = json!(-1);
    });
    assert_says(&refusal(folder.path()), &["config.json", "`hidden_size`: invalid type: string \"48\""]);
    assert_says(&refusal(folder.path()), &["`num_hidden_layers`: invalid value: integer `-1`"]);
}

#[test]
fn a_config_that_makes_no_model_says_all_that_is_wrong() {
    let folder = copy_of_teacher();
    edit_config(folder.path(), |config| {
        config["num_attention_heads"] = json!(5);
        config["hidden_dropout_prob"] = json!(1.5);
        config["vocab_size"] = json!(0);
        config["position_embedding_type"] = json!("relative_key");
    });
    let wanted =
        ["must be a multiple of num_attention_heads 5", "hidden_dropout_prob is 1.5", "vocab_size is 0"];
    assert_says(&refusal(folder.path()), &wanted);
    assert_says(&refusal(folder.path()), &["config.json", "`relative_key`"]);
}

#[test]
fn a_folder_without_weights() {
    let folder = copy_of_teacher();
    fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    assert_says(
        &refusal(folder.path()),
        &["model.safetensors and model.safetensors.index.json are missing", "beside its config.json"],
    );
    fs::write(folder.path().join("pytorch_model.bin"), "").unwrap();
    assert_says(&refusal(folder.path()), &["`pytorch_model.bin`", "brew does not read", "python -c"]);
}

#[test]
fn a_truncated_file_wherever_it_ends() {
    let folder = copy_of_teacher();
    let path = folder.path().join("model.safetensors");
    let whole = fs::read(&path).unwrap();
    for length in [0, 5, 8, 1000, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        assert_says(
            &refusal(folder.path()),
            &["model.safetensors", "not a complete safetensors file", "again"],
        );
    }
}

#[test]
fn tensors_that_are_missing_are_all_named() {
    let mut weights = weights();
    weights.remove("bert.pooler.dense.bias");
    weights.remove("bert.encoder.layer.2.attention.self.key.weight");
    let folder = folder_of(&weights);
    let wanted = [
        "`bert.pooler.dense.bias` is missing",
        "`bert.encoder.layer.2.attention.self.key.weight` is missing",
    ];
    assert_says(&refusal(folder.path()), &wanted);
    assert_says(&refusal(folder.path()), &["model.safetensors", "2 problems"]);
}

#[test]
fn a_model_narrower_than_its_checkpoint() {
    let folder = copy_of_teacher();
    edit_config(folder.path(), |config| {
        config["intermediate_size"] = json!(64);
        config["num_hidden_layers"] = json!(1);
    });
    let wanted = [
        "the checkpoint has 4 layers, but num_hidden_layers is 1",
        "`bert.encoder.layer.0.intermediate.dense.weight` is (96, 48), but by the config it should be (64, 48)",
        "`bert.encoder.layer.0.output.dense.weight` is (48, 96), but by the config it should be (48, 64)",
    ];
    assert_says(&refusal(folder.path()), &wanted);
}

#[test]
fn a_parameter_of_integers() {
    let mut weights = weights();
    let bias = weights["classifier.bias"].to_kind(Kind::Int64);
    weights.insert("classifier.bias".to_owned(), bias);
    let folder = folder_of(&weights);
    assert_says(&refusal(folder.path()), &["`classifier.bias` has dtype I64", "F32"]);
}

#[test]
fn an_encoder_where_a_classifier_is_asked_for() {
    let mut weights = weights();
    weights.retain(|name, _| name.starts_with("bert."));
    assert_says(
        &refusal(folder_of(&weights).path()),
        &["`classifier.weight` is missing", "an encoder without a head", "from_encoder"],
    );
}

#[test]
fn a_tensor_that_is_there_under_two_names() {
    let mut weights = weights();
    let bias = weights["bert.pooler.dense.bias"].shallow_clone();
    weights.insert("pooler.dense.bias".to_owned(), bias);
    assert_says(&refusal(folder_of(&weights).path()), &["`bert.pooler.dense.bias` occurs twice"]);
}

#[test]
fn shards_that_are_missing_or_differ_from_their_index() {
    let folder = copy_of_teacher();
    fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    let index = folder.path().join("model.safetensors.index.json");
    fs::write(&index, "[]").unwrap();
    assert_says(&refusal(folder.path()), &["index.json", "not a valid shard index"]);
    fs::write(&index, json!({"weight_map": {"a.weight": "first.safetensors"}}).to_string()).unwrap();
    assert_says(&refusal(folder.path()), &["first.safetensors", "shard is missing"]);
    write(&folder.path().join("first.safetensors"), &weights());
    assert_says(&refusal(folder.path()), &["first.safetensors", "`a.weight` is not in this shard"]);
}

#[test]
fn shards_outside_their_folder_are_not_read() {
    let folder = copy_of_teacher();
    fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let shard = elsewhere.path().join("first.safetensors");
    write(&shard, &weights());
    let index = folder.path().join("model.safetensors.index.json");
    fs::create_dir(folder.path().join("inside")).unwrap();
    write(&folder.path().join("inside/first.safetensors"), &weights());
    for name in [shard.to_str().unwrap(), "../first.safetensors", "inside/first.safetensors", "..", "", "."] {
        fs::write(&index, json!({"weight_map": {"bert.pooler.dense.bias": name}}).to_string()).unwrap();
        assert_says(&refusal(folder.path()), &["index.json", "is not the name of a file in this folder"]);
    }
}

#[test]
fn sequences_longer_than_the_positions() {
    let ids = Tensor::ones([1, 33], (Kind::Int64, Device::Cpu));
    let batch = TextBatch { input_ids: ids.copy(), attention_mask: ids, token_type_ids: None, labels: None };
    let message = run(&teacher(), &batch, &Pass::evaluation(Wants::nothing())).unwrap_err().to_string();
    assert_says(&message, &["33 tokens", "32 that max_position_embeddings allow", "truncate"]);
}

#[test]
fn tokens_and_labels_out_of_range() {
    let pass = Pass::evaluation(Wants::nothing().and_role("losses"));
    let spoiled = batch(0);
    let _ = spoiled.input_ids.get(3).fill_(120);
    let message = run(&teacher(), &spoiled, &pass).unwrap_err().to_string();
    assert_says(&message, &["`input_ids`", "from 0 to 119"]);
    let spoiled = batch(0);
    let _ = spoiled.labels.as_ref().unwrap().get(1).fill_(3);
    let message = run(&teacher(), &spoiled, &pass).unwrap_err().to_string();
    assert_says(&message, &["`labels`", "from 0 to 2"]);
}

#[test]
fn columns_of_other_shapes() {
    let spoiled = TextBatch { attention_mask: batch(0).attention_mask.narrow(1, 0, 5), ..batch(0) };
    let message = run(&teacher(), &spoiled, &Pass::evaluation(Wants::nothing())).unwrap_err().to_string();
    assert_says(&message, &["`attention_mask` is [6, 5]", "[6, 12]"]);
}
