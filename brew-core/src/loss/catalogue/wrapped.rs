//! Losses made of others: around any loss on logits, or of any divergence.

use super::logits::{ALPHA, BETA, DETACHED, HEAD, SQUARED, TEACHER, softened};
use super::options::{Options, Range, choice, number, pairs, required, temperature, whole};
use super::{Entry, OptionKind, OptionRow, ROW, boxed};
use crate::loss::{
    AdaptiveKl, AlignedUld, Chunked, Divergence, Gold, Jsd, Kl, ReverseKl, SampledKl, SharedTokens, SkewKl,
    SkewReverseKl, TopK, TopKSemantics, TotalVariation, Uld, next_token, standardised, within_vocabulary,
};

const ROLES: &[&str] = &["logits"];
const TOP_K: &str = "several in use; see `semantics`";
const INNER: OptionRow =
    OptionRow { name: "loss", kind: OptionKind::Loss("kl"), about: "the loss on logits that it goes around" };
const DIVERGENCE: OptionRow = choice(
    "divergence",
    &["kl", "reverse_kl", "jsd", "skew_kl", "skew_reverse_kl", "total_variation", "adaptive_kl"],
    "kl",
    "of the two sides' probabilities; each has its own of the options below",
);
const PAIRS: OptionRow = pairs("pairs", "the student's id and the teacher's of each shared token");
const MERGE: OptionRow =
    choice("merge", &["observed", "bayesian"], "observed", "how several tokens' probabilities become one");
const ROWS: OptionRow = whole("rows", 0, 0, "the rows of a chunk; 0: as many as make 2 million logits");

/// The divergence that the options name.
fn divergence(options: &Options) -> Box<dyn Divergence> {
    let at = options.number("temperature");
    let alpha = options.number("alpha");
    match options.choice("divergence") {
        "reverse_kl" => Box::new(softened!(options, ReverseKl::at(at))),
        "jsd" => Box::new(softened!(options, Jsd::between(options.number("beta")).at(at))),
        "skew_kl" => Box::new(softened!(options, SkewKl::by(alpha).at(at))),
        "skew_reverse_kl" => {
            let loss = softened!(options, SkewReverseKl::by(alpha).at(at));
            Box::new(if options.is_on("detached_mixture") { loss.with_detached_mixture() } else { loss })
        }
        "total_variation" => Box::new(softened!(options, TotalVariation::at(at))),
        "adaptive_kl" => Box::new(softened!(options, AdaptiveKl::with_head(options.number("mu")).at(at))),
        _ => Box::new(softened!(options, Kl::at(at))),
    }
}

fn chunked(options: &Options) -> Chunked<Box<dyn Divergence>> {
    let loss = Chunked::of(divergence(options));
    match options.whole("rows") {
        0 => loss,
        rows => loss.rows(rows),
    }
}

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "standardised",
        summary: "a loss on logits of mean 0 and deviation 1",
        source: "Sun et al. 2024 (logit standardisation), arXiv 2403.01427",
        roles: ROLES,
        options: &[INNER],
        make: |options| boxed(standardised(options.loss("loss")?)),
        ..ROW
    },
    Entry {
        name: "next_token",
        summary: "a loss whose logits go with the mask and label of the next position",
        source: "causal language models",
        roles: ROLES,
        options: &[INNER],
        make: |options| boxed(next_token(options.loss("loss")?)),
        ..ROW
    },
    Entry {
        name: "within_vocabulary",
        summary: "a loss on the first columns of the logits, without those that are no token",
        source: "padded vocabularies",
        roles: ROLES,
        options: &[required("tokens", 32_000, "the size of the vocabulary"), INNER],
        make: |options| boxed(within_vocabulary(options.whole("tokens"), options.loss("loss")?)),
        ..ROW
    },
    Entry {
        name: "top_k",
        summary: "a divergence on the teacher's top k",
        source: TOP_K,
        roles: ROLES,
        options: &[
            whole("k", 1, 64, "how many classes"),
            choice(
                "semantics",
                &["tail", "renormalised_both", "renormalised_teacher", "partial"],
                "tail",
                "what is done with the other classes",
            ),
            DIVERGENCE,
            BETA,
            ALPHA,
            DETACHED,
            HEAD,
            temperature(1.0),
            TEACHER,
            SQUARED,
        ],
        make: |options| {
            boxed(TopK::of(options.whole("k"), divergence(options)).semantics(
                match options.choice("semantics") {
                    "renormalised_both" => TopKSemantics::RenormalisedBoth,
                    "renormalised_teacher" => TopKSemantics::RenormalisedTeacher,
                    "partial" => TopKSemantics::Partial,
                    _ => TopKSemantics::Tail,
                },
            ))
        },
        ..ROW
    },
    Entry {
        name: "sampled_kl",
        summary: "forward divergence estimated on classes drawn from the teacher",
        source: "Anshumann et al. 2025 (RS-KD), arXiv 2503.16870",
        roles: ROLES,
        options: &[
            whole("draws", 1, 64, "how many draws a row"),
            number("power", Range::NotNegative, 1.0, "of the probabilities that are drawn from"),
            temperature(1.0),
            TEACHER,
            SQUARED,
        ],
        make: |options| {
            let loss = SampledKl::draws(options.whole("draws")).at(options.number("temperature"));
            boxed(softened!(options, loss.power(options.number("power"))))
        },
        ..ROW
    },
    Entry {
        name: "shared_tokens",
        summary: "a divergence over the tokens of both vocabularies, and all others as one",
        source: "GOLD (TRL); NeMo-RL",
        roles: ROLES,
        options: &[PAIRS, DIVERGENCE, BETA, ALPHA, DETACHED, HEAD, temperature(1.0), TEACHER, SQUARED],
        make: |options| boxed(SharedTokens::of(options.pairs("pairs"), divergence(options))),
        ..ROW
    },
    Entry {
        name: "uld",
        summary: "difference of probabilities in order of size, for any two vocabularies",
        source: "Boizard et al. 2024 (ULD), arXiv 2402.12030",
        roles: ROLES,
        options: &[temperature(1.0), TEACHER, SQUARED],
        make: |options| boxed(softened!(options, Uld::at(options.number("temperature")))),
        ..ROW
    },
    Entry {
        name: "aligned_uld",
        summary: "the same of tokens that cover the same bytes of the text",
        source: "Patiño et al. 2025 (GOLD)",
        roles: ROLES,
        options: &[MERGE, temperature(1.0), TEACHER, SQUARED],
        make: |options| {
            let loss = match options.choice("merge") {
                "bayesian" => AlignedUld::bayesian(),
                _ => AlignedUld::observed(),
            };
            boxed(softened!(options, loss.at(options.number("temperature"))))
        },
        ..ROW
    },
    Entry {
        name: "gold",
        summary: "of tokens that cover the same bytes: divergence of the shared ones, the others in order of size",
        source: "Patiño et al. 2025 (GOLD)",
        roles: ROLES,
        options: &[
            PAIRS,
            BETA,
            MERGE,
            number("shared_weight", Range::NotNegative, 0.0, "of the shared tokens; see `others_weight`"),
            number(
                "others_weight",
                Range::NotNegative,
                0.0,
                "of all others; both 0: the share of the teacher's tokens that are shared, and 1 less it",
            ),
            temperature(1.0),
            TEACHER,
            SQUARED,
        ],
        make: |options| {
            let jsd = Jsd::between(options.number("beta")).at(options.number("temperature"));
            let loss = Gold::of(options.pairs("pairs"), softened!(options, jsd));
            let loss = if options.choice("merge") == "bayesian" { loss.bayesian() } else { loss };
            let weights = (options.number("shared_weight"), options.number("others_weight"));
            boxed(if weights == (0.0, 0.0) { loss } else { loss.weights(weights.0, weights.1) })
        },
        ..ROW
    },
    Entry {
        name: "chunked",
        summary: "a divergence from hidden states and output matrices, some rows of logits at a time",
        source: "as the divergence",
        roles: &["hidden"],
        options: &[ROWS, DIVERGENCE, BETA, ALPHA, DETACHED, HEAD, temperature(1.0), TEACHER, SQUARED],
        make: |options| boxed(chunked(options)),
        ..ROW
    },
    Entry {
        name: "chunked_with_labels",
        summary: "the same with the labels' cross-entropy, from the same logits",
        source: "as the divergence",
        roles: &["hidden"],
        options: &[
            number("labels_weight", Range::NotNegative, 1.0, "the weight of the cross-entropy"),
            ROWS,
            DIVERGENCE,
            BETA,
            ALPHA,
            DETACHED,
            HEAD,
            temperature(1.0),
            TEACHER,
            SQUARED,
        ],
        make: |options| boxed(chunked(options).with_labels(options.number("labels_weight"))),
        ..ROW
    },
];
