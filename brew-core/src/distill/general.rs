//! TextBrewer's `GeneralDistiller`: one teacher, one student, and the two configs say the rest.
//!
//! What the builder's types check there is checked here on the adaptors' lists of roles, with the
//! same words, before anything runs. The plan, its executor and the loop are the builder's own.

use std::collections::BTreeMap;

use super::{Declared, Pipeline, Reads, match_name};
use crate::adaptor::Adaptor;
use crate::config::{DistillationConfig, IntermediateMatch, Registry, TrainingConfig};
use crate::error::Result;
use crate::model::Seen;
use crate::plan::{Problem, Projection, Semantics};
use crate::role::{Logits, Losses, Role as _};
use crate::schedule::Weight;
use crate::train::Trainer;

/// Makes a pipeline in TextBrewer's semantics of TextBrewer's configs.
///
/// The losses are, in this order: `kd_loss_type` on the logits, each of `intermediate_matches`, and
/// the hard labels. A loss whose weight is 0 and stays so is left out.
///
/// ```no_run
/// # use brew_core::prelude::*;
/// # use brew_core::config::{DistillationConfig, TrainingConfig};
/// # fn example<A: Adaptor>(teacher: Seen<A>, student: Seen<A>, reviews: Vec<A::Batch>) -> Result<()> {
/// let train = TrainingConfig::from_json_file("train.json")?;
/// let distill = DistillationConfig::from_json_file("distill.json")?;
/// let distiller = GeneralDistiller::new(&train, &distill, teacher, student);
/// let student = distiller.trainer()?.optimizer(AdamW::with_lr(1e-4)).epochs(3).run(reviews)?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a distiller does nothing until `.plan()` or `.trainer()`"]
#[derive(Debug)]
pub struct GeneralDistiller<T: Adaptor, A: Adaptor> {
    train: TrainingConfig,
    distill: DistillationConfig,
    registry: Registry,
    weightless: bool,
    teacher: Seen<T>,
    student: Seen<A>,
}

impl<T: Adaptor, A: Adaptor> GeneralDistiller<T, A> {
    /// Distils this teacher into this student.
    pub fn new(
        train: &TrainingConfig,
        distill: &DistillationConfig,
        teacher: Seen<T>,
        student: Seen<A>,
    ) -> Self {
        let (train, distill, registry) = (train.clone(), distill.clone(), Registry::default());
        GeneralDistiller { train, distill, registry, weightless: false, teacher, student }
    }

    /// What the names in the configs stand for; TextBrewer's own unless said otherwise.
    pub fn registry(self, registry: Registry) -> Self {
        GeneralDistiller { registry, ..self }
    }

    /// Computes losses of weight 0 too, where the adaptors give what they read, so that they are
    /// logged: what TextBrewer does.
    pub fn with_weightless_losses(self) -> Self {
        GeneralDistiller { weightless: true, ..self }
    }

    /// Lays the plan and checks it.
    ///
    /// # Errors
    /// [`crate::Error::Plan`] with everything that is wrong with the configs, and with the plan.
    pub fn plan(self) -> Result<Pipeline<T::Batch, A>> {
        let mut problems = self.train.problems();
        problems.extend(self.distill.problems(&self.registry));
        let losses = unique_names(self.losses());
        let mut warnings = self.train.warnings();
        if self.distill.is_caching_logits {
            warnings.push(
                "`is_caching_logits` is not followed, as in TextBrewer's GeneralDistiller: the teacher runs in every epoch"
                    .to_owned(),
            );
        }
        let problems = problems.into_iter().map(Problem::Config).collect();
        let teachers = vec![Box::new(self.teacher) as Box<dyn crate::model::Side<T::Batch>>];
        let pipeline = Pipeline::lay(teachers, self.student, losses, Semantics::TextBrewer, problems)?;
        Ok(Pipeline { warnings, ..pipeline })
    }

    /// Lays the plan and makes its trainer, with the accumulation, the checkpoints and the run folder of
    /// the config.
    ///
    /// # Errors
    /// As [`plan`](Self::plan).
    pub fn trainer<'o>(self) -> Result<Trainer<'o, Pipeline<T::Batch, A>>> {
        let train = self.train.clone();
        Ok(Trainer::new(self.plan()?).training_config(&train))
    }

    /// The losses whose names the registry knows; the others are among the config's problems.
    fn losses(&self) -> Vec<Declared> {
        let (config, registry) = (&self.distill, &self.registry);
        let mut losses = Vec::new();
        let weight = weight(registry, config.kd_loss_weight, &config.kd_loss_weight_scheduler);
        let schedule =
            registry.temperature_schedule_of("temperature_scheduler", &config.temperature_scheduler);
        let loss = schedule.ok().and_then(|schedule| {
            registry.soft_targets_of("", &config.kd_loss_type, (config.temperature, schedule)).ok()
        });
        let given = T::ROLES.contains(&Logits::NAME) && A::ROLES.contains(&Logits::NAME);
        if let (Some(weight), Some(loss)) = (weight, loss)
            && self.includes(&weight, given)
        {
            let reads = Reads::Logits { probability_shift: config.probability_shift };
            losses.push(Declared { name: loss.name().to_owned(), weight, loss, reads });
        }
        losses.extend(config.intermediate_matches.iter().filter_map(|found| declared(registry, found)));
        let weight = self::weight(registry, config.hard_label_weight, &config.hard_label_weight_scheduler);
        if let Some(weight) = weight
            && self.includes(&weight, A::ROLES.contains(&Losses::NAME))
        {
            losses.push(Declared::hard_labels(weight));
        }
        losses
    }

    /// Whether a loss belongs into the plan; one that weighs something does, and its roles are then
    /// checked with the others'.
    fn includes(&self, weight: &Weight, given: bool) -> bool {
        weight.value() != 0.0 || weight.schedule().is_some() || (self.weightless && given)
    }
}

fn weight(registry: &Registry, value: f64, schedule: &str) -> Option<Weight> {
    match registry.weight_schedule_of("", schedule).ok()? {
        Some(schedule) => Some(Weight::scheduled(value, schedule)),
        None => Some(value.into()),
    }
}

fn declared(registry: &Registry, found: &IntermediateMatch) -> Option<Declared> {
    let (_, loss) = registry.match_loss_of("", &found.loss).ok()?;
    let weight = weight(registry, found.weight, found.weight_scheduler.as_deref().unwrap_or("none"))?;
    let projection = match &found.proj {
        None => None,
        Some(config) => {
            let activation = registry.activation_of("", &config.name).ok()?.clone();
            let projection = Projection::new(activation, config.student, config.teacher);
            Some(Projection { optimizer: config.optimizer, ..projection })
        }
    };
    let (teacher, student) = (found.layer_t.indices(), found.layer_s.indices());
    let name = match_name(loss.name(), &teacher, &student);
    let reads = Reads::Layers { role: found.feature.clone(), teacher, student, projection };
    Some(Declared { name, weight, loss, reads })
}

/// TextBrewer takes the same match twice; here the second is `…_2`.
fn unique_names(mut losses: Vec<Declared>) -> Vec<Declared> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for loss in &mut losses {
        let count = counts.entry(loss.name.clone()).or_default();
        *count += 1;
        if *count > 1 {
            loss.name = format!("{}_{count}", loss.name);
        }
    }
    losses
}
