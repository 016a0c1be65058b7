//! Log-probabilities of the tokens that a student draws, next to those that transformers gives the same answers.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use brew_core::generate::{GenerationConfig, Prompts, generate};
use brew_core::model::DecoderForCausalLm;
use brew_core::prelude::*;
use serde::Deserialize;
use serde_json::json;

/// What the script says of an answer.
#[derive(Deserialize)]
struct Given {
    of_model: Vec<f64>,
    of_sampler: Vec<f64>,
}

#[test]
fn log_probabilities_of_drawn_tokens_are_those_of_transformers() {
    let imports = "import torch, transformers";
    let Some(python) = tests::python("log_probabilities_of_drawn_tokens_are_those_of_transformers", imports)
    else {
        return;
    };
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let prompts = [vec![3_i64, 1, 4], vec![9], vec![2, 6, 5, 3, 5, 8], vec![3, 1, 4, 1]];
    let (mut cases, mut ours) = (Vec::new(), Vec::new());
    for architecture in ["llama", "gpt2", "qwen3", "gemma2"] {
        let folder = fixtures.join("decoders").join(architecture);
        let model = DecoderForCausalLm::from_pretrained(&folder, Device::Cpu).unwrap();
        for (temperature, top_k, top_p) in [(1.0, 0, 1.0), (0.7, 0, 0.8), (1.3, 4, 1.0), (0.9, 6, 0.9)] {
            let config = GenerationConfig {
                max_new_tokens: 5,
                do_sample: true,
                temperature,
                top_k,
                top_p,
                num_return_sequences: 2,
                seed: 5,
                output_log_probs: true,
                ..GenerationConfig::default()
            };
            let generation = generate(&model, &Prompts::of_ids(prompts.clone()), &config).unwrap();
            let log_probs = generation.log_probs.unwrap();
            for (row, answer) in generation.answers.iter().enumerate() {
                cases.push(json!({
                    "folder": folder, "prompt": prompts[row / 2], "answer": answer,
                    "temperature": temperature, "top_k": top_k, "top_p": top_p
                }));
                let of_row = |tensor: &Tensor| Vec::<f64>::try_from(tensor.get(row as i64)).unwrap();
                ours.push((of_row(&log_probs.of_model), of_row(&log_probs.of_sampler)));
            }
        }
    }
    let mut child = Command::new(&python)
        .arg(fixtures.join("generation/log_probs.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(json!(cases).to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let given: Vec<Given> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((given.len(), ours.len()), (128, 128));
    for ((ours, given), case) in ours.iter().zip(&given).zip(&cases) {
        for (ours, given) in [(&ours.0, &given.of_model), (&ours.1, &given.of_sampler)] {
            assert_eq!(ours.len(), given.len());
            for (ours, given) in ours.iter().zip(given) {
                assert!((ours - given).abs() < 1e-5, "{case}: {ours} of {given}");
            }
        }
    }
}
