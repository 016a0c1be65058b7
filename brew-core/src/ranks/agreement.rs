//! What all ranks must have in common, compared before they exchange the first tensor.

use std::fmt::Display;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::parameters::Parameters;

/// What must be equal on all ranks, by name. [`Ranks::join`](super::Ranks::join) compares it and refuses to connect ranks
/// that differ; the program itself is always compared.
///
/// ```
/// use brew_core::prelude::*;
/// use brew_core::ranks::Agreement;
///
/// let weights = Parameters::new([("weight".to_owned(), Tensor::from_slice(&[1.0_f32]))]);
/// let agreement = Agreement::new()
///     .value("learning rate", 1e-4)
///     .bytes("config", br#"{"epochs": 3}"#)
///     .parameters("student", &weights)?;
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    facts: Vec<(String, String)>,
}

impl Agreement {
    /// Nothing but the program.
    pub fn new() -> Self {
        Agreement::default()
    }

    /// A value that an error shows.
    #[must_use]
    pub fn value(mut self, name: &str, value: impl Display) -> Self {
        self.facts.push((name.to_owned(), value.to_string()));
        self
    }

    /// Bytes of any length, compared by their hash.
    #[must_use]
    pub fn bytes(self, name: &str, bytes: &[u8]) -> Self {
        let hash = blake3::hash(bytes).to_hex();
        self.value(name, format!("{} bytes with hash {}", bytes.len(), &hash[..16]))
    }

    /// A model's tensors: names, shapes, dtypes, and all values, compared by their hash.
    ///
    /// # Errors
    /// Those of libtorch.
    pub fn parameters(self, name: &str, parameters: &Parameters) -> Result<Self> {
        let hash = parameters.hash()?;
        let tensors = parameters.iter().count();
        Ok(self.value(name, format!("{tensors} tensors with hash {}", &hash[..16])))
    }

    /// The entries of both.
    pub(super) fn and(mut self, more: &Self) -> Self {
        self.facts.extend(more.facts.iter().cloned());
        self
    }

    /// Where ranks differ, a sentence per name; `of` is in the order of ranks.
    pub(crate) fn differences(of: &[&Agreement]) -> Vec<String> {
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in of.iter().flat_map(|agreement| &agreement.facts) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        names.into_iter().filter_map(|name| difference(name, of)).collect()
    }
}

/// "`seed` differs: 7 on ranks 0 and 2, 8 on rank 1".
fn difference(name: &str, of: &[&Agreement]) -> Option<String> {
    let mut values: Vec<(&str, Vec<usize>)> = Vec::new();
    for (rank, agreement) in of.iter().enumerate() {
        let value = agreement.facts.iter().find(|(known, _)| known == name);
        let value = value.map_or("nothing", |(_, value)| value);
        match values.iter_mut().find(|(known, _)| *known == value) {
            Some((_, ranks)) => ranks.push(rank),
            None => values.push((value, vec![rank])),
        }
    }
    let told: Vec<String> =
        values.iter().map(|(value, ranks)| format!("{value} on {}", named(ranks))).collect();
    (told.len() > 1).then(|| format!("`{name}` differs: {}", told.join(", ")))
}

/// "rank 1", "ranks 0, 2, and 3".
pub(super) fn named(ranks: &[usize]) -> String {
    match ranks {
        [one] => format!("rank {one}"),
        [one, other] => format!("ranks {one} and {other}"),
        [most @ .., last] => {
            let most: Vec<String> = most.iter().map(usize::to_string).collect();
            format!("ranks {}, and {last}", most.join(", "))
        }
        [] => "no rank".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use tch::Tensor;

    use super::*;

    #[test]
    fn each_difference_is_named_with_its_ranks() {
        let weights = |value: f32| Parameters::new([("weight".to_owned(), Tensor::from_slice(&[value]))]);
        let of = |seed: u64, config: &[u8], weight: f32| {
            let agreement = Agreement::new().value("seed", seed).bytes("config", config);
            agreement.parameters("student", &weights(weight)).unwrap()
        };
        let same = of(7, b"{}", 1.0);
        assert!(Agreement::differences(&[&same, &same, &same]).is_empty());
        let [config, weight] = [of(7, b"{ }", 1.0), of(8, b"{}", 1.5)];
        let told = Agreement::differences(&[&same, &config, &same, &weight]);
        assert_eq!(told.len(), 3, "{told:?}");
        assert_eq!(told[0], "`seed` differs: 7 on ranks 0, 1, and 2, 8 on rank 3");
        assert!(told[1].contains("on ranks 0, 2, and 3, 3 bytes with hash"), "{}", told[1]);
        assert!(told[2].contains("on ranks 0, 1, and 2, 1 tensors with hash"), "{}", told[2]);
        let told = Agreement::differences(&[&Agreement::new(), &Agreement::new().value("seed", 7)]);
        assert_eq!(told, ["`seed` differs: nothing on rank 0, 7 on rank 1"]);
    }
}
