//! The identity of a cache: which teacher filled it, through which adaptor and inputs, and which features it
//! stores.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Payload;
use crate::error::Result;
use crate::model::Model;
use crate::role::{Logits, Role, mask_of};

/// A stored part of a teacher's features: one layer of a role, or the whole role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptFeature {
    /// The role.
    pub role: String,
    /// The layer, as the pipeline counts it; `None` for the whole role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<i64>,
    /// Whether padding positions are stored too: needed when a loss reads them because no mask marks them as
    /// padding.
    #[serde(default)]
    pub padding: bool,
}

impl KeptFeature {
    /// Whether this stores everything that `wanted` needs.
    fn serves(&self, wanted: &KeptFeature) -> bool {
        self.role == wanted.role
            && self.padding == wanted.padding
            && (self.layer == wanted.layer || (self.layer.is_none() && wanted.layer >= Some(0)))
    }
}

impl fmt::Display for KeptFeature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.role)?;
        if let Some(layer) = self.layer {
            write!(formatter, "[{layer}]")?;
        }
        // Only the unusual case is mentioned: normally padding is cut if losses read a mask with the role.
        let is_masked = self.role != Logits::NAME && mask_of(&self.role).is_some();
        match (self.padding, is_masked) {
            (true, true) => formatter.write_str(" with its padding"),
            (false, false) => formatter.write_str(" without its padding"),
            _ => Ok(()),
        }
    }
}

/// The identity of a cache's rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// The hash of the teacher's weights: BLAKE3 over names, shapes, dtypes and values.
    pub weights: String,
    /// What else its output depends on: see [`Model::identity`].
    pub model: BTreeMap<String, String>,
    /// The dtype that the teacher computes in: `Float`, or that of mixed precision.
    pub precision: String,
    /// The adaptor that reads the features.
    pub adaptor: String,
    /// The columns that the teacher reads.
    pub inputs: Vec<String>,
    /// What is stored of a feature.
    pub payload: Payload,
    /// Which features are stored.
    pub keeps: BTreeSet<KeptFeature>,
}

impl Card {
    /// Why rows with this card cannot serve a pipeline that asks for the other: every difference, with both
    /// values. Storing more features than asked for is not a difference.
    pub fn refusals(&self, asked: &Card) -> Vec<String> {
        let pairs = [
            ("the teacher's weights (hash)", &self.weights, &asked.weights),
            ("the teacher's precision", &self.precision, &asked.precision),
            ("the adaptor", &self.adaptor, &asked.adaptor),
            ("the teacher's inputs", &self.inputs.join(", "), &asked.inputs.join(", ")),
            ("the payload", &self.payload.to_string(), &asked.payload.to_string()),
        ];
        let mut refusals: Vec<String> = pairs
            .iter()
            .filter(|(_, stored, asked)| stored != asked)
            .map(|(what, stored, asked)| {
                format!("{what}: `{stored}` in the cache, `{asked}` in this pipeline")
            })
            .collect();
        let names: BTreeSet<&String> = self.model.keys().chain(asked.model.keys()).collect();
        let of = |card: &Card, name| card.model.get(name).map_or("nothing", String::as_str).to_owned();
        for name in names {
            let (stored, asked) = (of(self, name), of(asked, name));
            if stored != asked {
                refusals.push(format!(
                    "the teacher's {name}: `{stored}` in the cache, `{asked}` in this pipeline"
                ));
            }
        }
        let lacking: Vec<String> = asked
            .keeps
            .iter()
            .filter(|wanted| !self.keeps.iter().any(|kept| kept.serves(wanted)))
            .map(ToString::to_string)
            .collect();
        if !lacking.is_empty() {
            let kept: Vec<String> = self.keeps.iter().map(ToString::to_string).collect();
            refusals.push(format!(
                "the stored features: `{}` in the cache, but this pipeline also reads `{}`",
                kept.join(", "),
                lacking.join(", ")
            ));
        }
        refusals
    }
}

/// The hash of a model's weights, in hexadecimal digits.
///
/// # Errors
/// Those of libtorch.
pub(crate) fn weights_hash<M: Model + ?Sized>(model: &M) -> Result<String> {
    model.parameters().hash()
}
