//! Parameters by name, handed to the parts of a model as it is put together.
//!
//! Each part asks for its parameters with the shapes that the config gives them. What is missing or
//! has another shape is noted and the building goes on, so that [`Weights::finish`] can name every
//! misfit of a checkpoint at once.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use tch::{Device, Kind, Tensor};

use crate::error::{Error, InStage, Result, numbered};

/// What a checkpoint holds under a name: a float tensor, or the dtype that a parameter cannot have.
pub(crate) type Stored = Result<Tensor, String>;

/// Makes a parameter of a name and a shape.
struct Draw(Box<dyn Fn(&str, &[i64]) -> Result<Tensor>>);

impl fmt::Debug for Draw {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Draw")
    }
}

/// Parameters that wait for the part of the model they belong to.
#[derive(Debug)]
pub struct Weights {
    origin: PathBuf,
    device: Device,
    stored: BTreeMap<String, Stored>,
    /// Makes the parameters of a new model.
    draw: Option<Draw>,
    problems: Vec<String>,
}

impl Weights {
    /// Parameters of `origin` (a file, or the folder a model came from) for a model on `device`.
    pub(crate) fn new(
        origin: impl Into<PathBuf>,
        device: Device,
        stored: impl IntoIterator<Item = (String, Stored)>,
    ) -> Self {
        Weights {
            origin: origin.into(),
            device,
            stored: stored.into_iter().collect(),
            draw: None,
            problems: Vec::new(),
        }
    }

    /// Parameters of a new model on `device`, each made as it is asked for.
    pub(crate) fn drawn(device: Device, draw: impl Fn(&str, &[i64]) -> Result<Tensor> + 'static) -> Self {
        Weights { draw: Some(Draw(Box::new(draw))), ..Weights::new("a new model", device, []) }
    }

    /// Whether a parameter of this name is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.stored.contains_key(name)
    }

    /// Adds a parameter, in place of one of the same name.
    pub(crate) fn set(&mut self, name: impl Into<String>, tensor: Tensor) {
        self.stored.insert(name.into(), Ok(tensor));
    }

    /// Notes something that keeps the model from being built.
    pub(crate) fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    /// The names that no part has taken yet.
    pub(crate) fn left(&self) -> impl Iterator<Item = &str> {
        self.stored.keys().map(String::as_str)
    }

    /// Takes a parameter: float32, on the device, with gradient.
    ///
    /// After a problem it is an undefined tensor, which [`Weights::finish`] keeps from being used.
    pub(crate) fn take(&mut self, name: &str, shape: &[i64]) -> Tensor {
        let found = match self.stored.remove(name) {
            None => match &self.draw {
                Some(Draw(draw)) => {
                    draw(name, shape).and_then(|drawn| self.leaf(&drawn)).map_err(|error| error.to_string())
                }
                None => Err(format!("`{name}` is missing")),
            },
            Some(Err(dtype)) => {
                Err(format!("`{name}` has dtype {dtype}; a parameter is F16, BF16, F32 or F64"))
            }
            Some(Ok(tensor)) if tensor.size() != shape => Err(format!(
                "`{name}` is {}, but the config makes it {}",
                dimensions(&tensor.size()),
                dimensions(shape)
            )),
            Some(Ok(tensor)) => self.leaf(&tensor).in_stage(name).map_err(|error| error.to_string()),
        };
        found.unwrap_or_else(|problem| {
            self.problems.push(problem);
            Tensor::new()
        })
    }

    fn leaf(&self, tensor: &Tensor) -> Result<Tensor> {
        let placed = tensor.f_to_kind(Kind::Float)?.f_to_device(self.device)?;
        Ok(placed.f_set_requires_grad(true)?)
    }

    /// Says whether every part found what it asked for.
    ///
    /// # Errors
    /// Lists every problem, under the file the parameters came from.
    pub(crate) fn finish(self) -> Result<()> {
        if self.problems.is_empty() {
            return Ok(());
        }
        let title = "the weights do not fit the config beside them";
        Err(Error::file(self.origin, numbered(title, &self.problems)))
    }
}

/// A shape as people write it: `(30522, 384)`.
fn dimensions(shape: &[i64]) -> String {
    let sizes: Vec<String> = shape.iter().map(ToString::to_string).collect();
    format!("({})", sizes.join(", "))
}
