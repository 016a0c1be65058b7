//! The names of parameters in a GGUF file and in a Hugging Face folder of Llama and its relatives.

/// Parameters outside the layers, without `.weight`.
const WHOLE: [(&str, &str); 3] =
    [("token_embd", "model.embed_tokens"), ("output_norm", "model.norm"), ("output", "lm_head")];

/// Parts of a layer, without `.weight` and `.bias`.
const OF_LAYER: [(&str, &str); 11] = [
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("attn_q_norm", "self_attn.q_norm"),
    ("attn_k_norm", "self_attn.k_norm"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

const LAYERS: [&str; 2] = ["blk.", "model.layers."];

/// The embeddings.
pub(super) const TOKENS: &str = "token_embd.weight";
/// The head, unless it is the embeddings' matrix.
pub(super) const HEAD: &str = "output.weight";

/// A part's name, translated by `pairs`, with its `.weight` or `.bias`.
fn translated<'p>(name: &str, mut pairs: impl Iterator<Item = (&'p str, &'p str)>) -> Option<String> {
    let (part, end) = name.rsplit_once('.').filter(|(_, end)| ["weight", "bias"].contains(end))?;
    pairs.find(|(from, _)| *from == part).map(|(_, to)| format!("{to}.{end}"))
}

fn turned<'p>((one, other): &(&'p str, &'p str)) -> (&'p str, &'p str) {
    (other, one)
}

/// The number of a layer and what follows it.
fn of_layer<'n>(name: &'n str, layers: &str) -> Option<(usize, &'n str)> {
    let (number, rest) = name.strip_prefix(layers)?.split_once('.')?;
    number.parse().ok().map(|number| (number, rest))
}

/// The layer that a tensor of a file is in.
pub(super) fn layer(name: &str) -> Option<usize> {
    of_layer(name, LAYERS[0]).map(|(number, _)| number)
}

/// transformers' name for a tensor of a file; `None` if no supported architecture has it.
pub(super) fn name_in_folder(name: &str) -> Option<String> {
    match of_layer(name, LAYERS[0]) {
        Some((number, rest)) => {
            translated(rest, OF_LAYER.iter().copied()).map(|part| format!("{}{number}.{part}", LAYERS[1]))
        }
        None => translated(name, WHOLE.iter().copied()),
    }
}

/// The name in a file of a parameter with this name of transformers'.
pub(crate) fn name_in_file(name: &str) -> String {
    let found = match of_layer(name, LAYERS[1]) {
        Some((number, rest)) => {
            translated(rest, OF_LAYER.iter().map(turned)).map(|part| format!("{}{number}.{part}", LAYERS[0]))
        }
        None => translated(name, WHOLE.iter().map(turned)),
    };
    found.unwrap_or_else(|| name.to_owned())
}
