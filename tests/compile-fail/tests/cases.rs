//! Every program in `cases/` is refused, with the message in the file beside it; and the library of
//! this package, which must be accepted, is compiled on the way.
//!
//! A new row is one new file there; `TRYBUILD=overwrite` writes its message, which a person then
//! reads. The messages are those of the compiler in `rust-toolchain.toml`.

#[test]
fn every_case_is_refused_with_its_message() {
    trybuild::TestCases::new().compile_fail("cases/*.rs");
}
