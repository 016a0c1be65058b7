//! Losses on relations: between the examples of a batch, and between the positions of an example.

use super::options::{choice, whole};
use super::{Entry, LayersRead, OptionRow, ROW, boxed};
use crate::loss::{EmdAttention, MiniLmAttention, MiniLmRelation, Pkt, RkdAngle, RkdDistance, Sp};

const POOL: OptionRow =
    choice("pool", &["mean", "first"], "mean", "of hidden states: the mean, or the first position");

/// Makes a loss over vectors of examples of the option `pool`.
macro_rules! pooled {
    ($loss:ident) => {
        |options| {
            boxed(match options.choice("pool") {
                "first" => $loss::of_first_positions(),
                _ => $loss::of_means(),
            })
        }
    };
}

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "rkd_distance",
        summary: "Huber loss between the distances of a batch's examples",
        source: "Park et al. 2019, arXiv 1904.05068",
        roles: &["embedding", "hidden"],
        options: &[POOL],
        make: pooled!(RkdDistance),
        ..ROW
    },
    Entry {
        name: "rkd_angle",
        summary: "Huber loss between the angles of a batch's examples",
        source: "Park et al. 2019, arXiv 1904.05068",
        roles: &["embedding", "hidden"],
        options: &[POOL],
        make: pooled!(RkdAngle),
        ..ROW
    },
    Entry {
        name: "pkt",
        summary: "divergence of the neighbourhoods of a batch's examples",
        source: "Passalis and Tefas 2018, arXiv 1803.10837",
        roles: &["embedding", "hidden"],
        options: &[POOL],
        make: pooled!(Pkt),
        ..ROW
    },
    Entry {
        name: "sp",
        summary: "squared difference of the similarities of a batch's examples",
        source: "Tung and Mori 2019, arXiv 1907.09682",
        roles: &["hidden", "embedding"],
        make: |_| boxed(Sp),
        ..ROW
    },
    Entry {
        name: "minilm_relation",
        summary: "divergence of the relations between positions, by queries, keys or values",
        source: "Wang et al. 2021 (MiniLMv2), arXiv 2012.15828; values: MiniLM, 2002.10957",
        roles: &["query", "key", "value"],
        options: &[whole("heads", 1, 12, "relation heads, which divide both widths")],
        make: |options| boxed(MiniLmRelation::heads(options.whole("heads"))),
        ..ROW
    },
    Entry {
        name: "minilm_attention",
        summary: "divergence of attention maps, each example over its own queries",
        source: "Wang et al. 2020 (MiniLM), arXiv 2002.10957",
        roles: &["attention"],
        options: &[choice("maps", &["probabilities", "scores"], "probabilities", "what the maps hold")],
        make: |options| {
            boxed(match options.choice("maps") {
                "scores" => MiniLmAttention::scores(),
                _ => MiniLmAttention::probabilities(),
            })
        },
        ..ROW
    },
    Entry {
        name: "emd_attention",
        summary: "the cheapest transport between many layers' attention maps",
        source: "Li et al. 2020 (BERT-EMD), arXiv 2010.06133",
        roles: &["attention"],
        layers: LayersRead::Many,
        make: |_| boxed(EmdAttention),
        ..ROW
    },
];
