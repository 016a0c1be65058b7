//! Losses on what layers hold: hidden states, feature maps, embeddings, scores of candidates.

use super::options::{Range, number, required, temperature, whole};
use super::{Entry, Kept, KeptKind, LayersRead, ROW, boxed};
use crate::loss::{
    AtMse, AtNorm, CandidatesKl, Cka, Crd, Cwd, EmdHidden, Ickd, MarginMse, NstPoly, PearsonKd, Vid,
};

const fn learned(name: &'static str, about: &'static str) -> Kept {
    Kept { name, kind: KeptKind::Learned, about }
}

const fn state(name: &'static str, about: &'static str) -> Kept {
    Kept { name, kind: KeptKind::State, about }
}

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "cka",
        summary: "1 - linear centred kernel alignment, one row an example or a position",
        source: "Kornblith et al. 2019, arXiv 1905.00414",
        roles: &["hidden", "embedding"],
        make: |_| boxed(Cka),
        ..ROW
    },
    Entry {
        name: "at_mse",
        summary: "attention transfer as its code has it: mean of squares",
        source: "Zagoruyko and Komodakis 2017, arXiv 1612.03928, code",
        roles: &["hidden"],
        make: |_| boxed(AtMse),
        ..ROW
    },
    Entry {
        name: "at_norm",
        summary: "attention transfer as its paper has it: mean of L2 norms",
        source: "Zagoruyko and Komodakis 2017, arXiv 1612.03928, equation 2",
        roles: &["hidden"],
        make: |_| boxed(AtNorm),
        ..ROW
    },
    Entry {
        name: "vid",
        summary: "negative log-likelihood of the teacher's features given the student's",
        source: "Ahn et al. 2019, arXiv 1904.05835",
        roles: &["hidden"],
        options: &[
            required("student", 312, "the student's channels, or width"),
            required("teacher", 768, "the teacher's channels, or width"),
        ],
        keeps: &[
            learned("regressor.weight", "(teacher, student)"),
            learned("regressor.bias", "(teacher,)"),
            learned("rho", "(teacher,); a channel's variance is softplus(rho) + 1e-5"),
        ],
        make: |options| boxed(Vid::between(options.whole("student"), options.whole("teacher"))),
        ..ROW
    },
    Entry {
        name: "ickd",
        summary: "squared difference of the correlations of channels, over C N^2",
        source: "Liu et al. 2021, arXiv 2103.14475",
        roles: &["hidden"],
        make: |_| boxed(Ickd),
        ..ROW
    },
    Entry {
        name: "nst_poly",
        summary: "maximum mean discrepancy of channels, with the kernel (x . y)^2",
        source: "Huang and Wang 2017, arXiv 1707.01219",
        roles: &["hidden"],
        make: |_| boxed(NstPoly),
        ..ROW
    },
    Entry {
        name: "cwd",
        summary: "divergence of channels as distributions over positions, times T^2",
        source: "Shu et al. 2021, arXiv 2011.13256",
        roles: &["hidden"],
        options: &[temperature(4.0)],
        make: |options| boxed(Cwd::at(options.number("temperature"))),
        ..ROW
    },
    Entry {
        name: "pearson_kd",
        summary: "half the squared difference of channels standardised over the batch",
        source: "Cao et al. 2022, arXiv 2207.02039",
        roles: &["hidden"],
        make: |_| boxed(PearsonKd),
        ..ROW
    },
    Entry {
        name: "crd",
        summary: "noise contrast with the teacher's vectors of the same row of the data and of others",
        source: "Tian, Krishnan and Isola 2020, arXiv 1910.10699",
        roles: &["embedding", "hidden"],
        options: &[
            required("rows", 10_000, "the rows of the data"),
            required("student", 312, "the width of the student's features"),
            required("teacher", 768, "the width of the teacher's features"),
            whole("width", 1, 128, "the width of the vectors that are compared"),
            whole("negatives", 1, 16_384, "how many other rows are drawn for each example"),
            number("temperature", Range::Positive, 0.07, "divides the cosines"),
            number("momentum", Range::Share, 0.5, "the share of the old vector when a bank moves"),
        ],
        keeps: &[
            learned("student.weight", "(width, student)"),
            learned("student.bias", "(width,)"),
            learned("teacher.weight", "(width, teacher)"),
            learned("teacher.bias", "(width,)"),
            state("student_bank", "(rows, width), what the teacher's vectors are compared with"),
            state("teacher_bank", "(rows, width), what the student's vectors are compared with"),
            state("student_constant", "(1,), Z of the student's vectors; 0 until the first batch"),
            state("teacher_constant", "(1,), Z of the teacher's vectors; 0 until the first batch"),
            Kept { name: "negatives", kind: KeptKind::Draw, about: "(batch, negatives), rows of the data" },
        ],
        make: |options| {
            let loss = Crd::over(options.whole("rows"))
                .between(options.whole("student"), options.whole("teacher"))
                .width(options.whole("width"))
                .negatives(options.whole("negatives"))
                .at(options.number("temperature"))
                .momentum(options.number("momentum"));
            boxed(loss)
        },
        ..ROW
    },
    Entry {
        name: "emd_hidden",
        summary: "the cheapest transport between many layers' hidden states",
        source: "Li et al. 2020 (BERT-EMD), arXiv 2010.06133",
        roles: &["hidden"],
        layers: LayersRead::Many,
        make: |_| boxed(EmdHidden),
        ..ROW
    },
    Entry {
        name: "margin_mse",
        summary: "squared difference of the margins between candidate 0 and the others",
        source: "Hofstaetter et al. 2020, arXiv 2010.02666",
        roles: &["logits"],
        make: |_| boxed(MarginMse),
        ..ROW
    },
    Entry {
        name: "candidates_kl",
        summary: "divergence over candidates, each side at its own temperature, times the student's squared",
        source: "sentence-transformers, DistillKLDivLoss; arXiv 2010.11386",
        roles: &["logits"],
        options: &[
            number("student_temperature", Range::Positive, 1.0, "divides the student's scores"),
            number("teacher_temperature", Range::Positive, 1.0, "divides the teacher's scores"),
        ],
        make: |options| {
            let temperatures = [options.number("student_temperature"), options.number("teacher_temperature")];
            boxed(CandidatesKl::at(temperatures[0], temperatures[1]))
        },
        ..ROW
    },
];
