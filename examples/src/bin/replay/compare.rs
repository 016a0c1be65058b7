//! Differences from the recorded numbers: printed line by line, judged together.

use std::collections::BTreeMap;

use brew_core::prelude::{Kind, Result, Tensor};

/// What is compared, and what exceeded the tolerance.
pub(crate) struct Comparison {
    tolerance: f64,
    judged: usize,
    failed: Vec<String>,
    largest: f64,
}

impl Comparison {
    pub(crate) fn new(tolerance: f64) -> Self {
        Comparison { tolerance, judged: 0, failed: Vec::new(), largest: 0.0 }
    }

    /// For every loss, the largest |a - b| / max(|b|, 1e-6) over the batches. Losses that depend on free parameters
    /// are printed but not judged; batches whose recorded loss is not a number are not judged either.
    pub(crate) fn losses(
        &mut self,
        is_free: impl Fn(&str) -> bool,
        found: &[Vec<(String, f64)>],
        expected: &[BTreeMap<String, f64>],
    ) {
        println!("losses: largest |a - b| / max(|b|, 1e-6) over {} batches", found.len());
        if expected.len() > found.len() {
            println!("  {} batches were recorded without a step", expected.len() - found.len());
        }
        let mut largest: BTreeMap<&str, f64> = BTreeMap::new();
        let mut without: BTreeMap<&str, usize> = BTreeMap::new();
        let mut missing = Vec::new();
        for (index, row) in found.iter().enumerate() {
            let Some(expected) = expected.get(index) else {
                missing.push(format!("the losses of batch {index} are not recorded"));
                continue;
            };
            // TextBrewer logs the last of several losses with the same name.
            let row: BTreeMap<&str, f64> = row.iter().map(|(name, value)| (name.as_str(), *value)).collect();
            for (name, value) in &row {
                match expected.get(*name) {
                    Some(expected) if expected.is_nan() => *without.entry(name).or_default() += 1,
                    Some(expected) => {
                        let difference = off_by(*value, *expected);
                        let entry = largest.entry(name).or_default();
                        // Not `max`, which would drop a NaN: once there, it stays.
                        *entry = if entry.is_nan() || *entry >= difference { *entry } else { difference };
                    }
                    None => missing.push(format!("batch {index}: `{name}` is not recorded")),
                }
            }
            let absent = expected.keys().filter(|name| !row.contains_key(name.as_str()));
            missing.extend(absent.map(|name| format!("batch {index}: `{name}` was not computed")));
        }
        for (name, batches) in without {
            println!("  {name:<66} not judged in {batches} of {} batches: recorded as NaN", found.len());
        }
        for (name, difference) in largest {
            if is_free(name) {
                println!(
                    "  {name:<66} {difference:9.2e}  not judged: its weight is 0, and it sees what no loss depends on"
                );
            } else {
                self.judge(name, difference);
            }
        }
        self.fail(missing);
    }

    /// For every tensor, max|a - b| / max|b|; tensors that no loss depends on are printed but not judged.
    pub(crate) fn tensors(
        &mut self,
        what: &str,
        is_free: impl Fn(&str) -> bool,
        found: &BTreeMap<String, Tensor>,
        expected: &BTreeMap<String, Tensor>,
    ) -> Result<()> {
        println!("{what}: max|a - b| / max|b| of each tensor");
        for (name, found) in found {
            let Some(expected) = expected.get(name) else {
                self.fail([format!("`{name}` is not recorded")]);
                continue;
            };
            if found.size() != expected.size() {
                self.fail([format!("`{name}` is {:?}, recorded {:?}", found.size(), expected.size())]);
                continue;
            }
            let difference = relative(found, expected)?;
            if is_free(name) {
                println!("  {name:<66} {difference:9.2e}  not judged: no loss depends on it");
            } else {
                self.judge(name, difference);
            }
        }
        let absent = expected.keys().filter(|name| !found.contains_key(*name));
        self.fail(absent.map(|name| format!("`{name}` is recorded, and the model has none")));
        Ok(())
    }

    /// The verdict: whether everything that is judged is within the tolerance.
    pub(crate) fn finish(self) -> bool {
        for failure in &self.failed {
            println!("FAILED: {failure}");
        }
        println!(
            "{} of {} within {:e}; the largest difference is {:.2e}",
            self.judged - self.failed.len().min(self.judged),
            self.judged,
            self.tolerance,
            self.largest
        );
        self.failed.is_empty() && self.judged > 0
    }

    fn judge(&mut self, name: &str, difference: f64) {
        println!("  {name:<66} {difference:9.2e}");
        self.judged += 1;
        if difference > self.largest || difference.is_nan() {
            self.largest = difference;
        }
        // A NaN is never within the tolerance.
        if difference.is_nan() || difference > self.tolerance {
            self.failed.push(format!("{name}: {difference:.2e}"));
        }
    }

    fn fail(&mut self, failures: impl IntoIterator<Item = String>) {
        for failure in failures {
            self.judged += 1;
            self.failed.push(failure);
        }
    }
}

/// |a - b| / max(|b|, 1e-6); 0 if both are the same infinity.
fn off_by(found: f64, expected: f64) -> f64 {
    if found == expected { 0.0 } else { (found - expected).abs() / expected.abs().max(1e-6) }
}

/// max|a - b| / max|b|; 0 if both are 0 everywhere.
fn relative(found: &Tensor, expected: &Tensor) -> Result<f64> {
    let (found, expected) = (found.f_to_kind(Kind::Double)?, expected.f_to_kind(Kind::Double)?);
    let difference = found.f_sub(&expected)?.f_abs()?.f_max()?.f_double_value(&[])?;
    let scale = expected.f_abs()?.f_max()?.f_double_value(&[])?;
    Ok(if difference == 0.0 { 0.0 } else { difference / scale })
}
