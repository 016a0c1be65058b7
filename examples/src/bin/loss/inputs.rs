//! Turns the keys of a file into what a loss reads.
//!
//! | key | what it is |
//! |---|---|
//! | `student.ROLE`, `teacher.ROLE` | features of a role: `student.logits`, `teacher.embedding` |
//! | `student.ROLE.N`, `teacher.ROLE.N` | layer N of a role: `student.hidden.0`, `teacher.attention.3` |
//! | `logits_mask`, `inputs_mask` | which positions count, for both sides; `teacher.inputs_mask` for one |
//! | `labels`, `index` | the classes, and the rows of the data |
//! | `teacher.classes`, `teacher.logits`, `teacher.logsumexp` | the top k of a teacher's logits, for losses that take them |
//! | `loss.NAME` | what a loss learns, carries, or draws, instead of values from a seed |
//!
//! All missing and all unused keys are reported at once.

use std::collections::{BTreeMap, BTreeSet};

use brew_core::loss::catalogue::{Entry, LayersRead};
use brew_core::loss::{Features, Loss, Masks};
use brew_core::prelude::*;
use brew_core::role::{Index, Labels, Logits, Role as _, mask_of, may_be_absent};
use brew_core::side::Side;
use brew_core::words::suggest;

/// The tensors of a file that have not been taken yet.
pub(crate) struct Inputs {
    tensors: BTreeMap<String, Tensor>,
    taken: Vec<String>,
    /// The student's tensors that need a gradient.
    pub(crate) leaves: BTreeMap<String, Tensor>,
    pub(crate) problems: Vec<String>,
}

impl Inputs {
    pub(crate) fn new(tensors: BTreeMap<String, Tensor>) -> Self {
        Inputs { tensors, taken: Vec::new(), leaves: BTreeMap::new(), problems: Vec::new() }
    }

    /// What both sides read, once per role that the file has.
    pub(crate) fn pairs(&mut self, entry: &Entry, loss: &dyn Loss) -> Result<Vec<(Features, Features)>> {
        let of = |role: &&&str| {
            let is_of = |key: &String| side_key(key).is_some_and(|(_, found, _)| found == **role);
            self.tensors.keys().any(is_of)
        };
        let mut roles: Vec<&str> = entry.roles.iter().filter(of).copied().collect();
        if roles.is_empty() {
            roles.extend(entry.roles.first());
        }
        let mut pairs = Vec::new();
        for role in roles {
            let student = self.side(Side::Student, role, entry, loss)?;
            pairs.push((student, self.side(Side::Teacher, role, entry, loss)?));
        }
        Ok(pairs)
    }

    fn side(&mut self, side: Side, role: &str, entry: &Entry, loss: &dyn Loss) -> Result<Features> {
        let name = word(side);
        let top = ["classes", "logits", "logsumexp"].map(|part| format!("{name}.{part}"));
        let keys = if side == Side::Teacher
            && role == Logits::NAME
            && (loss.reads_top_logits() || loss.reads_drawn_logits())
            && self.tensors.contains_key(&top[0])
        {
            top.to_vec()
        } else {
            self.layers(name, role, entry)
        };
        let mut read = Features::default();
        for key in keys {
            if let Some(tensor) = self.take(&key, side)? {
                read.tensors.push(tensor);
            }
        }
        if let Some(mask) = mask_of(role) {
            let own = format!("{name}.{mask}");
            let key = if self.tensors.contains_key(&own) { own } else { mask.to_owned() };
            if self.tensors.contains_key(&key) {
                let mask = self.take(&key, Side::Teacher)?;
                read.mask = mask.filter(|_| loss.masks() != Masks::Ignored);
            }
        }
        for also in loss.also_reads().iter().filter(|also| also.side == side) {
            let bare = [Labels::NAME, Index::NAME].contains(&also.role);
            let key = if bare { also.role.to_owned() } else { format!("{name}.{}", also.role) };
            if may_be_absent(also.role) && !self.tensors.contains_key(&key) {
                continue;
            }
            if let Some(tensor) = self.take(&key, side)? {
                read.also.insert(also.role, tensor);
            }
        }
        Ok(read)
    }

    /// The keys of a side's layers in order, or the keys that the file should have.
    fn layers(&mut self, side: &str, role: &str, entry: &Entry) -> Vec<String> {
        let mut found: Vec<(i64, String)> = self
            .tensors
            .keys()
            .filter_map(|key| match side_key(key)? {
                (of, named, layer) if of == side && named == role => Some((layer, key.clone())),
                _ => None,
            })
            .collect();
        found.sort();
        let (expected, words) = match entry.layers {
            LayersRead::One => (1..=1, "one layer"),
            LayersRead::Two => (2..=2, "two layers"),
            LayersRead::Many => (1..=usize::MAX, "layers"),
        };
        let keys: Vec<String> = found.into_iter().map(|(_, key)| key).collect();
        let first = if layered(role) { format!("{side}.{role}.0") } else { format!("{side}.{role}") };
        match keys.as_slice() {
            [] => self.problems.push(format!("`{first}` is missing")),
            some if !expected.contains(&some.len()) => self.problems.push(format!(
                "`{}` compares {words} per side, and the file has {} of the {side}: {}",
                entry.name,
                some.len(),
                some.join(", ")
            )),
            _ => {}
        }
        keys
    }

    /// The tensor of a key; a floating-point tensor of the student becomes a leaf of the graph.
    pub(crate) fn take(&mut self, key: &str, side: Side) -> Result<Option<Tensor>> {
        let Some(tensor) = self.tensors.get(key) else {
            self.problems.push(format!("`{key}` is missing"));
            return Ok(None);
        };
        self.taken.push(key.to_owned());
        if side == Side::Teacher || !tensor.is_floating_point() {
            return Ok(Some(tensor.shallow_clone()));
        }
        let leaf = match self.leaves.get(key) {
            Some(leaf) => leaf.shallow_clone(),
            None => tensor.f_detach()?.f_set_requires_grad(true)?,
        };
        self.leaves.insert(key.to_owned(), leaf.shallow_clone());
        Ok(Some(leaf))
    }

    /// The tensor under `loss.NAME`, if any.
    pub(crate) fn kept(&mut self, name: &str) -> Option<Tensor> {
        let key = format!("loss.{name}");
        let tensor = self.tensors.get(&key)?.shallow_clone();
        self.taken.push(key);
        Some(tensor)
    }

    /// Whether any of the student's tensors is in float64.
    pub(crate) fn is_double(&self) -> bool {
        self.leaves.values().any(|leaf| leaf.kind() == Kind::Double)
    }

    /// Reports the keys that nobody took.
    pub(crate) fn finish(&mut self, entry: &Entry) {
        let known: BTreeSet<String> = self.taken.iter().cloned().chain(keys_of(entry)).collect();
        for key in self.tensors.keys().filter(|key| !self.taken.contains(key)) {
            let near = suggest(key, known.iter().map(String::as_str));
            self.problems.push(format!("`{}` reads no `{key}`{near}", entry.name));
        }
    }
}

/// The keys that a loss reads, as the list prints them.
pub(crate) fn keys_of(entry: &Entry) -> Vec<String> {
    let layer = match entry.layers {
        LayersRead::One | LayersRead::Many => ".N",
        LayersRead::Two => ".N, .M",
    };
    let mut keys = Vec::new();
    for role in entry.roles {
        let layer = if layered(role) { layer } else { "" };
        keys.extend(["student", "teacher"].map(|side| format!("{side}.{role}{layer}")));
    }
    let masks = entry.roles.iter().filter_map(|role| mask_of(role)).map(str::to_owned);
    for mask in masks {
        if !keys.contains(&mask) {
            keys.push(mask);
        }
    }
    keys.extend(entry.keeps.iter().map(|kept| format!("loss.{}", kept.name)));
    keys
}

/// Whether a role has one tensor per layer.
fn layered(role: &str) -> bool {
    !matches!(role, "logits" | "embedding")
}

pub(crate) fn word(side: Side) -> &'static str {
    match side {
        Side::Student => "student",
        Side::Teacher => "teacher",
    }
}

/// Side, role and layer of `student.hidden.3`; a key without a number is that of layer 0.
fn side_key(key: &str) -> Option<(&str, &str, i64)> {
    let (side, rest) = key.split_once('.')?;
    let (role, layer) = match rest.split_once('.') {
        Some((role, layer)) => (role, layer.parse().ok()?),
        None => (rest, 0),
    };
    ["student", "teacher"].contains(&side).then_some((side, role, layer))
}
