//! The temperature of soft targets: one for all rows, or one per row by a schedule.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tch::{Kind, Tensor};

use super::term::positions;
use crate::error::{Error, Result};
use crate::schedule::TemperatureSchedule;

/// A base temperature and, if rows differ, its schedule.
#[derive(Debug, Clone)]
pub(super) struct Temperature {
    base: f64,
    schedule: Option<Arc<dyn TemperatureSchedule>>,
}

/// Logits divided by their temperatures.
pub(super) struct Softened {
    pub(super) student: Tensor,
    pub(super) teacher: Tensor,
    /// The square of each row's temperature, in the rows' shape, or a scalar.
    pub(super) squared: Tensor,
}

impl Temperature {
    pub(super) fn at(base: f64) -> Self {
        Temperature { base, schedule: None }
    }

    pub(super) fn scheduled(self, schedule: Arc<dyn TemperatureSchedule>) -> Self {
        Temperature { schedule: Some(schedule), ..self }
    }

    /// Whether a row's temperature depends on the other rows of its batch.
    pub(super) fn is_scheduled(&self) -> bool {
        self.schedule.is_some()
    }

    /// The temperature of all rows; `None` where each has its own.
    pub(super) fn fixed(&self) -> Option<f64> {
        self.schedule.is_none().then_some(self.base)
    }

    /// As stored in a plan.
    pub(super) fn options(&self) -> Map<String, Value> {
        let mut options = Map::from_iter([("temperature".to_owned(), json!(self.base))]);
        if let Some(schedule) = &self.schedule {
            let schedule = Map::from_iter([(schedule.name().to_owned(), schedule.options())]);
            options.insert("temperature_schedule".to_owned(), Value::Object(schedule));
        }
        options
    }

    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems: Vec<String> = range_problem("the temperature", self.base).into_iter().collect();
        problems.extend(self.schedule.iter().flat_map(|schedule| schedule.problems()));
        problems
    }

    /// Divides the logits of both sides, `(…, classes)`; a mask of the rows' shape says which rows count.
    pub(super) fn divide(
        &self,
        student: &Tensor,
        teacher: &Tensor,
        mask: Option<&Tensor>,
    ) -> Result<Softened> {
        let rows = match &self.schedule {
            None => Tensor::f_full([], self.base, (student.kind(), student.device()))?,
            Some(schedule) => self.of_rows(&**schedule, student, teacher, mask)?,
        };
        // Dividing by 1 changes nothing, but would copy both sides.
        if self.fixed() == Some(1.0) {
            let (student, teacher) = (student.shallow_clone(), teacher.shallow_clone());
            return Ok(Softened { student, teacher, squared: rows });
        }
        let divisor = if rows.dim() == 0 { rows.shallow_clone() } else { rows.f_unsqueeze(-1)? };
        Ok(Softened {
            student: student.f_div(&divisor)?,
            teacher: teacher.f_div(&divisor)?,
            squared: rows.f_square()?,
        })
    }

    /// A temperature for every row; 1 for those that do not count.
    fn of_rows(
        &self,
        schedule: &dyn TemperatureSchedule,
        student: &Tensor,
        teacher: &Tensor,
        mask: Option<&Tensor>,
    ) -> Result<Tensor> {
        let _guard = tch::no_grad_guard();
        let shape = student.size();
        let shape = &shape[..shape.len().saturating_sub(1)];
        let counts = match mask.filter(|mask| mask.size() == shape) {
            Some(mask) => positions(mask)?,
            None => Tensor::f_ones(shape, (Kind::Bool, student.device()))?,
        };
        let selected = |logits: &Tensor| logits.f_index(&[Some(&counts)]);
        let (student, teacher) = (selected(student)?, selected(teacher)?);
        let found = schedule.temperatures(&student, &teacher, self.base)?;
        let found = found.f_to_kind(student.kind())?.f_expand(&student.size()[..1], false)?.f_contiguous()?;
        in_range(schedule, &found)?;
        let ones = Tensor::f_ones(shape, (student.kind(), student.device()))?;
        Ok(ones.f_masked_scatter(&counts, &found)?)
    }
}

/// The problem of a temperature outside (0, inf), if there is one.
pub(super) fn range_problem(name: &str, temperature: f64) -> Option<String> {
    let fits = temperature.is_finite() && temperature > 0.0;
    (!fits).then(|| {
        format!("{name} is {temperature}; it must be finite and above 0 (1 leaves the logits as they are)")
    })
}

/// Refuses temperatures outside (0, inf): dividing by them would reverse the loss, or give NaN.
fn in_range(schedule: &dyn TemperatureSchedule, temperatures: &Tensor) -> Result<()> {
    let outside = temperatures.f_gt(0.0)?.f_logical_and(&temperatures.f_isfinite()?)?.f_logical_not()?;
    if outside.f_any()?.f_int64_value(&[])? == 0 {
        return Ok(());
    }
    let worst = temperatures.f_masked_select(&outside)?.f_double_value(&[0])?;
    Err(Error::invalid(format!(
        "the temperature schedule `{}` gives a row the temperature {worst}; it must lie in (0, inf): take a smaller beta or a higher temperature",
        schedule.name()
    )))
}
