//! Lets this package's programs and tests find libtorch without an environment variable.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if let Ok(folder) = std::env::var("DEP_BREW_LIBTORCH") {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{folder}");
    }
}
