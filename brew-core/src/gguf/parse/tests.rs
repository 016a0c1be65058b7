//! Blocks against the numbers that the Python package gguf makes of them, and damaged headers.

use std::path::Path;

use safetensors::SafeTensors;
use tch::{Kind, Tensor};

use super::blocks::half;
use super::kinds::TABLE;
use super::{Header, Value};

#[path = "../../../../fuzz/drive_gguf.rs"]
#[expect(unreachable_pub, reason = "public in the fuzz targets' crate")]
mod drive_gguf;

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/gguf");
    std::fs::read(folder.join(name)).unwrap()
}

// gguf 0.19.0, numpy 2: `quants.dequantize` of random blocks; tests/fixtures/gguf/make.py.
#[test]
fn blocks_of_every_supported_type_are_the_numbers_that_gguf_makes_of_them() {
    let file = fixture("blocks.safetensors");
    let golden = SafeTensors::deserialize(&file).unwrap();
    let mut types = 0;
    for kind in &TABLE {
        let Some(decode) = kind.decode else { continue };
        let [bytes, values] =
            ["bytes", "values"].map(|part| golden.tensor(&format!("{}.{part}", kind.name)).unwrap());
        let wanted: Vec<f32> =
            values.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        assert_eq!(
            bytes.data().len() as u64 / kind.bytes * kind.values,
            wanted.len() as u64,
            "{}",
            kind.name
        );
        let mut found = vec![f32::NAN; wanted.len()];
        decode(bytes.data(), &mut found);
        assert_eq!(found, wanted, "{}", kind.name);
        types += 1;
    }
    assert_eq!(types, 11);
}

#[test]
fn every_float16_is_what_libtorch_makes_of_it() {
    let all: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
    let wanted = Tensor::from_data_size(&all, &[1 << 16], Kind::Half).to_kind(Kind::Float);
    let wanted = Vec::<f32>::try_from(wanted).unwrap();
    for (bits, wanted) in (0..=u16::MAX).zip(wanted) {
        let found = half(bits.to_le_bytes());
        assert!(found.to_bits() == wanted.to_bits() || found.is_nan() && wanted.is_nan(), "{bits:#x}");
    }
}

#[test]
fn a_header_has_its_keys_and_tensors() {
    let file = fixture("qwen3.gguf");
    let header = Header::read(file.as_slice(), file.len() as u64).unwrap();
    assert_eq!(header.keys["qwen3.block_count"], Value::Integer(2));
    // A float32, as its author wrote it.
    assert_eq!(header.keys["qwen3.attention.layer_norm_rms_epsilon"], Value::Float(1e-6));
    assert!(matches!(&header.keys["tokenizer.ggml.tokens"], Value::Texts(tokens) if tokens.len() == 288));
    let entry = &header.tensors["blk.1.ffn_up.weight"];
    assert_eq!((entry.shape.as_slice(), entry.values()), (&[64, 32][..], 2048));
    assert_eq!(header.tensors.len(), 24);
}

/// Pseudo-random numbers (SplitMix64).
fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB)
}

#[test]
fn a_file_that_ends_early_is_refused_wherever_it_ends() {
    for name in ["llama.gguf", "qwen2.gguf"] {
        let file = fixture(name);
        // Every byte of the header's beginning, then some.
        let ends = (0..1500).chain((1500..file.len()).step_by(97));
        for end in ends {
            let message = Header::read(&file[..end], end as u64).unwrap_err();
            assert!(message.contains("download"), "{end}: {message}");
        }
        assert!(Header::read(file.as_slice(), file.len() as u64).is_ok());
    }
}

#[test]
fn damaged_files_are_refused_or_read_and_never_panic() {
    let mut state = 7;
    for name in ["llama.gguf", "qwen2.gguf", "qwen3.gguf"] {
        let file = fixture(name);
        drive_gguf::gguf(&file);
        for turn in 0..1500 {
            let mut damaged = file.clone();
            // Lengths and types stand at the beginning, and from 7,000 on, where the tensors are listed.
            let reach = if turn % 3 == 0 { file.len() } else { 900 };
            for _ in 0..=draw(&mut state) % 3 {
                let place = draw(&mut state) as usize % reach;
                damaged[place] ^= 1 << (draw(&mut state) % 8);
            }
            drive_gguf::gguf(&damaged);
        }
    }
}
