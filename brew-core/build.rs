//! Compiles the native shim, tells dependents where libtorch's libraries are, and lets this crate's
//! own tests find them.

use std::path::Path;

/// The shim's parts, in `native`: thin wrappers, which gain nothing from being optimized.
const PARTS: [&str; 3] = ["native/numerics.cpp", "native/context.cpp", "native/recompute.cpp"];

/// The part that includes libtorch's headers for several processes, which need definitions of their own.
const RANKS: [&str; 1] = ["native/ranks.cpp"];

/// Its parts with loops over elements.
const KERNELS: [&str; 2] = ["native/dropout.cpp", "native/attention.cpp"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=native");
    // With `doc-only` torch-sys names no folder and nothing links.
    let Ok(folder) = std::env::var("DEP_TCH_LIBTORCH_LIB") else { return };
    println!("cargo::metadata=LIBTORCH={folder}");
    println!("cargo::rustc-link-arg=-Wl,-rpath,{folder}");
    let include = Path::new(&folder).with_file_name("include");
    let threads = threads_of(&folder);
    let groups =
        [("brew_native", &PARTS[..], 0), ("brew_ranks", &RANKS[..], 0), ("brew_kernels", &KERNELS[..], 3)];
    for (name, parts, level) in groups {
        let mut build = cc::Build::new();
        if parts == RANKS {
            // gloo's own headers are missing from libtorch's packages: `native/gloo` stands in for them.
            build.define("USE_DISTRIBUTED", None).define("USE_C10D_GLOO", None).include("native");
        }
        if threads.is_some() {
            build.flag("-fopenmp");
        }
        build
            .cpp(true)
            // A product and a sum in one instruction, which the standard's own dialect forbids.
            .flag("-ffp-contract=fast")
            // It notes that old compilers pass wide vectors otherwise; ours are never passed.
            .flag("-Wno-psabi")
            .std("c++17")
            .opt_level(level)
            .debug(false)
            .warnings(false)
            .define("_GLIBCXX_USE_CXX11_ABI", "1")
            .include(&include)
            .include(include.join("torch/csrc/api/include"))
            .files(parts)
            .compile(name);
    }
    match threads {
        Some(file) => println!("cargo::rustc-link-lib=dylib:+verbatim={file}"),
        None => println!("cargo::warning=no libgomp beside libtorch: brew's own kernels use one thread"),
    }
}

/// The OpenMP library that libtorch brings along. Its `parallel_for` is a template: compiled without OpenMP it
/// quietly uses one thread, and with another OpenMP library the process would have two pools of threads.
fn threads_of(folder: &str) -> Option<String> {
    let files = std::fs::read_dir(folder).ok()?;
    let names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
    names.filter(|name| name.starts_with("libgomp")).min()
}
