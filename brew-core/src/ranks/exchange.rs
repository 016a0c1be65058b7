//! The messages under a group's calls: the comparison that comes before each of them, and bytes of any length.

use std::time::Duration;

use tch::{Device, Kind, Tensor};

use super::agreement::named;
use crate::error::{Error, Result};
use crate::native::ffi::{Exchange, Gloo};
use crate::words::shape;

/// One call in words: its name, then each tensor.
pub(super) fn lines(call: &str, tensors: &[Tensor]) -> Vec<String> {
    let first = format!("`{call}` of {} tensors", tensors.len());
    let others = tensors.iter().enumerate().map(|(index, tensor)| {
        if tensor.defined() {
            let layout = if tensor.is_sparse() { "sparse " } else { "" };
            let (kind, size, device) = (tensor.kind(), tensor.size(), tensor.device());
            format!("tensor {index} is {layout}{kind:?} {} on {device:?}", shape(&size))
        } else {
            format!("tensor {index} is undefined")
        }
    });
    std::iter::once(first).chain(others).collect()
}

/// The first tensor that ranks cannot exchange.
pub(super) fn unsuitable(tensors: &[Tensor]) -> Option<String> {
    let fits = |tensor: &Tensor| tensor.defined() && tensor.device() == Device::Cpu && !tensor.is_sparse();
    let index = tensors.iter().position(|tensor| !fits(tensor))?;
    let line = lines("", tensors).swap_remove(index + 1);
    Some(format!(
        "{line}: only dense tensors on the CPU are supported; leave it out on all ranks, or convert it"
    ))
}

/// Compares a call on all ranks: a difference would be summed wrongly, or end the process. Returns how the ranks differ.
pub(super) fn compare(
    gloo: &Gloo,
    lines: &[String],
    world_size: usize,
    timeout: Duration,
) -> Result<Option<String>> {
    let mut hasher = blake3::Hasher::new();
    for line in lines {
        hasher.update(line.as_bytes()).update(b"\n");
    }
    let own = Tensor::f_from_slice(hasher.finalize().as_bytes())?;
    let all = gloo.start(Exchange::Gather, &[own.shallow_clone()], world_size, timeout)?.wait()?;
    let mut same = true;
    for other in &all {
        same &= own.f_equal(other)?;
    }
    if same {
        return Ok(None);
    }
    // Everybody has the same hashes here, so everybody sends its text.
    let text = serde_json::to_vec(lines).map_err(Error::other)?;
    let all = gather_bytes(gloo, &text, world_size, timeout)?;
    let calls: Vec<Vec<String>> = all
        .iter()
        .map(|text| serde_json::from_slice(text))
        .collect::<Result<_, _>>()
        .map_err(Error::other)?;
    Ok(Some(difference(&calls)))
}

/// Where calls differ first.
fn difference(calls: &[Vec<String>]) -> String {
    let longest = calls.iter().map(Vec::len).max().unwrap_or(0);
    for index in 0..longest {
        let mut told: Vec<(&str, Vec<usize>)> = Vec::new();
        for (rank, call) in calls.iter().enumerate() {
            let line = call.get(index).map_or("nothing", String::as_str);
            match told.iter_mut().find(|(known, _)| *known == line) {
                Some((_, ranks)) => ranks.push(rank),
                None => told.push((line, vec![rank])),
            }
        }
        if told.len() > 1 {
            let told: Vec<String> =
                told.iter().map(|(line, ranks)| format!("{line} on {}", named(ranks))).collect();
            return format!("the ranks make different calls: {}", told.join(", "));
        }
    }
    "the ranks make different calls".to_owned()
}

/// The bytes of every rank, of any length each.
pub(super) fn gather_bytes(
    gloo: &Gloo,
    bytes: &[u8],
    world_size: usize,
    timeout: Duration,
) -> Result<Vec<Vec<u8>>> {
    let length =
        i64::try_from(bytes.len()).map_err(|_| Error::invalid("there are too many bytes to gather"))?;
    let own = Tensor::f_from_slice(&[length])?;
    let lengths = gloo.start(Exchange::Gather, &[own], world_size, timeout)?.wait()?;
    let lengths: Vec<i64> =
        lengths.iter().map(|length| length.f_int64_value(&[0])).collect::<Result<_, _>>()?;
    let longest = lengths.iter().copied().max().unwrap_or(0);
    let padded = Tensor::f_zeros([longest], (Kind::Uint8, Device::Cpu))?;
    padded.f_narrow(0, 0, length)?.f_copy_(&Tensor::f_from_slice(bytes)?)?;
    let all = gloo.start(Exchange::Gather, &[padded], world_size, timeout)?.wait()?;
    let cut = |(tensor, length): (&Tensor, &i64)| -> Result<Vec<u8>> {
        let part = tensor.f_narrow(0, 0, *length)?.f_contiguous()?;
        let mut bytes = vec![0_u8; part.numel()];
        part.f_copy_data_u8(&mut bytes, part.numel())?;
        Ok(bytes)
    };
    all.iter().zip(&lengths).map(cut).collect()
}
