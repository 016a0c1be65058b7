//! A run that is gone on with sees the batches that it would have seen, on any number of workers and ranks.

use arrow::array::{Int64Array, ListArray};
use arrow::datatypes::Int32Type;
use brew_core::batch::{Batch, Batches, Position};
use brew_core::tch::{Device, Tensor};
use brew_data::augment::{Augmentation, MaskedLm, Span};
use brew_data::{Dataset, Loader, TooLong};
use proptest::prelude::*;

use crate::batches::{Ragged, array, epoch, integers, table};

fn ragged(lengths: &[usize]) -> Dataset {
    let lists = lengths
        .iter()
        .enumerate()
        .map(|(row, &length)| Some((0..length).map(move |token| Some((row * 31 + token) as i32))));
    table(&[
        ("id", array(Int64Array::from_iter_values(0..lengths.len() as i64))),
        ("input_ids", array(ListArray::from_iter_primitive::<Int32Type, _, _>(lists))),
    ])
}

/// Everything that is in a batch: shapes and values.
fn bytes(batch: &Ragged) -> Vec<(Vec<i64>, Vec<i64>)> {
    batch.tensors().into_iter().map(|(_, tensor)| (tensor.size(), integers(tensor))).collect()
}

/// What a run may set, without what must not matter.
#[derive(Debug, Clone)]
struct Settings {
    size: usize,
    order: Option<(u64, bool)>,
    bucketed: bool,
    tokens: Option<usize>,
    multiple: usize,
}

impl Settings {
    fn loader(&self, rows: &Dataset) -> Loader<Ragged> {
        let mut loader = rows.batches::<Ragged>(self.size).padded_to_multiple_of(self.multiple);
        loader = match self.order {
            Some((seed, false)) => loader.shuffled(seed),
            Some((seed, true)) => loader.shuffled_in_blocks(seed),
            None => loader,
        };
        if let Some(tokens) = self.tokens {
            loader = loader.up_to_tokens(tokens);
        }
        if self.bucketed { loader.bucketed() } else { loader }
    }
}

fn settings() -> impl Strategy<Value = Settings> {
    let order = prop::option::of((any::<u64>(), any::<bool>()));
    let tokens = prop::option::of(24..80_usize);
    let multiple = prop::sample::select(vec![1, 4, 8]);
    (4..9_usize, order, any::<bool>(), tokens, multiple).prop_map(
        |(size, order, bucketed, tokens, multiple)| Settings { size, order, bucketed, tokens, multiple },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn batches_after_a_restart_are_those_of_the_uninterrupted_run(
        lengths in prop::collection::vec(0..20_usize, 1..1500),
        settings in settings(),
        workers in (1..5_usize, 1..5_usize),
        ranks in prop::sample::select(vec![1, 2, 4]),
        number in 0..4_u64,
        point in any::<prop::sample::Index>(),
    ) {
        let rows = ragged(&lengths);
        let rank = point.index(ranks);
        let loader = settings.loader(&rows).share(rank, ranks).workers(workers.0);
        let whole: Vec<_> = epoch(&loader, number).iter().map(bytes).collect();
        prop_assert_eq!(loader.batches_in(number).unwrap(), Some(whole.len()));

        let start = Position { epoch: number, ..Position::start(&loader).unwrap() };
        let mut walk = start.walk(&loader).unwrap();
        let handed_out = point.index(whole.len() + 1);
        prop_assert_eq!(walk.by_ref().take(handed_out).count(), handed_out);
        let saved = serde_json::to_string(walk.state()).unwrap();
        drop(walk);

        // Another process: nothing is left but the data, the settings and the text.
        let again = settings.loader(&ragged(&lengths)).share(rank, ranks).workers(workers.1);
        let restored: Position = serde_json::from_str(&saved).unwrap();
        prop_assert_eq!(restored.batch, handed_out);
        let rest: Vec<_> = restored.walk(&again).unwrap().map(|batch| bytes(&batch.unwrap())).collect();
        prop_assert_eq!(rest, &whole[handed_out..]);
    }

    #[test]
    fn ranks_see_the_batches_that_one_alone_sees(
        lengths in prop::collection::vec(0..20_usize, 1..800),
        settings in settings(),
        number in 0..4_u64,
    ) {
        let rows = ragged(&lengths);
        let whole = epoch(&settings.loader(&rows), number);
        for ranks in [2, 4] {
            let shares: Vec<_> =
                (0..ranks).map(|rank| epoch(&settings.loader(&rows).share(rank, ranks), number)).collect();
            for (index, batch) in whole.iter().enumerate() {
                prop_assert!(shares.iter().all(|share| share.len() == whole.len()));
                for (name, tensor) in batch.tensors() {
                    for (rank, share) in shares.iter().enumerate() {
                        let of_rank = (rank as i64..tensor.size()[0]).step_by(ranks).collect::<Vec<_>>();
                        let expected = tensor.index_select(0, &Tensor::from_slice(&of_rank));
                        let found = share[index].column(name).unwrap();
                        prop_assert_eq!(found.size(), expected.size());
                        prop_assert_eq!(integers(found), integers(&expected));
                    }
                }
            }
        }
        let mut seen: Vec<i64> = whole.iter().flat_map(|batch| integers(batch.id.as_ref().unwrap())).collect();
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..lengths.len() as i64).collect::<Vec<_>>());
        for batch in &whole {
            let size = batch.input_ids.as_ref().unwrap().size();
            prop_assert!(size[0] <= settings.size as i64 && size[1] % settings.multiple as i64 == 0);
            prop_assert!(size[0] * size[1] <= settings.tokens.map_or(i64::MAX, |tokens| tokens as i64));
        }
    }
}

#[test]
fn other_data_and_other_settings_are_refused_with_what_differs() {
    let lengths: Vec<usize> = (0..100).map(|row| row % 7).collect();
    let rows = ragged(&lengths);
    let loader = rows.batches::<Ragged>(8).shuffled(7);
    let position = Position::start(&loader).unwrap();
    let refused = |loader: &Loader<Ragged>| position.walk(loader).unwrap_err().to_string();
    assert_eq!(
        refused(&rows.batches::<Ragged>(16).shuffled(8).bucketed()),
        "the run cannot resume: the data or its settings have changed: batch size: 8 then, 16 now; \
         buckets: none then, by length now; order: shuffled, seed 7 then, shuffled, seed 8 now; \
         give it the same data and settings, or start a new run"
    );
    let turned: Vec<usize> = (0..100).rev().collect();
    for other in
        [rows.select(&turned).unwrap(), ragged(&turned.iter().map(|row| row % 7).collect::<Vec<_>>())]
    {
        let message = refused(&other.batches::<Ragged>(8).shuffled(7));
        assert!(message.contains("have changed: data: ") && !message.contains("rows: "), "{message}");
    }
    let fewer = refused(&rows.select(&[0, 1, 2]).unwrap().batches::<Ragged>(8).shuffled(7));
    assert!(fewer.contains("rows: 100 then, 3 now"), "{fewer}");
    // The number of workers and of ranks changes nothing about the global batches.
    assert_eq!(position.walk(&loader.workers(4).share(1, 4)).unwrap().count(), 13);
}

/// Every setting of a loader, of the limit of its table and of augmentation: found in the sources, and each
/// compared, or none that decides which values a batch holds.
#[test]
fn every_setting_of_a_loader_is_compared_or_decides_nothing() {
    let rows = ragged(&(0..100).map(|row| row % 7).collect::<Vec<_>>());
    let base = || rows.batches::<Ragged>(8);
    let augmented = |augmentation: Augmentation| base().augmented(augmentation);
    let tokens = || Augmentation::of_tokens([0], Some(4)).masking(0.1);
    let masked = |masks: MaskedLm| base().masked_lm(masks);
    let masks = || MaskedLm::of_tokens([0], Some(4), 0..9);
    // The name, what the batches depend on before and after, and the name of what differs; of what decides
    // nothing none.
    let of = |loader: Loader<Ragged>| loader.settings().unwrap();
    let limited = |length| rows.limited_to(length, TooLong::Cut).batches::<Ragged>(8);
    let refusing = |length| rows.limited_to(length, TooLong::Refuse).batches::<Ragged>(8);
    let settings = [
        ("shuffled", of(base()), of(base().shuffled(1)), Some("order")),
        ("shuffled", of(base().shuffled(2)), of(base().shuffled(1)), Some("order")),
        ("shuffled_in_blocks", of(base().shuffled(1)), of(base().shuffled_in_blocks(1)), Some("order")),
        ("bucketed", of(base()), of(base().bucketed()), Some("buckets")),
        ("augmented", of(base()), of(augmented(tokens())), Some("augmentation")),
        ("masked_lm", of(base()), of(base().masked_lm(masks())), Some("masks")),
        ("probability", of(masked(masks())), of(masked(masks().probability(0.2))), Some("masks")),
        ("replacing", of(masked(masks())), of(masked(masks().replacing(0.8, 0.2))), Some("masks")),
        ("whole_words", of(masked(masks())), of(masked(masks().whole_words())), Some("masks")),
        ("seed", of(masked(masks())), of(masked(masks().seed(1))), Some("masks")),
        ("up_to_tokens", of(base()), of(base().up_to_tokens(50)), Some("tokens a batch")),
        (
            "padded_to_multiple_of",
            of(base()),
            of(base().padded_to_multiple_of(8)),
            Some("padded to a multiple of"),
        ),
        // Each rank has its rows of the same batches.
        ("share", of(base()), of(base().share(1, 4)), None),
        ("workers", of(base()), of(base().workers(4)), None),
        ("to", of(base()), of(base().to(Device::Cpu)), None),
        ("limited_to", of(base()), of(limited(3)), Some("lists")),
        ("limited_to", of(limited(5)), of(limited(3)), Some("lists")),
        // It refuses a list or lets it be.
        ("limited_to", of(base()), of(refusing(9)), None),
        ("masking", of(augmented(tokens())), of(augmented(tokens().masking(0.2))), Some("augmentation")),
        ("deleting", of(augmented(tokens())), of(augmented(tokens().deleting(0.2))), Some("augmentation")),
        (
            "n_gram_sampling",
            of(augmented(tokens())),
            of(augmented(tokens().n_gram_sampling([(2, 1.0)]))),
            Some("augmentation"),
        ),
        (
            "short_disorder",
            of(augmented(tokens())),
            of(augmented(tokens().short_disorder([0.6, 0.1, 0.1, 0.1, 0.1]))),
            Some("augmentation"),
        ),
        (
            "long_disorder",
            of(augmented(tokens())),
            of(augmented(tokens().long_disorder(0.2, Span::Tokens(4)))),
            Some("augmentation"),
        ),
        ("seed", of(augmented(tokens())), of(augmented(tokens().seed(1))), Some("augmentation")),
    ];
    for (setting, before, after, differs) in &settings {
        let found: Vec<&str> = before
            .iter()
            .filter(|(name, value)| after.get(*name) != Some(*value))
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(found, differs.iter().copied().collect::<Vec<_>>(), "{setting}");
        assert!(before.keys().eq(after.keys()), "{setting}");
    }
    for file in ["loader/mod.rs", "dataset/limit.rs", "augment/mod.rs", "augment/masked_lm/mod.rs"] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file);
        let text = std::fs::read_to_string(path).unwrap();
        for rest in text.split("    pub fn ").skip(1) {
            let signature = rest.split('{').next().unwrap();
            let name = signature.split(['(', '<']).next().unwrap();
            if signature.contains("self") && signature.contains("-> Self") {
                assert!(settings.iter().any(|row| row.0 == name), "`{name}` of {file} needs a row here");
            }
        }
    }
}

#[test]
fn settings_that_cannot_work_are_refused_at_once() {
    let rows = ragged(&[1, 30, 2]);
    let loader = rows.batches::<Ragged>(1).workers(0).padded_to_multiple_of(0).share(2, 2);
    let message = loader.check().unwrap_err().to_string();
    for part in ["multiple of 0", "0 workers", "rank 2 of 2", "batches of 1 rows for 2 ranks"] {
        assert!(message.contains(part), "{message}");
    }
    let long = rows.batches::<Ragged>(4).up_to_tokens(24);
    for message in
        [long.batches_in(0).unwrap_err().to_string(), long.epoch_from(0, 0).err().unwrap().to_string()]
    {
        assert_eq!(
            message,
            "table, row 1, column `input_ids`: a list of length 30, but batches have no more than 24 tokens: \
             cut the list, or raise `.up_to_tokens()`"
        );
    }
    assert_eq!(long.batches_per_epoch(), None);
    if !brew_core::tch::Cuda::is_available() {
        let message = rows.batches::<Ragged>(4).to(Device::Cuda(0)).check().unwrap_err().to_string();
        assert_eq!(message, "batches are requested on CUDA device 0, which does not exist");
    }
}
