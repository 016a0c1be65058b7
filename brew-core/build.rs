//! Compiles the native shim, tells dependents where libtorch's libraries are, and lets this crate's
//! own tests find them.

use std::path::Path;

/// The shim's parts, in `native`.
const PARTS: [&str; 3] = ["native/numerics.cpp", "native/context.cpp", "native/recompute.cpp"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=native");
    // With `doc-only` torch-sys names no folder and nothing links.
    let Ok(folder) = std::env::var("DEP_TCH_LIBTORCH_LIB") else { return };
    println!("cargo::metadata=LIBTORCH={folder}");
    println!("cargo::rustc-link-arg=-Wl,-rpath,{folder}");
    let include = Path::new(&folder).with_file_name("include");
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        // Thin wrappers: optimizing them gains nothing.
        .opt_level(0)
        .debug(false)
        .warnings(false)
        .define("_GLIBCXX_USE_CXX11_ABI", "1")
        .include(&include)
        .include(include.join("torch/csrc/api/include"))
        .files(PARTS)
        .compile("brew_native");
}
