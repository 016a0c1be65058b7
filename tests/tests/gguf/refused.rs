//! Files that are damaged, incomplete, or ask for what is not supported: each is refused by file and by key or tensor.

use std::path::Path;

use brew_core::model::{DecoderForCausalLm, ModelFiles};
use brew_core::prelude::*;
use tempfile::TempDir;
use tests::Dice;

use super::support::{fixture, open};

/// The parts of a file, to be changed before they are written.
struct Parts {
    version: [u8; 4],
    /// Names, and types with values.
    keys: Vec<(String, Vec<u8>)>,
    tensors: Vec<Stored>,
}

struct Stored {
    name: String,
    /// The fastest first.
    sizes: Vec<u64>,
    kind: u32,
    bytes: u64,
    /// Where its data begins, if not after that of the tensor before it.
    offset: Option<u64>,
}

fn text(value: &str) -> Vec<u8> {
    [&8_u32.to_le_bytes()[..], &(value.len() as u64).to_le_bytes(), value.as_bytes()].concat()
}

fn texts(values: &[&str]) -> Vec<u8> {
    let mut list =
        [&9_u32.to_le_bytes()[..], &8_u32.to_le_bytes(), &(values.len() as u64).to_le_bytes()].concat();
    for value in values {
        list.extend((value.len() as u64).to_le_bytes());
        list.extend(value.as_bytes());
    }
    list
}

fn number(value: u32) -> Vec<u8> {
    [4_u32.to_le_bytes(), value.to_le_bytes()].concat()
}

fn float(value: f32) -> Vec<u8> {
    [6_u32.to_le_bytes(), value.to_le_bytes()].concat()
}

fn tensor(name: &str, sizes: &[u64]) -> Stored {
    let bytes = sizes.iter().product::<u64>() * 4;
    Stored { name: name.to_owned(), sizes: sizes.to_vec(), kind: 0, bytes, offset: None }
}

impl Parts {
    /// A Llama of one layer with zeros for weights.
    fn llama() -> Self {
        let keys = [
            ("general.architecture", text("llama")),
            ("llama.block_count", number(1)),
            ("llama.context_length", number(16)),
            ("llama.embedding_length", number(8)),
            ("llama.feed_forward_length", number(12)),
            ("llama.attention.head_count", number(2)),
            ("llama.attention.head_count_kv", number(1)),
            ("llama.attention.layer_norm_rms_epsilon", float(1e-5)),
        ];
        let layer = |part: &str| format!("blk.0.{part}.weight");
        Parts {
            version: 3_u32.to_le_bytes(),
            keys: keys.map(|(key, value)| (key.to_owned(), value)).into(),
            tensors: vec![
                tensor("token_embd.weight", &[8, 11]),
                tensor(&layer("attn_norm"), &[8]),
                tensor(&layer("attn_q"), &[8, 8]),
                tensor(&layer("attn_k"), &[8, 4]),
                tensor(&layer("attn_v"), &[8, 4]),
                tensor(&layer("attn_output"), &[8, 8]),
                tensor(&layer("ffn_norm"), &[8]),
                tensor(&layer("ffn_gate"), &[8, 12]),
                tensor(&layer("ffn_up"), &[8, 12]),
                tensor(&layer("ffn_down"), &[12, 8]),
                tensor("output_norm.weight", &[8]),
            ],
        }
    }

    fn set(&mut self, key: &str, value: Vec<u8>) {
        self.keys.retain(|(known, _)| known != key);
        self.keys.push((key.to_owned(), value));
    }

    fn at(&mut self, name: &str) -> &mut Stored {
        self.tensors.iter_mut().find(|tensor| tensor.name == name).unwrap()
    }

    fn bytes(&self) -> Vec<u8> {
        let mut file = [&b"GGUF"[..], &self.version].concat();
        let named = |file: &mut Vec<u8>, name: &str| {
            file.extend((name.len() as u64).to_le_bytes());
            file.extend(name.as_bytes());
        };
        file.extend((self.tensors.len() as u64).to_le_bytes());
        file.extend((self.keys.len() as u64).to_le_bytes());
        for (key, value) in &self.keys {
            named(&mut file, key);
            file.extend(value);
        }
        let mut end = 0;
        for Stored { name, sizes, kind, bytes, offset } in &self.tensors {
            named(&mut file, name);
            file.extend((sizes.len() as u32).to_le_bytes());
            file.extend(sizes.iter().flat_map(|size| size.to_le_bytes()));
            file.extend(kind.to_le_bytes());
            file.extend(offset.unwrap_or(end).to_le_bytes());
            end = (end + bytes).next_multiple_of(32);
        }
        file.resize(file.len().next_multiple_of(32) + end as usize, 0);
        file
    }
}

fn refusal(path: &Path, bytes: &[u8]) -> String {
    std::fs::write(path, bytes).unwrap();
    let message = DecoderForCausalLm::from_pretrained(path, Device::Cpu).unwrap_err().to_string();
    assert!(message.starts_with(&format!("{}: ", path.display())), "{message}");
    message
}

#[test]
fn what_is_wrong_with_a_file_is_said_by_key_or_tensor() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("spoilt.gguf");
    std::fs::write(&path, Parts::llama().bytes()).unwrap();
    assert_eq!(open(&path).config().num_hidden_layers, 1);

    type Spoil = fn(&mut Parts);
    let cases: [(Spoil, &str); 25] = [
        (|parts| parts.version = [1, 0, 0, 0], "GGUF version 1; versions 2 and 3 are supported"),
        (|parts| parts.version = [0, 0, 0, 3], "a big-endian GGUF file"),
        (
            |parts| parts.keys.retain(|(key, _)| key != "llama.block_count"),
            "there is no key `llama.block_count`",
        ),
        (
            |parts| parts.set("llama.embedding_length", text("8")),
            "key `llama.embedding_length` is `8`; it must be an integer",
        ),
        (
            |parts| parts.set("llama.block_count", number(1 << 30)),
            "key `llama.block_count` is 1073741824, but the file has 1 layers",
        ),
        (
            |parts| parts.set("llama.vocab_size", number(12)),
            "key `llama.vocab_size` is 12, but `token_embd.weight` has 11 rows",
        ),
        (
            |parts| parts.set("llama.expert_count", number(8)),
            "`llama.expert_count` is 8, which is not supported; 0 is",
        ),
        (|parts| parts.set("llama.logit_scale", float(0.5)), "`llama.logit_scale` (0.5) is unknown"),
        (
            |parts| parts.set("llama.rope.scaling.type", text("yarn")),
            "key `llama.rope.scaling.type` is `yarn`",
        ),
        (
            |parts| parts.set("llama.rope.dimension_count", number(2)),
            "`llama.rope.dimension_count` is 2 and the heads of keys are 4 wide",
        ),
        (
            |parts| parts.set("llama.attention.head_count", number(3)),
            "`blk.0.attn_q.weight` is (8, 8), but by the config it should be (6, 8)",
        ),
        (
            |parts| parts.set("general.architecture", text("gemma3")),
            "the architecture `gemma3` is not supported in GGUF files; `llama`, `qwen2`, `qwen3` are",
        ),
        (|parts| parts.set("general.alignment", number(12)), "key `general.alignment` is 12"),
        (|parts| parts.set("split.count", number(2)), "key `split.count` is 2"),
        (
            |parts| parts.keys.push(("llama.block_count".to_owned(), number(1))),
            "key `llama.block_count` occurs twice",
        ),
        (
            |parts| parts.tensors.retain(|tensor| tensor.name != "blk.0.attn_v.weight"),
            "`blk.0.attn_v.weight` is missing",
        ),
        (
            |parts| parts.tensors.push(tensor("blk.0.attn_sub_norm.weight", &[8])),
            "`blk.0.attn_sub_norm.weight`",
        ),
        (
            |parts| parts.tensors.push(tensor("blk.0.attn_q_norm.weight", &[4])),
            "does not use `blk.0.attn_q_norm.weight`",
        ),
        (
            |parts| parts.at("blk.0.ffn_up.weight").sizes = vec![8, 7],
            "`blk.0.ffn_up.weight` is (7, 8), but by the config it should be (12, 8)",
        ),
        (
            |parts| parts.at("blk.0.ffn_up.weight").kind = 99,
            "tensor `blk.0.ffn_up.weight`: its type is number 99, which is unknown; F32, F16",
        ),
        (
            |parts| {
                *parts.at("blk.0.ffn_up.weight") =
                    Stored { kind: 10, bytes: 84, ..tensor("blk.0.ffn_up.weight", &[256]) }
            },
            "tensor `blk.0.ffn_up.weight` is Q2_K, which is not supported; F32, F16",
        ),
        (|parts| parts.at("blk.0.ffn_up.weight").offset = Some(0), "overlap"),
        (
            |parts| parts.at("blk.0.ffn_up.weight").offset = Some(1 << 40),
            "the data of tensor `blk.0.ffn_up.weight` lies beyond the file's end",
        ),
        (
            |parts| parts.at("blk.0.ffn_up.weight").offset = Some(8),
            "its offset 8 is not a multiple of the alignment, 32",
        ),
        (|parts| parts.at("blk.0.ffn_up.weight").sizes = vec![1 << 40, 1 << 40], "is too large"),
    ];
    for (spoil, wanted) in cases {
        let mut parts = Parts::llama();
        spoil(&mut parts);
        let message = refusal(&path, &parts.bytes());
        assert!(message.contains(wanted), "the message lacks `{wanted}`:\n{message}");
    }
    let mut divisors = Parts::llama();
    divisors.tensors.push(tensor("rope_freqs.weight", &[2]));
    assert!(refusal(&path, &divisors.bytes()).contains("`rope_freqs.weight` is not a rotation of Llama 3"));
    divisors.at("rope_freqs.weight").sizes = vec![3];
    let wanted = "`rope_freqs.weight` has 3 divisors, but a head of width 4 has 2 frequencies";
    assert!(refusal(&path, &divisors.bytes()).contains(wanted));
}

#[test]
fn a_tokenizer_that_lacks_the_types_of_its_tokens_is_refused_and_its_vocabulary_is_read() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("untyped.gguf");
    let mut parts = Parts::llama();
    parts.set("tokenizer.ggml.model", text("gpt2"));
    parts.set("tokenizer.ggml.pre", text("gpt-2"));
    parts.set("tokenizer.ggml.tokens", texts(&["a", "b", "ab", "<|end|>"]));
    parts.set("tokenizer.ggml.merges", texts(&["a b"]));
    std::fs::write(&path, parts.bytes()).unwrap();
    let refused = |name: &str| ModelFiles::open(&path).unwrap().read(name).unwrap_err().to_string();
    let message = refused("tokenizer.json");
    assert!(message.contains("there is no key `tokenizer.ggml.token_type`"), "{message}");
    assert_eq!(open(&path).vocabulary().unwrap().unwrap().len(), 4);
    parts.set("tokenizer.chat_template.tool_use", texts(&["{{ messages }}"]));
    std::fs::write(&path, parts.bytes()).unwrap();
    let message = refused("tokenizer_config.json");
    let wanted = "key `tokenizer.chat_template.tool_use` is a list of 1 strings; it must be a string";
    assert!(message.contains(wanted), "{message}");
}

#[test]
fn a_file_that_is_no_gguf_file_or_ends_early_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("spoilt.gguf");
    let whole = Parts::llama().bytes();
    for (bytes, wanted) in [
        (b"{\"a\": 1}".as_slice(), "not a GGUF file: it begins with"),
        (b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
        (b"", "not a GGUF file"),
        (&whole[..whole.len() - 1], "the file is incomplete"),
    ] {
        let message = refusal(&path, bytes);
        assert!(message.contains(wanted), "the message lacks `{wanted}`:\n{message}");
    }
    for end in (0..whole.len()).step_by(13) {
        assert!(refusal(&path, &whole[..end]).contains("download"));
    }
    let missing = DecoderForCausalLm::from_pretrained("no/such.gguf", Device::Cpu).unwrap_err().to_string();
    assert!(missing.starts_with("no/such.gguf: "), "{missing}");
    // The folder that the file lies in is no model, but says where one is.
    std::fs::write(&path, &whole).unwrap();
    let beside = DecoderForCausalLm::from_pretrained(folder.path(), Device::Cpu).unwrap_err().to_string();
    assert!(
        beside.contains("for the language model in `spoilt.gguf`, give the path of that file"),
        "{beside}"
    );
}

#[test]
fn a_file_with_changed_bytes_is_refused_or_opened_and_never_panics() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("changed.gguf");
    let mut dice = Dice::of(7);
    let mut draw = |end: u64| dice.below(end) as usize;
    let mut opened = 0;
    for (name, turns) in [("llama", 150), ("qwen2", 150)] {
        let whole = std::fs::read(fixture(&format!("{name}.gguf"))).unwrap();
        for _ in 0..turns {
            let mut changed = whole.clone();
            changed[draw(1200)] ^= 1 << draw(8);
            std::fs::write(&path, &changed).unwrap();
            opened += usize::from(DecoderForCausalLm::from_pretrained(&path, Device::Cpu).is_ok());
        }
    }
    // Some bytes are only a name or a length of the context, most are not.
    assert!((1..250).contains(&opened), "{opened}");
}
