//! The payload: how much of a teacher's features a cache stores.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::error::{Error, Result};

/// Which part of a teacher's features is stored, and in which dtype.
///
/// ```
/// use brew_core::cache::Payload;
/// use brew_core::tch::Kind;
///
/// // The eight greatest logits of each row or position, and everything in bfloat16.
/// let payload = Payload::whole().floats_as(Kind::BFloat16).top_logits(8);
/// assert_eq!(payload.to_string(), "BFloat16, the 8 greatest logits");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payload {
    /// The dtype of floats; `None` for the teacher's.
    #[serde(default, with = "dtype", skip_serializing_if = "Option::is_none")]
    floats: Option<Kind>,
    /// How many logits per row or position; `None` for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    top_logits: Option<usize>,
}

impl Payload {
    /// Everything, in the teacher's dtype: bit-identical when read back.
    pub fn whole() -> Self {
        Payload::default()
    }

    /// Floats in this dtype: float32, float16 or bfloat16.
    #[must_use]
    pub fn floats_as(self, kind: Kind) -> Self {
        Payload { floats: Some(kind), ..self }
    }

    /// Of logits only the `k` greatest with their classes, and the logsumexp of all logits, which gives the
    /// mass of the rest at T = 1. Only losses over top logits can read them.
    #[must_use]
    pub fn top_logits(self, k: usize) -> Self {
        Payload { top_logits: Some(k), ..self }
    }

    /// Whether only the top k logits are stored.
    pub(crate) fn is_top(&self) -> bool {
        self.top_logits.is_some()
    }

    /// The problems of these settings, each with its fix.
    pub(crate) fn problems(&self) -> Vec<String> {
        let kind = self
            .floats
            .filter(|kind| !matches!(kind, Kind::Double | Kind::Float | Kind::Half | Kind::BFloat16));
        let kind = kind.map(|kind| format!("features cannot be stored as {kind:?}: use a float dtype"));
        let top = self
            .top_logits
            .filter(|k| *k == 0)
            .map(|_| "the number of top logits is 0: use at least 1".to_owned());
        kind.into_iter().chain(top).collect()
    }

    /// The stored dtype for a tensor of this dtype.
    pub(super) fn kept(&self, given: Kind, is_classes: bool) -> Kind {
        match given {
            Kind::Double | Kind::Float | Kind::Half | Kind::BFloat16 => self.floats.unwrap_or(given),
            // Class indices of the top logits always fit.
            Kind::Int64 if is_classes => Kind::Int,
            other => other,
        }
    }

    /// Logits in the form in which they flow and are stored: unchanged, or as three tensors per head
    /// (classes, int64, and their logits, `(…, k)`; the logsumexp of all logits, `(…)`).
    ///
    /// # Errors
    /// Fewer classes than logits to store.
    pub(crate) fn of_logits(&self, logits: Vec<Tensor>) -> Result<Vec<Tensor>> {
        let Some(k) = self.top_logits else { return Ok(logits) };
        let mut top = Vec::with_capacity(3 * logits.len());
        for logits in logits {
            let classes = logits.size().last().copied().unwrap_or(0);
            let k = i64::try_from(k).unwrap_or(i64::MAX);
            if k > classes {
                return Err(Error::invalid(format!(
                    "the cache should store the {k} greatest logits, but the teacher has only {classes}: store fewer, or all"
                )));
            }
            let (values, indices) = logits.f_topk(k, -1, true, true)?;
            top.extend([indices, values, logits.f_logsumexp([-1], false)?]);
        }
        Ok(top)
    }
}

impl std::fmt::Display for Payload {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.floats {
            Some(kind) => write!(formatter, "{kind:?}")?,
            None => formatter.write_str("the teacher's own dtype")?,
        }
        match self.top_logits {
            Some(k) => write!(formatter, ", the {k} greatest logits"),
            None => formatter.write_str(", all logits"),
        }
    }
}

/// Names of dtypes in files.
pub mod dtype {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use tch::Kind;

    const NAMES: &[(&str, Kind)] = &[
        ("float64", Kind::Double),
        ("float32", Kind::Float),
        ("float16", Kind::Half),
        ("bfloat16", Kind::BFloat16),
        ("int64", Kind::Int64),
        ("int32", Kind::Int),
        ("int16", Kind::Int16),
        ("int8", Kind::Int8),
        ("uint8", Kind::Uint8),
        ("bool", Kind::Bool),
    ];

    /// The name of a dtype; `None` if caches do not support it.
    pub fn name(kind: Kind) -> Option<&'static str> {
        NAMES.iter().find(|(_, known)| *known == kind).map(|(name, _)| *name)
    }

    /// The dtype with this name.
    pub fn named(name: &str) -> Option<Kind> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    }

    pub(super) fn serialize<S: Serializer>(kind: &Option<Kind>, serializer: S) -> Result<S::Ok, S::Error> {
        match kind.and_then(name) {
            Some(name) => serializer.serialize_some(name),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Kind>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| named(&text).ok_or_else(|| D::Error::custom(format!("`{text}` is not a dtype"))))
            .transpose()
    }
}
