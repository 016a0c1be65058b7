//! Accumulated batches divide by the count of the whole window, whatever the unit.

use brew_core::distill::{student_layer, teacher_layer};
use brew_core::execute::{Executor, Window};
use brew_core::loss::{
    AtNorm, AttentionCe, AttentionMse, Chunked, Cwd, Dkd, Fsp, Kl, MiniLmAttention, Nst, NstPoly, Pkd,
};
use brew_core::pass::Wants;
use brew_core::prelude::*;
use brew_core::semantics::Semantics;
use tests::{Sentence, Toy, ToyOutputAdaptor, alone, sentences};

use crate::tagger::{LabelledTagsAdaptor, Tagger};

fn pipeline(semantics: Semantics) -> Pipeline<Sentence, ToyOutputAdaptor> {
    let layers = || hidden(teacher_layer([0, 2]), student_layer([0, 1]));
    let maps = || attention(teacher_layer(1), student_layer(0));
    Distill::new(Toy::new(2, 8, 0).seen_by(ToyOutputAdaptor), Toy::new(1, 8, 1).seen_by(ToyOutputAdaptor))
        .semantics(semantics)
        .matching([layers().by(Fsp), layers().by(Nst)])
        .matching([maps().by(AttentionMse::probabilities())])
        .matching([maps().by(AttentionCe::probabilities())])
        .matching([maps().by(MiniLmAttention::probabilities())])
        .matching([
            hidden(teacher_layer(2), student_layer(1)).by(Pkd),
            hidden(teacher_layer(2), student_layer(1)).by(Cwd::at(2.0)),
            hidden(teacher_layer(2), student_layer(1)).by(AtNorm),
            hidden(teacher_layer(2), student_layer(1)).by(NstPoly),
        ])
        .plan()
        .unwrap()
}

type Terms = Vec<(String, f64)>;

/// Twelve rows, two of which are all padding.
fn rows() -> Sentence {
    let rows = sentences(1, 12, 3).remove(0);
    let mask = rows.mask.index_fill(0, &Tensor::from_slice(&[2_i64, 9]), 0);
    Sentence { mask, ..rows }
}

fn run(
    executor: &Executor<'_, Sentence, ToyOutputAdaptor>,
    batch: &Sentence,
    window: Option<&Window>,
) -> Terms {
    let pass = Pass::training(0, Wants::nothing());
    let terms = executor.run(batch, &pass, window).unwrap().terms;
    terms.into_iter().map(|(name, value)| (name, value.double_value(&[]))).collect()
}

/// Each term of 12 rows that are one batch, divided by what it counts itself.
fn whole(semantics: Semantics) -> Terms {
    let pipeline = pipeline(semantics);
    run(&Executor::new(&pipeline, 0).unwrap(), &rows(), None)
}

/// Each term of the same rows in batches of this size, added up over their window.
fn cut(semantics: Semantics, size: i64) -> Terms {
    let pipeline = pipeline(semantics);
    let executor = Executor::new(&pipeline, 0).unwrap();
    let batches: Vec<Sentence> = (0..12 / size)
        .map(|part| rows().map(&mut |_, tensor| Ok(tensor.narrow(0, part * size, size))).unwrap())
        .collect();
    let window = executor.window(&batches).unwrap();
    let shares = batches.iter().map(|batch| run(&executor, batch, Some(&window)));
    shares
        .reduce(|sums, terms| {
            sums.into_iter().zip(terms).map(|((name, sum), (_, share))| (name, sum + share)).collect()
        })
        .unwrap()
}

#[test]
fn a_window_gives_the_loss_of_its_rows_in_one_batch() {
    let _alone = alone();
    let whole = whole(Semantics::Exact);
    for size in [12, 4, 1] {
        for ((name, found), (_, expected)) in cut(Semantics::Exact, size).iter().zip(&whole) {
            assert!((found - expected).abs() < 1e-12, "{name} in batches of {size}: {found}, {expected}");
        }
    }
}

#[test]
fn textbrewers_semantics_average_the_batches_means_of_masked_losses() {
    let _alone = alone();
    let (whole, cut) = (whole(Semantics::TextBrewer), cut(Semantics::TextBrewer, 1));
    for ((name, found), (_, expected)) in cut.iter().zip(&whole) {
        // What counts every row has the same mean either way; a batch of padding alone has the mean 0.
        let by_rows = name.starts_with("pkd");
        assert_eq!((found - expected).abs() < 1e-12, by_rows, "{name}: {found}, {expected}");
    }
}

/// The total of this many rows, some of whose labels do not count, in batches of this size; and with the teacher's scores
/// swapped if they are wrong.
fn labelled(size: i64, shifted: bool) -> f64 {
    let (teacher, student) =
        (Toy::new(2, 8, 0).seen_by(ToyOutputAdaptor), Toy::new(1, 8, 1).seen_by(ToyOutputAdaptor));
    let builder = Distill::new(teacher, student);
    let pipeline = match shifted {
        true => builder.soft_targets(Dkd::at(2.0).with_probability_shift()).plan().unwrap(),
        false => builder.soft_targets(Dkd::at(2.0)).plan().unwrap(),
    };
    let executor = Executor::new(&pipeline, 0).unwrap();
    let rows = rows();
    let labels =
        rows.labels.as_ref().map(|labels| labels.index_fill(0, &Tensor::from_slice(&[0_i64, 1, 7]), -100));
    let rows = Sentence { labels, ..rows };
    let batches: Vec<Sentence> = (0..12 / size)
        .map(|part| rows.map(&mut |_, tensor| Ok(tensor.narrow(0, part * size, size))).unwrap())
        .collect();
    let window = executor.window(&batches).unwrap();
    batches.iter().flat_map(|batch| run(&executor, batch, Some(&window))).map(|(_, share)| share).sum()
}

#[test]
fn a_window_divides_by_the_labels_that_count() {
    let _alone = alone();
    let whole = labelled(12, false);
    for size in [4, 1] {
        let found = labelled(size, false);
        assert!((found - whole).abs() < 1e-12, "in batches of {size}: {found}, {whole}");
    }
}

#[test]
fn a_loss_that_reads_labels_sees_the_teacher_as_it_is_unless_a_shift_is_asked_for() {
    let _alone = alone();
    assert!((labelled(12, false) - labelled(12, true)).abs() > 1e-3);
}

/// The student's own loss over 12 rows, of which three have no label, in batches of this size.
fn own_loss(size: i64, semantics: Semantics) -> (f64, f64) {
    let student = Toy::new(1, 8, 1);
    let labels = rows().labels.map(|labels| labels.index_fill(0, &Tensor::from_slice(&[0_i64, 1, 7]), -100));
    let rows = Sentence { labels, ..rows() };
    // libtorch's own mean, with its `ignore_index`.
    let logits = student.run(&rows, &Pass::evaluation(Wants::nothing())).unwrap().logits;
    let labels = rows.labels.as_ref().unwrap();
    let mean = brew_core::tch::Reduction::Mean;
    let expected = logits.cross_entropy_loss(labels, None::<&Tensor>, mean, -100, 0.0).double_value(&[]);
    let pipeline = Supervised::new(student.seen_by(ToyOutputAdaptor)).semantics(semantics).plan().unwrap();
    let executor = Executor::new(&pipeline, 0).unwrap();
    let batches: Vec<Sentence> = (0..12 / size)
        .map(|part| rows.map(&mut |_, tensor| Ok(tensor.narrow(0, part * size, size))).unwrap())
        .collect();
    let window = (size < 12).then(|| executor.window(&batches).unwrap());
    let shares = batches.iter().flat_map(|batch| run(&executor, batch, window.as_ref()));
    (shares.map(|(_, share)| share).sum(), expected)
}

// A user's own model: nothing is said of what counts but by the labels.
#[test]
fn a_models_own_values_count_where_their_labels_do() {
    let _alone = alone();
    for size in [12, 4, 3, 1] {
        let (found, expected) = own_loss(size, Semantics::Exact);
        assert!((found - expected).abs() < 1e-12, "in batches of {size}: {found}, {expected}");
    }
    let (found, expected) = own_loss(12, Semantics::TextBrewer);
    assert!((found - expected).abs() < 1e-12, "TextBrewer's semantics: {found}, {expected}");
}

/// The total of `Chunked::with_labels` over 12 rows in batches of this size; some labels stand where the mask is 0.
fn labelled_under_padding(size: i64) -> f64 {
    let sides = || Tagger::new(5, 0.1).seen_by(LabelledTagsAdaptor);
    let pipeline = Distill::new(Tagger::new(8, 0.7).seen_by(LabelledTagsAdaptor), sides())
        .soft_targets(Chunked::of(Kl::at(1.0)).with_labels(0.5))
        .plan()
        .unwrap();
    let executor = Executor::new(&pipeline, 0).unwrap();
    let rows = rows();
    // One label per position, -100 for the last two, whatever the mask.
    let labels = rows.tokens.remainder(5).slice_scatter(
        &Tensor::full([12, 2], -100, (Kind::Int64, Device::Cpu)),
        1,
        4,
        6,
        1,
    );
    let rows = Sentence { labels: Some(labels), ..rows };
    let pass = Pass::training(0, Wants::nothing());
    let batches: Vec<Sentence> = (0..12 / size)
        .map(|part| rows.map(&mut |_, tensor| Ok(tensor.narrow(0, part * size, size))).unwrap())
        .collect();
    let window = (size < 12).then(|| executor.window(&batches).unwrap());
    let run = |batch| executor.run(batch, &pass, window.as_ref()).unwrap().total;
    batches.iter().map(|batch| run(batch).double_value(&[])).sum()
}

// It reads no mask: the labels alone say what counts, in one batch and in a window.
#[test]
fn a_window_counts_labels_without_a_mask_for_a_loss_that_reads_none() {
    let _alone = alone();
    let whole = labelled_under_padding(12);
    for size in [6, 4, 1] {
        let found = labelled_under_padding(size);
        assert!((found - whole).abs() < 1e-6 * whole, "in batches of {size}: {found}, {whole}");
    }
}
