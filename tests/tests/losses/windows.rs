//! Accumulated batches divide by what the whole window counts, whatever the unit.

use brew_core::execute::{Executor, Window};
use brew_core::prelude::*;
use tests::{Sentence, Toy, ToyOutputAdaptor, alone, sentences};

fn pipeline(semantics: Semantics) -> Pipeline<Sentence, ToyOutputAdaptor> {
    let layers = || hidden(teacher_layer([0, 2]), student_layer([0, 1]));
    let maps = || attention(teacher_layer(1), student_layer(0));
    Distill::new(Toy::new(2, 8, 0).seen_by(ToyOutputAdaptor), Toy::new(1, 8, 1).seen_by(ToyOutputAdaptor))
        .semantics(semantics)
        .matching([layers().by(Fsp), layers().by(Nst)])
        .matching([maps().by(AttentionMse::probabilities())])
        .matching([maps().by(AttentionCe::probabilities())])
        .matching([hidden(teacher_layer(2), student_layer(1)).by(Pkd)])
        .plan()
        .unwrap()
}

/// Each term of 12 rows that are run in batches of this size.
fn terms(semantics: Semantics, rows: i64) -> Vec<(String, f64)> {
    let pipeline = pipeline(semantics);
    let executor = Executor::new(&pipeline, 0).unwrap();
    let whole = sentences(1, 12, 3).remove(0);
    let batches: Vec<Sentence> = (0..12 / rows)
        .map(|part| whole.map(&mut |_, tensor| Ok(tensor.narrow(0, part * rows, rows))).unwrap())
        .collect();
    let window = Window::of::<Sentence, ToyOutputAdaptor, _>(semantics, &batches).unwrap();
    let pass = Pass::training(0, Wants::nothing());
    batches
        .iter()
        .map(|batch| executor.run(batch, &pass, Some(&window), &mut |_, _| {}).unwrap().terms)
        .map(|terms| terms.into_iter().map(|(name, value)| (name, value.double_value(&[]))))
        .fold(Vec::new(), |sums: Vec<(String, f64)>, terms| {
            if sums.is_empty() {
                return terms.collect();
            }
            sums.into_iter().zip(terms).map(|((name, sum), (_, value))| (name, sum + value)).collect()
        })
}

#[test]
fn a_window_gives_the_loss_of_its_rows_in_one_batch() {
    let _alone = alone();
    let whole = terms(Semantics::Exact, 12);
    for rows in [4, 1] {
        for ((name, found), (_, expected)) in terms(Semantics::Exact, rows).iter().zip(&whole) {
            assert!((found - expected).abs() < 1e-12, "{name} in batches of {rows}: {found}, {expected}");
        }
    }
}

#[test]
fn textbrewers_semantics_average_the_batches_means_of_masked_losses() {
    let _alone = alone();
    let (whole, cut) = (terms(Semantics::TextBrewer, 12), terms(Semantics::TextBrewer, 1));
    for ((name, found), (_, expected)) in cut.iter().zip(&whole) {
        // What counts rows has the same mean either way.
        let by_rows = name.starts_with("fsp") || name.starts_with("pkd");
        assert_eq!((found - expected).abs() < 1e-12, by_rows, "{name}: {found}, {expected}");
    }
}
