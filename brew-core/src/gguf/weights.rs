//! The parameters of a GGUF file, by their names in a Hugging Face folder.

use tch::{Kind, Tensor};

use super::file::Gguf;
use super::names::name_in_folder;
use super::rope::DIVISORS;
use crate::error::{InStage as _, Result};
use crate::words::numbered;

impl Gguf {
    /// All parameters in this dtype, on the CPU, by transformers' names.
    ///
    /// # Errors
    /// A tensor that no supported architecture has, or whose type is not supported.
    pub(crate) fn weights(&self, kind: Kind) -> Result<Vec<(String, Tensor)>> {
        let architecture = self.architecture()?;
        let heads = |name: &str| self.integer(&format!("{}.attention.{name}", architecture.name));
        let query_heads = heads("head_count")?;
        let key_heads = heads("head_count_kv")?.or(query_heads);
        let (mut found, mut unknown) = (Vec::new(), Vec::new());
        for name in self.tensors().filter(|name| *name != DIVISORS) {
            match name_in_folder(name) {
                Some(common) => found.push((name, common)),
                None => unknown.push(format!("`{name}`")),
            }
        }
        if !unknown.is_empty() {
            let what = "tensors that are not supported in a GGUF file, so open the model's Hugging Face folder instead";
            return Err(self.error(numbered(what, &unknown)));
        }
        let read = |(name, common): (&str, String)| {
            let tensor = self.tensor(name, kind)?;
            let heads = match common.split('.').rev().nth(1) {
                Some("q_proj") => query_heads,
                Some("k_proj") => key_heads,
                _ => None,
            };
            let tensor = match heads.filter(|_| architecture.interleaved) {
                Some(heads) => halves_apart(&tensor, heads).in_stage(name)?,
                None => tensor,
            };
            Ok((common, tensor))
        };
        found.into_iter().map(read).collect()
    }
}

/// Rows of heads in which number i of the second half follows number i of the first, as transformers has them: first all
/// of the first half, then the second.
fn halves_apart(rows: &Tensor, heads: i64) -> Result<Tensor> {
    let shape = rows.size();
    let count = shape.first().copied().unwrap_or(0);
    if heads < 1 || count % (2 * heads) != 0 {
        // Not the shape that the config says, which is reported with that of every other tensor.
        return Ok(rows.shallow_clone());
    }
    let apart = rows.f_reshape([heads, count / (2 * heads), 2, -1])?.f_transpose(1, 2)?;
    Ok(apart.f_reshape(&shape)?)
}
