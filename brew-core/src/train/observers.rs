//! The observers of a run: those the user gave, and those that write the run folder.

use super::checkpoint::State;
use super::communicator::Communicator;
use super::run_folder::RunFolder;
use super::settings::Settings;
use crate::error::Result;
use crate::observe::{Event, MetricsFile, Observer, Progress, Report, TensorBoard};

/// The observers of a run, in the order in which they are notified.
pub(super) struct Observers<'o>(Vec<Box<dyn Observer + 'o>>);

impl<'o> Observers<'o> {
    /// The observers in the settings; a progress bar if there are none. On ranks other than 0 nobody observes.
    pub(super) fn of(settings: &mut Settings<'o>, ranks: &Communicator) -> Self {
        if !ranks.leads() {
            return Observers(Vec::new());
        }
        let mut observers = std::mem::take(&mut settings.observers);
        if observers.is_empty() {
            observers.push(Box::new(Progress::new("brew")));
        }
        Observers(observers)
    }

    /// Adds the observers that write a run folder; `resumed` is the state that the run resumes from.
    ///
    /// # Errors
    /// Files that cannot be written.
    pub(super) fn write_to(&mut self, folder: &RunFolder, resumed: Option<&State>) -> Result<()> {
        let done = resumed.map_or(0, |state| state.step);
        let evaluated = resumed.is_none_or(|state| state.to_evaluate.is_none());
        self.0.push(Box::new(MetricsFile::resume_at(&folder.metrics(), done, evaluated)?));
        self.0.push(Box::new(TensorBoard::create(&folder.tensorboard())?));
        // Must come after the metrics, whose file it reads.
        self.0.push(Box::new(Report::new(folder.metrics(), folder.report())));
        Ok(())
    }

    pub(super) fn on(&mut self, event: &Event<'_>) {
        self.0.iter_mut().for_each(|observer| observer.on(event));
    }
}
