//! Losses on logits beyond TextBrewer's.

use super::options::{Options, Range, number, switch, temperature};
use super::{Entry, Kept, KeptKind, OptionRow, ROW, boxed};
use crate::loss::{
    AdaptiveKl, BinaryKl, Dist, Dkd, Jsd, Kl, Mft, MultiLabelKl, Nkd, RegressionMse, ReverseKl, SkewKl,
    SkewReverseKl, Taid, TotalVariation, Wsld,
};

pub(super) const SQUARED: OptionRow =
    switch("temperature_squared", false, "multiplies by the square of the temperature");
pub(super) const TEACHER: OptionRow = number(
    "teacher_temperature",
    Range::NotNegative,
    0.0,
    "divides the teacher's logits; 0: as the student's",
);
pub(super) const BETA: OptionRow = number("beta", Range::Inside, 0.5, "the teacher's share of the mixture");
pub(super) const ALPHA: OptionRow =
    number("alpha", Range::Inside, 0.1, "the other side's share of the mixture");
pub(super) const DETACHED: OptionRow =
    switch("detached_mixture", false, "lets no gradient through the mixture");
pub(super) const HEAD: OptionRow = number("mu", Range::Inside, 0.5, "the teacher's probability in the head");

const ROLES: &[&str] = &["logits"];

/// What TAID carries.
const TAID: &[Kept] = &[
    Kept { name: "tau", kind: KeptKind::State, about: "(), the teacher's share of the mixed logits" },
    Kept { name: "momentum", kind: KeptKind::State, about: "(), of the loss's relative change" },
    Kept { name: "previous", kind: KeptKind::State, about: "(), the loss of the step before; NaN at first" },
];

/// A loss with the options that all soft targets take.
macro_rules! softened {
    ($options:ident, $loss:expr) => {{
        let loss = $loss;
        let teacher = $options.number("teacher_temperature");
        let loss = if teacher > 0.0 { loss.teacher_at(teacher) } else { loss };
        let loss = match $options.schedule() {
            Some(schedule) => loss.scheduled(schedule),
            None => loss,
        };
        if $options.is_on("temperature_squared") { loss.times_temperature_squared() } else { loss }
    }};
}
pub(super) use softened;

fn at(options: &Options) -> f64 {
    options.number("temperature")
}

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "kl",
        aliases: &["forward_kl"],
        summary: "forward Kullback-Leibler divergence, from the teacher to the student",
        source: "Hinton, Vinyals and Dean 2015, arXiv 1503.02531",
        roles: ROLES,
        options: &[temperature(1.0), TEACHER, SQUARED],
        scheduled: true,
        make: |options| boxed(softened!(options, Kl::at(at(options)))),
        ..ROW
    },
    Entry {
        name: "reverse_kl",
        summary: "reverse Kullback-Leibler divergence, from the student to the teacher",
        source: "Gu et al. 2023 (MiniLLM), arXiv 2306.08543",
        roles: ROLES,
        options: &[temperature(1.0), TEACHER, SQUARED],
        scheduled: true,
        make: |options| boxed(softened!(options, ReverseKl::at(at(options)))),
        ..ROW
    },
    Entry {
        name: "jsd",
        summary: "generalised Jensen-Shannon divergence, strictly between the two",
        source: "Agarwal et al. 2023 (GKD), arXiv 2306.13649",
        roles: ROLES,
        options: &[BETA, temperature(1.0), TEACHER, SQUARED],
        scheduled: true,
        make: |options| boxed(softened!(options, Jsd::between(options.number("beta")).at(at(options)))),
        ..ROW
    },
    Entry {
        name: "skew_kl",
        summary: "forward divergence from a mixture of the teacher and the student",
        source: "Ko et al. 2024 (DistiLLM), arXiv 2402.03898",
        roles: ROLES,
        options: &[ALPHA, temperature(1.0), TEACHER, SQUARED],
        scheduled: true,
        make: |options| boxed(softened!(options, SkewKl::by(options.number("alpha")).at(at(options)))),
        ..ROW
    },
    Entry {
        name: "skew_reverse_kl",
        summary: "reverse divergence from a mixture of the student and the teacher",
        source: "Ko et al. 2024 (DistiLLM), arXiv 2402.03898; 2025 (DistiLLM-2, detached), arXiv 2503.07067",
        roles: ROLES,
        options: &[ALPHA, DETACHED, temperature(1.0), TEACHER, SQUARED],
        scheduled: true,
        make: |options| {
            let loss = SkewReverseKl::by(options.number("alpha")).at(at(options));
            let detached = options.is_on("detached_mixture");
            boxed(softened!(options, if detached { loss.with_detached_mixture() } else { loss }))
        },
        ..ROW
    },
    Entry {
        name: "total_variation",
        summary: "half the sum of the probabilities' differences",
        source: "Wen et al. 2023 (f-distill), arXiv 2307.15190",
        roles: ROLES,
        options: &[temperature(1.0), TEACHER, SQUARED],
        scheduled: true,
        make: |options| boxed(softened!(options, TotalVariation::at(at(options)))),
        ..ROW
    },
    Entry {
        name: "adaptive_kl",
        summary: "forward divergence where the head is off, reverse where the tail is",
        source: "Wu et al. 2024, arXiv 2404.02657",
        roles: ROLES,
        options: &[HEAD, temperature(1.0), TEACHER, SQUARED],
        scheduled: true,
        make: |options| {
            boxed(softened!(options, AdaptiveKl::with_head(options.number("mu")).at(at(options))))
        },
        ..ROW
    },
    Entry {
        name: "taid",
        summary: "cross-entropy with logits mixed of both sides, the teacher's share growing as the student follows",
        source: "Shing et al. 2025 (TAID), arXiv 2501.16937",
        roles: ROLES,
        options: &[
            number("start", Range::Share, 0.4, "the teacher's share at the start"),
            number("end", Range::Share, 1.0, "the teacher's share at the end"),
            number("alpha", Range::NotNegative, 5e-4, "how far a step can move the share"),
            temperature(1.0),
            TEACHER,
            SQUARED,
        ],
        keeps: TAID,
        scheduled: true,
        make: |options| {
            let loss = Taid::at(at(options)).between(options.number("start"), options.number("end"));
            boxed(softened!(options, loss.alpha(options.number("alpha"))))
        },
        ..ROW
    },
    Entry {
        name: "dkd",
        summary: "divergence of the label's probability, and of the others among themselves",
        source: "Zhao et al. 2022 (DKD), arXiv 2203.08679",
        roles: ROLES,
        options: &[
            number("alpha", Range::NotNegative, 1.0, "the weight of the label's probability"),
            number("beta", Range::NotNegative, 8.0, "the weight of the others among themselves"),
            temperature(4.0),
            TEACHER,
            SQUARED,
        ],
        scheduled: true,
        make: |options| {
            let loss = Dkd::at(at(options)).alpha(options.number("alpha")).beta(options.number("beta"));
            boxed(softened!(options, loss))
        },
        ..ROW
    },
    Entry {
        name: "nkd",
        summary: "cross-entropy of the label by the teacher's sureness, and of the others normalised",
        source: "Yang et al. 2023 (NKD), arXiv 2303.13005",
        roles: ROLES,
        options: &[
            number("gamma", Range::NotNegative, 1.5, "the weight of the others"),
            temperature(1.0),
            TEACHER,
            SQUARED,
        ],
        scheduled: true,
        make: |options| boxed(softened!(options, Nkd::at(at(options)).gamma(options.number("gamma")))),
        ..ROW
    },
    Entry {
        name: "dist",
        summary: "1 - correlation of probabilities within rows, and within classes over the batch",
        source: "Huang et al. 2022 (DIST), arXiv 2205.10536",
        roles: ROLES,
        options: &[
            number("beta", Range::NotNegative, 1.0, "the weight of the correlation within rows"),
            number("gamma", Range::NotNegative, 1.0, "the weight of the correlation within classes"),
            temperature(1.0),
            TEACHER,
            SQUARED,
        ],
        scheduled: true,
        make: |options| {
            let loss = Dist::at(at(options)).beta(options.number("beta")).gamma(options.number("gamma"));
            boxed(softened!(options, loss))
        },
        ..ROW
    },
    Entry {
        name: "wsld",
        summary: "soft targets weighted less where the student knows the label better than the teacher",
        source: "Zhou et al. 2021 (WSLD), arXiv 2102.00650",
        roles: ROLES,
        options: &[temperature(2.0), TEACHER, SQUARED],
        scheduled: true,
        make: |options| boxed(softened!(options, Wsld::at(at(options)))),
        ..ROW
    },
    Entry {
        name: "mft",
        summary: "divergence from a teacher mixed with the label until that leads by a threshold",
        source: "Minifinetuning 2025, arXiv 2506.15702",
        roles: ROLES,
        options: &[
            number("threshold", Range::Share, 0.2, "by how much the label must lead, below 1"),
            temperature(1.0),
            TEACHER,
            SQUARED,
        ],
        scheduled: true,
        make: |options| {
            boxed(softened!(options, Mft::at(at(options)).threshold(options.number("threshold"))))
        },
        ..ROW
    },
    Entry {
        name: "multi_label_kl",
        summary: "divergence of a yes or no a class, summed over classes",
        source: "Yang et al. 2023 (MLD), arXiv 2308.06453",
        roles: ROLES,
        options: &[temperature(1.0), TEACHER, SQUARED],
        scheduled: true,
        make: |options| boxed(softened!(options, MultiLabelKl::at(at(options)))),
        ..ROW
    },
    Entry {
        name: "binary_kl",
        summary: "divergence of one yes or no a row",
        source: "Hinton, Vinyals and Dean 2015, arXiv 1503.02531",
        roles: ROLES,
        options: &[temperature(1.0), TEACHER, SQUARED],
        scheduled: true,
        make: |options| boxed(softened!(options, BinaryKl::at(at(options)))),
        ..ROW
    },
    Entry {
        name: "regression_mse",
        summary: "squared difference of the numbers that both sides predict",
        source: "Ba and Caruana 2014, arXiv 1312.6184",
        roles: ROLES,
        make: |_| boxed(RegressionMse),
        ..ROW
    },
];
