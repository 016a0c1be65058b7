//! What losses that learn are told of a step's batches on several ranks: every rank tells its losses of the batches of all
//! ranks, in the order of the step, so that their state is the same everywhere.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::drawn::Drawn;
use super::erased_executor::Notes;
use super::run::Run;
use crate::error::{Error, Result};
use crate::execute::{Noted, StepLosses};
use crate::loss::{Average, Term};
use crate::parameters::{next_of, packed, unpacked};
use crate::plan::StageId;

/// The forward pass of a batch.
pub(super) enum Forward {
    Done(StepLosses),
    /// Its loss is not finite, on whichever rank: the step is skipped.
    NotFinite,
    OfAnotherRank,
}

/// A term in a message: its numbers are in tensors beside it.
#[derive(Serialize, Deserialize)]
struct Outline {
    task: usize,
    stage: StageId,
    average: Average,
    /// Sum, count, and what the loss noted.
    tensors: usize,
}

impl Run<'_, '_> {
    /// What the losses of a step need to know of the batches of other ranks.
    pub(super) fn notes(&self, drawn: &Drawn<'_>) -> Notes {
        if self.ranks.alone() {
            return Notes::Nothing;
        }
        let of_tasks = drawn.counts.keys().map(|task| self.tasks[*task].work.executor().notes());
        of_tasks.max().unwrap_or_default()
    }

    /// Tells all ranks of the forward pass of one batch before any of them runs the next.
    ///
    /// # Errors
    /// That of the rank that ran it, on all ranks.
    pub(super) fn take_turn(&self, (index, task): (usize, usize), own: Result<Forward>) -> Result<Forward> {
        let doing = format!("batch {} of step {}", index + 1, self.step + 1);
        let mut message = Vec::new();
        let mut forward = Forward::OfAnotherRank;
        let told = own.and_then(|own| {
            if let Forward::Done(losses) = &own {
                message = bytes(losses.noted.iter().map(|noted| (task, noted)))?;
            }
            forward = own;
            Ok(!matches!(forward, Forward::NotFinite))
        });
        if self.ranks.exchange(&doing, told)?.contains(&false) {
            return Ok(Forward::NotFinite);
        }
        self.tell_losses(&self.ranks.gather(&doing, &message)?)?;
        Ok(forward)
    }

    /// Tells the losses of the terms in the messages of all ranks.
    pub(super) fn tell_losses(&self, messages: &[Vec<u8>]) -> Result<()> {
        for message in messages.iter().filter(|message| !message.is_empty()) {
            for (task, noted) in read(message)? {
                let task = self
                    .tasks
                    .get(task)
                    .ok_or_else(|| Error::invalid("another rank has more tasks than this one"))?;
                task.work.executor().note(&[noted])?;
            }
        }
        Ok(())
    }
}

/// Terms, each with its task's index, as a message to the other ranks.
pub(super) fn bytes<'n>(noted: impl Iterator<Item = (usize, &'n Noted)>) -> Result<Vec<u8>> {
    let (mut outlines, mut tensors) = (Vec::new(), Vec::new());
    for (task, Noted { stage, term }) in noted {
        let Term { sum, count, average, noted } = term;
        outlines.push(Outline { task, stage: *stage, average: *average, tensors: 2 + noted.len() });
        tensors.extend([sum, count].into_iter().chain(noted).map(Tensor::shallow_clone));
    }
    if outlines.is_empty() { Ok(Vec::new()) } else { packed(&outlines, tensors) }
}

fn read(message: &[u8]) -> Result<Vec<(usize, Noted)>> {
    let (outlines, mut tensors) = unpacked::<Vec<Outline>>(message)?;
    let term = |Outline { task, stage, average, tensors: count }| {
        let mut next = || next_of(&mut tensors);
        let (sum, of_all) = (next()?, next()?);
        let noted = (2..count).map(|_| next()).collect::<Result<_>>()?;
        Ok((task, Noted { stage, term: Term::new(sum, of_all, average).noting(noted) }))
    };
    outlines.into_iter().map(term).collect()
}

#[cfg(test)]
mod tests {
    use tch::Kind;

    use super::*;

    #[test]
    fn a_message_holds_every_bit_of_its_terms_in_their_order() {
        let stage: StageId = serde_json::from_str("3").unwrap();
        let noted = |number: f64, noted: Vec<Tensor>| Noted {
            stage,
            term: Term::new(Tensor::from(number), Tensor::from(2_f32), Average::Own).noting(noted),
        };
        let third = Tensor::from_slice(&[1.0_f64, -0.0, f64::NAN]).f_div_scalar(3.0).unwrap();
        let terms =
            [noted(0.1, vec![third.shallow_clone(), Tensor::from_slice(&[7_i64])]), noted(-1.5, Vec::new())];
        let told = read(&bytes(terms.iter().map(|noted| (1, noted))).unwrap()).unwrap();
        assert_eq!(told.len(), 2);
        for ((task, told), noted) in told.iter().zip(&terms) {
            assert_eq!((*task, told.stage, told.term.average), (1, noted.stage, noted.term.average));
            let numbers = |term: &Term| [term.sum.double_value(&[]), term.count.double_value(&[])];
            assert_eq!(numbers(&told.term), numbers(&noted.term));
            assert_eq!((told.term.sum.kind(), told.term.count.kind()), (Kind::Double, Kind::Float));
            assert_eq!(told.term.noted.len(), noted.term.noted.len());
        }
        let bits = |tensor: &Tensor| Vec::<i64>::try_from(tensor.view_dtype(Kind::Int64)).unwrap();
        assert_eq!(bits(&told[0].1.term.noted[0]), bits(&third));
        assert_eq!(told[0].1.term.noted[1], Tensor::from_slice(&[7_i64]));
    }
}
