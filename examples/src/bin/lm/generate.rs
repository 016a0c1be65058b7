//! `lm generate`: continues a prompt or answers a chat.

use std::path::PathBuf;

use brew_core::generate::{GenerationConfig, Prompts, generate};
use brew_core::model::DecoderForCausalLm;
use brew_core::prelude::*;
use brew_data::prelude::*;
use brew_data::{Chat, Message};
use clap::Args;
use serde::Serialize;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A Hugging Face folder, or a GGUF file.
    #[arg(long, value_name = "DIR_OR_GGUF")]
    model: PathBuf,
    #[command(flatten)]
    prompt: Prompt,
    /// The maximum number of tokens of an answer.
    #[arg(long, value_name = "N")]
    max_new_tokens: Option<i64>,
    #[command(flatten)]
    sampling: Sampling,
    /// Scores of tokens that the text already has are divided by this.
    #[arg(long, value_name = "R")]
    repetition_penalty: Option<f64>,
}

/// What is continued.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Prompt {
    /// Token ids, separated by commas; the model needs no tokenizer then.
    #[arg(long, value_name = "ID,ID", value_delimiter = ',', allow_hyphen_values = true)]
    ids: Vec<i64>,
    /// Text; given several times, all are continued in one batch.
    #[arg(long, value_name = "TEXT")]
    prompt: Vec<String>,
    /// What the user says, or a whole chat as JSON: a list of messages with `role` and `content`. It is written by the
    /// model's chat template.
    #[arg(long, value_name = "TEXT_OR_JSON")]
    chat: Option<String>,
}

/// How tokens are drawn. Any of these turns drawing on; without them the model's generation_config.json decides, and if
/// there is none, the most likely token is taken.
#[derive(Debug, Args)]
struct Sampling {
    /// Scores are divided by it; 0 takes the most likely token.
    #[arg(long, value_name = "T")]
    temperature: Option<f64>,
    /// Only the K most likely tokens are drawn; 0 for all.
    #[arg(long, value_name = "K")]
    top_k: Option<i64>,
    /// Only the most likely tokens whose probabilities sum up to P are drawn.
    #[arg(long, value_name = "P")]
    top_p: Option<f64>,
    /// Only tokens at least P times as likely as the most likely are drawn.
    #[arg(long, value_name = "P")]
    min_p: Option<f64>,
    /// The seed of the draws.
    #[arg(long, value_name = "SEED")]
    seed: Option<i64>,
}

/// An answer, one line of JSON.
#[derive(Debug, Serialize)]
struct Answer {
    /// The prompt's tokens.
    prompt: Vec<i64>,
    /// The answer's tokens, with the one that ended it.
    ids: Vec<i64>,
    /// Its text without special tokens; null if the model has no tokenizer.
    text: Option<String>,
    /// Whether it ended by itself.
    ended: bool,
}

/// Generates and prints one line of JSON per answer; the settings go to standard error.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let device = Device::cuda_if_available();
    let Prompt { ids, prompt, chat } = &arguments.prompt;
    let answers = if ids.is_empty() {
        let generator = TextGenerator::from_pretrained(&arguments.model, device)?;
        let config = arguments.settings(generator.config().clone());
        let generator = generator.with_config(config);
        let written = match chat {
            Some(chat) => generator.chat(&[read_chat(chat)?])?,
            None => generator.generate(&prompt.iter().map(String::as_str).collect::<Vec<_>>())?,
        };
        let answer = |written: brew_data::Written| Answer {
            prompt: written.prompt,
            ids: written.ids,
            text: Some(written.text),
            ended: written.ended,
        };
        written.into_iter().map(answer).collect()
    } else {
        let model = DecoderForCausalLm::from_pretrained(&arguments.model, device)?;
        let config = arguments.settings(GenerationConfig::of(&model).with_file_of(&arguments.model)?);
        let generation = generate(&model, &Prompts::of_ids([ids.clone()]), &config)?;
        let tokenizer = Tokenizer::from_folder(&arguments.model);
        let tokenizer = tokenizer.map_err(|error| eprintln!("no text: {error}")).ok();
        let answers = generation.answers.into_iter().zip(generation.ended);
        let answers = answers.map(|(answer, ended)| {
            let text = tokenizer.as_ref().map(|tokenizer| tokenizer.decode(&answer)).transpose()?;
            Ok(Answer { prompt: ids.clone(), ids: answer, text, ended })
        });
        answers.collect::<Result<Vec<_>>>()?
    };
    for answer in answers {
        println!("{}", serde_json::to_string(&answer).map_err(Error::other)?);
    }
    Ok(())
}

impl Arguments {
    /// The model's settings with those of the command line, which are printed.
    fn settings(&self, mut config: GenerationConfig) -> GenerationConfig {
        let Sampling { temperature, top_k, top_p, min_p, seed } = &self.sampling;
        config.do_sample |=
            temperature.is_some() || top_k.is_some() || top_p.is_some() || min_p.is_some() || seed.is_some();
        if *temperature == Some(0.0) {
            config.do_sample = false;
        } else {
            config.temperature = temperature.unwrap_or(config.temperature);
        }
        config.top_k = top_k.unwrap_or(config.top_k);
        config.top_p = top_p.unwrap_or(config.top_p);
        config.min_p = min_p.unwrap_or(config.min_p);
        config.seed = seed.unwrap_or(config.seed);
        config.max_new_tokens = self.max_new_tokens.unwrap_or(config.max_new_tokens);
        config.repetition_penalty = self.repetition_penalty.unwrap_or(config.repetition_penalty);
        eprintln!("{config}");
        config
    }
}

/// A chat as JSON, or one message of the user.
fn read_chat(text: &str) -> Result<Chat> {
    if text.trim_start().starts_with(['[', '{']) {
        return Chat::from_json(text).map_err(|error| {
            Error::invalid(format!(
                "--chat begins with a bracket, so it is read as JSON, and {error}; give a text that begins so, or one message, as [{{\"role\": \"user\", \"content\": \"…\"}}]"
            ))
        });
    }
    Ok(Chat::new([Message::user(text)]))
}
