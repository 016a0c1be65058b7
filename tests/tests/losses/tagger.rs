//! A small token tagger that provides its output matrix, so that a loss can compute the logits itself.

use brew_core::prelude::*;
use tests::{Count, Sentence, seq};

/// What the tagger returns: hidden states, and logits if requested.
#[distill(
    batch = Sentence,
    inputs_mask = mask,
    logits_mask = mask,
    output_bias = None,
    logit_scale = None,
    logit_softcap = None
)]
pub(crate) struct Tags {
    #[role(hidden)]
    pub(crate) hidden: Vec<Tensor>,
    #[role(logits)]
    pub(crate) logits: Option<Tensor>,
    #[role(output_weight)]
    pub(crate) weight: Tensor,
}

/// Embeddings and an output matrix.
pub(crate) struct Tagger {
    pub(crate) embeddings: Tensor,
    pub(crate) weight: Tensor,
    /// Panics when logits are asked for in training.
    pub(crate) refuses_logits: bool,
    /// How often it ran.
    pub(crate) runs: Count,
    /// The names of its classes.
    pub(crate) names: Option<Vec<String>>,
}

impl Tagger {
    pub(crate) fn new(width: i64, phase: f64) -> Self {
        let embeddings = seq(&[12, width], 0.37, phase, 1.0).set_requires_grad(true);
        Tagger {
            embeddings,
            weight: seq(&[23, width], 0.53, phase, 1.0).set_requires_grad(true),
            refuses_logits: false,
            runs: Count::default(),
            names: None,
        }
    }
}

#[distill(batch = Sentence)]
impl Tagger {
    fn forward(&self, tokens: &Tensor, pass: &Pass) -> Result<Tags> {
        self.runs.add();
        let state = Tensor::f_embedding(&self.embeddings, tokens, -1, false, false)?.f_tanh()?;
        let logits = pass.wants().role::<role::Logits>().then(|| {
            assert!(
                !(self.refuses_logits && pass.is_training()),
                "nobody compares logits, and yet they were asked for"
            );
            state.f_matmul(&self.weight.f_tr()?)
        });
        let hidden = vec![state.shallow_clone(), state.f_mul_scalar(1.0)?];
        Ok(Tags { hidden, logits: logits.transpose()?, weight: self.weight.shallow_clone() })
    }
}

impl Model for Tagger {
    fn parameters(&self) -> Parameters {
        let named = [("embeddings", &self.embeddings), ("weight", &self.weight)];
        Parameters::new(named.map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone())))
    }

    fn class_names(&self) -> Option<Vec<String>> {
        self.names.clone()
    }

    fn save(&self, _: &std::path::Path) -> Result<()> {
        Ok(())
    }
}

/// The same with labels, and a mask for logits that the labels do not follow.
#[derive(Debug)]
pub(crate) struct LabelledTagsAdaptor;

#[adaptor(batch = Sentence, output = Tags)]
impl LabelledTagsAdaptor {
    fn hidden(output: &Tags) -> &[Tensor] {
        &output.hidden
    }
    fn logits(output: &Tags) -> Option<&Tensor> {
        output.logits.as_ref()
    }
    fn output_weight(output: &Tags) -> &Tensor {
        &output.weight
    }
    fn output_bias() -> Option<Tensor> {
        None
    }
    fn logit_scale() -> Option<Tensor> {
        None
    }
    fn logit_softcap() -> Option<Tensor> {
        None
    }
    fn inputs_mask(batch: &Sentence) -> &Tensor {
        &batch.mask
    }
    fn logits_mask(batch: &Sentence) -> &Tensor {
        &batch.mask
    }
    fn labels(batch: &Sentence) -> Option<&Tensor> {
        batch.labels.as_ref()
    }
}
