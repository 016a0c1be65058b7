//! Models whose weights are a formula, so that no file is needed: what transformers computes with the same.
//!
//! The parameters' names, sorted, are numbered t = 0, 1, …; element j of a parameter is s = sin(0.7 j + 1.3 t + 0.2) in
//! float64, brought to float32: norms 1 + 0.1 s (Gemma's 0.1 s), biases 0.1 s, all else 0.3 s. Vocabulary 11, width
//! 8, feed-forward width 12, 2 layers, 2 heads, 1 head of keys and values, 64 positions; ids 3 1 4 1 5 9 2 6. The
//! numbers are transformers' (5.24.0, torch 2.11.0, eager attention): logits of the last position, the first four of
//! position 3, the sum of all their sizes, the mean negative log-likelihood of the seven next tokens, and eight tokens
//! chosen one after another after 3 1 4.

use brew_core::model::decoder::{Rope, RopeScaling};
use brew_core::model::{DecoderArchitecture, DecoderConfig, DecoderForCausalLm};
use brew_core::prelude::*;
use tests::wants;

pub(super) struct Golden {
    pub(super) config: DecoderConfig,
    tensors: usize,
    last: [f64; 11],
    third: [f64; 4],
    sum: f64,
    nll: f64,
    pub(super) greedy: [i64; 8],
}

/// The common sizes with the switches of an architecture.
fn sizes(architecture: DecoderArchitecture) -> DecoderConfig {
    let gpt2 = architecture == DecoderArchitecture::Gpt2;
    DecoderConfig {
        vocab_size: 11,
        hidden_size: 8,
        intermediate_size: Some(if gpt2 { 32 } else { 12 }),
        num_hidden_layers: 2,
        num_attention_heads: 2,
        num_key_value_heads: if gpt2 { None } else { Some(1) },
        max_position_embeddings: 64,
        pad_token_id: None,
        ..DecoderConfig::base(architecture)
    }
}

fn of_theta(theta: f64) -> Rope {
    Rope::of_theta(theta)
}

#[rustfmt::skip]
pub(super) fn all() -> [Golden; 8] {
    use DecoderArchitecture::{Gemma2, Gemma3, Gpt2, Llama, Qwen2, Qwen3, SmolLm3};
    let llama3 = RopeScaling::Llama3 {
        factor: 4.0, low_freq_factor: 1.0, high_freq_factor: 4.0, original_max_position_embeddings: 16,
    };
    let gemma = |architecture| DecoderConfig {
        head_dim: Some(6), query_pre_attn_scalar: 6, sliding_window: Some(4), ..sizes(architecture)
    };
    [
        Golden {
            config: sizes(Gpt2), tensors: 28,
            last: [1.64657, 0.998265, -0.0981276, -1.15047, -1.68641, -1.46537, -0.586571, 0.55552, 1.44826, 1.69092, 1.17458],
            third: [-1.64284, -1.82455, -1.18728, -0.0170699],
            sum: 107.834, nll: 2.983607, greedy: [5, 5, 6, 9, 0, 10, 10, 8],
        },
        Golden {
            config: DecoderConfig { norm_eps: 1e-5, ..sizes(Llama) }, tensors: 21,
            last: [-0.493978, 0.0576431, 0.58339, 0.847272, 0.73084, 0.286357, -0.286662, -0.731008, -0.847227, -0.583154, -0.0573207],
            third: [-0.645411, -0.832393, -0.64574, -0.169235],
            sum: 54.2523, nll: 2.465320, greedy: [2, 1, 3, 7, 4, 1, 7, 4],
        },
        Golden {
            config: DecoderConfig {
                norm_eps: 1e-5, tie_word_embeddings: true, head_dim: Some(6),
                rope: Rope { theta: 100.0, scaling: llama3 }, ..sizes(Llama)
            },
            tensors: 20,
            last: [-0.0113926, 0.0122202, 0.0303478, 0.0348532, 0.0237142, 0.00193051, -0.0207196, -0.0340694, -0.0321264, -0.015763, 0.00767598],
            third: [0.117966, 0.0113253, -0.100399, -0.167058],
            sum: 14.9922, nll: 2.528604, greedy: [3, 3, 3, 2, 2, 2, 2, 2],
        },
        Golden {
            config: DecoderConfig { tie_word_embeddings: true, rope: of_theta(1e6), ..sizes(Qwen2) }, tensors: 26,
            last: [0.909854, 0.496366, -0.139924, -0.713407, -0.966664, -0.786017, -0.252551, 0.394277, 0.864126, 0.946097, 0.603395],
            third: [0.22292, -0.280112, -0.657411, -0.739619],
            sum: 56.9342, nll: 2.341951, greedy: [7, 2, 5, 8, 3, 7, 2, 5],
        },
        Golden {
            config: DecoderConfig {
                tie_word_embeddings: true, head_dim: Some(6), rope: of_theta(1e6), ..sizes(Qwen3)
            },
            tensors: 24,
            last: [-0.224377, -0.409301, -0.410502, -0.227442, 0.0577095, 0.316957, 0.433933, 0.35613, 0.118471, -0.172365, -0.385832],
            third: [0.2631, 0.218789, 0.0762709, -0.100483],
            sum: 23.0874, nll: 2.661010, greedy: [5, 6, 6, 6, 6, 6, 6, 6],
        },
        Golden {
            config: DecoderConfig { no_rope_layers: Some(vec![1, 0]), ..sizes(SmolLm3) }, tensors: 20,
            last: [1.59156, 0.743774, -0.437872, -1.42297, -1.76934, -1.32151, -0.280498, 0.886424, 1.65546, 1.68141, 0.952631],
            third: [-1.14789, -0.17152, 0.881843, 1.53937],
            sum: 85.6305, nll: 2.214468, greedy: [8, 3, 7, 2, 4, 7, 1, 3],
        },
        Golden {
            config: DecoderConfig {
                attn_logit_softcapping: Some(2.0), final_logit_softcapping: Some(3.0), ..gemma(Gemma2)
            },
            tensors: 24,
            last: [-0.856035, -1.34456, -1.27755, -0.658283, 0.32521, 1.1189, 1.384, 1.09373, 0.280488, -0.697148, -1.29253],
            third: [1.27104, 1.4469, 1.04539, 0.114418],
            sum: 72.4193, nll: 3.467366, greedy: [4, 4, 4, 4, 4, 4, 4, 4],
        },
        Golden {
            config: DecoderConfig { sliding_window_pattern: 2, ..gemma(Gemma3) }, tensors: 28,
            last: [-0.379912, -0.669618, -0.658753, -0.352195, 0.112452, 0.526623, 0.70441, 0.566009, 0.173545, -0.296818, -0.633949],
            third: [0.32052, 0.309757, 0.159953, -0.061648],
            sum: 42.508, nll: 2.892899, greedy: [4, 4, 4, 5, 5, 5, 5, 5],
        },
    ]
}

/// A model whose parameters are the formula.
pub(super) fn by_formula(config: DecoderConfig) -> DecoderForCausalLm {
    let gemma = matches!(config.model_type, DecoderArchitecture::Gemma2 | DecoderArchitecture::Gemma3);
    let model = DecoderForCausalLm::new(config, 0, Device::Cpu).unwrap();
    let _guard = brew_core::tch::no_grad_guard();
    for (number, (name, parameter)) in model.parameters().iter().enumerate() {
        let norm = (name.contains("norm") || name.contains("ln_")) && name.ends_with("weight");
        let places = Tensor::arange(parameter.numel() as i64, (Kind::Double, Device::Cpu));
        let sine = (places * 0.7 + (1.3 * number as f64 + 0.2)).sin().view(parameter.size().as_slice());
        let values = match (norm, name.ends_with("bias")) {
            (true, _) if gemma => sine * 0.1,
            (true, _) => sine * 0.1 + 1.0,
            (_, true) => sine * 0.1,
            _ => sine * 0.3,
        };
        parameter.shallow_clone().copy_(&values.to_kind(Kind::Float));
    }
    model
}

fn close(found: &Tensor, wanted: &[f64], what: &str) {
    let found = Vec::<f64>::try_from(found.to_kind(Kind::Double)).unwrap();
    assert_eq!(found.len(), wanted.len());
    for (found, wanted) in found.iter().zip(wanted) {
        // Six digits are given.
        assert!((found - wanted).abs() <= 1e-5 * wanted.abs().max(0.1), "{what}: {found} of {wanted}");
    }
}

#[test]
fn logits_likelihoods_and_greedy_answers_are_those_of_transformers() {
    for golden in all() {
        let name = format!("{:?}", golden.config.model_type);
        let model = by_formula(golden.config);
        assert_eq!(model.parameters().iter().count(), golden.tensors, "{name}");
        let ids = Tensor::from_slice(&[3_i64, 1, 4, 1, 5, 9, 2, 6]).unsqueeze(0);
        let logits = model.logits(&ids, &ids.ones_like()).unwrap();
        close(&logits.select(1, -1).squeeze(), &golden.last, &name);
        close(&logits.select(1, 3).squeeze().narrow(0, 0, 4), &golden.third, &name);
        close(&logits.abs().sum(Kind::Double).view([1]), &[golden.sum], &name);
        let pass = Pass::evaluation(wants(&["losses"]));
        let loss = model.forward(&ids, &ids.ones_like(), Some(&ids), &pass).unwrap().loss.unwrap();
        close(&loss.view([1]), &[golden.nll], &name);

        let mut said = vec![3_i64, 1, 4];
        for _ in 0..8 {
            let ids = Tensor::from_slice(&said).unsqueeze(0);
            let logits = model.logits(&ids, &ids.ones_like()).unwrap();
            said.push(logits.select(1, -1).argmax(-1, false).int64_value(&[0]));
        }
        assert_eq!(said[3..], golden.greedy, "{name}");
    }
}
