//! Losses that compute the logits of decoders themselves, beside the dense losses: capped logits, padded vocabularies,
//! temperatures.

use brew_core::execute::Executor;
use brew_core::loss::{
    AdaptiveKl, Chunked, Divergence, Jsd, Kl, ReverseKl, SkewKl, SoftTargets, TotalVariation, next_token,
    within_vocabulary,
};
use brew_core::model::{CausalLmOutputAdaptor, DecoderArchitecture, DecoderConfig, DecoderForCausalLm};
use brew_core::prelude::*;

use super::denominators::{assert_same_tensors, over};
use super::packed::{packed, separate};

/// A decoder over so many tokens whose logits are capped, unless it is of an architecture without a cap.
pub(crate) fn capped(seed: u64, architecture: DecoderArchitecture, vocab_size: i64) -> DecoderForCausalLm {
    let gemma = architecture == DecoderArchitecture::Gemma2;
    let config = DecoderConfig {
        vocab_size,
        hidden_size: 16,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        num_key_value_heads: Some(1),
        head_dim: Some(8),
        intermediate_size: Some(24),
        max_position_embeddings: 16,
        initializer_range: 0.8,
        pad_token_id: None,
        // Far below the logits, so that a forgotten cap shows.
        final_logit_softcapping: gemma.then_some(1.5),
        ..DecoderConfig::base(architecture)
    };
    DecoderForCausalLm::new(config, seed, Device::Cpu).unwrap()
}

/// The loss and gradients of packed rows by a dense loss, and by its chunked form.
fn dense_and_chunked<D: Divergence + SoftTargetsOfDecoders>(
    sides: impl Fn() -> (DecoderForCausalLm, DecoderForCausalLm),
    of: impl Fn() -> D,
) -> [(f64, Vec<(String, Tensor)>); 2] {
    [false, true].map(|chunked| {
        let (teacher, student) = sides();
        let start = Distill::new(teacher.seen(), student.seen());
        let plan = match chunked {
            true => {
                let loss = within_vocabulary(18, Chunked::of(of()).rows(4));
                start.soft_targets(next_token(loss)).plan()
            }
            false => start.soft_targets(next_token(within_vocabulary(18, of()))).plan(),
        };
        let plan = plan.unwrap();
        Executor::new(&plan, 0).unwrap().probe(&packed()).unwrap();
        over(&plan, &[packed(), separate()])
    })
}

/// A divergence as a loss between decoders.
trait SoftTargetsOfDecoders: SoftTargets<Seen<CausalLmOutputAdaptor>, Seen<CausalLmOutputAdaptor>> {}
impl<D: SoftTargets<Seen<CausalLmOutputAdaptor>, Seen<CausalLmOutputAdaptor>>> SoftTargetsOfDecoders for D {}

fn assert_equal([dense, chunked]: &[(f64, Vec<(String, Tensor)>); 2], what: &str) {
    assert!(dense.0 > 1e-3, "{what}: {}", dense.0);
    assert!((dense.0 - chunked.0).abs() < 1e-6, "{what}: {} of {}", chunked.0, dense.0);
    assert_same_tensors(&chunked.1, &dense.1, 1e-6, what);
}

// Student padded with logits of 0: TRL's PR 6457. Here 22 columns against 20, of which 18 are tokens, and the reverse.
#[test]
fn defect_29_columns_beyond_the_tokenizer_carry_no_mass_dense_or_chunked() {
    for (of_teacher, of_student) in [(22, 20), (20, 22)] {
        for architecture in [DecoderArchitecture::Qwen2, DecoderArchitecture::Gemma2] {
            let sides = || (capped(5, architecture, of_teacher), capped(9, architecture, of_student));
            let both = dense_and_chunked(sides, || Kl::at(2.0));
            assert_equal(&both, &format!("{of_teacher} and {of_student} tokens"));
            // The rows of no token get no gradient from the head.
            let (name, gradient) = &both[1].1.iter().find(|(name, _)| name.contains("embed_tokens")).unwrap();
            let beyond = gradient.narrow(0, 18, of_student - 18);
            assert_eq!(beyond.count_nonzero(None).int64_value(&[]), 0, "{name}");
        }
    }
}

// A loss that computes logits itself and leaves the cap out: TRL's PR 6629.
#[test]
fn defect_30_chunked_is_dense_for_a_model_with_capped_logits() {
    let [gemma, qwen] = [DecoderArchitecture::Gemma2, DecoderArchitecture::Qwen3];
    for (of_teacher, of_student) in [(gemma, gemma), (gemma, qwen), (qwen, gemma)] {
        let sides = || (capped(5, of_teacher, 20), capped(9, of_student, 20));
        let both = dense_and_chunked(sides, || Kl::at(1.0));
        assert_equal(&both, &format!("{of_teacher:?} to {of_student:?}"));
    }
}

// A fast path with another objective at temperatures other than 1: TRL's PR 5731.
#[test]
fn defect_35_chunked_is_dense_at_temperatures_other_than_1() {
    let sides = || (capped(5, DecoderArchitecture::Gemma2, 20), capped(9, DecoderArchitecture::Gemma2, 20));
    assert_equal(&dense_and_chunked(sides, || Kl::at(3.0).times_temperature_squared()), "kl");
    assert_equal(&dense_and_chunked(sides, || Kl::at(0.5).teacher_at(2.0)), "kl, two temperatures");
    assert_equal(&dense_and_chunked(sides, || ReverseKl::at(3.0)), "reverse kl");
    assert_equal(&dense_and_chunked(sides, || Jsd::between(0.3)), "jsd");
    assert_equal(&dense_and_chunked(sides, || SkewKl::by(0.1)), "skew kl");
    assert_equal(&dense_and_chunked(sides, || TotalVariation::at(3.0)), "total variation");
    assert_equal(&dense_and_chunked(sides, || AdaptiveKl::with_head(0.5)), "adaptive kl");
}
