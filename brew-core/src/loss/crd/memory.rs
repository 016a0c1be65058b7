//! The state of the contrast over a run: a bank per side, and the pending updates of a step's batches.

use std::collections::BTreeMap;

use tch::Tensor;

use super::super::{Learns, Place, Term};
use super::bank::Bank;
use super::{Crd, unprepared};
use crate::error::{Error, Result};
use crate::parameters::Parameters;

#[derive(Debug)]
pub(super) struct Memory {
    pub(super) student: Bank,
    pub(super) teacher: Bank,
    /// Pending updates of the current step: rows, the student's vectors and the teacher's.
    moves: Vec<[Tensor; 3]>,
}

impl Memory {
    /// Adds to the term what [`Learns::after_term`] needs of its batch: the rows, both sides' vectors, and
    /// both sides' constants.
    pub(super) fn note(term: Term, rows: Tensor, vectors: [Tensor; 2], constants: [Tensor; 2]) -> Term {
        term.noting([rows].into_iter().chain(vectors).chain(constants).collect())
    }

    fn sides(&self) -> [(&'static str, &Bank); 2] {
        [("student", &self.student), ("teacher", &self.teacher)]
    }
}

impl Learns for Crd {
    fn prepare(&mut self, place: &Place) -> Result<()> {
        tch::manual_seed(place.seed);
        let bank = |features: i64| Bank::new(features, self.width, self.rows, place);
        let (student, teacher) = (bank(self.student)?, bank(self.teacher)?);
        self.memory = Some(Memory { student, teacher, moves: Vec::new() });
        Ok(())
    }

    fn parameters(&self) -> Parameters {
        let sides = self.memory.iter().flat_map(Memory::sides);
        Parameters::new(sides.flat_map(|(name, bank)| bank.parameters(name)))
    }

    fn before_step(&mut self, _: u64, _: u64) -> Result<()> {
        if let Some(memory) = &mut self.memory {
            memory.moves.clear();
            memory.student.constant.forget();
            memory.teacher.constant.forget();
        }
        Ok(())
    }

    fn after_term(&mut self, term: &Term) -> Result<()> {
        let memory = self.memory.as_mut().ok_or_else(unprepared)?;
        match term.noted.as_slice() {
            // No example of the batch counts.
            [] => Ok(()),
            [rows, student, teacher, student_constant, teacher_constant] => {
                memory.moves.push([rows, student, teacher].map(Tensor::shallow_clone));
                memory.student.constant.of_batch(student_constant.shallow_clone());
                memory.teacher.constant.of_batch(teacher_constant.shallow_clone());
                Ok(())
            }
            other => {
                Err(Error::invalid(format!("`crd` noted {} tensors of a batch, and needs 5", other.len())))
            }
        }
    }

    fn reads_own_step(&self) -> bool {
        // Until a step is made, the batches of a step share the constants of its first batch.
        self.memory
            .as_ref()
            .is_none_or(|memory| memory.sides().iter().any(|(_, bank)| bank.constant.is_open()))
    }

    fn after_step(&mut self) -> Result<()> {
        let Some(memory) = &mut self.memory else { return Ok(()) };
        memory.student.constant.keep();
        memory.teacher.constant.keep();
        for [rows, student, teacher] in std::mem::take(&mut memory.moves) {
            memory.student.move_towards(&rows, &student, self.momentum)?;
            memory.teacher.move_towards(&rows, &teacher, self.momentum)?;
        }
        Ok(())
    }

    fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        let states = self.memory.iter().flat_map(Memory::sides).map(|(name, bank)| bank.state(name));
        Ok(states.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<()> {
        let memory = self.memory.as_mut().ok_or_else(unprepared)?;
        memory.student.restore("student", state)?;
        memory.teacher.restore("teacher", state)
    }
}
