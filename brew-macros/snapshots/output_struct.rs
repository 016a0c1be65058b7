/// What one forward pass returns.
#[derive(Debug)]
pub struct Prediction {
    /// `(batch, classes)`.
    pub logits: Tensor,
    hidden_states: Vec<Tensor>,
    loss: Option<Tensor>,
    seconds: f64,
}
///What the parts of [`Prediction`] mean to distillation.
#[derive(Debug, Clone, Copy, Default)]
pub struct PredictionAdaptor;
impl ::brew_core::adaptor::Adapted for Prediction {
    type Adaptor = PredictionAdaptor;
}
#[automatically_derived]
impl ::brew_core::adaptor::Adaptor for PredictionAdaptor {
    type Batch = Review;
    type Output = Prediction;
    const ROLES: &'static [&'static str] = &[
        "logits",
        "hidden",
        "losses",
        <my::PerExample as ::brew_core::role::Role>::NAME,
        "inputs_mask",
        "labels",
    ];
    const READS_BATCH: bool = false;
    fn read(
        role: &str,
        batch: &Self::Batch,
        output: &Self::Output,
    ) -> ::brew_core::__private::Read {
        let _ = || ::brew_core::__private::labels_follow(&output.logits, &batch.labels);
        match role {
            "logits" => ::brew_core::__private::feature(&output.logits),
            "hidden" => ::brew_core::__private::feature(&output.hidden_states),
            "losses" => ::brew_core::__private::feature(&output.loss),
            role if role == Self::ROLES[3usize] => {
                ::brew_core::__private::feature(&output.loss)
            }
            _ => Self::read_batch(role, batch),
        }
    }
    fn read_batch(role: &str, batch: &Self::Batch) -> ::brew_core::__private::Read {
        match role {
            "inputs_mask" => ::brew_core::__private::feature(&batch.attention_mask),
            "labels" => ::brew_core::__private::feature(&batch.labels),
            _ => ::core::result::Result::Ok(::core::option::Option::None),
        }
    }
}
#[automatically_derived]
impl ::brew_core::adaptor::Provides<::brew_core::role::Logits> for PredictionAdaptor {}
#[automatically_derived]
impl ::brew_core::adaptor::Provides<::brew_core::role::Hidden> for PredictionAdaptor {}
#[automatically_derived]
impl ::brew_core::adaptor::Provides<::brew_core::role::Losses> for PredictionAdaptor {}
#[automatically_derived]
impl ::brew_core::adaptor::Provides<my::PerExample> for PredictionAdaptor {}
#[automatically_derived]
impl ::brew_core::adaptor::Provides<::brew_core::role::InputsMask>
for PredictionAdaptor {}
#[automatically_derived]
impl ::brew_core::adaptor::Provides<::brew_core::role::Labels> for PredictionAdaptor {}
