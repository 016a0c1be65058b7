//! A saved language model that answers in text.

use std::path::Path;

use brew_core::generate::{GenerationConfig, Prompts, generate};
use brew_core::model::DecoderForCausalLm;
use brew_core::prelude::*;
use brew_data::prelude::*;
use brew_data::{Chat, Message};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::support::{copy_of, edit_config};

/// A small Llama with a tokenizer of its 20 tokens, which begins each text with `<s>`.
fn folder() -> TempDir {
    let folder = copy_of("llama");
    let tokens =
        ["<s>", "</s>", "<|user|>", "<|model|>", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"];
    // A space, and the bytes of é, ü and €.
    let tokens = tokens.into_iter().chain(["\u{120}", "\u{c3}", "\u{a9}", "\u{bc}", "\u{e2}"]);
    let vocabulary: serde_json::Map<_, _> =
        tokens.enumerate().map(|(id, token)| (token.to_owned(), id.into())).collect();
    let added: Vec<Value> = vocabulary
        .iter()
        .filter(|(token, _)| token.starts_with('<'))
        .map(|(token, id)| {
            json!({ "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true })
        })
        .collect();
    let bytes =
        json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false });
    let begins = json!([{ "SpecialToken": { "id": "<s>", "type_id": 0 } }, { "Sequence": { "id": "A", "type_id": 0 } }]);
    let tokenizer = json!({
        "version": "1.0",
        "added_tokens": added,
        "pre_tokenizer": bytes,
        "post_processor": { "type": "TemplateProcessing", "single": begins, "pair": begins,
            "special_tokens": { "<s>": { "id": "<s>", "ids": [0], "tokens": ["<s>"] } } },
        "decoder": bytes,
        "model": { "type": "BPE", "vocab": vocabulary, "merges": [] },
    });
    write(folder.path(), "tokenizer.json", &tokenizer);
    let template = "{{ bos_token }}{% for message in messages %}<|{{ message.role }}|>{{ message.content }}{% endfor %}{% if add_generation_prompt %}<|model|>{% endif %}";
    let settings = json!({ "bos_token": "<s>", "eos_token": "</s>", "chat_template": template });
    write(folder.path(), "tokenizer_config.json", &settings);
    edit_config(folder.path(), |config| {
        (config["bos_token_id"], config["eos_token_id"], config["pad_token_id"]) =
            (json!(0), Value::Null, Value::Null);
    });
    folder
}

fn write(folder: &Path, name: &str, content: &Value) {
    std::fs::write(folder.join(name), content.to_string()).unwrap();
}

/// A generator of short answers.
fn open(folder: &Path) -> TextGenerator {
    let generator = TextGenerator::from_pretrained(folder, Device::Cpu).unwrap();
    let config = GenerationConfig { max_new_tokens: 4, ..generator.config().clone() };
    generator.with_config(config)
}

#[test]
fn a_folder_answers_in_text_with_the_tokens_of_generate() {
    let folder = folder();
    let generator = open(folder.path());
    let written = generator.generate(&["a b", "é"]).unwrap();
    assert_eq!([&written[0].prompt[..], &written[1].prompt[..]], [&[0, 4, 15, 5][..], &[0, 16, 17]]);
    let model = DecoderForCausalLm::from_pretrained(folder.path(), Device::Cpu).unwrap();
    let prompts = Prompts::of_ids(written.iter().map(|written| written.prompt.clone()));
    let answers = generate(&model, &prompts, generator.config()).unwrap().answers;
    assert_eq!(answers, [written[0].ids.clone(), written[1].ids.clone()]);
    let tokenizer = Tokenizer::from_folder(folder.path()).unwrap();
    for written in written {
        assert_eq!(written.text, tokenizer.decode(&written.ids).unwrap());
        assert!(!written.ended && written.ids.len() == 4);
    }
}

#[test]
fn what_is_streamed_is_the_text_of_each_answer() {
    let folder = folder();
    let generator = open(folder.path());
    let config = GenerationConfig {
        do_sample: true,
        temperature: 3.0,
        num_return_sequences: 20,
        ..generator.config().clone()
    };
    let generator = generator.with_config(config);
    let mut streamed = vec![String::new(); 40];
    let told = |row: usize, text: &str| {
        assert!(!text.is_empty());
        streamed[row].push_str(text);
        Ok(())
    };
    let written = generator.generate_streaming(&["a", "bcd"], told).unwrap();
    let texts: Vec<&str> = written.iter().map(|written| written.text.as_str()).collect();
    assert_eq!(streamed, texts);
    assert!(texts.iter().any(|text| text.contains('\u{fffd}')), "no answer ended inside of a character");
    // What the caller returns ends the generation.
    let mut calls = 0;
    let stopped = generator.generate_streaming(&["a"], |_, _| {
        calls += 1;
        Err(Error::invalid("enough"))
    });
    assert!(stopped.unwrap_err().to_string().contains("enough") && calls == 1);
}

// Defect: the text of a template was tokenised with special tokens once more.
#[test]
fn a_templated_prompt_begins_once() {
    let folder = folder();
    let generator = open(folder.path());
    let chats =
        [Chat::new([Message::user("ab")]), Chat::new([Message::user("c"), Message::new("model", "d")])];
    let written = generator.chat(&chats).unwrap();
    assert_eq!(written[0].prompt, [0, 2, 4, 5, 3]);
    assert_eq!(written[1].prompt, [0, 2, 6, 3, 7, 3]);
    // A text of one's own begins once, too.
    assert_eq!(generator.generate(&["ab"]).unwrap()[0].prompt, [0, 4, 5]);
    let other = brew_data::ChatTemplate::new("{{ messages[0].content }}", &[]).unwrap();
    assert_eq!(generator.with_template(other).chat(&chats).unwrap()[0].prompt, [4, 5]);
}

// Defect: a tokenizer that ends texts ended the prompt, and the model was asked what follows the end.
#[test]
fn a_prompt_begins_once_and_is_not_ended() {
    let folder = folder();
    let path = folder.path().join("tokenizer.json");
    let mut tokenizer: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let special = |token: &str| json!({ "SpecialToken": { "id": token, "type_id": 0 } });
    let single = json!([special("<s>"), { "Sequence": { "id": "A", "type_id": 0 } }, special("</s>")]);
    tokenizer["post_processor"]["single"] = single;
    tokenizer["post_processor"]["special_tokens"]["</s>"] =
        json!({ "id": "</s>", "ids": [1], "tokens": ["</s>"] });
    write(folder.path(), "tokenizer.json", &tokenizer);
    let generator = open(folder.path());
    for (prompt, tokens) in
        [("ab", &[0, 4, 5][..]), ("<s>ab", &[0, 4, 5]), ("ab</s>", &[0, 4, 5, 1]), ("", &[0])]
    {
        assert_eq!(generator.generate(&[prompt]).unwrap()[0].prompt, tokens, "{prompt}");
    }
}

#[test]
fn the_template_of_a_folder_is_read_once() {
    let folder = folder();
    let generator = open(folder.path());
    let chats = [Chat::new([Message::user("ab")])];
    let first = generator.chat(&chats).unwrap();
    std::fs::remove_file(folder.path().join("tokenizer_config.json")).unwrap();
    assert_eq!(generator.chat(&chats).unwrap(), first);
}

#[test]
fn answers_end_at_the_tokens_of_both_configs_and_of_the_template() {
    let folder = folder();
    let free = open(folder.path()).chat(&[Chat::new([Message::user("ab")])]).unwrap();
    assert!(!free[0].ended);
    edit_config(folder.path(), |config| config["eos_token_id"] = json!(18));
    write(folder.path(), "generation_config.json", &json!({ "eos_token_id": [19, 18], "top_k": 7 }));
    let generator = open(folder.path());
    assert_eq!((generator.config().eos_token_id.as_slice(), generator.config().top_k), (&[18, 19][..], 7));
    // The end of a turn, by the template's special token, is any token that the answer has.
    let token = json!("abcdefghijk".chars().nth(free[0].ids[1] as usize - 4).map(String::from));
    let template = "{{ bos_token }}<|user|>{{ messages[0].content }}<|model|>";
    write(
        folder.path(),
        "tokenizer_config.json",
        &json!({ "bos_token": "<s>", "eos_token": token, "chat_template": template }),
    );
    let ended = open(folder.path()).chat(&[Chat::new([Message::user("ab")])]).unwrap();
    assert_eq!((ended[0].ids.as_slice(), ended[0].ended), (&free[0].ids[..2], true));
}

#[test]
fn what_a_folder_lacks_is_said() {
    let folder = folder();
    write(folder.path(), "tokenizer_config.json", &json!({ "bos_token": "<s>" }));
    let generator = open(folder.path());
    let message = generator.chat(&[Chat::new([Message::user("a")])]).unwrap_err().to_string();
    assert!(
        message.contains("chat template") && message.contains(&*folder.path().to_string_lossy()),
        "{message}"
    );
    assert!(generator.generate(&["a"]).is_ok());
    let long = "a".repeat(60);
    let message = generator.generate(&[&long]).unwrap_err().to_string();
    assert!(message.contains("61 tokens, and 4 may follow"), "{message}");

    write(folder.path(), "generation_config.json", &json!({ "num_beams": 4 }));
    let message = TextGenerator::from_pretrained(folder.path(), Device::Cpu).unwrap_err().to_string();
    assert!(message.contains("generation_config.json") && message.contains("num_beams is 4"), "{message}");
    std::fs::remove_file(folder.path().join("tokenizer.json")).unwrap();
    let message = TextGenerator::from_pretrained(folder.path(), Device::Cpu).unwrap_err().to_string();
    assert!(message.contains("the folder has no tokenizer"), "{message}");
}
