//! A pipeline that is being trained, with its task name if there are several.

use super::work::Work;
use crate::error::Result;
use crate::execute::StepLosses;
use crate::parameters::Parameters;

/// A pipeline at work on its data.
pub(super) struct Task<'r> {
    /// Its name, if there are several tasks.
    pub(super) name: Option<String>,
    pub(super) work: Box<dyn Work + 'r>,
}

impl Task<'_> {
    /// A name from the plan, prefixed with the task's name.
    pub(super) fn full_name(&self, of_plan: &str) -> String {
        match &self.name {
            Some(task) => format!("{task}/{of_plan}"),
            None => of_plan.to_owned(),
        }
    }

    /// The losses of a batch as numbers: `total` first, then each by name.
    pub(super) fn values(&self, losses: &StepLosses) -> Result<Vec<(String, f64)>> {
        let total = std::iter::once(("total".to_owned(), &losses.total));
        let terms = losses.terms.iter().map(|(name, value)| (self.full_name(name), value));
        total.chain(terms).map(|(name, value)| Ok((name, value.f_double_value(&[])?))).collect()
    }
}

/// The student's parameters, from all tasks.
pub(super) fn student_of(tasks: &[Task<'_>]) -> Parameters {
    union(tasks, |work| work.executor().student())
}

/// The parameters that all tasks learn beside the student's.
pub(super) fn learned_of(tasks: &[Task<'_>]) -> Parameters {
    union(tasks, |work| work.executor().learned())
}

/// The projections of all tasks.
pub(super) fn projections_of(tasks: &[Task<'_>]) -> Parameters {
    union(tasks, |work| work.executor().projections())
}

fn union(tasks: &[Task<'_>], of: impl Fn(&dyn Work) -> Parameters) -> Parameters {
    Parameters::union(tasks.iter().map(|task| (task.name.as_deref().unwrap_or(""), of(&*task.work))))
}
