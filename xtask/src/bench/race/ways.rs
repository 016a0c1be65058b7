//! The ways to run the recipe: which of brew's switches are on.

/// A way to run the recipe.
pub(super) struct Way {
    /// Its name in the table.
    pub(super) name: &'static str,
    /// The prefix of its reports' names.
    pub(super) key: &'static str,
    /// What is added to brew's arguments; `CACHE` stands for a folder named after the way and the seed.
    pub(super) arguments: &'static [&'static str],
    /// Whether the cache folder is emptied first.
    pub(super) fills: bool,
    /// Whether it runs with all seeds.
    pub(super) all_seeds: bool,
}

pub(super) const CACHE: &str = "CACHE";

/// brew's ways, each with one more switch than the one before.
pub(super) const WAYS: [Way; 6] = [
    Way {
        name: "brew, random batches",
        key: "random",
        arguments: &["--order", "random"],
        fills: false,
        all_seeds: false,
    },
    Way { name: "brew, buckets", key: "buckets", arguments: &[], fills: false, all_seeds: false },
    Way {
        name: "brew, buckets, cache filled",
        key: "cache",
        arguments: &["--cache", CACHE],
        fills: true,
        all_seeds: true,
    },
    Way {
        name: "brew, buckets, cache full",
        key: "full",
        arguments: &["--cache", CACHE],
        fills: false,
        all_seeds: false,
    },
    Way {
        name: "the same, rows in use",
        key: "rows",
        arguments: &["--cache", CACHE, "--sparse-embedding-updates"],
        fills: false,
        all_seeds: true,
    },
    Way {
        name: "rows in use, cache filled in bf16",
        key: "bf16",
        arguments: &["--cache", CACHE, "--cached", "bf16", "--sparse-embedding-updates"],
        fills: true,
        all_seeds: false,
    },
];
