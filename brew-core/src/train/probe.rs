//! The probe before the first step: runs two rows of every task, and the rows that demand the most of a
//! model.

use super::caller::Caller;
use super::random::TaskDraw;
use super::task::Task;
use crate::error::{Error, Problem, Result};

/// The findings from two rows of each task; the error lists every problem with them and with the evaluations.
pub(super) fn probe(tasks: &[Task<'_>], draw: &TaskDraw, caller: &dyn Caller) -> Result<Vec<String>> {
    let (mut found, mut problems, mut alone) = (Vec::new(), Vec::new(), None);
    for (index, task) in tasks.iter().enumerate() {
        match (&task.name, task.work.probe()) {
            (None, Ok(lines)) => found.extend(lines),
            (Some(task), Ok(lines)) => {
                found.push(format!("{task}: drawn with probability {:.3}", draw.probability(index)));
                found.extend(lines.into_iter().map(|line| format!("{task}: {line}")));
            }
            (None, Err(Error::Plan(wrong))) => problems.extend(wrong),
            (None, Err(error)) => {
                problems.push(Problem::Config(error.to_string()));
                alone = Some(error);
            }
            (Some(task), Err(Error::Plan(wrong))) => {
                let of_task =
                    |wrong: &Problem| Problem::Task { task: task.clone(), message: wrong.to_string() };
                problems.extend(wrong.iter().map(of_task));
            }
            (Some(task), Err(error)) => {
                problems.push(Problem::Task { task: task.clone(), message: error.to_string() });
                alone = Some(error.of_task(task));
            }
        }
    }
    // After the tasks, because they may have given the student the names of its classes.
    problems.extend(caller.problems());
    match (problems.len(), alone) {
        (0, _) => Ok(found),
        // Unreadable data is not the pipeline's fault: return that error as it is.
        (1, Some(error)) => Err(error),
        _ => Err(Error::Plan(problems)),
    }
}
