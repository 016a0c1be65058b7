//! The loop: windows of batches, optimizer steps, evaluation and checkpoints.
//!
//! The same loop serves runs of epochs and of optimizer steps, one pipeline and several tasks. Runs of epochs
//! and of steps differ only in where a window may end, which [`Windows`](super::windows::Windows) decides.

use std::time::Instant;

use tracing::debug_span;

use super::caller::{Caller, Tell};
use super::run::Run;
use super::signals::Listening;
use crate::error::{During, Error, Result};
use crate::observe::{Event, StepReport};

impl Run<'_, '_> {
    /// Trains from the current step to the last.
    pub(super) fn go_on(&mut self, caller: &mut dyn Caller, tell: &mut Tell<'_>) -> Result<()> {
        if self.to_evaluate.is_some() {
            // The earlier run ended between a checkpoint and the evaluation of the same step.
            // Rank 0 alone has opened the folder.
            let path = self.ranks.lead("finding the checkpoint to evaluate", || {
                Ok(self.folder.map(|folder| folder.checkpoint(self.step)))
            })?;
            self.evaluate_after(path.as_deref(), caller, tell)?;
            if self.settings.checkpoints.at(self.step, &self.length) {
                self.call_back(caller)?;
            }
        }
        while self.step < self.length.steps && !self.stops_early() {
            let epoch = self.next_step(tell)?;
            let checkpoint = self.settings.checkpoints.at(self.step, &self.length);
            let evaluates = match self.length.goes_by_epochs() {
                true => self.length.ends_epoch(self.step),
                false => checkpoint,
            };
            let (asked, due) = (self.is_asked(), if self.ranks.alone() { self.is_due() } else { self.due });
            if evaluates {
                self.tell_of_caches(tell);
                self.to_evaluate = caller.evaluates().then_some(epoch);
            }
            // Written before the evaluation, so that it exists even if the evaluation fails.
            let mut saved = if checkpoint || asked || due { self.checkpoint(tell)? } else { None };
            if self.to_evaluate.is_some() {
                self.evaluate_after(saved.as_deref(), caller, tell)?;
            }
            let asked = self.is_asked();
            if asked && saved.is_none() {
                saved = self.checkpoint(tell)?;
            }
            if asked {
                self.ranks.end_together();
                return Err(Error::Interrupted { step: self.step, saved });
            }
            if checkpoint {
                self.call_back(caller)?;
            }
        }
        Ok(())
    }

    fn call_back(&self, caller: &mut dyn Caller) -> Result<()> {
        let during = During::Callback { step: self.step };
        let called = self.ranks.lead("the function of `on_checkpoint`", || caller.at_checkpoint(self.step));
        called.map_err(|error| error.during(during))
    }

    /// Whether a signal has asked the run to end; on several ranks, a signal to any of them during a step.
    fn is_asked(&self) -> bool {
        if self.ranks.alone() { self.signals.as_ref().is_some_and(Listening::asked) } else { self.asked }
    }

    /// Whether a checkpoint is due by this process's clock.
    pub(super) fn is_due(&self) -> bool {
        self.settings.save_every.is_some_and(|every| self.saved_at.elapsed() >= every)
    }

    /// One optimizer step, from drawing its data to notifying observers; returns the epoch of its first
    /// batch.
    fn next_step(&mut self, tell: &mut Tell<'_>) -> Result<u64> {
        let _span = debug_span!("step", number = self.step + 1).entered();
        let started = Instant::now();
        let drawn = self.draw()?;
        let epoch = drawn.batches.first().map_or(0, |next| next.epoch);
        let report = self.window(epoch, &drawn, tell)?;
        self.examples += drawn.rows;
        drop(drawn);
        self.seconds += started.elapsed().as_secs_f64();
        let tokens = if report.losses.is_some() { self.tokens.read()? } else { None };
        let report = StepReport {
            examples_per_second: self.per_second(self.examples),
            tokens_per_second: tokens.map(|tokens| self.per_second(tokens)),
            ..report
        };
        tell(&Event::Step(&report));
        Ok(epoch)
    }

    /// Converts a count into a rate per second of the run so far.
    pub(super) fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }
}
