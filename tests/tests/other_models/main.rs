//! Models other than BERT's family: the BiGRU student and the TorchScript teacher.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bigru;
mod torchscript;

use brew_core::pass::Wants;
use brew_core::prelude::*;

/// Two texts of three and two tokens, the second padded.
fn texts() -> TextBatch {
    TextBatch {
        input_ids: Tensor::from_slice2(&[[1_i64, 2, 3], [4, 5, 0]]),
        attention_mask: Tensor::from_slice2(&[[1_i64, 1, 1], [1, 1, 0]]),
        token_type_ids: None,
        labels: Some(Tensor::from_slice(&[0_i64, 1])),
    }
}

fn evaluation() -> Pass {
    Pass::evaluation(Wants::nothing().and_role("hidden").and_role("losses"))
}

/// The largest difference between a tensor and these numbers.
fn off(found: &Tensor, golden: &[f64]) -> f64 {
    let golden = Tensor::from_slice(golden);
    (found.to_kind(Kind::Double).reshape([-1]) - golden).abs().max().double_value(&[])
}
