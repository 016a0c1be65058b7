//! A saved language model that continues text: tokenizer, model, and settings in one.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use brew_core::generate::{GenerationConfig, Prompts, generate_streaming};
use brew_core::model::DecoderForCausalLm;
use brew_core::tch::Device;
use brew_core::{Error, Result};

use super::chat::conversation::Chat;
use super::chat::template::ChatTemplate;
use super::streamed::Streamed;
use super::tokenizer::Tokenizer;

/// Who is told what was added to which answer.
type Listener<'l> = Option<&'l mut dyn FnMut(usize, &str) -> Result<()>>;

/// A language model with its tokenizer.
///
/// ```no_run
/// use brew_core::prelude::*;
/// use brew_data::prelude::*;
///
/// # fn main() -> Result<()> {
/// let student = TextGenerator::from_pretrained("models/student", Device::Cpu)?;
/// for written in student.generate(&["The capital of France is"])? {
///     println!("{}", written.text);
/// }
/// # Ok(())
/// # }
/// ```
///
/// Like [`TextClassifier`](crate::TextClassifier), it is `Send` but not `Sync`.
#[derive(Debug)]
pub struct TextGenerator {
    model: DecoderForCausalLm,
    tokenizer: Tokenizer,
    config: GenerationConfig,
    /// The template set, or the folder's once it is needed.
    template: OnceCell<ChatTemplate>,
    /// The folder that may have a template.
    folder: Option<PathBuf>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The tokens of the prompt.
    pub prompt: Vec<i64>,
    /// The tokens of the answer, with the one that ended it.
    pub ids: Vec<i64>,
    /// Their text, without special tokens.
    pub text: String,
    /// Whether the answer ended by itself, and not because it reached the limit.
    pub ended: bool,
}

impl TextGenerator {
    /// Loads a Hugging Face folder: `config.json`, the weights, the tokenizer's files and, if it has one,
    /// `generation_config.json`.
    ///
    /// # Errors
    /// The folder has no tokenizer or no language model, its files cannot be read, or `generation_config.json` asks for
    /// what is not supported.
    pub fn from_pretrained(folder: impl AsRef<Path>, device: Device) -> Result<Self> {
        let folder = folder.as_ref();
        let tokenizer = Tokenizer::from_folder(folder)?;
        let model = DecoderForCausalLm::from_pretrained(folder, device)?;
        let config = GenerationConfig::of(&model).with_file_of(folder)?;
        let generator = Self::new(model, tokenizer).with_config(config);
        Ok(TextGenerator { folder: Some(folder.to_owned()), ..generator })
    }

    /// A model in memory, with the tokenizer that made its data, and default settings.
    pub fn new(model: DecoderForCausalLm, tokenizer: Tokenizer) -> Self {
        TextGenerator {
            config: GenerationConfig::of(&model),
            model,
            tokenizer,
            template: OnceCell::new(),
            folder: None,
        }
    }

    /// The same generator with other settings.
    ///
    /// ```no_run
    /// # use brew_core::prelude::*;
    /// # use brew_data::prelude::*;
    /// # fn main() -> Result<()> {
    /// use brew_core::generate::GenerationConfig;
    ///
    /// let student = TextGenerator::from_pretrained("models/student", Device::Cpu)?;
    /// let config = GenerationConfig { do_sample: true, temperature: 0.7, top_p: 0.9, ..student.config().clone() };
    /// let student = student.with_config(config);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_config(self, config: GenerationConfig) -> Self {
        TextGenerator { config, ..self }
    }

    /// The same generator with this chat template instead of the folder's, or with the folder's and arguments of one's own.
    #[must_use]
    pub fn with_template(self, template: ChatTemplate) -> Self {
        TextGenerator { template: OnceCell::from(template), ..self }
    }

    /// The settings: those of the folder over the defaults.
    pub fn config(&self) -> &GenerationConfig {
        &self.config
    }

    /// The model.
    pub fn model(&self) -> &DecoderForCausalLm {
        &self.model
    }

    /// Continues each text, all in one batch; several answers to one prompt follow each other.
    ///
    /// # Errors
    /// Those of [`generate`](fn@brew_core::generate::generate), among them a prompt too long for the model; the tokenizer
    /// rejects a text.
    pub fn generate(&self, prompts: &[&str]) -> Result<Vec<Written>> {
        self.texts(prompts, None)
    }

    /// As [`generate`](Self::generate), and calls `told` with the number of an answer and the text that was added to it,
    /// as soon as its characters are complete.
    ///
    /// ```no_run
    /// # use brew_core::prelude::*;
    /// # use brew_data::prelude::*;
    /// # fn main() -> Result<()> {
    /// # let student = TextGenerator::from_pretrained("models/student", Device::Cpu)?;
    /// student.generate_streaming(&["Once upon a time"], |_, text| {
    ///     print!("{text}");
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`generate`](Self::generate), and those of `told`, which end the generation.
    pub fn generate_streaming(
        &self,
        prompts: &[&str],
        mut told: impl FnMut(usize, &str) -> Result<()>,
    ) -> Result<Vec<Written>> {
        self.texts(prompts, Some(&mut told))
    }

    fn texts(&self, prompts: &[&str], listener: Listener<'_>) -> Result<Vec<Written>> {
        let encodings = self.tokenizer.encode_all(prompts.to_vec())?;
        let tokens = encodings.iter().map(|one| one.get_ids()[self.tokenizer.of_prompt(one)].to_vec());
        self.continued(tokens, &self.config, listener)
    }

    /// Answers each chat, as its template writes it. An answer also ends at the template's `eos_token`.
    ///
    /// ```no_run
    /// use brew_core::prelude::*;
    /// use brew_data::prelude::*;
    /// use brew_data::{Chat, Message};
    ///
    /// # fn main() -> Result<()> {
    /// let student = TextGenerator::from_pretrained("models/student", Device::Cpu)?;
    /// let chat = Chat::new([Message::user("What is the capital of France?")]);
    /// println!("{}", student.chat(&[chat])?[0].text);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`generate`](Self::generate); there is no template, or it refuses a chat.
    pub fn chat(&self, chats: &[Chat]) -> Result<Vec<Written>> {
        self.answers(chats, None)
    }

    /// As [`chat`](Self::chat), and calls `told` as [`generate_streaming`](Self::generate_streaming) does.
    ///
    /// # Errors
    /// As [`chat`](Self::chat), and those of `told`, which end the generation.
    pub fn chat_streaming(
        &self,
        chats: &[Chat],
        mut told: impl FnMut(usize, &str) -> Result<()>,
    ) -> Result<Vec<Written>> {
        self.answers(chats, Some(&mut told))
    }

    fn answers(&self, chats: &[Chat], listener: Listener<'_>) -> Result<Vec<Written>> {
        let template = self.template()?;
        let texts = chats.iter().map(|chat| Ok(template.render(&chat.clone().answered())?));
        let texts = texts.collect::<Result<Vec<String>>>()?;
        let tokens = self.tokenizer.encode_rendered(&texts.iter().map(String::as_str).collect::<Vec<_>>())?;
        let mut config = self.config.clone();
        config.stop_at(template.token("eos_token").and_then(|token| self.tokenizer.id_of(token)));
        self.continued(tokens.into_iter().map(|tokens| tokens.input_ids), &config, listener)
    }

    /// The template set, or the folder's, read once.
    fn template(&self) -> Result<&ChatTemplate> {
        if let Some(template) = self.template.get() {
            return Ok(template);
        }
        let Some(folder) = &self.folder else {
            return Err(Error::invalid("there is no chat template: set one with `with_template`"));
        };
        let found = ChatTemplate::from_folder(folder)?;
        Ok(self.template.get_or_init(|| found))
    }

    fn continued(
        &self,
        prompts: impl Iterator<Item = Vec<u32>>,
        config: &GenerationConfig,
        mut listener: Listener<'_>,
    ) -> Result<Vec<Written>> {
        let prompts = Prompts::of_ids(prompts.map(|ids| ids.into_iter().map(i64::from).collect()));
        let each = usize::try_from(config.num_return_sequences).unwrap_or(0);
        // Every token decodes its whole answer again, which only a listener needs.
        let streamed = if listener.is_some() { prompts.rows().len() * each } else { 0 };
        let mut texts: Vec<Streamed<'_>> = (0..streamed).map(|_| Streamed::new(&self.tokenizer)).collect();
        let generation = generate_streaming(&self.model, &prompts, config, |chosen| {
            let Some(told) = listener.as_mut() else { return Ok(()) };
            for (row, id) in chosen.rows.iter().zip(chosen.ids) {
                if let Some(text) = texts[*row].push(*id)? {
                    told(*row, &text)?;
                }
            }
            Ok(())
        })?;
        if let Some(told) = listener {
            for (row, text) in texts.into_iter().enumerate() {
                if let Some(text) = text.finish()? {
                    told(row, &text)?;
                }
            }
        }
        let rows = prompts.rows().iter().flat_map(|prompt| std::iter::repeat_n(prompt, each));
        let answers = generation.answers.into_iter().zip(generation.ended);
        let written = rows.zip(answers).map(|(prompt, (ids, ended))| {
            Ok(Written { prompt: prompt.clone(), text: self.tokenizer.decode(&ids)?, ids, ended })
        });
        written.collect()
    }
}
