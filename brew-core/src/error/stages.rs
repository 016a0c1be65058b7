//! Adds the stages that an error comes from, each named once, outermost first.

use super::{Error, Result};

impl Error {
    /// Its stages and message, if it is of a kind that has stages.
    fn stages(&mut self) -> Option<(&mut Vec<String>, &mut String)> {
        match self {
            Error::Torch { stages, message }
            | Error::OutOfMemory { stages, message }
            | Error::Invalid { stages, message } => Some((stages, message)),
            _ => None,
        }
    }

    /// The message for a reader who already knows this stage: the parts within the stage, and the message.
    pub(crate) fn within(mut self, stage: &str) -> String {
        if matches!(self, Error::OutOfMemory { .. }) {
            return self.to_string();
        }
        let Some((stages, message)) = self.stages() else { return self.to_string() };
        if stages.first().is_some_and(|outermost| outermost == stage) {
            stages.remove(0);
        }
        if stages.is_empty() { std::mem::take(message) } else { format!("{}: {message}", quoted(stages)) }
    }
}

/// Adds the name of a stage to an error.
pub trait InStage<T> {
    /// Names the stage, model part or tensor being processed. Inner names that were added earlier follow this
    /// one; a repeated name appears once.
    fn in_stage(self, stage: &str) -> Result<T>;
}

impl<T, E: Into<Error>> InStage<T> for std::result::Result<T, E> {
    fn in_stage(self, stage: &str) -> Result<T> {
        self.map_err(|error| {
            let mut error = error.into();
            if let Some((stages, _)) = error.stages()
                && stages.first().is_none_or(|outermost| outermost != stage)
            {
                stages.insert(0, stage.to_owned());
            }
            error
        })
    }
}

/// "stage `student`, `embeddings`: ", or nothing if no stage is known.
pub(super) fn in_stages(stages: &[String]) -> String {
    if stages.is_empty() { String::new() } else { format!("stage {}: ", quoted(stages)) }
}

/// "`student`, `embeddings`".
pub(super) fn quoted(stages: &[String]) -> String {
    stages.iter().map(|stage| format!("`{stage}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_named_once_and_parts_stand_behind_it() {
        let failed = || Err::<(), _>(Error::invalid("no such layer: 9"));
        let twice = failed().in_stage("teacher").in_stage("teacher");
        assert_eq!(twice.unwrap_err().to_string(), "stage `teacher`: no such layer: 9");
        let nested = failed().in_stage("embeddings").in_stage("student").in_stage("student");
        assert_eq!(nested.unwrap_err().to_string(), "stage `student`, `embeddings`: no such layer: 9");
        assert_eq!(failed().unwrap_err().to_string(), "no such layer: 9");
        let within = failed().in_stage("embeddings").in_stage("student").unwrap_err().within("student");
        assert_eq!(within, "`embeddings`: no such layer: 9");
    }

    #[test]
    fn an_error_of_libtorch_keeps_its_first_line_and_all_its_stages() {
        let torch = tch::TchError::Torch("shapes differ\nframe #0".to_owned());
        let told = Err::<(), _>(torch).in_stage("query").in_stage("student").unwrap_err().to_string();
        assert_eq!(told, "stage `student`, `query`: shapes differ");
    }
}
