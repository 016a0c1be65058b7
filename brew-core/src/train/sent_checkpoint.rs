//! The checkpoint that rank 0 read, on all ranks: only rank 0 needs to see the run folder.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::checkpoint::{ReadCheckpoint, State};
use super::communicator::Communicator;
use crate::error::{Error, Result};
use crate::parameters::{Parameters, read_tensors, tensors_as_bytes};

/// A checkpoint without its tensors.
#[derive(Serialize, Deserialize)]
struct Outline {
    path: PathBuf,
    state: State,
    /// The bytes of student, learned, moments, and outputs.
    lengths: Vec<usize>,
}

/// The checkpoint to resume from, on all ranks; `read` is rank 0's.
pub(super) fn send(
    ranks: &Communicator,
    read: Option<(PathBuf, ReadCheckpoint)>,
) -> Result<Option<(PathBuf, ReadCheckpoint)>> {
    if ranks.alone() {
        return Ok(read);
    }
    let mut sent = Vec::new();
    let outline = ranks.lead("sending the checkpoint", || {
        let Some((path, read)) = &read else { return Ok(None) };
        for part in [&read.student, &read.learned, &read.moments, &read.outputs] {
            let part = part.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone()));
            sent.push(tensors_as_bytes(path, &Parameters::new(part))?);
        }
        let lengths = sent.iter().map(Vec::len).collect();
        Ok(Some(Outline { path: path.clone(), state: read.state.clone(), lengths }))
    })?;
    let Some(Outline { path, state, lengths }) = outline else { return Ok(None) };
    let (mut sent, mut parts) = (sent.into_iter(), Vec::new());
    for length in lengths {
        let bytes = match sent.next() {
            // The bytes themselves are dropped: a checkpoint may be three times as large as the student.
            Some(bytes) => Tensor::f_from_slice(&bytes)?,
            None => Tensor::f_zeros([i64::try_from(length).unwrap_or(i64::MAX)], (Kind::Uint8, Device::Cpu))?,
        };
        let mut received = [bytes];
        ranks.receive(&mut received)?;
        if ranks.leads() {
            continue;
        }
        let mut bytes = vec![0_u8; length];
        received[0].f_copy_data_u8(&mut bytes, length)?;
        parts.push(read_tensors(&path, &bytes)?);
    }
    if ranks.leads() {
        return Ok(read);
    }
    let parts: [BTreeMap<String, Tensor>; 4] = parts
        .try_into()
        .map_err(|_| Error::file(&path, "rank 0 sent another number of parts than a checkpoint has"))?;
    let [student, learned, moments, outputs] = parts;
    Ok(Some((path, ReadCheckpoint { student, learned, moments, outputs, state })))
}
