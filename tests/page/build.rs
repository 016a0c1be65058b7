//! The one line that a program outside the workspace needs to find libtorch's libraries.

fn main() {
    println!("cargo::rustc-link-arg=-Wl,-rpath,{}", std::env::var("DEP_BREW_LIBTORCH").unwrap());
}
