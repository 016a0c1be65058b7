//! A saved classifier for text: tokenizer, model, and class names in one.

use std::path::Path;

use brew_core::Result;
use brew_core::model::{BertForSequenceClassification, Model as _, Scores};
use brew_core::pass::{Pass, Wants};
use brew_core::tch::{Device, Kind, Tensor, no_grad_guard};

use super::tokenizer::{Tokenizer, Tokens};

/// Texts per forward pass.
const BATCH_TEXTS: usize = 32;

/// A classifier with its tokenizer.
///
/// ```no_run
/// use brew_core::prelude::*;
/// use brew_data::prelude::*;
///
/// # fn main() -> Result<()> {
/// let student = TextClassifier::from_pretrained("models/student", Device::Cpu)?;
/// for prediction in student.predict(&["a gorgeous film"])? {
///     println!("{} {:.2}", prediction.label, prediction.score);
/// }
/// # Ok(())
/// # }
/// ```
///
/// # From several threads
///
/// Like libtorch's tensors, it is `Send` but not `Sync`: give each thread its own classifier, or share one
/// behind a `Mutex`. Each classifier needs memory for its own weights. libtorch already uses all cores for
/// one call, so limit it to one core per call if your threads provide the parallelism:
///
/// ```no_run
/// use brew_core::prelude::*;
/// use brew_data::prelude::*;
///
/// # fn main() -> Result<()> {
/// brew_core::tch::set_num_threads(1);
/// let questions = [vec!["a gorgeous film"], vec!["two hours of my life"]];
/// let classifiers: Vec<TextClassifier> = (questions.iter())
///     .map(|_| TextClassifier::from_pretrained("models/student", Device::Cpu))
///     .collect::<Result<_>>()?;
/// std::thread::scope(|scope| {
///     let pairs = classifiers.into_iter().zip(&questions);
///     let threads: Vec<_> = pairs.map(|(student, texts)| scope.spawn(move || student.predict(texts))).collect();
///     for thread in threads {
///         println!("{:?}", thread.join());
///     }
/// });
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TextClassifier {
    model: BertForSequenceClassification,
    tokenizer: Tokenizer,
    device: Device,
}

/// The prediction for one text.
///
/// The model's `problem_type` decides what a score is, as in transformers' pipeline ([`Scores`]): for one
/// class among several, its probability; for several labels, or a single logit, the probability that the
/// label applies; for regression, the predicted number.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// The class with the highest score, from 0; the first one in a tie.
    pub class: usize,
    /// Its name in the model's `config.json`, otherwise `LABEL_` and the class.
    pub label: String,
    /// Its score.
    pub score: f64,
    /// The score of every class.
    pub scores: Vec<f64>,
}

impl TextClassifier {
    /// Loads a Hugging Face folder: `config.json`, the weights, and the tokenizer's files.
    ///
    /// # Errors
    /// The folder has no tokenizer or no classifier, or its files cannot be read.
    pub fn from_pretrained(folder: impl AsRef<Path>, device: Device) -> Result<Self> {
        let folder = folder.as_ref();
        let tokenizer = Tokenizer::from_folder(folder)?;
        let model = BertForSequenceClassification::from_pretrained(folder, device)?;
        // The model itself rejects a config without positions.
        let longest = usize::try_from(model.config().longest()).unwrap_or_default();
        let longest = tokenizer.longest().map_or(longest, |shorter| shorter.min(longest));
        Ok(TextClassifier { tokenizer: tokenizer.truncated_to(longest)?, model, device })
    }

    /// Predicts the class of each text, in order. Texts longer than the model or its tokenizer's
    /// `model_max_length` allows are truncated.
    ///
    /// # Errors
    /// The tokenizer rejects a text, or libtorch fails.
    pub fn predict(&self, texts: &[&str]) -> Result<Vec<Prediction>> {
        let _no_gradient = no_grad_guard();
        let mut predictions = Vec::with_capacity(texts.len());
        for texts in texts.chunks(BATCH_TEXTS) {
            predictions.extend(self.predict_batch(&self.tokenizer.encode(texts)?)?);
        }
        Ok(predictions)
    }

    fn predict_batch(&self, tokens: &[Tokens]) -> Result<Vec<Prediction>> {
        let pad = self.model.config().pad_token_id.unwrap_or_default();
        let input_ids = self.padded(tokens.iter().map(|tokens| &tokens.input_ids), pad)?;
        let attention_mask = self.padded(tokens.iter().map(|tokens| &tokens.attention_mask), 0)?;
        let pass = Pass::evaluation(Wants::nothing());
        let output = self.model.forward(&input_ids, &attention_mask, None, None, &pass)?;
        let count = self.model.config().classes();
        let scores = Scores::of(self.model.problem_type(), count).from_logits(&output.logits)?;
        let classes = Vec::<i64>::try_from(scores.f_argmax(-1, false)?)?;
        let scores = Vec::<f64>::try_from(scores.f_to_kind(Kind::Double)?.f_reshape([-1])?)?;
        let labels = &self.model.config().id2label;
        let rows = scores.chunks(usize::try_from(count).unwrap_or(1).max(1));
        let named = classes.into_iter().zip(rows).map(|(class, scores)| {
            let place = usize::try_from(class).unwrap_or(0);
            Prediction {
                class: place,
                label: labels.get(&class).cloned().unwrap_or_else(|| format!("LABEL_{class}")),
                score: scores.get(place).copied().unwrap_or(f64::NAN),
                scores: scores.to_vec(),
            }
        });
        Ok(named.collect())
    }

    /// Rows padded to the longest: (texts, longest) int64 on the model's device.
    fn padded<'t>(&self, rows: impl Iterator<Item = &'t Vec<u32>> + Clone, pad: i64) -> Result<Tensor> {
        let longest = rows.clone().map(Vec::len).max().unwrap_or(0);
        let mut values = Vec::new();
        for (index, row) in rows.enumerate() {
            values.extend(row.iter().map(|&value| i64::from(value)));
            values.resize((index + 1) * longest, pad);
        }
        Ok(Tensor::f_from_slice(&values)?.f_view([-1, longest as i64])?.f_to_device(self.device)?)
    }
}
