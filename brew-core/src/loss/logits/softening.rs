//! Softening: the temperatures that turn logits into probabilities, and whether the loss is multiplied by T
//! squared.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tch::Tensor;

use super::super::catalogue::{OptionRow, Options, Range, number, switch};
use super::super::temperature::{Softened, Temperature};
use super::log_space::log_softmax;
use crate::error::Result;
use crate::schedule::TemperatureSchedule;

/// Whether the loss is multiplied by T squared.
pub(in crate::loss) const SQUARED: OptionRow =
    switch("temperature_squared", false, "multiplies by the square of the temperature");
/// The teacher's own temperature.
pub(in crate::loss) const TEACHER: OptionRow = number(
    "teacher_temperature",
    Range::NotNegative,
    0.0,
    "divides the teacher's logits; 0: as the student's",
);

/// The temperature settings of a loss on logits.
#[derive(Debug, Clone)]
pub struct Softening {
    temperature: Temperature,
    teacher: Option<f64>,
    /// Whether the loss is multiplied by T squared; `None` for a loss that never is.
    squared: Option<bool>,
}

impl Softening {
    /// Divides the logits of both sides by a temperature in (0, inf).
    pub fn at(temperature: f64) -> Self {
        Softening { temperature: Temperature::at(temperature), teacher: None, squared: Some(false) }
    }

    /// Divides the teacher's logits by a separate temperature.
    #[must_use]
    pub fn teacher_at(self, temperature: f64) -> Self {
        Softening { teacher: Some(temperature), ..self }
    }

    /// Gives every row its own temperature, based on this one.
    #[must_use]
    pub fn scheduled(self, schedule: impl TemperatureSchedule) -> Self {
        Softening { temperature: self.temperature.scheduled(Arc::new(schedule)), ..self }
    }

    /// Multiplies the loss by the square of the student's temperature.
    #[must_use]
    pub fn times_temperature_squared(self) -> Self {
        Softening { squared: Some(true), ..self }
    }

    /// For a loss that is never multiplied by the square and has no option for it.
    pub(in crate::loss) fn never_squared(self) -> Self {
        Softening { squared: None, ..self }
    }

    /// The same with the teacher's temperature, schedule and factor from the options.
    pub(in crate::loss) fn with(self, options: &Options) -> Self {
        let teacher = Some(options.number(TEACHER.name)).filter(|teacher| *teacher > 0.0);
        let softening =
            Softening { teacher, squared: self.squared.map(|_| options.is_on(SQUARED.name)), ..self };
        match options.schedule() {
            Some(schedule) => softening.scheduled(schedule),
            None => softening,
        }
    }

    /// As stored in a plan.
    pub(in crate::loss) fn options(&self) -> Map<String, Value> {
        let mut options = self.temperature.options();
        if let Some(teacher) = self.teacher {
            options.insert(TEACHER.name.to_owned(), json!(teacher));
        }
        if let Some(squared) = self.squared {
            options.insert(SQUARED.name.to_owned(), json!(squared));
        }
        options
    }

    pub(in crate::loss) fn problems(&self) -> Vec<String> {
        let mut problems = self.temperature.problems();
        if let Some(teacher) = self.teacher.filter(|teacher| !(teacher.is_finite() && *teacher > 0.0)) {
            problems.push(format!("the teacher's temperature is {teacher}; it must be finite and above 0"));
        }
        if self.teacher.is_some() && self.temperature.is_scheduled() {
            problems.push(
                "a temperature schedule also sets the teacher's temperature: remove `teacher_at` or the schedule"
                    .to_owned(),
            );
        }
        problems
    }

    /// The divisor of the teacher's logits in all rows; `None` if rows differ.
    pub(in crate::loss) fn of_teacher(&self) -> Option<f64> {
        self.teacher.or_else(|| self.temperature.fixed())
    }

    /// Whether a row's temperature depends on the other rows of its batch.
    pub(in crate::loss) fn is_scheduled(&self) -> bool {
        self.temperature.is_scheduled()
    }

    /// Whether every temperature is 1.
    pub(in crate::loss) fn is_one(&self) -> bool {
        self.temperature.fixed() == Some(1.0) && self.teacher.is_none_or(|teacher| teacher == 1.0)
    }

    /// The logits divided by their temperatures; `(rows, classes)` each.
    pub(in crate::loss) fn divide(&self, student: &Tensor, teacher: &Tensor) -> Result<Softened> {
        let softened = self.temperature.divide(student, teacher, None)?;
        match self.teacher {
            Some(own) => Ok(Softened { teacher: teacher.f_div_scalar(own)?, ..softened }),
            None => Ok(softened),
        }
    }

    /// The log-probabilities of both sides; `(rows, classes)` each.
    pub(in crate::loss) fn soften(&self, student: &Tensor, teacher: &Tensor) -> Result<Softened> {
        let Softened { student, teacher, squared } = self.divide(student, teacher)?;
        Ok(Softened { student: log_softmax(&student)?, teacher: log_softmax(&teacher)?, squared })
    }

    /// A value computed at T, times T squared if requested.
    pub(in crate::loss) fn scale(&self, value: &Tensor, squared: &Tensor) -> Result<Tensor> {
        if self.squared == Some(true) { Ok(value.f_mul(squared)?) } else { Ok(value.shallow_clone()) }
    }
}

/// The options of [`Softening`] as methods of a loss that holds one.
macro_rules! softened {
    ($($loss:ty),+) => {$(
        impl $loss {
            /// Multiplies everything computed at the temperature by its square, so that the size of the
            /// gradient does not depend on the temperature (Hinton et al. 2015, section 2.1).
            #[must_use]
            pub fn times_temperature_squared(mut self) -> Self {
                self.softening = self.softening.times_temperature_squared();
                self
            }

            /// Divides the teacher's logits by a separate temperature.
            #[must_use]
            pub fn teacher_at(mut self, temperature: f64) -> Self {
                self.softening = self.softening.teacher_at(temperature);
                self
            }

            /// Gives every row its own temperature, based on the loss's.
            #[must_use]
            pub fn scheduled(mut self, schedule: impl $crate::schedule::TemperatureSchedule) -> Self {
                self.softening = self.softening.scheduled(schedule);
                self
            }

            /// The same with the settings in the options.
            pub(in crate::loss) fn softened(mut self, options: &$crate::loss::catalogue::Options) -> Self {
                self.softening = self.softening.with(options);
                self
            }
        }
    )+};
}
pub(in crate::loss) use softened;
