//! The common part of TextBrewer's distillers: turns the names in the two configs into losses, the losses
//! into a plan, and the plan into a trainer. Each distiller decides which configs it accepts, and how many
//! teachers.
//!
//! What the typed builder checks at compile time is checked here against the adaptors' lists of roles, with
//! the same messages, before anything runs. The plan, its executor and the loop are the builder's.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use super::config::{DistillationConfig, IntermediateMatch, Registry, TrainingConfig};
use crate::adaptor::Adaptor;
use crate::cache::MemoryCache;
use crate::distill::{Declared, MatchedLayers, Pipeline, Reads, Sides, Teachers};
use crate::error::{Problem, Result};
use crate::model::Seen;
use crate::plan::Projection;
use crate::role::{Logits, Losses, Role as _};
use crate::schedule::Weight;
use crate::semantics::Semantics;
use crate::train::Trainer;

/// One of TextBrewer's distillers: which parts of a config it accepts.
pub trait Door: fmt::Debug + 'static {
    /// The parts of the config that it does not accept, each with its fix.
    fn problems(config: &DistillationConfig) -> Vec<String>;
}

/// Builds a pipeline with TextBrewer's semantics from TextBrewer's configs: `D` is
/// [`General`](super::General), [`Basic`](super::Basic) or [`MultiTeacher`](super::MultiTeacher).
///
/// The losses are, in this order: `kd_loss_type` on the logits, each of `intermediate_matches`, and the hard
/// labels. A loss whose weight is always 0 is omitted.
#[must_use = "a distiller does nothing until `.plan()` or `.trainer()`"]
#[derive(Debug)]
pub struct Configured<D, T, A: Adaptor> {
    train: TrainingConfig,
    distill: DistillationConfig,
    registry: Registry,
    weightless: bool,
    teachers: T,
    student: Seen<A>,
    door: PhantomData<fn() -> D>,
}

impl<D: Door, T: Teachers, A: Adaptor> Configured<D, T, A> {
    pub(super) fn of(
        train: &TrainingConfig,
        distill: &DistillationConfig,
        teachers: T,
        student: Seen<A>,
    ) -> Self {
        let (train, distill, registry) = (train.clone(), distill.clone(), Registry::default());
        Configured { train, distill, registry, weightless: false, teachers, student, door: PhantomData }
    }

    /// The registry that defines the names in the configs; TextBrewer's by default.
    pub fn registry(self, registry: Registry) -> Self {
        Configured { registry, ..self }
    }

    /// Also computes and logs losses of weight 0, if the adaptors provide what they read, as TextBrewer does.
    pub fn with_weightless_losses(self) -> Self {
        Configured { weightless: true, ..self }
    }

    pub(super) fn with_config(self, distill: DistillationConfig) -> Self {
        Configured { distill, ..self }
    }

    pub(super) fn config(&self) -> &DistillationConfig {
        &self.distill
    }

    /// Builds the plan and checks it.
    ///
    /// # Errors
    /// [`crate::Error::Plan`] with every problem of the configs and of the plan.
    pub fn plan(self) -> Result<Pipeline<T::Batch, A>> {
        let caches = self.distill.is_caching_logits;
        let mut pipeline = self.lay()?;
        if caches {
            pipeline.warnings.push(
                "`is_caching_logits` only takes effect with `.trainer()`; call `.teacher_cache(MemoryCache::new())` on a trainer of this pipeline"
                    .to_owned(),
            );
        }
        Ok(pipeline)
    }

    fn lay(self) -> Result<Pipeline<T::Batch, A>> {
        let mut problems = self.train.problems();
        problems.extend(self.distill.problems(&self.registry));
        problems.extend(D::problems(&self.distill));
        let teachers = self.teachers.into_sides();
        let asked =
            ConfiguredLosses { registry: &self.registry, config: &self.distill, weightless: self.weightless };
        let losses = unique_names(asked.losses::<T::Batch, A>(&teachers));
        let warnings = self.train.warnings();
        let problems = problems.into_iter().map(Problem::Config).collect();
        let pipeline = Pipeline::lay(teachers, self.student, losses, Semantics::TextBrewer, problems)?;
        Pipeline { warnings, ..pipeline }.balanced(self.distill.balance.clone())
    }

    /// Builds the plan and its trainer, with the config's accumulation, checkpoints and run folder. With
    /// `is_caching_logits` it has a cache in memory: the teachers run only in the first epoch. Rows are
    /// looked up by content, so later epochs are still shuffled.
    ///
    /// # Errors
    /// Those of [`plan`](Self::plan).
    pub fn trainer<'o>(self) -> Result<Trainer<'o, Pipeline<T::Batch, A>>> {
        let (train, caches) = (self.train.clone(), self.distill.is_caching_logits);
        let trainer = Trainer::new(self.lay()?).training_config(&train);
        Ok(if caches { trainer.teacher_cache(MemoryCache::new()) } else { trainer })
    }
}

/// The losses that a config asks for.
struct ConfiguredLosses<'c> {
    registry: &'c Registry,
    config: &'c DistillationConfig,
    weightless: bool,
}

impl ConfiguredLosses<'_> {
    /// The losses whose names the registry knows; the others are reported as the config's problems.
    fn losses<B: 'static, A: Adaptor>(&self, teachers: &Sides<B>) -> Vec<Declared> {
        let (config, registry) = (self.config, self.registry);
        let mut losses = Vec::new();
        let weight = weight(registry, config.kd_loss_weight, &config.kd_loss_weight_scheduler);
        let schedule =
            registry.temperature_schedule_of("temperature_scheduler", &config.temperature_scheduler);
        let loss = schedule.ok().and_then(|schedule| {
            registry.soft_targets_of("", &config.kd_loss_type, (config.temperature, schedule)).ok()
        });
        let given = teachers.iter().all(|teacher| teacher.roles().contains(&Logits::NAME))
            && A::ROLES.contains(&Logits::NAME);
        if let (Some(weight), Some(loss)) = (weight, loss)
            && self.includes(&weight, given)
        {
            let (probability_shift, combine) = (config.probability_shift, config.combine_teachers.clone());
            let reads = Reads::Logits { probability_shift, combine };
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

    /// Whether a loss belongs in the plan. A loss with a nonzero weight does, and its roles are then checked
    /// like any other's.
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
            Some(Projection { optimizer: config.optimizer, shared: config.shared.clone(), ..projection })
        }
    };
    let of = found.teacher.map(|index| usize::try_from(index).unwrap_or(usize::MAX));
    let layers = MatchedLayers { of, teacher: found.layer_t.indices(), student: found.layer_s.indices() };
    let name = layers.name(loss.name());
    let projection = projection.map(Box::new);
    let reads = Reads::Layers { role: found.feature.clone(), layers, projection };
    Some(Declared { name, weight, loss, reads })
}

/// TextBrewer accepts the same match twice; here the second is named `…_2`.
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
