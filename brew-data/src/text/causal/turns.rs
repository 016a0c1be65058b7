//! What of a rendered chat has a loss: by the template's `{% generation %}` tags, or by comparing prefixes.
//!
//! The text of the messages before a turn, with the start of an answer, must be the beginning of the text of all, and so
//! must the text of the messages up to the turn; the turn lies between the two. A template that changes earlier turns when
//! later ones follow (Qwen3 drops their thoughts) does not have this property, and is refused.

use std::ops::Range;

use super::LossOn;
use crate::error::{Error, Result};
use crate::text::chat::conversation::Chat;
use crate::text::chat::template::ChatTemplate;

/// Which part of a text has a loss.
#[derive(Debug)]
pub(super) enum Trained {
    All,
    /// Every token that touches one of these ranges of bytes.
    Exactly(Vec<Range<usize>>),
    /// The same up to the last special token of a range, if nothing but white space follows it: what follows the token
    /// that ends a turn is the template's.
    UpToStop(Vec<Range<usize>>),
}

/// The text of a chat, and which part of it has a loss. The first `prompt` messages are the prompt of a completion.
pub(super) fn trained(
    template: &ChatTemplate,
    chat: &Chat,
    loss: LossOn,
    prompt: usize,
) -> Result<(String, Trained)> {
    let turns = chat.messages.iter().enumerate().filter(|(_, message)| message.role() == "assistant");
    let turns: Vec<usize> = turns.map(|(place, _)| place).collect();
    let wanted = match loss {
        LossOn::Everything => return Ok((template.render(chat)?, Trained::All)),
        LossOn::Completion => {
            let text = template.render(chat)?;
            let begins = beginning(template, chat, &text, prompt, true)?;
            let rest = begins..text.len();
            return Ok((text, Trained::UpToStop(vec![rest])));
        }
        LossOn::AssistantTurns => 0..turns.len(),
        LossOn::LastAssistantTurn => turns.len().saturating_sub(1)..turns.len(),
    };
    if template.marks_assistant(chat) {
        let mut marked = template.render_marked(chat)?;
        if loss == LossOn::LastAssistantTurn {
            if marked.assistant.len() != turns.len() {
                let message = format!(
                    "the chat template marks {} parts of {} turns of the assistant, so that its last turn cannot be told: \
                     choose LossOn::AssistantTurns, or a template with one `{{% generation %}}` block per turn",
                    marked.assistant.len(),
                    turns.len()
                );
                return Err(Error::format(template.path(), message));
            }
            marked.assistant.drain(..wanted.start);
        }
        return Ok((marked.text, Trained::Exactly(marked.assistant)));
    }
    let text = template.render(chat)?;
    let spans = turns[wanted].iter().map(|&turn| {
        let begins = beginning(template, chat, &text, turn, true)?;
        Ok(begins..beginning(template, chat, &text, turn + 1, false)?)
    });
    let spans = spans.collect::<Result<Vec<_>>>()?;
    Ok((text, Trained::UpToStop(spans)))
}

/// The length of the text of the first messages, which must be the beginning of the text of all.
fn beginning(
    template: &ChatTemplate,
    chat: &Chat,
    text: &str,
    messages: usize,
    answered: bool,
) -> Result<usize> {
    if messages == chat.messages.len() && !answered {
        return Ok(text.len());
    }
    let first = Chat { messages: chat.messages[..messages].to_vec(), tools: chat.tools.clone(), answered };
    let cannot = |why: &str| {
        let message = format!(
            "what the assistant wrote cannot be told apart: {why}. Use a variant of the template with `{{% generation %}}` \
             tags around the assistant's text, or train on everything, or, if only earlier turns are changed, on the last \
             turn (LossOn)"
        );
        Error::format(template.path(), message)
    };
    if messages == 0 {
        return Err(cannot("the chat begins with the assistant"));
    }
    let begins = template
        .render(&first)
        .map_err(|error| cannot(&format!("the first {messages} messages alone are refused ({error})")))?;
    if !text.starts_with(&begins) {
        let start = if answered { " with the start of an answer" } else { "" };
        return Err(cannot(&format!(
            "the chat template renders the first {messages} messages{start} otherwise than within all {}",
            chat.messages.len()
        )));
    }
    Ok(begins.len())
}
