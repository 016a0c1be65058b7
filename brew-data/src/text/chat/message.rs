//! A message of a chat: who speaks, what is said, and what else a template reads.

use std::fmt;

use minijinja::Value;
use minijinja::value::{Serde, ValueKind};
use serde::{Deserialize, Serialize};

/// The names of a message's reasoning, the standard one first.
const REASONING: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];

/// One message of a chat: a `role`, usually `content`, and any other fields that a template reads, such as
/// `tool_calls`, `tool_call_id`, or `reasoning_content`. In JSON it is an object with these fields.
///
/// ```
/// use brew_data::Message;
///
/// let asked = Message::user("What is the capital of France?");
/// let thought = Message::assistant("Paris.").with("reasoning_content", "An easy one.");
/// assert_eq!((asked.role(), thought.role()), ("user", "assistant"));
/// ```
#[derive(Clone, PartialEq)]
pub struct Message {
    role: String,
    /// All fields, `role` among them, in their order.
    fields: Vec<(String, Value)>,
}

impl Message {
    /// A message of this role with this text.
    pub fn new(role: &str, content: &str) -> Self {
        let fields = [("role", role), ("content", content)];
        Message {
            role: role.to_owned(),
            fields: fields.map(|(key, value)| (key.to_owned(), Value::from(value))).to_vec(),
        }
    }

    /// Instructions for the whole chat.
    pub fn system(content: &str) -> Self {
        Self::new("system", content)
    }

    /// What the user says.
    pub fn user(content: &str) -> Self {
        Self::new("user", content)
    }

    /// What the model answers.
    pub fn assistant(content: &str) -> Self {
        Self::new("assistant", content)
    }

    /// Adds a field, or replaces it.
    #[must_use]
    pub fn with(mut self, field: &str, value: impl Serialize) -> Self {
        let value = Value::from(Serde(value));
        match self.fields.iter_mut().find(|(key, _)| key == field) {
            Some((_, old)) => *old = value,
            None => self.fields.push((field.to_owned(), value)),
        }
        self
    }

    /// Who speaks.
    pub fn role(&self) -> &str {
        &self.role
    }

    /// A message from an object with a `role`; the text of an error continues "the message".
    pub(crate) fn of(value: &Value) -> Result<Self, String> {
        if value.kind() != ValueKind::Map {
            return Err(format!("is {} in place of an object with a `role`", value.kind()));
        }
        let mut fields = Vec::new();
        for key in value.try_iter().map_err(|error| format!("cannot be read: {error}"))? {
            let field = value.get_item(&key).map_err(|error| format!("cannot be read: {error}"))?;
            fields.push((key.to_string(), field));
        }
        let role = fields.iter().find(|(key, _)| key == "role").and_then(|(_, role)| role.as_str());
        let role = role.ok_or("has no `role`, which must be text such as `user` or `assistant`")?.to_owned();
        Ok(Message { role, fields })
    }

    /// The fields as a template reads them. As in transformers, those without a value are left out, and
    /// reasoning has both its names. Arguments of tool calls that are JSON text become the object they
    /// describe if `parsed`: most templates read their members.
    pub(super) fn value(&self, parsed: bool) -> Value {
        let given = self.fields.iter().filter(|(_, value)| !value.is_none() && !value.is_undefined());
        let mut fields: Vec<(String, Value)> = given.cloned().collect();
        let field = |key: &str| fields.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone());
        if let Some(reasoning) = REASONING.iter().find_map(|key| field(key)) {
            if field("thinking").is_none() {
                fields.insert(0, ("thinking".to_owned(), reasoning.clone()));
            }
            match fields.iter_mut().find(|(key, _)| key == REASONING[0]) {
                Some((_, old)) => *old = reasoning,
                None => fields.push((REASONING[0].to_owned(), reasoning)),
            }
        }
        if parsed && let Some((_, calls)) = fields.iter_mut().find(|(key, _)| key == "tool_calls") {
            *calls = mapped(calls, &|_, call| with_parsed_arguments(call));
        }
        Value::from_pairs(fields)
    }

    /// Whether a tool call's arguments are text.
    pub(super) fn has_arguments_as_text(&self) -> bool {
        self.value(true) != self.value(false)
    }
}

/// A tool call, or the function within it, whose `arguments` are no longer JSON text.
fn with_parsed_arguments(call: &Value) -> Value {
    mapped(call, &|key, value| match (key, value.as_str()) {
        (Some("function"), None) => with_parsed_arguments(value),
        (Some("arguments"), Some(text)) => match serde_json::from_str::<Value>(text) {
            Ok(object) if object.kind() == ValueKind::Map => object,
            _ => value.clone(),
        },
        _ => value.clone(),
    })
}

/// A map or list with `of` applied to each member and its key; any other value as it is.
fn mapped(value: &Value, of: &dyn Fn(Option<&str>, &Value) -> Value) -> Value {
    let members = |value: &Value| value.try_iter().into_iter().flatten().collect::<Vec<_>>();
    match value.kind() {
        ValueKind::Map => Value::from_pairs(members(value).into_iter().map(|key| {
            let member = value.get_item(&key).unwrap_or_default();
            let member = of(key.as_str(), &member);
            (key, member)
        })),
        ValueKind::Seq => Value::from(members(value).iter().map(|item| of(None, item)).collect::<Vec<_>>()),
        _ => value.clone(),
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = self.fields.iter().map(|(key, value)| (key, value));
        formatter.debug_map().entries(fields).finish()
    }
}

impl Serialize for Message {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.fields.iter().map(|(key, value)| (key, value)))
    }
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Message::of(&value).map_err(|error| serde::de::Error::custom(format!("the message {error}")))
    }
}

/// Messages from a list; the text of an error says what is wrong with which.
pub(crate) fn messages_of(value: &Value) -> Result<Vec<Message>, String> {
    if !matches!(value.kind(), ValueKind::Seq) {
        return Err(format!(
            "messages are a list of objects with a `role` each, and this is a {}",
            value.kind()
        ));
    }
    let messages = value.try_iter().map_err(|error| error.to_string())?.enumerate();
    messages
        .map(|(place, message)| Message::of(&message).map_err(|error| format!("message {place} {error}")))
        .collect()
}
