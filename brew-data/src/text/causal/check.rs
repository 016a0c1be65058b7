//! Rejects declarations that do not fit together, or do not fit the table.

use super::{CausalRows, LossOn, Shape};
use crate::dataset::Dataset;
use crate::error::{Error, Result};

impl CausalRows {
    /// Rejects settings that do not fit together or the table.
    pub(in crate::text) fn check(&self, dataset: &Dataset, max_length: usize) -> Result<()> {
        let refuse = |message: &str| Err(Error::Setting(message.to_owned()));
        let is_chat = self.is_chat(dataset)?;
        if max_length == 0 {
            return refuse("a maximum length of 0 leaves no room for a token");
        }
        match (&self.shape, self.loss) {
            (Shape::Messages(_), LossOn::Completion) => {
                return refuse(
                    "messages have no completion: choose LossOn::AssistantTurns, LastAssistantTurn, or Everything",
                );
            }
            (_, LossOn::AssistantTurns | LossOn::LastAssistantTurn) if !is_chat => {
                return refuse("text has no assistant's turns: choose LossOn::Completion or Everything");
            }
            (Shape::Text(_), LossOn::Completion) => {
                return refuse("a text has no completion: choose LossOn::Everything");
            }
            _ => {}
        }
        if is_chat && self.template.is_none() {
            return refuse(
                "messages need a chat template: add `.template(&ChatTemplate::from_folder(model)?)` with the folder of \
                 the model that learns from them",
            );
        }
        if !is_chat && self.template.is_some() {
            return refuse(
                "a chat template was given, but the columns are plain text, which no template renders: leave out \
                 `.template(…)`, or give lists of messages (JSON text of messages in a text column is read by \
                 `CausalRows::messages` only)",
            );
        }
        if !is_chat && let Some(tools) = &self.tools {
            return refuse(&format!(
                "`{tools}` was declared as tools, and only the template of messages reads tools"
            ));
        }
        // Left unread, both would change what the model learns without a word.
        let has = |name: &str| {
            let is_within =
                |column: &str| column.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
            is_chat && dataset.columns().into_iter().any(|column| column == name || is_within(column))
        };
        if self.tools.is_none() && has("tools") {
            return refuse(
                "the table has a column `tools`, which templates read: add `.tools(\"tools\")`, or leave the column out \
                 with `Dataset::only`",
            );
        }
        if has("chat_template_kwargs") {
            return refuse(
                "the table has template arguments per row (`chat_template_kwargs`), which are not supported yet: leave \
                 them out with `Dataset::only`, and give all rows the same with `ChatTemplate::with_argument`",
            );
        }
        Ok(())
    }
}
