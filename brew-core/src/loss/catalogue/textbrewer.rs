//! TextBrewer's losses, under brew's names and TextBrewer's own.

use super::options::{choice, switch, temperature};
use super::{Entry, LayersRead, OptionRow, ROW, boxed};
use crate::loss::{
    AttentionCe, AttentionCeMean, AttentionMse, AttentionMseSum, Cos, Fsp, HiddenMse, KdCe, KdMse, Nst, Pkd,
};

const TEXTBREWER: &str = "TextBrewer (Yang et al. 2020)";

/// What the attention maps hold; a config's bare name means TextBrewer's form.
const MAPS: OptionRow = choice(
    "maps",
    &["probabilities", "scores", "textbrewer"],
    "textbrewer",
    "what the maps hold; `textbrewer`: scores, by TextBrewer's rules",
);

/// Makes a loss over attention maps of the option `maps`.
macro_rules! attention {
    ($loss:ident) => {
        |options| {
            boxed(match options.choice("maps") {
                "probabilities" => $loss::probabilities(),
                "scores" => $loss::scores(),
                _ => $loss::textbrewer(),
            })
        }
    };
}

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "kd_ce",
        aliases: &["ce"],
        summary: "cross-entropy with the teacher's softened probabilities",
        source: "Hinton, Vinyals and Dean 2015, arXiv 1503.02531",
        roles: &["logits"],
        options: &[
            temperature(4.0),
            switch("temperature_squared", false, "multiplies by the square of the temperature"),
        ],
        scheduled: true,
        make: |options| {
            let loss = KdCe::at(options.number("temperature"));
            let loss = match options.schedule() {
                Some(schedule) => loss.scheduled(schedule),
                None => loss,
            };
            boxed(if options.is_on("temperature_squared") { loss.times_temperature_squared() } else { loss })
        },
        ..ROW
    },
    Entry {
        name: "kd_mse",
        aliases: &["mse"],
        summary: "squared difference of the logits divided by the temperature",
        source: TEXTBREWER,
        roles: &["logits"],
        options: &[temperature(4.0)],
        scheduled: true,
        make: |options| {
            let loss = KdMse::at(options.number("temperature"));
            boxed(match options.schedule() {
                Some(schedule) => loss.scheduled(schedule),
                None => loss,
            })
        },
        ..ROW
    },
    Entry {
        name: "hidden_mse",
        aliases: &["embedding_mse"],
        summary: "squared difference of hidden states",
        source: "Jiao et al. 2020 (TinyBERT), arXiv 1909.10351",
        roles: &["hidden", "embedding"],
        make: |_| boxed(HiddenMse),
        ..ROW
    },
    Entry {
        name: "cos",
        summary: "1 - cosine of hidden states, position by position",
        source: "Sanh et al. 2019 (DistilBERT), arXiv 1910.01108",
        roles: &["hidden", "embedding"],
        make: |_| boxed(Cos),
        ..ROW
    },
    Entry {
        name: "pkd",
        summary: "squared distance between the directions of the first positions",
        source: "Sun et al. 2019 (Patient KD), arXiv 1908.09355",
        roles: &["hidden", "embedding"],
        make: |_| boxed(Pkd),
        ..ROW
    },
    Entry {
        name: "fsp",
        aliases: &["gram"],
        summary: "squared difference of Gram matrices between two layers",
        source: "Yim et al. 2017, CVPR",
        roles: &["hidden"],
        layers: LayersRead::Two,
        make: |_| boxed(Fsp),
        ..ROW
    },
    Entry {
        name: "nst",
        aliases: &["mmd"],
        summary: "squared difference of the similarities of positions",
        source: "Huang and Wang 2017, arXiv 1707.01219, in TextBrewer's form",
        roles: &["hidden"],
        layers: LayersRead::Two,
        make: |_| boxed(Nst),
        ..ROW
    },
    Entry {
        name: "attention_mse",
        summary: "squared difference of attention maps, head by head",
        source: "Jiao et al. 2020 (TinyBERT), arXiv 1909.10351",
        roles: &["attention"],
        options: &[MAPS],
        make: attention!(AttentionMse),
        ..ROW
    },
    Entry {
        name: "attention_mse_sum",
        summary: "squared difference of attention maps, each summed over its heads",
        source: TEXTBREWER,
        roles: &["attention"],
        options: &[MAPS],
        make: attention!(AttentionMseSum),
        ..ROW
    },
    Entry {
        name: "attention_ce",
        summary: "cross-entropy of the student's attention with the teacher's, head by head",
        source: TEXTBREWER,
        roles: &["attention"],
        options: &[MAPS],
        make: attention!(AttentionCe),
        ..ROW
    },
    Entry {
        name: "attention_ce_mean",
        summary: "cross-entropy of attention, each averaged over its heads",
        source: TEXTBREWER,
        roles: &["attention"],
        options: &[MAPS],
        make: attention!(AttentionCeMean),
        ..ROW
    },
];
