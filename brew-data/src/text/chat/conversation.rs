//! A chat: what a template renders.

use minijinja::Value;
use minijinja::value::{Serde, ValueKind};
use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Serialize};

use super::message::{Message, messages_of};
use crate::error::{Error, Result};

/// What a template renders: messages, tools, and whether an answer is to follow.
///
/// ```
/// use brew_data::{Chat, Message};
///
/// let chat = Chat::new([Message::user("What is the capital of France?")]).answered();
/// let same = Chat::from_json(r#"[{"role": "user", "content": "What is the capital of France?"}]"#)?;
/// assert_eq!(chat, same.answered());
/// # Ok::<(), brew_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[must_use]
pub struct Chat {
    pub(crate) messages: Vec<Message>,
    pub(crate) tools: Option<Value>,
    pub(crate) answered: bool,
}

impl Chat {
    /// From a list of messages, or from an object.
    fn of(value: &Value) -> Result<Self, String> {
        if value.kind() != ValueKind::Map {
            return messages_of(value).map(Self::new);
        }
        let mut chat = Chat::default();
        for key in value.try_iter().map_err(|error| error.to_string())? {
            let member = value.get_item(&key).map_err(|error| error.to_string())?;
            match key.as_str() {
                Some("messages") => chat.messages = messages_of(&member)?,
                Some("tools") => chat.tools = Some(member).filter(|tools| !tools.is_none()),
                Some("add_generation_prompt") => chat.answered = member.is_true(),
                _ => {
                    return Err(format!(
                        "`{key}` is none of `messages`, `tools`, and `add_generation_prompt`"
                    ));
                }
            }
        }
        Ok(chat)
    }
}

impl Serialize for Chat {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut chat = serializer.serialize_struct("Chat", 3)?;
        chat.serialize_field("messages", &self.messages)?;
        chat.serialize_field("tools", &self.tools)?;
        chat.serialize_field("add_generation_prompt", &self.answered)?;
        chat.end()
    }
}

impl<'de> Deserialize<'de> for Chat {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Chat::of(&Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl Chat {
    /// A chat of these messages.
    pub fn new(messages: impl IntoIterator<Item = Message>) -> Self {
        Chat { messages: messages.into_iter().collect(), tools: None, answered: false }
    }

    /// A chat from JSON: a list of messages, or an object with `messages`, and perhaps `tools` and
    /// `add_generation_prompt`.
    ///
    /// # Errors
    /// The text is neither; a message has no `role`.
    pub fn from_json(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|error| Error::Setting(format!("this is not a chat: {error}")))
    }

    /// The tools that the model may call: a list of JSON schemas.
    pub fn tools(mut self, tools: impl Serialize) -> Self {
        self.tools = Some(Value::from(Serde(tools)));
        self
    }

    /// Ends the text with the start of the model's answer (`add_generation_prompt`).
    pub fn answered(mut self) -> Self {
        self.answered = true;
        self
    }
}
