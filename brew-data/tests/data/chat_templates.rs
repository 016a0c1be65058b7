//! Chat templates, against what transformers renders: `fixtures/chat/render.py` recorded it for templates that are
//! ours, and records it for any folder of templates where Python has transformers.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use brew_data::{Chat, ChatTemplate, Message};
use serde_json::Value;
use tempfile::tempdir;

use crate::{python, say, skipped};

pub(crate) const TOKENS: [(&str, &str); 2] = [("bos_token", "<s>"), ("eos_token", "</s>")];

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chat").join(name)
}

/// A row of `chats.json`.
#[derive(serde::Deserialize)]
pub(crate) struct Given {
    pub(crate) name: String,
    pub(crate) chat: Chat,
    #[serde(default)]
    arguments: BTreeMap<String, Value>,
}

pub(crate) fn chats() -> Vec<Given> {
    serde_json::from_slice(&fs::read(fixture("chats.json")).unwrap()).unwrap()
}

/// The folder of templates that are not ours, and what `render.py` prints for them with these arguments, if both are there.
///
/// `BREW_TRL` names the folder: `pip install --no-deps --target DIR trl`, then `BREW_TRL=DIR/trl/chat_templates`.
pub(crate) fn rendered_by_python(arguments: &[&str]) -> Option<(PathBuf, Value)> {
    let Ok(templates) = std::env::var("BREW_TRL") else {
        skipped("BREW_TRL names no folder of chat templates: see chat_templates.rs");
        return None;
    };
    let python = python("import transformers, jinja2")?;
    let output = Command::new(&python)
        .arg(fixture("render.py"))
        .args([&templates, "--given"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some((PathBuf::from(templates), serde_json::from_slice(&output.stdout).unwrap()))
}

/// Compares each row of `render.py` with ours; returns how many there are, how many transformers refuses, and how many
/// have assistant parts.
fn compare(templates: &Path, rendered: &Value) -> (usize, usize, usize) {
    let chats = chats();
    let (mut wrong, mut refused, mut marked) = (Vec::new(), 0, 0);
    let rows = rendered["rendered"].as_array().unwrap();
    for row in rows {
        let name = format!("{} with {}", row["template"], row["chat"]);
        let text = fs::read_to_string(templates.join(row["template"].as_str().unwrap())).unwrap();
        let Given { chat, arguments, .. } =
            chats.iter().find(|chat| row["chat"] == chat.name.as_str()).unwrap();
        let template =
            arguments.iter().fold(ChatTemplate::new(&text, &TOKENS).unwrap(), |template, (name, value)| {
                template.with_argument(name, value)
            });
        let ours = template.render(chat);
        match (&row["text"], &ours) {
            (Value::Null, Err(_)) => refused += 1,
            (Value::String(text), Ok(ours)) if text == ours => {}
            (theirs, ours) => {
                wrong.push(format!("{name}:\n  {theirs}\n  {ours:?}\n  {}", row["error"]));
                continue;
            }
        }
        if let Some(spans) = row["assistant"].as_array() {
            let ours = template.render_marked(chat).unwrap();
            let chars = |byte: usize| ours.text[..byte].chars().count() as u64;
            let found: Vec<[u64; 2]> =
                ours.assistant.iter().map(|span| [chars(span.start), chars(span.end)]).collect();
            marked += 1;
            if serde_json::json!(found) != Value::from(spans.clone()) {
                wrong.push(format!("{name}: assistant {found:?}, expected {spans:?}"));
            }
        } else if row["text"].is_string() {
            assert!(!template.marks_assistant(chat), "{name}");
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    (rows.len(), refused, marked)
}

#[test]
fn chats_render_as_in_transformers_with_the_same_assistant_parts() {
    let recorded = serde_json::from_slice(&fs::read(fixture("recorded.json")).unwrap()).unwrap();
    let (rows, refused, marked) = compare(&fixture("templates"), &recorded);
    assert_eq!((rows, refused, marked), (28, 3, 20));
}

#[test]
fn the_templates_of_trl_render_as_in_transformers_where_they_are_given() {
    let Some((templates, rendered)) = rendered_by_python(&[]) else { return };
    let (rows, refused, marked) = compare(&templates, &rendered);
    assert!(rows >= 5 && marked > 0);
    say(&format!("{rows} renders equal, {refused} of them refused by both, {marked} with parts"));
}

#[test]
fn a_template_that_fails_names_its_file_and_line() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("chat_template.jinja");
    let fails = |text: &str| {
        fs::write(&path, text).unwrap();
        let template = ChatTemplate::from_folder(folder.path());
        template
            .and_then(|template| template.render(&Chat::new([Message::user("Hi")])))
            .unwrap_err()
            .to_string()
    };
    let message = fails("{{ bos_token }}\n{{ raise_exception('no system message') }}");
    assert!(
        message.contains("chat_template.jinja, line 2: ") && message.ends_with("no system message"),
        "{message}"
    );
    assert!(
        fails("{% generation %}\n\n{{ 1 + }}{% endgeneration %}").contains("chat_template.jinja, line 3: ")
    );
    assert!(fails("{{ strftime_now('%!') }}").contains("%!"));
    fs::remove_file(&path).unwrap();
    let config = r#"{"chat_template": "\n{{ messages[0].content.shout() }}", "eos_token": "</s>"}"#;
    fs::write(folder.path().join("tokenizer_config.json"), config).unwrap();
    let template = ChatTemplate::from_folder(folder.path()).unwrap();
    let message = template.render(&Chat::new([Message::user("Hi")])).unwrap_err().to_string();
    assert!(message.contains("tokenizer_config.json: `chat_template` (`default`), line 2: "), "{message}");
    let message = template.render(&Chat::default()).unwrap_err().to_string();
    assert!(message.ends_with("a chat has at least one message"), "{message}");
}

#[test]
fn a_folder_has_one_template_or_named_ones_and_the_special_tokens_of_its_tokenizer() {
    let folder = tempdir().unwrap();
    let missing = ChatTemplate::from_folder(folder.path()).unwrap_err().to_string();
    assert!(missing.contains("there is no chat template"), "{missing}");
    let config = |text: &str| fs::write(folder.path().join("tokenizer_config.json"), text).unwrap();
    config(
        r#"{"chat_template": [{"name": "default", "template": "plain{{ eos_token }}{{ bos_token }}"},
               {"name": "tool_use", "template": "tools"}], "eos_token": {"content": "<end>"}, "bos_token": null}"#,
    );
    let template = ChatTemplate::from_folder(folder.path()).unwrap();
    let chat = Chat::new([Message::user("Hi")]);
    assert_eq!(template.render(&chat).unwrap(), "plain<end>");
    assert_eq!(template.token("eos_token"), Some("<end>"));
    assert_eq!(template.render(&chat.clone().tools(["a tool"])).unwrap(), "tools");
    config(r#"{"chat_template": [{"name": "rag", "template": "x"}]}"#);
    let message = ChatTemplate::from_folder(folder.path()).unwrap_err().to_string();
    assert!(message.contains("are named `rag`, and none is named `default`"), "{message}");
    config(r#"{"chat_template": 7}"#);
    assert!(
        ChatTemplate::from_folder(folder.path()).unwrap_err().to_string().contains("must be text, or a list")
    );
    // The file comes first, as in transformers.
    fs::write(folder.path().join("chat_template.jinja"), "the file").unwrap();
    assert_eq!(ChatTemplate::from_folder(folder.path()).unwrap().render(&chat).unwrap(), "the file");
}

#[test]
fn lines_of_a_template_end_as_in_jinja_whatever_its_file_has() {
    let text = "{% for message in messages %}\r\n{{ message.content }}\r\nand\rmore\r\n{% endfor %}\r\n";
    let template = ChatTemplate::new(text, &[]).unwrap();
    // Jinja2 3.1.6 with trim_blocks and lstrip_blocks.
    assert_eq!(template.render(&Chat::new([Message::user("Hi\r\n")])).unwrap(), "Hi\r\n\nand\nmore\n");
}

#[test]
fn arguments_of_tool_calls_given_as_json_text_are_objects_unless_the_template_takes_only_text() {
    let call = serde_json::json!([{"type": "function", "function": {"name": "f", "arguments": "{\"b\": 1, \"a\": [2]}"}}]);
    let chat = Chat::new([Message::assistant("").with("tool_calls", call)]);
    let rendered = |text: &str| ChatTemplate::new(text, &[]).unwrap().render(&chat).unwrap();
    let arguments = "messages[0].tool_calls[0].function.arguments";
    assert_eq!(
        rendered(&format!("{{{{ {arguments}.a[0] }}}} {{{{ {arguments} | tojson }}}}")),
        r#"2 {"b": 1, "a": [2]}"#
    );
    assert_eq!(rendered(&format!("{{{{ 'f' + {arguments} }}}}")), r#"f{"b": 1, "a": [2]}"#);
}

#[test]
fn the_hash_of_a_template_holds_its_arguments_and_special_tokens() {
    let template = |text: &str, token: &str| ChatTemplate::new(text, &[("eos_token", token)]).unwrap();
    let plain = template("x", "</s>");
    let hashes = [
        plain.hash(),
        template("y", "</s>").hash(),
        template("x", "<end>").hash(),
        plain.clone().with_argument("enable_thinking", false).hash(),
        plain.clone().with_argument("enable_thinking", true).hash(),
        plain.clone().with_argument("enable_thinking", "false").hash(),
    ];
    let different: std::collections::BTreeSet<_> = hashes.iter().collect();
    assert_eq!(different.len(), hashes.len());
    assert_eq!(plain.hash(), template("x", "</s>").hash());
}

#[test]
fn text_with_the_characters_of_the_marks_is_marked_with_others() {
    let template =
        ChatTemplate::new("{% generation %}{{ messages[0].content }}{% endgeneration %}!", &[]).unwrap();
    let text = "a\u{fdd0}b\u{fdd1}ü";
    let marked = template.render_marked(&Chat::new([Message::assistant(text)])).unwrap();
    assert_eq!(
        (marked.text, marked.assistant.as_slice()),
        (format!("{text}!"), std::slice::from_ref(&(0..text.len())))
    );
}

#[test]
fn a_template_that_changes_what_its_tags_enclose_is_refused_where_parts_are_asked_for() {
    let text = "{% set said %}{% generation %} {{ messages[0].content }} {% endgeneration %}{% endset %}{{ said | trim }}";
    let template = ChatTemplate::new(text, &[]).unwrap();
    let chat = Chat::new([Message::assistant("Hi")]);
    assert_eq!(template.render(&chat).unwrap(), "Hi");
    assert!(template.render_marked(&chat).unwrap_err().to_string().contains("changes the text"));
}
