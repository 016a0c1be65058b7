//! Errors for folders that hold a model in a format that brew cannot read.

use std::path::Path;

use super::{CONFIG, INDEX};
use crate::error::Error;
use crate::gguf;
use crate::model::lora::ADAPTER_CONFIG;
use crate::parameters::WEIGHTS;

/// Converts PyTorch's own files to safetensors, keeping the names. (Loading them as a model would require
/// knowing the class, and a head for another task would be lost.)
const CONVERSION: &str = "import pathlib, sys, torch; from safetensors.torch import save_file; \
    p = pathlib.Path(sys.argv[1]); w = {}; \
    [w.update(torch.load(f, 'cpu', weights_only=True)) for f in sorted(p.glob('pytorch_model*.bin'))]; \
    save_file({k: v.clone().contiguous() for k, v in w.items()}, p / 'model.safetensors', {'format': 'pt'})";

/// Suffixes of weight files of other tools.
const OTHERS: [&str; 9] =
    [".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".onnx", ".gguf", ".safetensors"];

const OF_ADAPTER: &str = "this is the folder of an adapter: load the base that it was trained on, and then the adapter with `load_adapter`";

/// The error for a folder without weights that brew can read.
pub(super) fn no_weights(folder: &Path) -> Error {
    let files = names_in(folder, |path| path.is_file());
    let of_pytorch = |name: &&String| name.starts_with("pytorch_model") && name.ends_with(".bin");
    let mend = if let Some(first) = files.iter().find(of_pytorch) {
        format!(
            "the weights are in PyTorch's own format (`{first}`), which brew does not read. Convert them once:\n  \
             python -c \"{CONVERSION}\" {}",
            quoted(folder)
        )
    } else if files.iter().any(|name| name == ADAPTER_CONFIG) {
        OF_ADAPTER.to_owned()
    } else {
        let others: Vec<_> =
            files.iter().filter(|name| OTHERS.iter().any(|end| name.ends_with(end))).collect();
        match others.as_slice() {
            [] => format!("put the model's weights beside its {CONFIG}"),
            _ => format!("only safetensors with these names are read; the folder has {}", listed(&others)),
        }
    };
    Error::file(folder, format!("{WEIGHTS} and {INDEX} are missing: {mend}"))
}

/// The error for a folder without a config.
pub(super) fn no_config(folder: &Path) -> Error {
    if folder.is_file() {
        let message = "this is a file: give the model's Hugging Face folder (only DecoderForCausalLm also opens a file, whose name ends in `.gguf`)";
        return Error::file(folder, message);
    }
    if !folder.is_dir() {
        return Error::file(folder, "the folder does not exist");
    }
    if folder.join(ADAPTER_CONFIG).is_file() {
        return Error::file(folder, OF_ADAPTER);
    }
    let models = names_in(folder, |path| path.join(CONFIG).is_file());
    let files = names_in(folder, gguf::is_gguf);
    let mend = match (models.as_slice(), files.as_slice()) {
        ([], []) => "a model folder holds config.json and model.safetensors".to_owned(),
        ([], [file, ..]) => format!("for the language model in `{file}`, give the path of that file"),
        _ => format!("these subfolders have one: {}", listed(&models.iter().collect::<Vec<_>>())),
    };
    Error::file(folder, format!("not a model folder: {CONFIG} is missing ({mend})"))
}

/// The names of a folder's entries, sorted.
fn names_in(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let wanted = entries.filter(|entry| wanted(&entry.path()));
    let mut names: Vec<_> = wanted.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn listed(names: &[&String]) -> String {
    let shown: Vec<_> = names.iter().take(5).map(|name| format!("`{name}`")).collect();
    let more = if names.len() > shown.len() { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

/// A path quoted for a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}
