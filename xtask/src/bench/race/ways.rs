//! The ways to run the recipe: whose loop it is, and which switches are on.

/// Whose loop trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// TextBrewer's GeneralDistiller.
    TextBrewer,
    /// A loop in plain PyTorch, written for this recipe.
    Expert,
    /// brew's Trainer.
    Brew,
}

/// A way to run the recipe.
pub(super) struct Way {
    pub(super) side: Side,
    /// Its name in the table.
    pub(super) name: &'static str,
    /// The prefix of its reports' names.
    pub(super) key: &'static str,
    /// Which of the batches of `race data`.
    pub(super) batches: &'static str,
    /// Whether the teacher's features are kept.
    pub(super) keeps: Keeps,
    /// What else is added to brew's arguments.
    pub(super) arguments: &'static [&'static str],
    /// Whether it runs with all seeds.
    pub(super) all_seeds: bool,
}

/// Whether the teacher's features are kept after it ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeps {
    /// It runs in every epoch.
    No,
    /// It runs in the first epoch.
    Fills,
    /// It does not run: an earlier way filled the cache.
    Full,
}

/// TextBrewer with random batches, as its examples have them.
pub(super) const TEXTBREWER: &str = "TextBrewer";

/// All that the expert does.
pub(super) const EXPERT: &str = "expert, buckets, features kept";

/// All ways; the expert's and brew's each with one more switch than the one before.
pub(super) const WAYS: [Way; 10] = [
    Way {
        side: Side::TextBrewer,
        name: TEXTBREWER,
        key: "textbrewer",
        batches: "random",
        keeps: Keeps::No,
        arguments: &[],
        all_seeds: true,
    },
    Way {
        side: Side::Expert,
        name: "expert, random batches",
        key: "expert-random",
        batches: "random",
        keeps: Keeps::No,
        arguments: &[],
        all_seeds: false,
    },
    Way {
        side: Side::Expert,
        name: "expert, buckets",
        key: "expert-buckets",
        batches: "bucketed",
        keeps: Keeps::No,
        arguments: &[],
        all_seeds: false,
    },
    Way {
        side: Side::Expert,
        name: EXPERT,
        key: "expert",
        batches: "bucketed",
        keeps: Keeps::Fills,
        arguments: &[],
        all_seeds: true,
    },
    Way {
        side: Side::Brew,
        name: "brew, random batches",
        key: "random",
        batches: "random",
        keeps: Keeps::No,
        arguments: &[],
        all_seeds: false,
    },
    Way {
        side: Side::Brew,
        name: "brew, buckets",
        key: "buckets",
        batches: "bucketed",
        keeps: Keeps::No,
        arguments: &[],
        all_seeds: false,
    },
    Way {
        side: Side::Brew,
        name: "brew, buckets, cache filled",
        key: "cache",
        batches: "bucketed",
        keeps: Keeps::Fills,
        arguments: &[],
        all_seeds: true,
    },
    Way {
        side: Side::Brew,
        name: "brew, buckets, cache full",
        key: "full",
        batches: "bucketed",
        keeps: Keeps::Full,
        arguments: &[],
        all_seeds: false,
    },
    Way {
        side: Side::Brew,
        name: "the same, rows in use",
        key: "rows",
        batches: "bucketed",
        keeps: Keeps::Full,
        arguments: &["--sparse-embedding-updates"],
        all_seeds: true,
    },
    Way {
        side: Side::Brew,
        name: "rows in use, cache filled in bf16",
        key: "bf16",
        batches: "bucketed",
        keeps: Keeps::Fills,
        arguments: &["--cached", "bf16", "--sparse-embedding-updates"],
        all_seeds: false,
    },
];
