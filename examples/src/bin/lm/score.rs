//! `lm score`: the mean negative log-likelihood of tokens, and the logits after the last one.

use std::path::PathBuf;

use brew_core::model::DecoderForCausalLm;
use brew_core::pass::Wants;
use brew_core::prelude::*;
use clap::Args;
use serde::Serialize;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A Hugging Face folder, or a GGUF file.
    #[arg(long, value_name = "DIR_OR_GGUF")]
    model: PathBuf,
    /// At least two token ids, separated by commas.
    #[arg(long, value_name = "ID,ID", value_delimiter = ',', required = true, allow_hyphen_values = true)]
    ids: Vec<i64>,
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Scored {
    /// The mean of -log p(token | tokens before it), over all tokens but the first.
    nll: f32,
    /// The logits at the last position: one for each token of the vocabulary.
    last: Vec<f32>,
}

/// Scores the tokens and prints one line of JSON.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let ids = &arguments.ids;
    if ids.len() < 2 {
        let message = "--ids needs at least two ids: the first is given, and the others are predicted";
        return Err(Error::invalid(message));
    }
    let device = Device::cuda_if_available();
    let model = DecoderForCausalLm::from_pretrained(&arguments.model, device)?;
    check(ids, model.config().vocab_size, model.config().max_position_embeddings)?;
    let input_ids = Tensor::f_from_slice(ids)?.f_unsqueeze(0)?.f_to_device(device)?;
    let scored = brew_core::tch::no_grad(|| -> Result<Scored> {
        let pass = Pass::evaluation(Wants::nothing().and_role("logits").and_role("losses"));
        let output = model.forward(&input_ids, &input_ids.f_ones_like()?, Some(&input_ids), &pass)?;
        let loss = output.loss.ok_or_else(|| Error::invalid("the model returned no loss"))?;
        let nll = loss.f_double_value(&[])? as f32;
        if !nll.is_finite() {
            return Err(Error::invalid(format!("the model's mean negative log-likelihood is {nll}")));
        }
        let last = output.logits.f_select(1, -1)?.f_reshape([-1])?.f_to_device(Device::Cpu)?;
        Ok(Scored { nll, last: Vec::try_from(last)? })
    })?;
    println!("{}", serde_json::to_string(&scored).map_err(Error::other)?);
    Ok(())
}

/// Refuses tokens that the model cannot read.
fn check(ids: &[i64], vocabulary: i64, positions: i64) -> Result<()> {
    let unknown = ids.iter().enumerate().find(|(_, id)| !(0..vocabulary).contains(*id));
    if let Some((place, id)) = unknown {
        return Err(Error::invalid(format!(
            "id {id}, number {} of --ids, is not in the model's vocabulary: ids are 0 to {}",
            place + 1,
            vocabulary - 1
        )));
    }
    if ids.len() as i64 > positions {
        return Err(Error::invalid(format!(
            "--ids has {} ids, and the model has {positions} positions: give at most {positions} ids",
            ids.len()
        )));
    }
    Ok(())
}
