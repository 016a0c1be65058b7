//! Reads `id2label` and `label2id` of a `config.json` as transformers does.
//!
//! Neither affects what a model computes. transformers accepts numbers as names, strings as numbers, and null
//! as no map.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The names by class and the classes by name; both empty if a file has none.
pub(super) type ClassNames = (BTreeMap<i64, String>, BTreeMap<String, i64>);

/// Reads both maps.
///
/// # Errors
/// Names each key with an invalid value.
pub(super) fn class_names(file: &Map<String, Value>) -> Result<ClassNames, Vec<String>> {
    let (names, names_problem) =
        collected(file, "id2label", |class, name| Some((class.trim().parse::<i64>().ok()?, text_of(name)?)));
    let (classes, classes_problem) = collected(file, "label2id", |name, class| {
        let class = class.as_i64().or_else(|| class.as_str()?.trim().parse().ok())?;
        Some((name.to_owned(), class))
    });
    let problems: Vec<String> = names_problem.into_iter().chain(classes_problem).collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    let (names, classes): (BTreeMap<_, _>, BTreeMap<_, _>) = (names, classes);
    if names.is_empty() {
        // Each map is the inverse of the other, if each class has one name.
        let turned: BTreeMap<i64, String> =
            classes.iter().map(|(name, class)| (*class, name.clone())).collect();
        let whole = turned.len() == classes.len() && turned.keys().copied().eq(0..turned.len() as i64);
        return Ok(if whole { (turned, classes) } else { ClassNames::default() });
    }
    let classes = if classes.is_empty() {
        names.iter().map(|(class, name)| (name.clone(), *class)).collect()
    } else {
        classes
    };
    Ok((names, classes))
}

fn collected<K: Ord, V>(
    file: &Map<String, Value>,
    key: &str,
    read: impl Fn(&str, &Value) -> Option<(K, V)>,
) -> (BTreeMap<K, V>, Option<String>) {
    let map = match file.get(key) {
        None | Some(Value::Null) => return (BTreeMap::new(), None),
        Some(Value::Object(map)) => map,
        Some(other) => {
            return (BTreeMap::new(), Some(format!("`{key}` is {other}; it must be a map, or null")));
        }
    };
    let mut found = BTreeMap::new();
    for (name, value) in map {
        let Some((name, value)) = read(name, value) else {
            let problem = format!("`{key}` has {name:?}: {value}; it maps a class, 0 or more, and its name");
            return (BTreeMap::new(), Some(problem));
        };
        found.insert(name, value);
    }
    (found, None)
}

/// A name as text.
fn text_of(name: &Value) -> Option<String> {
    match name {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(file: Value) -> Result<ClassNames, Vec<String>> {
        let Value::Object(file) = file else { return Err(Vec::new()) };
        class_names(&file)
    }

    #[test]
    fn texts_numbers_and_nulls_are_read() {
        let names = || BTreeMap::from([(0, "no".to_owned()), (1, "yes".to_owned())]);
        let classes = || BTreeMap::from([("no".to_owned(), 0), ("yes".to_owned(), 1)]);
        let (id2label, label2id) = (json!({"0": "no", "1": "yes"}), json!({"no": 0, "yes": 1}));
        for file in [
            json!({"id2label": id2label, "label2id": label2id}),
            json!({"id2label": id2label, "label2id": {"no": "0", "yes": "1"}}),
            json!({"id2label": id2label, "label2id": null}),
            json!({"id2label": id2label}),
            json!({"id2label": null, "label2id": label2id}),
            json!({"id2label": {}, "label2id": {"no": "0", "yes": "1"}}),
        ] {
            assert_eq!(read(file.clone()).unwrap(), (names(), classes()), "{file}");
        }
        let numbers = read(json!({"id2label": {"0": 1, "1": 2.5}})).unwrap().0;
        assert_eq!(numbers, BTreeMap::from([(0, "1".to_owned()), (1, "2.5".to_owned())]));
        for none in
            [json!({}), json!({"id2label": null, "label2id": null}), json!({"label2id": {"a": 0, "b": 0}})]
        {
            assert_eq!(read(none.clone()).unwrap(), ClassNames::default(), "{none}");
        }
    }

    #[test]
    fn maps_that_say_nothing_are_refused_by_their_keys() {
        for (file, wanted) in [
            (json!({"id2label": ["no", "yes"]}), "`id2label` is [\"no\",\"yes\"]"),
            (json!({"id2label": {"no": "yes"}}), "`id2label` has \"no\": \"yes\""),
            (json!({"id2label": {"0": {}}}), "`id2label` has \"0\": {}"),
            (json!({"label2id": {"no": "zero"}}), "`label2id` has \"no\": \"zero\""),
        ] {
            let problems = read(file).unwrap_err().join("; ");
            assert!(problems.contains(wanted), "{problems}");
        }
        assert_eq!(read(json!({"id2label": 3, "label2id": 4})).unwrap_err().len(), 2);
    }
}
