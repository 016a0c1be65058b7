//! Decoders of different tokenizers.

use brew_core::batch::Both;
use brew_core::execute::Executor;
use brew_core::loss::{Chunked, Kl, Uld, next_token};
use brew_core::model::{CausalLmBatch, CausalLmOutputAdaptor, DecoderArchitecture};
use brew_core::prelude::*;

use super::chunked::capped;
use super::packed::separate;

/// A folder with the tokens of a tokenizer, which all begin with this letter.
fn tokenizer(letter: char) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let tokens: serde_json::Map<String, serde_json::Value> =
        (0..20).map(|id| (format!("{letter}{id}"), id.into())).collect();
    let text = serde_json::Value::Object(tokens).to_string();
    std::fs::write(folder.path().join("vocab.json"), text).unwrap();
    folder
}

// A student's ids that reach a teacher of another vocabulary: TRL's issue 4562.
#[test]
fn defect_20_two_tokenizers_need_a_loss_across_tokenizers() {
    let (one, other) = (tokenizer('a'), tokenizer('b'));
    let model = |seed, folder: &tempfile::TempDir| {
        capped(seed, DecoderArchitecture::Qwen2, 20).with_tokenizer_of(folder.path()).seen()
    };
    let both = || Both { teacher: separate(), student: separate() };
    let told = |pipeline: &Pipeline<CausalLmBatch, CausalLmOutputAdaptor>, shared: bool| {
        let executor = Executor::new(pipeline, 0).unwrap();
        let probe = if shared { executor.probe(&separate()) } else { executor.probe(&both()) };
        probe.map(|_| ()).map_err(|error| error.to_string())
    };
    let plan = || Distill::new(model(5, &one), model(9, &other));
    let dense = plan().soft_targets(next_token(Kl::at(1.0))).plan().unwrap();
    let chunked = plan().soft_targets(next_token(Chunked::of(Kl::at(1.0)))).plan().unwrap();
    for (pipeline, shared) in [(&dense, true), (&dense, false), (&chunked, true), (&chunked, false)] {
        let told = told(pipeline, shared).unwrap_err();
        assert!(told.contains("different vocabularies: id 0 is `a0` to one and `b0` to the other"), "{told}");
        assert!(told.contains("take a student with the teacher's tokenizer, or a loss across"), "{told}");
    }
    // What the message says can be done.
    let across = plan().soft_targets(next_token(Uld::at(1.0))).plan().unwrap();
    assert_eq!(told(&across, false), Ok(()));
    let same = Distill::new(model(5, &one), model(9, &one));
    let same = same.soft_targets(next_token(Kl::at(1.0))).plan().unwrap();
    assert_eq!(told(&same, true), Ok(()));
    assert_eq!(told(&same, false), Ok(()));
}
