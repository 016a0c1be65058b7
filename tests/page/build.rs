//! The one line that a program outside the workspace copies: where libtorch's libraries are.

fn main() {
    println!("cargo::rustc-link-arg=-Wl,-rpath,{}", std::env::var("DEP_BREW_LIBTORCH").unwrap());
}
