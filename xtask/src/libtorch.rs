//! Which libtorch the build uses: the user's own if they named one, else one extracted from wheels.
//!
//! The version is fixed by torch-sys, which binds exactly one.

use std::env;
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::layout::Layout;
use crate::process::answer;
use crate::python::Wheels;
use crate::workspace;

const VERSION: &str = "2.11.0";
const CUDA_VERSION: &str = "2.11.0+cu130";

/// Where libtorch comes from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Libtorch {
    /// The Python installation with PyTorch that `LIBTORCH_USE_PYTORCH` asks for.
    OfPython,
    /// The folder that the user's `LIBTORCH` names.
    OfThePerson(PathBuf),
    /// The one in the repository, created by set-up.
    LaidOut,
}

impl Libtorch {
    /// What the environment asks for; torch-sys reads the variables in the same order.
    pub(crate) fn chosen() -> Libtorch {
        if env::var_os("LIBTORCH_USE_PYTORCH").is_some() {
            return Libtorch::OfPython;
        }
        workspace::libtorch_of_the_person().map_or(Libtorch::LaidOut, Libtorch::OfThePerson)
    }

    /// What is wrong with the libtorch that the user chose.
    pub(crate) fn problem(&self) -> Option<String> {
        match self {
            Libtorch::LaidOut => None,
            Libtorch::OfThePerson(folder) => problem_of_folder(folder),
            Libtorch::OfPython => problem_of_python(version_of_python().as_deref()),
        }
        .map(|problem| format!("{problem}; correct the variable, or unset it to let set-up provide libtorch"))
    }
}

/// A layout of libtorch for a machine with or without an NVIDIA GPU.
pub(crate) fn layout(gpu: bool) -> Layout {
    let (folder, version_file) = (workspace::libtorch(), "build-version");
    if gpu {
        return Layout {
            name: "libtorch 2.11.0 (CUDA 13.0)",
            folder,
            version_file,
            version: CUDA_VERSION,
            also_served_by: &[],
            wheels: Wheels { requirements: &["torch==2.11.0"], with_dependencies: true },
            download_megabytes: 2_720,
            disk_megabytes: 10_500,
            keep: &[
                r"torch/(include/.+)",
                r"torch/(lib/(?!libtorch_python)[^/]+\.so[^/]*)",
                r"nvidia/[^/]+/(lib/[^/]+\.so[^/]*)",
            ],
            required: &[
                "include/torch/csrc/api/include/torch/torch.h",
                "lib/libtorch_cpu.so",
                "lib/libtorch_cuda.so",
                "lib/libcudart.so.13",
            ],
        };
    }
    Layout {
        name: "libtorch 2.11.0 (CPU)",
        folder,
        version_file,
        version: "2.11.0+cpu",
        also_served_by: &[CUDA_VERSION],
        // libtorch_cpu.so in this wheel needs two small CUDA libraries, even without a GPU.
        wheels: Wheels {
            requirements: &["torch==2.11.0", "nvidia-cuda-runtime==13.0.96", "nvidia-cuda-cupti==13.0.85"],
            with_dependencies: false,
        },
        download_megabytes: 544,
        disk_megabytes: 2_500,
        keep: &[
            r"torch/(include/.+)",
            r"torch/(lib/lib(?:torch_cpu|torch|c10)\.so|lib/libgomp\.so\.1)",
            r"nvidia/[^/]+/(lib/lib(?:cudart|cupti)\.so\.13)",
        ],
        required: &[
            "include/torch/csrc/api/include/torch/torch.h",
            "lib/libtorch_cpu.so",
            "lib/libtorch.so",
            "lib/libc10.so",
            "lib/libgomp.so.1",
            "lib/libcudart.so.13",
            "lib/libcupti.so.13",
        ],
    }
}

/// Checks a folder that the user named.
fn problem_of_folder(folder: &Path) -> Option<String> {
    let shown = folder.display();
    let library = folder.join("lib").join(format!("{DLL_PREFIX}torch_cpu{DLL_SUFFIX}"));
    if !library.is_file() {
        return Some(format!("LIBTORCH is `{shown}`, but there is no file `{}`", library.display()));
    }
    // A folder from a Python installation does not say its version, and is trusted.
    let version = fs::read_to_string(folder.join("build-version")).ok()?;
    (number(&version) != VERSION).then(|| {
        format!("LIBTORCH is `{shown}`, which is version {}, but {VERSION} is needed", number(&version))
    })
}

/// Checks the version of PyTorch that the user's Python reported.
fn problem_of_python(version: Option<&str>) -> Option<String> {
    match version {
        None => Some("LIBTORCH_USE_PYTORCH is set, but Python cannot `import torch`".into()),
        Some(version) if number(version) != VERSION => Some(format!(
            "LIBTORCH_USE_PYTORCH is set, but Python's torch is version {}, and {VERSION} is needed",
            number(version)
        )),
        Some(_) => None,
    }
}

/// The version of PyTorch in the Python that torch-sys will ask.
fn version_of_python() -> Option<String> {
    let python = if env::var_os("VIRTUAL_ENV").is_some() { "python" } else { "python3" };
    answer(Command::new(python).args(["-c", "import torch; print(torch.__version__)"]))
}

/// `2.11.0` from `2.11.0+cpu`.
fn number(version: &str) -> &str {
    version.trim().split('+').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder as a user could name it, removed at the end of its test.
    struct Folder(PathBuf);

    impl Folder {
        fn with(name: &str, files: &[(&str, &str)]) -> Folder {
            let folder = env::temp_dir().join(format!("brew-xtask-{}-{name}", std::process::id()));
            for (file, text) in files {
                let path = folder.join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            Folder(folder)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn library() -> String {
        format!("lib/{DLL_PREFIX}torch_cpu{DLL_SUFFIX}")
    }

    #[test]
    fn a_folder_without_the_library_is_refused_by_name() {
        let folder = Folder::with("empty", &[("lib/readme", "")]);
        let problem = problem_of_folder(&folder.0).unwrap();
        assert!(problem.contains(&format!("no file `{}`", folder.0.join(library()).display())), "{problem}");
    }

    #[test]
    fn a_folder_of_another_version_is_refused_with_both_versions() {
        let folder = Folder::with("old", &[(&library(), ""), ("build-version", "2.10.0+cu128\n")]);
        let problem = problem_of_folder(&folder.0).unwrap();
        assert!(problem.ends_with("which is version 2.10.0, but 2.11.0 is needed"), "{problem}");
    }

    #[test]
    fn a_folder_of_the_right_or_of_no_version_is_used() {
        let right = Folder::with("right", &[(&library(), ""), ("build-version", "2.11.0+cpu\n")]);
        assert_eq!(problem_of_folder(&right.0), None);
        let silent = Folder::with("silent", &[(&library(), "")]);
        assert_eq!(problem_of_folder(&silent.0), None);
    }

    #[test]
    fn a_python_without_torch_or_with_another_one_is_refused() {
        assert!(problem_of_python(None).unwrap().contains("cannot `import torch`"));
        assert!(problem_of_python(Some("2.10.0\n")).unwrap().contains("version 2.10.0, and 2.11.0"));
        assert_eq!(problem_of_python(Some("2.11.0+cu130\n")), None);
    }
}
