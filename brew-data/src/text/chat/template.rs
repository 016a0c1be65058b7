//! A model's chat template: messages in, the text that the model was trained on out.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use brew_core::model::ModelFiles;
use minijinja::Value;
use minijinja::value::Serde;
use serde::Serialize;

use super::compiled::{Compiled, Templates, in_template};
use super::conversation::Chat;
use super::files::{self, DEFAULT, Source};
use super::generation::{self, MARKS};
use crate::error::{Error, Result};
use crate::text::tokenizer_folder::special_tokens;

/// Turns a chat into the text that a model reads, as transformers' `apply_chat_template` does.
///
/// ```
/// use brew_data::{Chat, ChatTemplate, Message};
///
/// let template = ChatTemplate::new(
///     "{% for message in messages %}<{{ message.role }}>{{ message.content }}{{ eos_token }}{% endfor %}",
///     &[("eos_token", "</s>")],
/// )?;
/// assert_eq!(template.render(&Chat::new([Message::user("Hi")]))?, "<user>Hi</s>");
/// # Ok::<(), brew_data::Error>(())
/// ```
#[derive(Clone)]
pub struct ChatTemplate {
    templates: Arc<Templates>,
    /// Special tokens by name, and the arguments, which replace them.
    given: BTreeMap<String, Value>,
}

/// A rendered chat, and the parts of it that the assistant wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkedText {
    /// The text, equal to that of [`ChatTemplate::render`].
    pub text: String,
    /// Ranges of bytes, in order and without overlap.
    pub assistant: Vec<Range<usize>>,
}

impl ChatTemplate {
    /// The chat template of a model's folder or GGUF file: `chat_template.jinja` if there is one, otherwise
    /// `chat_template` in `tokenizer_config.json`. Where a template is named `tool_use`, chats with tools use it. The special tokens
    /// that a template reads (`bos_token`, `eos_token`, …) are those of the folder's tokenizer.
    ///
    /// # Errors
    /// The folder has no template; there are several and none is named `default`; a file cannot be read; a
    /// template is not valid, by file and line.
    pub fn from_folder(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let model = ModelFiles::open(folder).map_err(Error::of_model)?;
        let sources = files::read(&model, folder)?;
        if sources.iter().all(|source| source.name != DEFAULT) {
            let names: Vec<String> = sources.iter().map(|source| format!("`{}`", source.name)).collect();
            let message = format!(
                "the chat templates are named {}, and none is named `{DEFAULT}`: rename the one to use",
                names.join(", ")
            );
            return Err(Error::format(&sources[0].path, message));
        }
        let tokens = special_tokens(&model)?;
        let given = tokens.into_iter().map(|(name, token)| (name, Value::from(token))).collect();
        Ok(ChatTemplate { templates: Arc::new(Templates::compile(folder, sources)?), given })
    }

    /// A template from its text, with the special tokens that it reads by name, such as `eos_token`.
    ///
    /// # Errors
    /// The template is not valid, by line.
    pub fn new(template: &str, special_tokens: &[(&str, &str)]) -> Result<Self> {
        let path = PathBuf::from("chat template");
        let source = Source { name: DEFAULT.to_owned(), text: template.to_owned(), path, is_file: true };
        let templates = Templates::compile(&source.path.clone(), vec![source])?;
        let given =
            special_tokens.iter().map(|&(name, token)| (name.to_owned(), Value::from(token))).collect();
        Ok(ChatTemplate { templates: Arc::new(templates), given })
    }

    /// Passes an argument to the template at each rendering, such as `enable_thinking`; what arguments a template
    /// reads is its own affair. It may replace a special token.
    #[must_use]
    pub fn with_argument(mut self, name: &str, value: impl Serialize) -> Self {
        self.given.insert(name.to_owned(), Value::from(Serde(value)));
        self
    }

    /// The text of a chat.
    ///
    /// A message's fields without a value are left out, reasoning is given under both of its names
    /// (`reasoning_content` and `thinking`), and arguments of tool calls that are JSON text become objects
    /// unless the template takes them as text alone.
    ///
    /// # Errors
    /// There is no message, or the template fails or refuses the chat, by file and line.
    pub fn render(&self, chat: &Chat) -> Result<String> {
        self.rendered(chat, None)
    }

    /// The text of a chat, and what of it the assistant wrote according to the template's `{% generation %}` tags.
    ///
    /// # Errors
    /// As [`render`](Self::render); the template has no such tags, or changes the text that they enclose.
    pub fn render_marked(&self, chat: &Chat) -> Result<MarkedText> {
        let Compiled { source, marks } = self.chosen(chat);
        let failed = |message: &str| Error::format(&source.path, message);
        if !marks {
            return Err(failed(
                "the chat template has no `{% generation %}` tags around what the assistant writes",
            ));
        }
        let values: Vec<Value> =
            self.values(chat, true).into_iter().chain(self.given.values().cloned()).collect();
        let marks = generation::marks(&values.iter().collect::<Vec<_>>(), &source.text).ok_or_else(|| {
            failed("the chat contains all of the characters U+FDD0 to U+FDEF, which are no text")
        })?;
        let marked = generation::spans(&self.rendered(chat, Some(marks))?, marks);
        let (text, assistant) =
            marked.filter(|(text, _)| self.render(chat).is_ok_and(|plain| plain == *text)).ok_or_else(
                || failed("the chat template changes the text between its `{% generation %}` tags"),
            )?;
        Ok(MarkedText { text, assistant })
    }

    /// Whether the template says what the assistant wrote, so that [`render_marked`](Self::render_marked) works.
    pub fn marks_assistant(&self, chat: &Chat) -> bool {
        self.chosen(chat).marks
    }

    /// A special token, or an argument that is text, by the name under which the template reads it.
    pub fn token(&self, name: &str) -> Option<&str> {
        self.given.get(name).and_then(Value::as_str)
    }

    /// The hash of everything that decides a chat's text: templates, special tokens, and arguments. A template that
    /// reads the date (`strftime_now`) also depends on the day.
    pub fn hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        let mut add = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        for Compiled { source, .. } in &self.templates.compiled {
            add(&source.name);
            add(&source.text);
        }
        for (name, value) in &self.given {
            add(name);
            add(&format!("{value:?}"));
        }
        hasher.finalize().to_hex().to_string()
    }

    /// What errors name.
    pub(crate) fn path(&self) -> &Path {
        &self.templates.place
    }

    /// The template that this chat uses.
    fn chosen(&self, chat: &Chat) -> &Compiled {
        let named = |name: &str| self.templates.compiled.iter().find(|one| one.source.name == name);
        let of_tools = chat.tools.as_ref().and_then(|_| named("tool_use"));
        of_tools.or_else(|| named(DEFAULT)).unwrap_or(&self.templates.compiled[0])
    }

    /// The messages and tools of a chat.
    fn values(&self, chat: &Chat, parsed: bool) -> Vec<Value> {
        let messages: Vec<Value> = chat.messages.iter().map(|message| message.value(parsed)).collect();
        vec![Value::from(messages), chat.tools.clone().unwrap_or_else(|| Value::from(()))]
    }

    fn rendered(&self, chat: &Chat, marks: Option<[char; 2]>) -> Result<String> {
        let source = &self.chosen(chat).source;
        if chat.messages.is_empty() {
            return Err(Error::format(&source.path, "a chat has at least one message"));
        }
        let render = |parsed: bool| {
            let mut context = self.given.clone();
            let [messages, tools] = <[Value; 2]>::try_from(self.values(chat, parsed)).unwrap_or_default();
            context.insert("messages".to_owned(), messages);
            context.insert("tools".to_owned(), tools);
            context.insert("documents".to_owned(), Value::from(()));
            context.insert("add_generation_prompt".to_owned(), Value::from(chat.answered));
            if let Some(marks) = marks {
                context.insert(MARKS.to_owned(), Value::from(marks.map(String::from).to_vec()));
            }
            self.templates.environment.get_template(&source.name)?.render(Value::from(context))
        };
        let text = render(true).or_else(|error| {
            // Templates that put the arguments after text take them only as text.
            let as_text = chat.messages.iter().any(super::message::Message::has_arguments_as_text);
            if as_text { render(false).map_err(|_| error) } else { Err(error) }
        });
        text.map_err(|error| in_template(source, &error))
    }
}

/// Shows the hash alone, which is what cache keys are made of: two templates in two folders are equal if they render
/// alike.
impl fmt::Debug for ChatTemplate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ChatTemplate").field("hash", &self.hash()).finish_non_exhaustive()
    }
}
