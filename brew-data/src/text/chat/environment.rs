//! The Jinja environment of chat templates, as transformers 5.24 sets it up.
//!
//! Blocks take the newline after them and the spaces before them; `break` and `continue` work; strings and
//! maps have Python's methods. `raise_exception`, `strftime_now`, and `tojson` are transformers' own.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Rest, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, State, UndefinedBehavior, Value};

use super::generation::{FILTER, MARKS, marked};
use super::json::tojson;

/// An environment without templates.
pub(super) fn environment() -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_undefined_behavior(UndefinedBehavior::Lenient);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_filter("tojson", |value: &Value, given: Rest<ValueOrKwargs>| {
        tojson(value, &given.into_values())
    });
    // As in Jinja2, where text and maps are sequences, None is nothing to iterate, and truth values are numbers.
    let is_many =
        |kind| matches!(kind, ValueKind::String | ValueKind::Seq | ValueKind::Map | ValueKind::Undefined);
    environment.add_test("iterable", move |value: &Value| {
        is_many(value.kind()) || value.kind() == ValueKind::Iterable
    });
    environment.add_test("sequence", move |value: &Value| is_many(value.kind()));
    environment
        .add_test("number", |value: &Value| matches!(value.kind(), ValueKind::Number | ValueKind::Bool));
    environment.add_filter(FILTER, |state: &State<'_, '_>, text: String| match state.lookup(MARKS) {
        Some(marks) => marked(&text, &marks),
        None => Ok(text),
    });
    environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, format!("the template refuses the chat: {message}")))
    });
    environment.add_function("strftime_now", |format: String| now(&format));
    Ok(environment)
}

/// The local time in the format of Python's `strftime`.
fn now(format: &str) -> Result<String, Error> {
    use chrono::format::{Item, StrftimeItems};
    let items: Vec<Item<'_>> = StrftimeItems::new(format).collect();
    if items.contains(&Item::Error) {
        let message = format!("strftime_now does not know the format {format:?}");
        return Err(Error::new(ErrorKind::InvalidOperation, message));
    }
    Ok(chrono::Local::now().format_with_items(items.iter()).to_string())
}
