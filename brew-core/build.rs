//! Tells dependents where libtorch's libraries are, and lets this crate's own tests find them.

fn main() {
    // With `doc-only` torch-sys names no folder and nothing links.
    if let Ok(folder) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo::metadata=LIBTORCH={folder}");
        println!("cargo::rustc-link-arg=-Wl,-rpath,{folder}");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
