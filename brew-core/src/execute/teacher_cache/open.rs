//! Opens the caches of a pipeline's teachers: determines their cards and what to store of a row.

use std::collections::BTreeMap;

use super::super::Executor;
use super::Caches;
use super::cached::CachedTeacher;
use crate::adaptor::Adaptor;
use crate::batch::{Batches, Feeds};
use crate::cache::{Card, KeptFeature, Payload, RowKeys, TeacherCache, weights_hash};
use crate::distill::Weighed;
use crate::error::{Error, Result};
use crate::model::ErasedModel;
use crate::plan::{Flow, Plan, RecallStage, StageId, StageKind, passes};
use crate::role::{InputsMask, Logits, LogitsMask, PARTS_OF_HEAD, Role, mask_of};
use crate::side::Owner;
use crate::words::thousands;

impl<T: 'static, A: Adaptor> Executor<'_, T, A> {
    /// From now on reads the teachers' features from a cache and stores computed ones there, under the task's
    /// name if there are several tasks. `first` is a sample batch; the returned lines say what is stored and
    /// at what cost.
    ///
    /// # Errors
    /// A cache of a different teacher, adaptor, payload or set of features; data that changes from epoch to
    /// epoch; features that cannot be stored row by row.
    pub fn cache_teachers<B, D>(
        &mut self,
        cache: &dyn TeacherCache,
        task: Option<&str>,
        first: &B,
        data: &D,
    ) -> Result<Vec<String>>
    where
        B: Feeds<T, A::Batch>,
        D: Batches<Batch = B>,
    {
        if data.varies() {
            return Err(Error::invalid(
                "the rows differ from epoch to epoch (they are augmented or masked), so the cache would never hit: remove `.teacher_cache(…)`, or the augmentation and the masks",
            ));
        }
        if self.plan().rollout().is_some() {
            return Err(Error::invalid(
                "the student writes other rows in each step, so the teacher's features for them cannot be in a cache: remove `.teacher_cache(…)`",
            ));
        }
        let problems = cache.payload().problems();
        if !problems.is_empty() {
            return Err(Error::invalid(problems.join("; ")));
        }
        let (payload, place) = (cache.payload(), cache.place());
        let mut caches = Caches { payload, place, device: self.device, teachers: BTreeMap::new() };
        let mut lines = Vec::new();
        let adaptors: Vec<(StageId, usize)> = self
            .plan()
            .stages()
            .filter_map(|(id, stage)| match stage.kind {
                StageKind::Adaptor { owner: Owner::Teacher(index), .. } => Some((id, index)),
                _ => None,
            })
            .collect();
        for (adaptor, index) in adaptors {
            if first.teacher_output(index).is_some() {
                continue;
            }
            let teacher = self.teacher(index)?;
            let keeps = self.keeps(adaptor, teacher, first.teacher(), &payload)?;
            if keeps.is_empty() {
                continue;
            }
            let keys = teacher.row_keys(first.teacher())?;
            let (name, place) = match self.pipeline.teachers.len() {
                1 => ("the teacher".to_owned(), None),
                _ => (format!("teacher {index}"), Some(format!("teacher-{index}"))),
            };
            let place: Vec<&str> = task.into_iter().chain(place.as_deref()).collect();
            let card = Card { keeps: keeps.iter().cloned().collect(), payload, ..self.card(teacher, &keys)? };
            let rows = cache.open(&place.join("/"), &card)?;
            let mut cached = CachedTeacher::new(name, adaptor, keeps, rows, &card, data.rows());
            let sizes = self.try_padding(index, &mut cached, first.teacher(), &keys, &payload)?;
            lines.push(cached.cost(&sizes, &keys, data.rows(), &caches.place));
            caches.teachers.insert(index, cached);
        }
        let stages: Vec<RecallStage> = caches.stages().collect();
        let plan = passes::recall(self.plan(), &stages);
        self.caches = Some(caches);
        self.run_plan(plan)?;
        Ok(lines)
    }

    /// Each teacher's identity as named values: the hash of its tensors and what its model reports.
    ///
    /// # Errors
    /// Those of libtorch, and of an identity.
    pub(crate) fn teachers(&self) -> Result<Vec<BTreeMap<String, String>>> {
        let values = |teacher: &dyn ErasedModel<T>| -> Result<_> {
            let mut values = teacher.identity()?;
            values.insert("tensors (hash)".to_owned(), weights_hash(teacher)?);
            values.insert("adaptor".to_owned(), teacher.adaptor_name().to_owned());
            Ok(values)
        };
        self.pipeline.teachers.iter().map(|teacher| values(&**teacher)).collect()
    }

    /// The card of the rows, as far as teacher, adaptor and batch determine it.
    fn card(&self, teacher: &dyn ErasedModel<T>, keys: &RowKeys) -> Result<Card> {
        Ok(Card {
            weights: weights_hash(teacher)?,
            model: teacher.identity()?,
            precision: format!("{:?}", self.precision.unwrap_or(tch::Kind::Float)),
            adaptor: teacher.adaptor_name().to_owned(),
            inputs: keys.columns.clone(),
            ..Card::default()
        })
    }

    /// The features to store: those that are read and that the batch alone does not provide.
    fn keeps(
        &self,
        adaptor: StageId,
        teacher: &dyn ErasedModel<T>,
        batch: &T,
        payload: &Payload,
    ) -> Result<Vec<KeptFeature>> {
        let mut keeps: BTreeMap<(String, Option<i64>), bool> = BTreeMap::new();
        let plan = self.plan();
        for (_, reader, flow) in plan.outputs(adaptor) {
            let Flow::Feature { role, layers } = flow else { continue };
            if teacher.read_batch(role, batch)?.is_some() {
                continue;
            }
            let weighed = self.weighed(reader).ok();
            let reads_top = |loss: &Weighed| loss.loss().reads_top_logits();
            if role == Logits::NAME && payload.is_top() && !weighed.is_some_and(reads_top) {
                let reader = plan.stage(reader).map_or("a loss", |stage| stage.name.as_str());
                return Err(Error::invalid(format!(
                    "`{reader}` reads all logits of a teacher, but its cache stores only `{payload}`: store all logits, or use a loss over top logits"
                )));
            }
            if PARTS_OF_HEAD.contains(&role.as_str()) {
                return Err(Error::invalid(format!(
                    "`{role}` is not one value per row: it cannot be cached"
                )));
            }
            let is_masked = is_masked(plan, adaptor, reader, role, |mask| {
                Ok(teacher.read_batch(mask, batch)?.is_some())
            })?;
            let padding = !is_masked || weighed.is_some_and(|loss| loss.loss().reads_padding());
            let layers: Vec<Option<i64>> = match layers {
                Some(layers) => layers.iter().copied().map(Some).collect(),
                None => vec![None],
            };
            for layer in layers {
                *keeps.entry((role.clone(), layer)).or_default() |= padding;
            }
        }
        // A role that is stored whole includes its layers.
        let whole: Vec<String> =
            keeps.keys().filter(|(_, layer)| layer.is_none()).map(|(role, _)| role.clone()).collect();
        for role in whole {
            let layers = keeps.extract_if(.., |(known, layer), _| *known == role && *layer >= Some(0));
            let padding = layers.fold(false, |padding, (_, layer)| padding | layer);
            *keeps.entry((role, None)).or_default() |= padding;
        }
        Ok(keeps.into_iter().map(|((role, layer), padding)| KeptFeature { role, layer, padding }).collect())
    }
}

/// Whether a loss reads a teacher's feature together with a mask from the batch: then its padding never
/// counts.
fn is_masked(
    plan: &Plan,
    adaptor: StageId,
    reader: StageId,
    role: &str,
    given: impl Fn(&str) -> Result<bool>,
) -> Result<bool> {
    if mask_of(role).is_none() {
        return Ok(false);
    }
    // A loss that makes its logits of hidden states reads the mask of logits.
    let reads = |mask: &str| {
        plan.inputs(reader).into_iter().any(|(_, from, flow)| {
            from == adaptor && matches!(flow, Flow::Feature { role, .. } if role == mask)
        })
    };
    match [LogitsMask::NAME, InputsMask::NAME].into_iter().find(|mask| reads(mask)) {
        Some(mask) => given(mask),
        None => Ok(false),
    }
}

impl CachedTeacher {
    /// The expected cost of the rows.
    fn cost(&self, sizes: &[usize], keys: &RowKeys, rows: Option<usize>, place: &str) -> String {
        let keeps: Vec<String> = self.keeps.iter().map(ToString::to_string).collect();
        let row = sizes.iter().sum::<usize>();
        let length = match keys.length {
            0 => String::new(),
            length => format!(" of {length} tokens"),
        };
        let total = rows.map(|rows| {
            let megabytes = (row as f64) * (rows as f64) / 1e6;
            format!(", at that length {megabytes:.1} MB for {} rows", thousands(rows))
        });
        let there = match self.rows.size().rows {
            0 => String::new(),
            rows => format!("; {} rows are already cached", thousands(rows)),
        };
        format!(
            "cache of {} ({place}): {}; {} bytes per row{length}{}{there}",
            self.name,
            keeps.join(", "),
            thousands(row),
            total.unwrap_or_default()
        )
    }
}
