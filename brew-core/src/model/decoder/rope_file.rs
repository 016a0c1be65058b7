//! Rotary positions in a `config.json`, in both dialects: `rope_theta` beside `rope_scaling`, and the
//! `rope_parameters` of transformers 5.

use serde_json::{Map, Value, json};

use super::rope::{Rope, RopeScaling};
use super::switches::{Positions, Switches};

type Object = Map<String, Value>;

/// Beyond it a float64 does not hold every whole number.
const MOST_POSITIONS: f64 = 9_007_199_254_740_992.0;

/// The supported types, by their names in a config.
const DONE: &str = "`default`, `linear` and `llama3`";

/// The rotation in a file, and the separate one of layers with a window if the architecture has it.
///
/// # Errors
/// Everything that is invalid or not supported.
pub(super) fn read(
    file: &Object,
    switches: &Switches,
    longest: i64,
    (default, local): (Rope, Option<Rope>),
) -> Result<(Rope, Option<Rope>), Vec<String>> {
    if switches.positions == Positions::Learned {
        return Ok((default, local));
    }
    let mut reader = Reader { file, longest, problems: Vec::new() };
    let parameters = reader.object("rope_parameters");
    let old = reader.object("rope_scaling");
    let of_type = |kind: &str| parameters.get(kind).and_then(Value::as_object);
    let (full, of_windows) = match &local {
        Some(_) => (of_type("full_attention").cloned().unwrap_or_default(), of_type("sliding_attention")),
        None => (parameters.clone(), None),
    };
    if local.is_none() && parameters.values().any(Value::is_object) {
        reader.problems.push(
            "rope_parameters: a separate rotation per layer type is not supported for this architecture"
                .to_owned(),
        );
    }
    let rope = reader.in_both(&full, &old, "rope_theta", default.theta);
    let local = local.map(|local| {
        let none = Object::new();
        reader.rope("rope_parameters", of_windows.unwrap_or(&none), &["rope_local_base_freq"], local.theta)
    });
    if reader.problems.is_empty() { Ok((rope, local)) } else { Err(reader.problems) }
}

struct Reader<'f> {
    file: &'f Object,
    longest: i64,
    problems: Vec<String>,
}

impl Reader<'_> {
    /// The object of this name, empty if there is none.
    fn object(&mut self, key: &str) -> Object {
        match self.file.get(key) {
            None | Some(Value::Null) => Object::new(),
            Some(Value::Object(object)) => object.clone(),
            Some(other) => {
                self.problems.push(format!("{key} is {other}; it must be an object or null"));
                Object::new()
            }
        }
    }

    /// The rotation in both dialects, which must agree.
    fn in_both(&mut self, new: &Object, old: &Object, beside: &str, theta: f64) -> Rope {
        let theta =
            self.number(new, "rope_theta").or_else(|| self.number(old, "rope_theta")).unwrap_or(theta);
        match (new.is_empty(), old.is_empty()) {
            (_, true) => self.rope("rope_parameters", new, &[beside], theta),
            (true, false) => self.rope("rope_scaling", old, &[beside], theta),
            (false, false) => {
                let [new, old] = [("rope_parameters", new), ("rope_scaling", old)]
                    .map(|(name, object)| self.rope(name, object, &[beside], theta));
                if new != old {
                    self.problems.push(
                        "rope_parameters and rope_scaling are both present and disagree: remove the one that the model was not trained with"
                            .to_owned(),
                    );
                }
                new
            }
        }
    }

    /// The rotation of one object; `beside` are keys of the file that may hold its theta.
    fn rope(&mut self, name: &str, object: &Object, beside: &[&str], theta: f64) -> Rope {
        let of_object = self.number(object, "rope_theta");
        let theta =
            of_object.or_else(|| beside.iter().find_map(|key| self.number(self.file, key))).unwrap_or(theta);
        let stated =
            ["rope_type", "type"].iter().filter_map(|key| object.get(*key)).find(|kind| !kind.is_null());
        let kind = match stated {
            None => "default",
            Some(Value::String(kind)) => kind,
            Some(other) => {
                self.problems.push(format!("the rope_type is {other}; it must be one of {DONE}"));
                "default"
            }
        };
        let scaling = match kind {
            "default" => RopeScaling::Default,
            "linear" => RopeScaling::Linear { factor: self.needed(name, object, "factor") },
            "llama3" => RopeScaling::Llama3 {
                factor: self.needed(name, object, "factor"),
                low_freq_factor: self.needed(name, object, "low_freq_factor"),
                high_freq_factor: self.needed(name, object, "high_freq_factor"),
                original_max_position_embeddings: self
                    .positions(self.file)
                    .or_else(|| self.positions(object))
                    .unwrap_or(self.longest),
            },
            other => {
                self.problems.push(format!("the rope_type `{other}` is not supported yet; {DONE} are"));
                RopeScaling::Default
            }
        };
        let partial = "partial_rotary_factor";
        let partial = self.number(object, partial).or_else(|| self.number(self.file, partial));
        if let Some(part) = partial.filter(|part| *part != 1.0) {
            self.problems
                .push(format!("partial_rotary_factor is {part}; partial rotation is not supported yet"));
        }
        Rope { theta, scaling }
    }

    /// A number that the type of rotation cannot do without.
    fn needed(&mut self, name: &str, object: &Object, key: &str) -> f64 {
        if object.get(key).is_none_or(Value::is_null) {
            self.problems.push(format!("{name} lacks the number `{key}`, which its rope_type needs"));
        }
        self.number(object, key).unwrap_or(1.0)
    }

    /// A number, if it is there: null is as if it were not, and anything else is a problem.
    fn number(&mut self, object: &Object, key: &str) -> Option<f64> {
        let value = object.get(key).filter(|value| !value.is_null())?;
        let number = value.as_f64();
        if number.is_none() {
            self.problem(format!("{key} is {value}; it must be a number"));
        }
        number
    }

    /// The positions that a model was first trained with. Some programs write them as `8192.0`.
    fn positions(&mut self, object: &Object) -> Option<i64> {
        let key = "original_max_position_embeddings";
        let number = self.number(object, key)?;
        if number.fract() != 0.0 || number.abs() > MOST_POSITIONS {
            self.problem(format!("{key} is {number}; it must be a whole number"));
            return None;
        }
        Some(number as i64)
    }

    /// Notes a problem, once if a value is read several times.
    fn problem(&mut self, problem: String) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }
}

/// Writes the rotation in both dialects: most readers other than transformers 5 know only the old one.
pub(super) fn write(file: &mut Object, switches: &Switches, rope: &Rope, local: Option<&Rope>) {
    if switches.positions == Positions::Learned {
        return;
    }
    let parameters = match local {
        None => parameters(rope),
        Some(local) => json!({ "full_attention": parameters(rope), "sliding_attention": parameters(local) }),
    };
    let scaling = match rope.scaling {
        RopeScaling::Default => Value::Null,
        scaling => json!(scaling),
    };
    let written =
        [("rope_parameters", parameters), ("rope_scaling", scaling), ("rope_theta", json!(rope.theta))];
    let of_windows = local.map(|local| ("rope_local_base_freq", json!(local.theta)));
    for (key, value) in written.into_iter().chain(of_windows) {
        file.insert(key.to_owned(), value);
    }
}

fn parameters(rope: &Rope) -> Value {
    let mut parameters = json!(rope.scaling);
    parameters["rope_theta"] = json!(rope.theta);
    parameters
}

/// Problems of a rotation's numbers.
pub(super) fn problems(rope: &Rope) -> Vec<String> {
    let mut numbers = vec![("rope_theta", rope.theta)];
    let mut problems = Vec::new();
    match rope.scaling {
        RopeScaling::Default => {}
        RopeScaling::Linear { factor } => numbers.push(("factor", factor)),
        RopeScaling::Llama3 {
            factor,
            low_freq_factor,
            high_freq_factor,
            original_max_position_embeddings,
        } => {
            numbers.extend([("factor", factor), ("low_freq_factor", low_freq_factor)]);
            numbers.push(("original_max_position_embeddings", original_max_position_embeddings as f64));
            if !(high_freq_factor.is_finite() && high_freq_factor > low_freq_factor) {
                problems.push(format!(
                    "high_freq_factor is {high_freq_factor}; it must be above low_freq_factor {low_freq_factor}"
                ));
            }
        }
    }
    let wrong = numbers.into_iter().filter(|(_, number)| !(number.is_finite() && *number > 0.0));
    problems.extend(wrong.map(|(key, number)| format!("{key} is {number}; it must be above 0")));
    problems
}
