//! What brew-data promises, seen from outside: sources, tokens, order, batches, and bad input.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod advice;
mod aligned;
mod annotated;
mod augmented;
mod bad_input;
mod batches;
mod brought;
mod causal_rows;
mod chat_templates;
mod classifier;
mod codecs;
mod columns;
mod copied;
mod damaged;
mod declared;
mod extremes;
mod folders;
mod formats;
mod identifiers;
mod json_keys;
mod json_tables;
mod loading;
mod masked_lm;
mod meaning;
mod odd_columns;
mod order;
mod packing;
mod padding;
mod patterns;
mod prefetch;
mod recast;
mod resume;
mod reviews;
mod saved;
mod sources;
mod streams;
mod tokenizer_folders;
mod tokenizing;
mod two_tokenizers;
mod widened;

/// Prints a line past the test runner, which holds back what a passing test prints.
pub(crate) fn say(line: &str) {
    use std::io::Write as _;
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).expect("standard error");
}

/// Says that a check was skipped.
pub(crate) fn skipped(why: &str) {
    say(&format!("skipped: {why}"));
}

/// The interpreter that `BREW_PYTHON` names, or `python3`, if it runs `imports`; otherwise says that a check is skipped.
pub(crate) fn python(imports: &str) -> Option<String> {
    let python = std::env::var("BREW_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let output = std::process::Command::new(&python).args(["-c", imports]).output();
    if output.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    skipped(&format!("`{python}` (BREW_PYTHON, else python3) cannot `{imports}`"));
    None
}
