//! Rows for language models: what a row's columns are, which tokens have a loss, and what happens to long rows.
//!
//! `check.rs` rejects declarations that cannot work, `read.rs` turns columns into texts, `turns.rs` finds what the assistant wrote, `encode.rs` makes tokens and labels,
//! and `tally.rs` counts them.

mod check;
mod encode;
mod read;
pub(crate) mod tally;
mod turns;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field};

use self::tally::Tally;
use super::cells::{Cells, Lists};
use super::chat::template::ChatTemplate;
use super::tokenizer::Tokenizer;
use crate::error::Result;

/// The tokens of a row that a language model learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossOn {
    /// All of them.
    Everything,
    /// What follows the prompt.
    Completion,
    /// Every answer of the assistant, with the token that ends it.
    AssistantTurns,
    /// The assistant's last answer: the earlier ones are part of the prompt.
    LastAssistantTurn,
}

/// What happens to a row with too many tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truncate {
    /// It is an error that names the row.
    Never,
    /// The end is cut off. No end-of-sequence token is made up for it.
    End,
    /// The start of the prompt is cut off, except for a token that begins every text. If what has a loss is too long by
    /// itself, its end is cut off too.
    PromptStart,
}

/// The columns of a row.
#[derive(Debug, Clone)]
enum Shape {
    Text(String),
    Prompt(String),
    Completion { prompt: String, completion: String },
    Messages(String),
    Instructions { instruction: String, input: String, output: String },
}

/// What the rows of a table are to a language model. [`Tokenize::causal`](crate::Tokenize::causal) makes tokens of them.
///
/// | constructor | columns | loss by default |
/// |---|---|---|
/// | [`text`](Self::text) | a text | everything |
/// | [`completions`](Self::completions) | prompt and completion: two texts, or two lists of messages | the completion |
/// | [`instructions`](Self::instructions) | instruction, input, and output, as in Alpaca | the output |
/// | [`messages`](Self::messages) | a list of messages, `role` and `content` or ShareGPT's `from` and `value` | the assistant's turns |
/// | [`prompts`](Self::prompts) | a prompt: a text, or a list of messages | no labels |
///
/// Messages need the [`template`](Self::template) of the model. A column of messages is a list of objects: from JSON, or
/// from Parquet or Arrow (a list of structs). [`messages`](Self::messages) also reads JSON text in a column of any format.
///
/// ```
/// use brew_data::{CausalRows, ChatTemplate, Dataset, Tokenize, Tokenizer, TooLong, Truncate};
///
/// # fn main() -> brew_data::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let (data, cache) = (folder.path().join("chats.json"), folder.path());
/// # let chat = r#"{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}]}"#;
/// # std::fs::write(&data, format!("[{chat}, {chat}]")).unwrap();
/// # let model = folder.path();
/// # let fixture = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/chat"));
/// # std::fs::copy(fixture.join("tokenizer/tokenizer.json"), model.join("tokenizer.json")).unwrap();
/// # std::fs::copy(fixture.join("templates/plain.jinja"), model.join("chat_template.jinja")).unwrap();
/// let (tokenizer, template) = (Tokenizer::from_folder(model)?, ChatTemplate::from_folder(model)?);
/// let rows = CausalRows::messages("messages").template(&template).truncate(Truncate::PromptStart);
/// let tokens = Dataset::open(data)?.tokenize(&tokenizer, &Tokenize::causal(rows, 1024), cache)?;
/// let packed = tokens.pack(1024, TooLong::Refuse, cache)?;
/// assert_eq!((tokens.rows(), packed.rows()), (2, 1));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct CausalRows {
    shape: Shape,
    loss: LossOn,
    template: Option<ChatTemplate>,
    tools: Option<String>,
    truncate: Truncate,
}

impl CausalRows {
    /// A text, all of whose tokens are learnt, and an end-of-sequence token after it.
    pub fn text(column: &str) -> Self {
        Self::of(Shape::Text(column.to_owned()), LossOn::Everything)
    }

    /// A prompt and its completion. Two texts are tokenised as one, with an end-of-sequence token after it; a token that
    /// contains both the prompt's last letters and the completion's first ones counts as completion.
    pub fn completions(prompt: &str, completion: &str) -> Self {
        let [prompt, completion] = [prompt, completion].map(str::to_owned);
        Self::of(Shape::Completion { prompt, completion }, LossOn::Completion)
    }

    /// An instruction, its input (empty or missing where there is none), and the output. With a template, these are a
    /// user's message, with an empty line between the two, and the assistant's; otherwise the prompt is the same text
    /// and an empty line.
    pub fn instructions(instruction: &str, input: &str, output: &str) -> Self {
        let [instruction, input, output] = [instruction, input, output].map(str::to_owned);
        Self::of(Shape::Instructions { instruction, input, output }, LossOn::Completion)
    }

    /// A list of messages.
    pub fn messages(column: &str) -> Self {
        Self::of(Shape::Messages(column.to_owned()), LossOn::AssistantTurns)
    }

    /// A prompt to answer: messages end with the start of the answer, and there are no labels.
    pub fn prompts(column: &str) -> Self {
        Self::of(Shape::Prompt(column.to_owned()), LossOn::Completion)
    }

    fn of(shape: Shape, loss: LossOn) -> Self {
        CausalRows { shape, loss, template: None, tools: None, truncate: Truncate::Never }
    }

    /// Renders messages with this template; with columns of plain text it is an error. Its text, special tokens, and
    /// arguments are part of the cache's key.
    pub fn template(mut self, template: &ChatTemplate) -> Self {
        self.template = Some(template.clone());
        self
    }

    /// Passes this column to the template as the tools of a row: a list of objects, JSON text, or null.
    pub fn tools(mut self, column: &str) -> Self {
        self.tools = Some(column.to_owned());
        self
    }

    /// Chooses the tokens that have a loss.
    pub fn loss_on(mut self, loss: LossOn) -> Self {
        self.loss = loss;
        self
    }

    /// Shortens rows with too many tokens; otherwise they are an error.
    pub fn truncate(mut self, truncate: Truncate) -> Self {
        self.truncate = truncate;
        self
    }

    /// The columns in which no value may be missing.
    pub(super) fn required(&self) -> Vec<&str> {
        match &self.shape {
            Shape::Text(column) | Shape::Prompt(column) | Shape::Messages(column) => vec![column],
            Shape::Completion { prompt, completion } => vec![prompt, completion],
            Shape::Instructions { instruction, output, .. } => vec![instruction, output],
        }
    }

    /// The columns that are read.
    pub(super) fn read(&self) -> Vec<&str> {
        let input = match &self.shape {
            Shape::Instructions { input, .. } => Some(input),
            _ => None,
        };
        self.required().into_iter().chain(input.into_iter().chain(&self.tools).map(String::as_str)).collect()
    }

    pub(super) fn has_labels(&self) -> bool {
        !matches!(self.shape, Shape::Prompt(_))
    }

    /// The columns that are made besides ids and mask.
    pub(super) fn made(&self) -> Vec<Field> {
        let labels = self.has_labels().then(|| Lists::field("labels"));
        labels.into_iter().chain([Field::new("truncated", DataType::Int32, false)]).collect()
    }

    /// The columns made from some rows.
    pub(super) fn make(
        &self,
        tokenizer: &Tokenizer,
        max_length: usize,
        cells: &Cells<'_>,
        tally: &mut Tally,
    ) -> Result<Vec<ArrayRef>> {
        let texts = self.texts(cells)?;
        self.encode(tokenizer, max_length, cells, texts, tally)
    }
}
