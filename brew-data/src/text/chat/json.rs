//! Python's `json.dumps`, which chat templates call as `tojson`: its spaces, its order, and no escapes for HTML.

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, Value};

/// How values are laid out.
struct Layout {
    ascii: bool,
    /// What a level is indented by; `None` for one line.
    indent: Option<String>,
    /// Between items, and between a key and its value.
    separators: (String, String),
    sorted: bool,
}

/// The filter `tojson(ensure_ascii=false, indent=none, separators=none, sort_keys=false)`.
pub(super) fn tojson(value: &Value, given: &[Value]) -> Result<Value, Error> {
    let (given, named): (&[Value], Kwargs) = minijinja::value::from_args(given)?;
    let names = ["ensure_ascii", "indent", "separators", "sort_keys"];
    if given.len() > names.len() {
        return Err(Error::from(ErrorKind::TooManyArguments));
    }
    let mut options = names.iter().enumerate().map(|(place, name)| match given.get(place) {
        Some(value) => Ok(Some(value.clone())),
        None => named.get::<Option<Value>>(name),
    });
    let mut next = || Ok::<_, Error>(options.next().transpose()?.flatten().filter(|value| !value.is_none()));
    let (ascii, indent, separators, sorted) = (next()?, next()?, next()?, next()?);
    named.assert_all_used()?;
    let indent = indent.map(|indent| match (indent.as_usize(), indent.as_str()) {
        (Some(spaces), _) => Ok(" ".repeat(spaces)),
        (None, Some(text)) => Ok(text.to_owned()),
        _ => Err(Error::new(ErrorKind::InvalidOperation, "`indent` of tojson is a number or text")),
    });
    let indent = indent.transpose()?;
    let separators = match separators {
        None if indent.is_some() => (",".to_owned(), ": ".to_owned()),
        None => (", ".to_owned(), ": ".to_owned()),
        Some(pair) => (pair.get_item_by_index(0)?.to_string(), pair.get_item_by_index(1)?.to_string()),
    };
    let is = |option: Option<Value>| option.is_some_and(|value| value.is_true());
    let layout = Layout { ascii: is(ascii), indent, separators, sorted: is(sorted) };
    let mut text = String::new();
    layout.write(value, 0, &mut text)?;
    Ok(Value::from(text))
}

impl Layout {
    fn write(&self, value: &Value, depth: usize, into: &mut String) -> Result<(), Error> {
        match value.kind() {
            ValueKind::None => into.push_str("null"),
            ValueKind::Bool => into.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number if value.is_integer() => into.push_str(&value.to_string()),
            ValueKind::Number => into.push_str(&float(f64::try_from(value.clone())?)),
            ValueKind::String => self.text(value.as_str().unwrap_or_default(), into),
            ValueKind::Seq | ValueKind::Iterable => {
                let items: Vec<Value> = value.try_iter()?.collect();
                self.members(["[", "]"], items.len(), depth, into, |place, into| {
                    self.write(&items[place], depth + 1, into)
                })?;
            }
            ValueKind::Map => {
                let mut keys = Vec::new();
                for key in value.try_iter()? {
                    keys.push((self.key(&key)?, key));
                }
                if self.sorted {
                    keys.sort_by(|(one, _), (other, _)| one.cmp(other));
                }
                self.members(["{", "}"], keys.len(), depth, into, |place, into| {
                    let (name, key) = &keys[place];
                    self.text(name, into);
                    into.push_str(&self.separators.1);
                    self.write(&value.get_item(key)?, depth + 1, into)
                })?;
            }
            other => {
                let message = format!("tojson cannot write a value that is {other}");
                return Err(Error::new(ErrorKind::InvalidOperation, message));
            }
        }
        Ok(())
    }

    /// The members of a list or an object between its brackets.
    fn members(
        &self,
        [open, close]: [&str; 2],
        count: usize,
        depth: usize,
        into: &mut String,
        member: impl Fn(usize, &mut String) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let line = |depth: usize, into: &mut String| {
            if let (Some(indent), true) = (&self.indent, count > 0) {
                into.push('\n');
                (0..depth).for_each(|_| into.push_str(indent));
            }
        };
        into.push_str(open);
        for place in 0..count {
            if place > 0 {
                into.push_str(&self.separators.0);
            }
            line(depth + 1, into);
            member(place, into)?;
        }
        line(depth, into);
        into.push_str(close);
        Ok(())
    }

    fn key(&self, key: &Value) -> Result<String, Error> {
        match key.kind() {
            ValueKind::String => Ok(key.as_str().unwrap_or_default().to_owned()),
            _ => {
                let mut name = String::new();
                self.write(key, 0, &mut name)?;
                Ok(name)
            }
        }
    }

    fn text(&self, text: &str, into: &mut String) {
        into.push('"');
        for letter in text.chars() {
            match letter {
                '"' => into.push_str("\\\""),
                '\\' => into.push_str("\\\\"),
                '\n' => into.push_str("\\n"),
                '\r' => into.push_str("\\r"),
                '\t' => into.push_str("\\t"),
                '\u{8}' => into.push_str("\\b"),
                '\u{c}' => into.push_str("\\f"),
                letter
                    if letter < ' '
                        || (self.ascii && !letter.is_ascii())
                        || (self.ascii && letter == '\u{7f}') =>
                {
                    let mut units = [0; 2];
                    for unit in letter.encode_utf16(&mut units) {
                        into.push_str(&format!("\\u{unit:04x}"));
                    }
                }
                letter => into.push(letter),
            }
        }
        into.push('"');
    }
}

/// A float as Python's `repr` writes it: the shortest digits, with an exponent below 1e-4 and from 1e16.
fn float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let shortest = format!("{value:e}");
    let (digits, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    match exponent.parse::<i32>().unwrap_or_default() {
        -4..16 => format!("{value:?}"),
        exponent => format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs()),
    }
}
