//! Learned projections: made from the seed, applied to the student's features, trained with it.

use std::collections::BTreeMap;

use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result};
use crate::model::Parameters;
use crate::plan::{Activation, Plan, StageId, StageKind};

/// The weights of a plan's projections.
#[derive(Debug, Default)]
pub struct Projections(BTreeMap<StageId, Weights>);

#[derive(Debug)]
struct Weights {
    name: String,
    activation: Activation,
    weight: Tensor,
    bias: Tensor,
}

impl Projections {
    /// Weights from N(0, 0.02), biases 0, drawn in the plan's order, in float32 or in the float64 of
    /// the student.
    pub(super) fn new(plan: &Plan, (kind, device): (Kind, Device), seed: i64) -> Result<Self> {
        let mut made = BTreeMap::new();
        for (id, stage) in plan.stages() {
            let StageKind::Projection(projection) = &stage.kind else { continue };
            if made.is_empty() {
                tch::manual_seed(seed);
            }
            let options = (kind, Device::Cpu);
            // Drawn on the CPU, so that every device starts from the same numbers.
            let weight =
                Tensor::f_randn([projection.teacher, projection.student], options)?.f_mul_scalar(0.02)?;
            let bias = Tensor::f_zeros([projection.teacher], options)?;
            made.insert(
                id,
                Weights {
                    name: stage.name.clone(),
                    activation: projection.activation,
                    weight: weight.f_to_device(device)?.f_set_requires_grad(true)?,
                    bias: bias.f_to_device(device)?.f_set_requires_grad(true)?,
                },
            );
        }
        Ok(Projections(made))
    }

    /// Their parameters, named after their stages.
    pub fn parameters(&self) -> Parameters {
        Parameters::new(self.0.values().flat_map(|weights| {
            [
                (format!("{}.weight", weights.name), weights.weight.shallow_clone()),
                (format!("{}.bias", weights.name), weights.bias.shallow_clone()),
            ]
        }))
    }

    pub(super) fn apply(&self, id: StageId, feature: &Tensor) -> Result<Tensor> {
        let weights =
            self.0.get(&id).ok_or_else(|| Error::invalid("the plan has a projection without weights"))?;
        let width = feature.size().last().copied().unwrap_or(0);
        let [_, expected] = weights.weight.size()[..] else {
            return Err(Error::invalid("a projection is a matrix"));
        };
        if width != expected {
            return Err(Error::invalid(format!(
                "the projection takes features {expected} wide, the student's are {width} wide: its first number is the student's width"
            )));
        }
        let projected =
            feature.f_to_kind(weights.weight.kind())?.f_linear(&weights.weight, Some(&weights.bias))?;
        Ok(match weights.activation {
            Activation::Linear => projected,
            Activation::Relu => projected.f_relu()?,
            Activation::Tanh => projected.f_tanh()?,
        })
    }
}
