//! A loss whose type is not known, such as one named in a config, as a loss that others go around.

use std::collections::BTreeMap;

use serde_json::Value;
use tch::Tensor;

use super::{AlsoReads, Average, Loss, Masks, Place, Read, Term};
use crate::error::Result;
use crate::model::Parameters;

impl Loss for Box<dyn Loss> {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn options(&self) -> Value {
        (**self).options()
    }

    fn problems(&self) -> Vec<String> {
        (**self).problems()
    }

    fn masks(&self) -> Masks {
        (**self).masks()
    }

    fn temperature(&self) -> Option<f64> {
        (**self).temperature()
    }

    fn average(&self, masked: bool) -> Average {
        (**self).average(masked)
    }

    fn reads_padding(&self) -> bool {
        (**self).reads_padding()
    }

    fn reads_whole_batch(&self) -> bool {
        (**self).reads_whole_batch()
    }

    fn also_reads(&self) -> &'static [AlsoReads] {
        (**self).also_reads()
    }

    fn reads_top_logits(&self) -> bool {
        (**self).reads_top_logits()
    }

    fn prepare(&self, place: &Place) -> Result<()> {
        (**self).prepare(place)
    }

    fn parameters(&self) -> Parameters {
        (**self).parameters()
    }

    fn before_step(&self, step: u64, steps: u64) -> Result<()> {
        (**self).before_step(step, steps)
    }

    fn after_step(&self) -> Result<()> {
        (**self).after_step()
    }

    fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        (**self).state()
    }

    fn restore(&self, state: &BTreeMap<String, Tensor>) -> Result<()> {
        (**self).restore(state)
    }

    fn mismatches(&self, student: &Read, teacher: &Read) -> Vec<String> {
        (**self).mismatches(student, teacher)
    }

    fn term(&self, student: &Read, teacher: &Read) -> Result<Term> {
        (**self).term(student, teacher)
    }
}
