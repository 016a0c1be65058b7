//! Learned projections: initialized from the seed, applied to the student's features, and trained with the
//! student.

use std::collections::BTreeMap;

use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result};
use crate::parameters::Parameters;
use crate::plan::{OptimizerChanges, Plan, ProjectionActivation, StageId, StageKind};

/// The weights of a plan's projections.
#[derive(Debug, Default)]
pub struct Projections(BTreeMap<StageId, ProjectionWeights>);

#[derive(Debug)]
struct ProjectionWeights {
    name: String,
    activation: ProjectionActivation,
    optimizer: OptimizerChanges,
    weight: Tensor,
    bias: Tensor,
}

impl Projections {
    /// Weights from N(0, 0.02), biases 0, drawn in the plan's order; float64 if the student is, else float32.
    pub(super) fn new(plan: &Plan, (kind, device): (Kind, Device), seed: i64) -> Result<Self> {
        let mut made = BTreeMap::new();
        for (id, stage) in plan.stages() {
            let StageKind::Projection(projection) = &stage.kind else { continue };
            if made.is_empty() {
                tch::manual_seed(seed);
            }
            let options = (kind, Device::Cpu);
            // Drawn on the CPU, so that the initial values do not depend on the device.
            let weight =
                Tensor::f_randn([projection.teacher, projection.student], options)?.f_mul_scalar(0.02)?;
            let bias = Tensor::f_zeros([projection.teacher], options)?;
            made.insert(
                id,
                ProjectionWeights {
                    name: stage.name.clone(),
                    activation: projection.activation.clone(),
                    optimizer: projection.optimizer,
                    weight: weight.f_to_device(device)?.f_set_requires_grad(true)?,
                    bias: bias.f_to_device(device)?.f_set_requires_grad(true)?,
                },
            );
        }
        Ok(Projections(made))
    }

    /// Their parameters, named after their stages: `projection_hidden_mse_t4_s2.weight`, `.bias`.
    pub fn parameters(&self) -> Parameters {
        Parameters::new(self.0.values().flat_map(ProjectionWeights::named))
    }

    /// The parameters of each projection, with its own optimizer settings.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (OptimizerChanges, Parameters)> {
        self.0.values().map(|weights| (weights.optimizer, Parameters::new(weights.named())))
    }

    /// Replaces the initial values drawn from the seed with these: every parameter, by its name.
    pub(crate) fn start(parameters: &Parameters, given: &BTreeMap<String, Tensor>) -> Result<()> {
        let own = |name: &str| parameters.iter().find(|(known, _)| *known == name);
        let in_own_dtype = given.iter().map(|(name, value)| {
            let value = match own(name) {
                Some((_, tensor)) => value.f_to_kind(tensor.kind())?,
                None => value.shallow_clone(),
            };
            Ok((name.clone(), value))
        });
        let given = in_own_dtype.collect::<Result<_>>()?;
        parameters.take(&given, "the projections cannot start from these tensors")
    }

    /// Shares these tensors in place of its own where name and size match.
    pub(super) fn share(&mut self, with: &Parameters) {
        for weights in self.0.values_mut() {
            let [(weight, _), (bias, _)] = weights.named();
            for (name, own) in [(weight, &mut weights.weight), (bias, &mut weights.bias)] {
                let other = with.iter().find(|(other, tensor)| *other == name && tensor.size() == own.size());
                if let Some((_, tensor)) = other {
                    *own = tensor.shallow_clone();
                }
            }
        }
    }

    /// Projects a feature of the student to the teacher's width.
    pub(super) fn apply(&self, id: StageId, feature: &Tensor) -> Result<Tensor> {
        let weights =
            self.0.get(&id).ok_or_else(|| Error::invalid("a projection in the plan has no weights"))?;
        let width = feature.size().last().copied().unwrap_or(0);
        let [_, expected] = weights.weight.size()[..] else {
            return Err(Error::invalid("a projection is a matrix"));
        };
        if width != expected {
            return Err(Error::invalid(format!(
                "the projection takes features of width {expected}, but the student's have width {width}: its first number is the student's width"
            )));
        }
        let projected =
            feature.f_to_kind(weights.weight.kind())?.f_linear(&weights.weight, Some(&weights.bias))?;
        weights.activation.apply(&projected)
    }
}

impl ProjectionWeights {
    fn named(&self) -> [(String, Tensor); 2] {
        [
            (format!("{}.weight", self.name), self.weight.shallow_clone()),
            (format!("{}.bias", self.name), self.bias.shallow_clone()),
        ]
    }
}
