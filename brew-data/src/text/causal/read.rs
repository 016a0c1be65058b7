//! The text of each row, and which bytes of it have a loss.

use minijinja::Value;
use minijinja::value::ValueKind;

use super::turns::{Trained, trained};
use super::{CausalRows, LossOn, Shape};
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::parse::columns::is_json;
use crate::text::cells::Cells;
use crate::text::chat::conversation::Chat;
use crate::text::chat::message::{Message, messages_of};

/// Who speaks in ShareGPT's rows, and the roles of chat templates.
const SPEAKERS: [(&str, &[&str]); 4] = [
    ("system", &["system"]),
    ("user", &["human", "user"]),
    ("assistant", &["gpt", "assistant", "chatgpt"]),
    ("tool", &["tool", "observation", "function_response"]),
];

/// The text of a row.
pub(super) struct RowText {
    pub(super) text: String,
    pub(super) trained: Trained,
    /// Whether the row is plain text: the tokenizer adds its special tokens, as a template has done in a chat.
    pub(super) is_plain: bool,
}

impl CausalRows {
    /// Whether the rows are messages.
    pub(super) fn is_chat(&self, dataset: &Dataset) -> Result<bool> {
        let is_text = |column: &str| -> Result<bool> {
            let field = dataset.field(column)?;
            use arrow::datatypes::DataType::{Dictionary, LargeUtf8, Utf8, Utf8View};
            let is_text = matches!(field.data_type(), Utf8 | LargeUtf8 | Utf8View | Dictionary(..));
            Ok(is_text && !is_json(field))
        };
        match &self.shape {
            Shape::Text(_) => Ok(false),
            Shape::Messages(_) => Ok(true),
            Shape::Prompt(column) => Ok(!is_text(column)?),
            Shape::Instructions { .. } => Ok(self.template.is_some()),
            Shape::Completion { prompt, completion } => match (is_text(prompt)?, is_text(completion)?) {
                (true, true) => Ok(false),
                (false, false) => Ok(true),
                _ => Err(Error::Setting(format!(
                    "the columns `{prompt}` and `{completion}` must be two texts, or two lists of messages"
                ))),
            },
        }
    }

    /// The texts of these rows.
    pub(super) fn texts(&self, cells: &Cells<'_>) -> Result<Vec<RowText>> {
        let is_chat = self.is_chat(cells.dataset)?;
        let plain = |text: String, prompt: usize| {
            let spans = match self.loss {
                LossOn::Everything => Trained::All,
                _ => Trained::Exactly(std::iter::once(prompt..text.len()).collect()),
            };
            RowText { text, trained: spans, is_plain: true }
        };
        match &self.shape {
            Shape::Text(column) => {
                Ok(cells.texts(column)?.into_iter().map(|text| plain(text.to_owned(), 0)).collect())
            }
            Shape::Prompt(column) if !is_chat => {
                Ok(cells.texts(column)?.into_iter().map(|text| plain(text.to_owned(), text.len())).collect())
            }
            Shape::Completion { prompt, completion } if !is_chat => {
                let pairs = cells.texts(prompt)?.into_iter().zip(cells.texts(completion)?);
                Ok(pairs.map(|(prompt, rest)| plain(format!("{prompt}{rest}"), prompt.len())).collect())
            }
            Shape::Instructions { instruction, input, output } => {
                let (instructions, answers) = (cells.texts(instruction)?, cells.texts(output)?);
                let rows = instructions.into_iter().zip(answers).enumerate();
                rows.map(|(row, (instruction, answer))| {
                    let given = cells.text_if_any(input, row)?.filter(|given| !given.is_empty());
                    let asked = given
                        .map_or_else(|| instruction.to_owned(), |given| format!("{instruction}\n\n{given}"));
                    if !is_chat {
                        let prompt = asked + "\n\n";
                        let length = prompt.len();
                        return Ok(plain(prompt + answer, length));
                    }
                    let chat = Chat::new([Message::user(&asked), Message::assistant(answer)]);
                    self.chat_text(cells, row, output, chat, 1)
                })
                .collect()
            }
            Shape::Prompt(column) | Shape::Messages(column) => (0..cells.rows())
                .map(|row| self.chat_text(cells, row, column, Chat::new(messages(cells, row, column)?), 0))
                .collect(),
            Shape::Completion { prompt, completion } => (0..cells.rows())
                .map(|row| {
                    let asked = messages(cells, row, prompt)?;
                    let answers = messages(cells, row, completion)?;
                    let length = asked.len();
                    let chat = Chat::new(asked.into_iter().chain(answers));
                    self.chat_text(cells, row, completion, chat, length)
                })
                .collect(),
        }
    }

    /// The rendered chat of a row whose first `prompt` messages are its prompt.
    fn chat_text(
        &self,
        cells: &Cells<'_>,
        row: usize,
        column: &str,
        mut chat: Chat,
        prompt: usize,
    ) -> Result<RowText> {
        let bad = |message: String| cells.bad(row, column, message);
        let Some(template) = &self.template else {
            return Err(bad("messages need a chat template".to_owned()));
        };
        if let Some(tools) = &self.tools {
            chat.tools = Some(cells.json(tools, row)?).filter(|tools| !tools.is_none());
        }
        let asked = if self.has_labels() { prompt } else { chat.messages.len() };
        if asked > 0 && chat.messages[asked - 1].role() == "assistant" {
            return Err(
                bad("the prompt ends with a message of the assistant, which is to follow".to_owned()),
            );
        }
        let rendered = if self.has_labels() {
            trained(template, &chat, self.loss, prompt)
        } else {
            template.render(&chat.answered()).map(|text| (text, Trained::Exactly(Vec::new())))
        };
        let (text, trained) = rendered.map_err(|error| bad(error.to_string()))?;
        Ok(RowText { text, trained, is_plain: false })
    }
}

/// The messages of a row.
fn messages(cells: &Cells<'_>, row: usize, column: &str) -> Result<Vec<Message>> {
    let bad = |message: String| cells.bad(row, column, message);
    let value = cells.json(column, row)?;
    let items: Vec<Value> = value.try_iter().into_iter().flatten().collect();
    let is_shared = |item: &Value| {
        item.kind() == ValueKind::Map
            && item.get_attr("from").is_ok_and(|from| from.as_str().is_some())
            && item.get_attr("role").is_ok_and(|role| role.is_undefined())
    };
    if value.kind() == ValueKind::Seq && items.iter().any(is_shared) {
        let shared = items.iter().enumerate().map(|(place, item)| {
            let text =
                |key: &str| item.get_attr(key).ok().and_then(|value| value.as_str().map(str::to_owned));
            let (Some(from), Some(said)) = (text("from"), text("value")) else {
                return Err(bad(format!(
                    "message {place} has no text `from` and `value`, as the ones before it"
                )));
            };
            let role =
                SPEAKERS.iter().find(|(_, names)| names.contains(&from.as_str())).map(|(role, _)| *role);
            let role = role.ok_or_else(|| {
                bad(format!(
                    "message {place} is from `{from}`, whose role is not known: write `role` and `content`"
                ))
            })?;
            Ok(Message::new(role, &said))
        });
        return shared.collect();
    }
    let messages = messages_of(&value).map_err(bad)?;
    if messages.is_empty() { Err(bad("there are no messages".to_owned())) } else { Ok(messages) }
}
