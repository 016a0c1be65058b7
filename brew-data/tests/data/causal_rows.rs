//! Rows for language models: ids and labels by shape, against transformers and by hand.

use std::fs;
use std::path::{Path, PathBuf};

use brew_data::{CausalRows, ChatTemplate, Dataset, LossOn, Tokenize, Tokenizer, Truncate, Words};
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use crate::chat_templates::{TOKENS, chats, fixture, rendered_by_python};
use crate::say;

fn tokenizer() -> Tokenizer {
    Tokenizer::from_folder(fixture("tokenizer")).unwrap()
}

fn template(name: &str) -> ChatTemplate {
    let text = fs::read_to_string(fixture("templates").join(name)).unwrap();
    ChatTemplate::new(&text, &TOKENS).unwrap()
}

/// A chat template without tags, as most models have it: a turn ends with a special token and a newline.
fn untagged() -> ChatTemplate {
    let text = "{% for message in messages %}{{ '<|turn|>' + message.role + '\n' + message.content + '<|end|>\n' }}\
                {% endfor %}{% if add_generation_prompt %}{{ '<|turn|>assistant\n' }}{% endif %}";
    ChatTemplate::new(text, &[]).unwrap()
}

/// Rows as a JSON list: a file with one object may be a table.
fn table(folder: &TempDir, rows: &[Value]) -> Dataset {
    let path = folder.path().join("rows.json");
    fs::write(&path, Value::from(rows).to_string()).unwrap();
    Dataset::open(path).unwrap()
}

fn made(rows: &[Value], causal: CausalRows, max_length: usize) -> brew_data::Result<Dataset> {
    let folder = tempdir().unwrap();
    table(&folder, rows).tokenize(&tokenizer(), &Tokenize::causal(causal, max_length), folder.path())
}

fn refusal(rows: &[Value], causal: CausalRows) -> String {
    made(rows, causal, 512).unwrap_err().to_string()
}

/// The text of a row's tokens, and of those that have a loss.
fn texts(rows: &[Value], causal: CausalRows) -> Vec<(String, String)> {
    let made = made(rows, causal, 512).unwrap();
    let labels = made.integer_lists("labels").unwrap();
    let ids = made.integer_lists("input_ids").unwrap();
    assert_eq!(
        made.integer_lists("attention_mask").unwrap(),
        ids.iter().map(|row| vec![1; row.len()]).collect::<Vec<_>>()
    );
    ids.iter()
        .zip(&labels)
        .map(|(ids, labels)| {
            assert!(ids.iter().zip(labels).all(|(id, label)| label == id || *label == -100));
            (decoded(ids), decoded(labels))
        })
        .collect()
}

/// The text of byte-level tokens; -100 is a blank that no token is.
fn decoded(ids: &[i64]) -> String {
    let file: Value =
        serde_json::from_slice(&fs::read(fixture("tokenizer/tokenizer.json")).unwrap()).unwrap();
    let vocabulary = file["model"]["vocab"].as_object().unwrap();
    let special = ["<s>", "</s>", "<|turn|>", "<|end|>"];
    let mut text = String::new();
    for id in ids.iter().filter(|id| **id >= 0) {
        let (token, _) = vocabulary.iter().find(|(_, known)| known.as_i64() == Some(*id)).unwrap();
        match special.contains(&token.as_str()) {
            true => text += token,
            false => text += &token.replace('\u{120}', " ").replace('\u{10a}', "\n"),
        }
    }
    text
}

fn pair(text: &str, trained: &str) -> (String, String) {
    (text.to_owned(), trained.to_owned())
}

fn chat() -> Value {
    json!({"messages": [
        {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": "No"}, {"role": "assistant", "content": "Bye\n"},
    ]})
}

/// Compares ids and labels of chats that are rows with those of `apply_chat_template`; returns how many there are.
fn compare(templates: &Path, tokenizer: &Tokenizer, rendered: &Value) -> usize {
    let chats = chats();
    let rows = rendered["rendered"].as_array().unwrap();
    let mut compared = 0;
    for of_template in rows.chunk_by(|one, other| one["template"] == other["template"]) {
        let name = of_template[0]["template"].as_str().unwrap();
        let given = of_template.iter().filter_map(|row| {
            let chat = &chats.iter().find(|chat| row["chat"] == chat.name.as_str()).unwrap().chat;
            let text = serde_json::to_string(chat).unwrap();
            let is_row = row["assistant"].is_array() && text.ends_with("\"add_generation_prompt\":false}");
            is_row.then_some((row, text))
        });
        let (expected, given): (Vec<_>, Vec<_>) = given.unzip();
        if given.is_empty() {
            continue;
        }
        let folder = tempdir().unwrap();
        let path = folder.path().join("rows.json");
        fs::write(&path, format!("[{}]", given.join(","))).unwrap();
        let text = fs::read_to_string(templates.join(name)).unwrap();
        let template = ChatTemplate::new(&text, &TOKENS).unwrap();
        let causal = CausalRows::messages("messages").template(&template);
        let opened = Dataset::open(path).unwrap();
        let causal = if opened.columns().contains(&"tools") { causal.tools("tools") } else { causal };
        let made = opened.tokenize(tokenizer, &Tokenize::causal(causal, 1 << 20), folder.path()).unwrap();
        let (ids, labels) = (made.integer_lists("input_ids").unwrap(), made.integer_lists("labels").unwrap());
        for (row, (ids, labels)) in expected.iter().zip(ids.iter().zip(&labels)) {
            let mask: Vec<i64> = labels.iter().map(|label| i64::from(*label != -100)).collect();
            assert_eq!(
                (json!(ids), json!(mask)),
                (row["ids"].clone(), row["mask"].clone()),
                "{name} {}",
                row["chat"]
            );
            compared += 1;
        }
    }
    compared
}

#[test]
fn ids_and_assistant_masks_are_those_of_transformers() {
    let recorded = serde_json::from_slice(&fs::read(fixture("recorded.json")).unwrap()).unwrap();
    assert_eq!(compare(&fixture("templates"), &tokenizer(), &recorded), 11);
}

#[test]
fn ids_and_assistant_masks_of_the_templates_of_trl_are_those_of_transformers_where_they_are_given() {
    let folder = tempdir().unwrap();
    let saved = folder.path().join("tokenizer");
    let Some((templates, rendered)) = rendered_by_python(&["--tokenizer", saved.to_str().unwrap()]) else {
        return;
    };
    let compared = compare(&templates, &Tokenizer::from_folder(saved).unwrap(), &rendered);
    assert!(compared > 0);
    say(&format!("{compared} rows with the ids and assistant masks of transformers"));
}

#[test]
fn every_shape_has_its_text_and_its_loss() {
    let rows = |shape: CausalRows, row: Value| texts(&[row], shape).remove(0);
    assert_eq!(rows(CausalRows::text("text"), json!({"text": "Hi you"})), pair("Hi you</s>", "Hi you</s>"));
    let row = json!({"prompt": "Hi", "completion": " you"});
    let strings = || CausalRows::completions("prompt", "completion");
    assert_eq!(rows(strings(), row.clone()), pair("Hi you</s>", " you</s>"));
    assert_eq!(rows(strings().loss_on(LossOn::Everything), row), pair("Hi you</s>", "Hi you</s>"));
    let row = json!({
        "prompt": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}, {"role": "user", "content": "No"}],
        "completion": [{"role": "assistant", "content": "Bye"}],
    });
    let text = "<|turn|>user\nHi<|end|>\n<|turn|>assistant\nYes?<|end|>\n<|turn|>user\nNo<|end|>\n<|turn|>assistant\nBye<|end|>\n";
    let listed = || strings().template(&untagged());
    assert_eq!(rows(listed(), row.clone()), pair(text, "Bye<|end|>"));
    assert_eq!(rows(listed().loss_on(LossOn::AssistantTurns), row), pair(text, "Yes?<|end|>Bye<|end|>"));
    let alpaca = || CausalRows::instructions("instruction", "input", "output");
    let row = json!({"instruction": "Add", "input": "1 2", "output": "3"});
    assert_eq!(rows(alpaca(), row.clone()), pair("Add\n\n1 2\n\n3</s>", "3</s>"));
    let text = "<|turn|>user\nAdd\n\n1 2<|end|>\n<|turn|>assistant\n3<|end|>\n";
    assert_eq!(rows(alpaca().template(&untagged()), row), pair(text, "3<|end|>"));
    let row = json!({"instruction": "Add", "input": "[1, 2", "output": "3"});
    assert_eq!(rows(alpaca(), row), pair("Add\n\n[1, 2\n\n3</s>", "3</s>"));
    for input in [json!(""), Value::Null] {
        let other = json!({"instruction": "a", "input": "b", "output": "c"});
        let row = json!({"instruction": "Add", "input": input, "output": "3"});
        assert_eq!(texts(&[other, row], alpaca())[1], pair("Add\n\n3</s>", "3</s>"));
    }
    let shared = json!({"conversations": [
        {"from": "system", "value": "Be"}, {"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Yes?"},
    ]});
    let text = "<|turn|>system\nBe<|end|>\n<|turn|>user\nHi<|end|>\n<|turn|>assistant\nYes?<|end|>\n";
    let shape = CausalRows::messages("conversations").template(&untagged());
    assert_eq!(rows(shape, shared), pair(text, "Yes?<|end|>"));
    // Prompts have no labels, and end where the answer begins.
    for (row, text) in [(json!("Hi"), "Hi"), (chat()["messages"].clone(), "")] {
        let is_chat = row.is_array();
        let row = json!({"prompt": if is_chat { json!([row[0]]) } else { row }});
        let causal = CausalRows::prompts("prompt");
        let made = made(&[row], if is_chat { causal.template(&untagged()) } else { causal }, 64).unwrap();
        assert!(!made.columns().contains(&"labels"));
        let text = if is_chat { "<|turn|>user\nHi<|end|>\n<|turn|>assistant\n" } else { text };
        assert_eq!(decoded(&made.integer_lists("input_ids").unwrap()[0]), text);
    }
}

/// Defect 25: earlier assistant turns trained as if sampled.
#[test]
fn all_turns_of_the_assistant_are_learned_or_only_the_last_as_declared_and_never_the_newline_after_the_stop_token()
 {
    for template in [untagged(), template("thinking.jinja")] {
        let rows = CausalRows::messages("messages").template(&template);
        assert_eq!(texts(&[chat()], rows.clone())[0].1, "Yes?<|end|>Bye\n<|end|>");
        assert_eq!(texts(&[chat()], rows.loss_on(LossOn::LastAssistantTurn))[0].1, "Bye\n<|end|>");
    }
}

/// Defect 2: pad == eos, and the end of a text masked or deleted.
#[test]
fn the_end_of_sequence_token_is_learned_once_where_the_row_has_it_and_where_it_has_not() {
    let rows =
        [json!({"text": "Hi</s>"}), json!({"text": "Hi"}), json!({"text": ""}), json!({"text": "a</s>b"})];
    let found = texts(&rows, CausalRows::text("text"));
    let expected = ["Hi</s>", "Hi</s>", "</s>", "a</s>b</s>"].map(|text| pair(text, text));
    assert_eq!(found, expected);
}

/// The tokenizer with special tokens around each text.
fn adding(folder: &TempDir, single: &[Value]) -> Tokenizer {
    let mut file: Value =
        serde_json::from_slice(&fs::read(fixture("tokenizer/tokenizer.json")).unwrap()).unwrap();
    let special =
        |token: &str| json!({"id": token, "ids": [file["model"]["vocab"][token]], "tokens": [token]});
    file["post_processor"] = json!({"type": "TemplateProcessing", "single": single,
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<s>": special("<s>"), "</s>": special("</s>")}});
    fs::write(folder.path().join("tokenizer.json"), file.to_string()).unwrap();
    fs::copy(fixture("tokenizer/tokenizer_config.json"), folder.path().join("tokenizer_config.json"))
        .unwrap();
    Tokenizer::from_folder(folder.path()).unwrap()
}

#[test]
fn a_tokenizer_that_ends_texts_ends_each_once_and_no_prompt() {
    let folder = tempdir().unwrap();
    let text = json!({"Sequence": {"id": "A", "type_id": 0}});
    let tokenizer = adding(&folder, &[text, json!({"SpecialToken": {"id": "</s>", "type_id": 0}})]);
    let rows = table(&folder, &[json!({"text": "Hi"}), json!({"text": "Hi</s>"})]);
    let ids = |causal: CausalRows| {
        let made = rows.tokenize(&tokenizer, &Tokenize::causal(causal, 64), folder.path()).unwrap();
        made.integer_lists("input_ids").unwrap().iter().map(|ids| decoded(ids)).collect::<Vec<_>>()
    };
    assert_eq!(ids(CausalRows::text("text")), ["Hi</s>", "Hi</s>"]);
    assert_eq!(ids(CausalRows::prompts("text")), ["Hi", "Hi</s>"]);
}

/// Defect 18: templated text tokenised again with special tokens, and two BOS.
#[test]
fn a_text_that_brings_its_first_special_token_has_it_once() {
    let folder = tempdir().unwrap();
    let begins = json!({"SpecialToken": {"id": "<s>", "type_id": 0}});
    let text = json!({"Sequence": {"id": "A", "type_id": 0}});
    let tokenizer = adding(&folder, &[begins, text]);
    let bos = tokenizer.encode(&[""]).unwrap()[0].input_ids[0].into();
    let rows = table(
        &folder,
        &[
            json!({"text": "<s>Hi", "chat": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes"}]}),
            json!({"text": "Hi", "chat": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes"}]}),
        ],
    );
    let chats = CausalRows::messages("chat").template(&template("tools.jinja"));
    for causal in [CausalRows::text("text"), chats] {
        let made = rows.tokenize(&tokenizer, &Tokenize::causal(causal, 64), folder.path()).unwrap();
        for ids in made.integer_lists("input_ids").unwrap() {
            assert_eq!((ids[0], ids.iter().filter(|id| **id == bos).count()), (bos, 1), "{ids:?}");
        }
    }
}

/// Defects 19 and 34: template arguments dropped, or another default in another place.
#[test]
fn arguments_of_the_template_reach_the_rows_and_the_cache_key() {
    let folder = tempdir().unwrap();
    let rows = table(&folder, &[json!({"prompt": [{"role": "user", "content": "2 + 2?"}]})]);
    let thinking = template("thinking.jinja");
    let mut lengths = Vec::new();
    for template in [thinking.clone(), thinking.with_argument("enable_thinking", false)] {
        let settings = Tokenize::causal(CausalRows::prompts("prompt").template(&template), 128);
        let made = rows.tokenize(&tokenizer(), &settings, folder.path()).unwrap();
        lengths.push(made.integer_lists("input_ids").unwrap()[0].len());
    }
    assert!(lengths[0] < lengths[1], "{lengths:?}");
    let caches = fs::read_dir(folder.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|kind| kind == "arrow"));
    assert_eq!(caches.count(), 2);
}

#[test]
fn a_template_that_changes_earlier_turns_is_refused_with_the_ways_out_and_may_train_the_last() {
    // As Qwen3: thoughts of earlier turns are dropped.
    let text = "{% for message in messages %}{{ '<|turn|>' + message.role + '\n' }}{% if message.role == 'assistant' \
                and loop.last %}{{ '<think>' }}{% endif %}{{ message.content + '<|end|>\n' }}{% endfor %}\
                {% if add_generation_prompt %}{{ '<|turn|>assistant\n' }}{% endif %}";
    let template = ChatTemplate::new(text, &[]).unwrap();
    let rows = CausalRows::messages("messages").template(&template);
    let message = refusal(&[chat()], rows.clone());
    assert!(
        message.contains("row 0, column `messages`: chat template: what the assistant wrote"),
        "{message}"
    );
    assert!(message.contains("the first 2 messages otherwise than within all 4"), "{message}");
    assert!(message.contains("{% generation %}") && message.contains("LossOn"), "{message}");
    let last = texts(&[chat()], rows.loss_on(LossOn::LastAssistantTurn));
    assert_eq!(last[0].1, "<think>Bye\n<|end|>");
}

#[test]
fn long_rows_are_refused_or_cut_at_the_end_or_at_the_start_of_the_prompt() {
    let rows =
        [json!({"prompt": "<s>abcdef", "completion": "xyz"}), json!({"prompt": "a", "completion": "b"})];
    let causal = || CausalRows::completions("prompt", "completion");
    let message = made(&rows, causal(), 8).unwrap_err().to_string();
    assert!(message.contains("row 0, column `prompt`: the row has 11 tokens, more than 8"), "{message}");
    let cut = |truncate: Truncate, length: usize| {
        let made = made(&rows, causal().truncate(truncate), length).unwrap();
        let row = |name: &str| decoded(&made.integer_lists(name).unwrap()[0]);
        (row("input_ids"), row("labels"), made.integers("truncated").unwrap())
    };
    let triple = |ids: &str, labels: &str, cut: i64| (ids.to_owned(), labels.to_owned(), vec![cut, 0]);
    assert_eq!(cut(Truncate::End, 8), triple("<s>abcdefx", "x", 3));
    assert_eq!(cut(Truncate::PromptStart, 8), triple("<s>defxyz</s>", "xyz</s>", 3));
    assert_eq!(cut(Truncate::PromptStart, 3), triple("<s>xy", "xy", 8));
    assert_eq!(cut(Truncate::End, 11), triple("<s>abcdefxyz</s>", "xyz</s>", 0));
}

#[test]
fn messages_are_read_alike_from_json_from_parquet_and_from_text_that_is_json() {
    let folder = tempdir().unwrap();
    let rows = table(
        &folder,
        &[
            chat(),
            json!({"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ja", "extra": null}]}),
        ],
    );
    let causal = || CausalRows::messages("messages").template(&untagged());
    let tokens = |rows: &Dataset| {
        let made = rows.tokenize(&tokenizer(), &Tokenize::causal(causal(), 256), folder.path()).unwrap();
        (made.integer_lists("input_ids").unwrap(), made.integer_lists("labels").unwrap())
    };
    let expected = tokens(&rows);
    for (name, write) in [
        ("rows.parquet", Dataset::write_parquet as fn(&Dataset, PathBuf) -> _),
        ("rows.arrow", Dataset::write_arrow),
    ] {
        let path = folder.path().join(name);
        write(&rows, path.clone()).unwrap();
        assert_eq!(tokens(&Dataset::open(path).unwrap()), expected);
    }
    let csv = folder.path().join("rows.csv");
    let quoted = |row: &str| format!("\"{}\"", row.replace('"', "\"\""));
    let lines: Vec<String> = rows.texts("messages").unwrap().iter().map(|row| quoted(row)).collect();
    fs::write(&csv, format!("messages\n{}\n", lines.join("\n"))).unwrap();
    assert_eq!(tokens(&Dataset::open(csv).unwrap()), expected);
    // A list of structs, as Python's datasets writes it.
    assert_eq!(tokens(&Dataset::open(fixture("messages.parquet")).unwrap()), expected);
}

#[test]
fn a_row_that_is_no_chat_is_refused_by_row_and_column() {
    let causal = || CausalRows::messages("messages").template(&untagged());
    let good = || chat();
    for (row, told) in [
        (json!({"messages": [{"content": "Hi"}]}), "row 1, column `messages`: message 0 has no `role`"),
        (json!({"messages": []}), "row 1, column `messages`: there are no messages"),
        (
            json!({"messages": [{"from": "alien", "value": "Hi"}]}),
            "message 0 is from `alien`, whose role is not known",
        ),
        (json!({"messages": null}), "row 1, column `messages`: the value is missing"),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "text"}]}]}),
            "row 1, column `messages`: chat template, line 2: ",
        ),
        (json!({"messages": [{"role": "assistant", "content": "Hi"}]}), "the chat begins with the assistant"),
    ] {
        let message = refusal(&[good(), row], causal());
        assert!(message.contains(told), "{message}");
    }
    let message = refusal(&[good()], CausalRows::messages("messages"));
    assert!(message.contains("messages need a chat template: add `.template("), "{message}");
    let message = refusal(&[good()], causal().loss_on(LossOn::Completion));
    assert!(message.contains("messages have no completion"), "{message}");
    let text = json!({"text": "Hi"});
    assert!(
        refusal(std::slice::from_ref(&text), CausalRows::text("text").loss_on(LossOn::AssistantTurns))
            .contains("no assistant's turns")
    );
    assert!(made(&[text], CausalRows::text("text"), 0).unwrap_err().to_string().contains("leaves no room"));
    let mut row = chat();
    row["tools"] = json!([{"type": "function"}]);
    assert!(refusal(&[row], causal()).contains("add `.tools(\"tools\")`"));
    let mut row = chat();
    row["chat_template_kwargs"] = json!({"enable_thinking": false});
    assert!(refusal(std::slice::from_ref(&row), causal()).contains("not supported yet"));
    // A column that is named like the tools, and is not them, hides nothing.
    row["tools"] = json!([{"type": "function"}]);
    row["my_tools"] = row["tools"].clone();
    assert!(refusal(&[row], causal().tools("my_tools")).contains("not supported yet"));
    let asked = json!({"prompt": [{"role": "assistant", "content": "Hi"}], "completion": [{"role": "assistant", "content": "Yes"}]});
    let message = refusal(&[asked], CausalRows::completions("prompt", "completion").template(&untagged()));
    assert!(
        message.contains("row 0, column `completion`: the prompt ends with a message of the assistant"),
        "{message}"
    );
}

#[test]
fn a_template_that_would_not_be_used_is_refused() {
    let messages = r#"[{"role": "user", "content": "Hi"}]"#;
    for (row, causal) in [
        (json!({"text": "Hi"}), CausalRows::text("text")),
        (json!({"prompt": "Hi"}), CausalRows::prompts("prompt")),
        (json!({"prompt": messages}), CausalRows::prompts("prompt")),
        (
            json!({"prompt": messages, "completion": messages}),
            CausalRows::completions("prompt", "completion"),
        ),
    ] {
        assert!(made(std::slice::from_ref(&row), causal.clone(), 512).is_ok());
        let message = refusal(&[row], causal.template(&untagged()));
        assert!(message.contains("plain text, which no template renders"), "{message}");
    }
}

#[test]
fn rows_for_language_models_have_no_segments() {
    let folder = tempdir().unwrap();
    let rows = table(&folder, &[json!({"text": "Hi"})]);
    let settings = Tokenize::causal(CausalRows::text("text"), 8).token_type_ids();
    let made = rows.tokenize(&tokenizer(), &settings, folder.path()).unwrap();
    assert_eq!(made.columns(), ["input_ids", "attention_mask", "labels", "truncated"]);
}

#[test]
fn a_column_of_messages_is_not_tokenised_as_a_text_or_as_words() {
    let folder = tempdir().unwrap();
    let rows = table(&folder, &[chat()]);
    let words = Tokenize::words(Words::of("messages"), 64);
    let message = rows.tokenize(&tokenizer(), &words, folder.path()).unwrap_err().to_string();
    assert!(
        message.contains(
            "column `messages`: its type is lists of objects (JSON), which cannot be read as lists of text"
        ),
        "{message}"
    );
    let message =
        rows.tokenize(&tokenizer(), &Tokenize::text("messages", 64), folder.path()).unwrap_err().to_string();
    assert!(
        message
            .contains("column `messages`: its type is lists of objects (JSON), which cannot be read as text"),
        "{message}"
    );
}

#[test]
fn rows_for_language_models_carry_columns_and_the_vocabulary() {
    let folder = tempdir().unwrap();
    let rows = table(&folder, &[json!({"text": "Hi", "id": 7})]);
    let made = rows.tokenize(
        &tokenizer(),
        &Tokenize::causal(CausalRows::text("text"), 8).carry(&["id"]),
        folder.path(),
    );
    let made = made.unwrap();
    assert_eq!(made.integers("id").unwrap(), [7]);
    assert_eq!(made.vocabulary("input_ids").unwrap(), Some(tokenizer().vocabulary().fingerprint()));
}
