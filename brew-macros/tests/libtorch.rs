//! What a build says where libtorch is missing: the build script is compiled and run by itself.

#![expect(clippy::expect_used, reason = "a test fails where a helper does")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The build script as a program.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("looks_for_libtorch");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("build.rs");
        let mut rustc = Command::new("rustc");
        let built =
            rustc.args(["--edition", "2024", "-o"]).arg(&program).arg(source).status().expect("rustc starts");
        assert!(built.success());
        program
    })
}

/// What it tells cargo, without what it watches.
fn told(variables: &[(&str, &Path)]) -> String {
    let mut run = Command::new(program());
    run.env_clear().envs(variables.iter().copied());
    let output = run.output().expect("it starts");
    assert!(output.status.success());
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    lines.lines().filter(|line| line.starts_with("cargo::error=")).collect()
}

/// A folder with these files.
fn folder(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    for (file, text) in files {
        let path = folder.join(file);
        fs::create_dir_all(path.parent().expect("in a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    folder
}

const WHOLE: [(&str, &str); 2] = [("lib/libtorch_cpu.so", ""), ("include/torch/script.h", "")];

#[test]
fn a_missing_libtorch_is_one_sentence_with_both_ways_out() {
    let none = told(&[]);
    assert!(none.contains("LIBTORCH is not set"), "{none}");
    for way in ["`cargo xtask setup`", "set LIBTORCH to", "LIBTORCH_USE_PYTORCH=1"] {
        assert!(none.contains(way), "{none}");
    }
    let nowhere = told(&[("LIBTORCH", Path::new("/no/such/folder"))]);
    assert!(nowhere.contains("LIBTORCH is `/no/such/folder`"), "{nowhere}");
    assert!(nowhere.contains("no libtorch in `/no/such/folder/lib`"), "{nowhere}");
    let headless = folder("headless", &WHOLE[..1]);
    assert!(told(&[("LIBTORCH", &headless)]).contains("headless/include/torch"));
}

#[test]
fn a_libtorch_of_another_version_is_named() {
    let old = folder("old", &[WHOLE[0], WHOLE[1], ("build-version", "2.7.1+cpu\n")]);
    let error = told(&[("LIBTORCH", &old)]);
    assert!(error.contains("has libtorch 2.7.1+cpu") && error.contains("no libtorch 2.11.0"), "{error}");
    assert_eq!(told(&[("LIBTORCH", &old), ("LIBTORCH_BYPASS_VERSION_CHECK", Path::new("1"))]), "");
}

#[test]
fn a_whole_libtorch_a_documentation_build_and_folders_named_apart_are_silent() {
    let whole = folder("whole", &[WHOLE[0], WHOLE[1], ("build-version", "2.11.0+cpu\n")]);
    assert_eq!(told(&[("LIBTORCH", &whole)]), "");
    assert_eq!(told(&[("CARGO_FEATURE_DOC_ONLY", Path::new("1"))]), "");
    let (lib, include) = (folder("lib_alone", &WHOLE[..1]), folder("include_alone", &WHOLE[1..]));
    let apart =
        [("LIBTORCH", Path::new("/no/such/folder")), ("LIBTORCH_LIB", &lib), ("LIBTORCH_INCLUDE", &include)];
    assert_eq!(told(&apart), "");
}

#[test]
fn a_python_without_torch_says_what_python_says() {
    let bin = folder(
        "without_torch",
        &[(
            "python3",
            "#!/bin/sh\necho 'Traceback' >&2\necho \"ModuleNotFoundError: No module named 'torch'\" >&2\nexit 1\n",
        )],
    );
    make_executable(&bin.join("python3"));
    let error = told(&[("LIBTORCH_USE_PYTORCH", Path::new("1")), ("PATH", &path_of(&bin))]);
    assert!(error.contains("`python3` cannot import torch: ModuleNotFoundError"), "{error}");
    let bin = folder("other_torch", &[("python3", "#!/bin/sh\necho 2.13.0+cu130\n")]);
    make_executable(&bin.join("python3"));
    let error = told(&[("LIBTORCH_USE_PYTORCH", Path::new("1")), ("PATH", &path_of(&bin))]);
    assert!(error.contains("`python3` has libtorch 2.13.0+cu130"), "{error}");
}

fn path_of(bin: &Path) -> PathBuf {
    PathBuf::from(format!("{}:/usr/bin:/bin", bin.display()))
}

#[cfg(unix)]
fn make_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("its own file");
}
