//! The named parameters from which a model's parts are built.
//!
//! Each part asks for its parameters with the shapes from the config. Missing parameters and wrong shapes are
//! recorded without stopping, so that [`Weights::finish`] can report every problem of a checkpoint at once.

mod adapters;
mod report;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use tch::{Device, Kind, Tensor};

use crate::error::{InStage, Result};
use crate::gguf;
use crate::model::lora::Attach;
use crate::words;

/// An entry of a checkpoint: a float tensor, or the name of a dtype that parameters cannot have.
pub(crate) type Stored = Result<Tensor, String>;

/// Creates a parameter with a name and a shape.
type DrawFn = dyn Fn(&str, &[i64]) -> Result<Tensor>;

/// How new parameters are drawn.
struct DrawParameters(Box<DrawFn>);

impl fmt::Debug for DrawParameters {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Draw")
    }
}

/// Parameters that have not yet been taken by a part of the model.
#[derive(Debug)]
pub struct Weights {
    origin: PathBuf,
    /// What the origin calls a parameter.
    name_in_origin: fn(&str) -> String,
    device: Device,
    /// The dtype that they are held in, and whether they learn; `None` for tensors that stay as they are.
    held: Option<(Kind, bool)>,
    stored: BTreeMap<String, Stored>,
    /// Creates the parameters of a new model.
    draw: Option<DrawParameters>,
    /// Adds adapters to linear layers.
    adapters: Option<Attach>,
    /// Problems of the whole, or of unreadable tensors.
    problems: Vec<String>,
    /// Tensors whose shape differs from the config's.
    misshapen: Vec<String>,
    missing: Vec<String>,
    notes: Vec<String>,
}

impl Weights {
    /// Parameters from `origin` (a file or folder) for a model on `device`.
    pub(crate) fn new(
        origin: impl Into<PathBuf>,
        device: Device,
        stored: impl IntoIterator<Item = (String, Stored)>,
    ) -> Self {
        Weights {
            origin: origin.into(),
            name_in_origin: str::to_owned,
            device,
            held: Some((Kind::Float, true)),
            stored: stored.into_iter().collect(),
            draw: None,
            adapters: None,
            problems: Vec::new(),
            misshapen: Vec::new(),
            missing: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Parameters of a new model on `device`, each created when it is requested.
    pub(crate) fn drawn(device: Device, draw: impl Fn(&str, &[i64]) -> Result<Tensor> + 'static) -> Self {
        Weights { draw: Some(DrawParameters(Box::new(draw))), ..Weights::new("a new model", device, []) }
    }

    /// The same parameters, which their origin calls by other names; messages use those.
    pub(crate) fn named_by(self, name_in_origin: fn(&str) -> String) -> Self {
        Weights { name_in_origin, ..self }
    }

    /// What messages call a parameter.
    pub(crate) fn shown(&self, name: &str) -> String {
        format!("`{}`", (self.name_in_origin)(name))
    }

    /// The same parameters, to be held in this dtype and without gradients.
    pub(crate) fn frozen_in(self, kind: Kind) -> Self {
        Weights { held: Some((kind, false)), ..self }
    }

    /// Tensors that a model shares: it holds the same ones.
    pub(crate) fn shared(
        origin: impl Into<PathBuf>,
        device: Device,
        stored: impl IntoIterator<Item = (String, Stored)>,
    ) -> Self {
        Weights { held: None, ..Weights::new(origin, device, stored) }
    }

    /// Where the parameters came from, if they came from files: a folder, or a GGUF file.
    pub(crate) fn folder(&self) -> Option<PathBuf> {
        match self.origin.as_path() {
            file if !file.is_file() => None,
            file if gguf::is_gguf(file) => Some(file.to_owned()),
            file => file.parent().map(Path::to_owned),
        }
    }

    /// A parameter as it is stored, if it exists.
    pub(crate) fn get(&self, name: &str) -> Option<&Stored> {
        self.stored.get(name)
    }

    /// Gives a parameter another name.
    pub(crate) fn rename(&mut self, name: &str, new: String) {
        if let Some(stored) = self.stored.remove(name) {
            self.stored.insert(new, stored);
        }
    }

    /// Whether every parameter is created when it is requested.
    pub(crate) fn is_new(&self) -> bool {
        self.draw.is_some()
    }

    /// Whether a parameter of this name exists.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.stored.contains_key(name)
    }

    /// The first dimension of a parameter, if it exists and has one.
    pub(crate) fn rows(&self, name: &str) -> Option<i64> {
        self.stored.get(name)?.as_ref().ok()?.size().first().copied()
    }

    /// Adds a parameter, replacing any of the same name.
    pub(crate) fn set(&mut self, name: impl Into<String>, tensor: Tensor) {
        self.stored.insert(name.into(), Ok(tensor));
    }

    /// Records a problem that keeps the model from being built.
    pub(crate) fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    /// Records a note to the user about a model that is built anyway.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// The names of parameters that no part has taken yet.
    pub(crate) fn left(&self) -> impl Iterator<Item = &str> {
        self.stored.keys().map(String::as_str)
    }

    /// Takes a parameter: float32 with gradient unless it was said otherwise, on the device.
    ///
    /// After a problem it returns an undefined tensor; [`Weights::finish`] makes sure that it is never used.
    pub(crate) fn take(&mut self, name: &str, shape: &[i64]) -> Tensor {
        let stored = self.stored.remove(name);
        let Some(adapters) = self.adapters.as_mut().filter(|adapters| adapters.saves(name)) else {
            return self.hold(name, shape, stored, self.held);
        };
        let kind = adapters::kind_beside(stored.as_ref().and_then(|stored| stored.as_ref().ok()));
        let own = match adapters.value_of(name, stored) {
            Ok(own) => own,
            Err(error) => {
                self.problems.push(format!("{}: {error}", self.shown(name)));
                return Tensor::new();
            }
        };
        let taken = self.hold(name, shape, own, Some((kind, true)));
        if let Some(adapters) = &mut self.adapters {
            adapters.learns(name, &taken);
        }
        taken
    }

    /// A value as a parameter of this shape.
    fn hold(
        &mut self,
        name: &str,
        shape: &[i64],
        stored: Option<Stored>,
        held: Option<(Kind, bool)>,
    ) -> Tensor {
        match stored {
            None => match self.draw.as_ref().map(|DrawParameters(draw)| draw(name, shape)) {
                Some(drawn) => match drawn.and_then(|drawn| self.leaf(&drawn, held)).in_stage(name) {
                    Ok(leaf) => return leaf,
                    Err(error) => self.problems.push(error.to_string()),
                },
                None => self.missing.push(format!("{} is missing", self.shown(name))),
            },
            Some(Err(dtype)) => {
                let problem = format!(
                    "{} has dtype {dtype}; parameters must be F16, BF16, F32 or F64",
                    self.shown(name)
                );
                self.problems.push(problem);
            }
            Some(Ok(tensor)) if tensor.size() != shape => self.misshapen.push(format!(
                "{} is {}, but by the config it should be {}",
                self.shown(name),
                words::shape(&tensor.size()),
                words::shape(shape)
            )),
            Some(Ok(tensor)) => match self.leaf(&tensor, held).in_stage(name) {
                Ok(leaf) => return leaf,
                Err(error) => self.problems.push(error.to_string()),
            },
        }
        Tensor::new()
    }

    fn leaf(&self, tensor: &Tensor, held: Option<(Kind, bool)>) -> Result<Tensor> {
        let Some((kind, learns)) = held else { return Ok(tensor.shallow_clone()) };
        let placed = tensor.f_to_kind(kind)?.f_to_device(self.device)?;
        Ok(placed.f_set_requires_grad(learns)?)
    }
}
