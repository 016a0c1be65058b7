//! Synthetic data and models, for numbers of rows and layers beyond those of the reviews and MiniLM.

use brew_core::prelude::*;
use brew_data::prelude::*;
use examples::{token_chunks, write_token_chunks};

use crate::Arguments;

/// This many rows of token ids, all of full length, in a file that is written once.
pub(crate) fn tokens(arguments: &Arguments, rows: u64) -> Result<Dataset> {
    let length = arguments.length as u64;
    let file = arguments.run_dir.join(format!("tokens-{length}-{rows}.arrow"));
    if !file.exists() {
        write_token_chunks(&file, token_chunks(rows, length, |_| length))?;
    }
    Ok(Dataset::open(file)?)
}

/// A model of the same sizes with this many layers. Its matrices are drawn from N(0, 0.02), like a new model's; biases
/// and layer norms are kept.
pub(crate) fn with_layers(
    model: &BertForSequenceClassification,
    layers: usize,
) -> Result<BertForSequenceClassification> {
    let there = model.config().num_hidden_layers;
    let copied = Keep::layers((0..layers).map(|layer| layer % there));
    let drawn = BertForSequenceClassification::from_layers_of(model, copied)?;
    brew_core::tch::manual_seed(0);
    brew_core::tch::no_grad(|| {
        let parameters = drawn.parameters();
        let mut matrices = parameters.iter().filter(|(_, tensor)| tensor.dim() > 1);
        matrices.try_for_each(|(_, tensor)| tensor.shallow_clone().f_normal_(0.0, 0.02).map(drop))
    })?;
    Ok(drawn)
}
