//! An all-padding row has no effect, for every loss of the catalogue.
//!
//! The rule is in `brew-core/src/loss/examples.rs`.

use brew_core::loss::catalogue::entries;
use brew_core::loss::{
    AtNorm, Crd, Cwd, Fsp, Ickd, Learns, Loss, MiniLmRelation, NstPoly, Pkt, RkdAngle, RkdDistance, Sp,
};
use brew_core::role::Index;
use brew_core::tch::{Device, Kind, Tensor};
use tests::{mask, seq};

use crate::cases::{Case, Sides, assert_close, cases, prepare, read, value};

/// Losses that read no mask, each with the reason.
const WITHOUT_A_MASK: [(&str, &str); 3] = [
    ("pkd", "TextBrewer's: position 0 of every row, whatever a mask says"),
    ("margin_mse", "scores of candidates have no positions"),
    ("candidates_kl", "scores of candidates have no positions"),
];

/// Tried below: it draws, and keeps what it saw.
const BY_ITSELF: &str = "crd";

/// The contents of a row of padding.
const FILLERS: [f64; 4] = [7.5, f64::NEG_INFINITY, f64::INFINITY, f64::NAN];

/// The same with one row of a filler before and one behind.
fn between(tensor: &Tensor, filler: f64) -> Tensor {
    let mut size = tensor.size();
    size[0] = 1;
    // Classes, tokens and labels are numbers that would count, if the mask did not say otherwise.
    let filler = if tensor.is_floating_point() { filler } else { 1.0 };
    let row = Tensor::full(&size, filler, (tensor.kind(), tensor.device()));
    Tensor::cat(&[&row, tensor, &row], 0)
}

fn masked() -> Tensor {
    let nothing = Tensor::zeros([1, 3], (Kind::Int64, Device::Cpu));
    Tensor::cat(&[&nothing, &mask(), &nothing], 0)
}

/// Value and gradients of the student's features.
fn measured(case: &Case, student: &[Tensor], teacher: &[Tensor], mask: &Tensor) -> (f64, Vec<Tensor>) {
    let leaves: Vec<Tensor> = student.iter().map(|tensor| tensor.copy().set_requires_grad(true)).collect();
    let (student, teacher) = (case.student_read(&leaves, Some(mask)), case.teacher_read(teacher, Some(mask)));
    let mean = case.loss.term(&student, &teacher).unwrap().mean().unwrap();
    mean.backward();
    (mean.double_value(&[]), leaves.iter().map(Tensor::grad).collect())
}

#[test]
fn a_row_of_padding_alone_changes_no_value_and_no_gradient() {
    let reads_a_mask = |case: &Case| !WITHOUT_A_MASK.iter().any(|(name, _)| *name == case.loss.name());
    for mut case in cases().into_iter().filter(reads_a_mask) {
        let (expected, gradients) = measured(&case, &case.student, &case.teacher, &mask());
        let (labels, also) = (case.labels.take(), std::mem::take(&mut case.also));
        for filler in FILLERS {
            let wider =
                |side: &[Tensor]| side.iter().map(|tensor| between(tensor, filler)).collect::<Vec<_>>();
            let (student, teacher) = (wider(&case.student), wider(&case.teacher));
            // Where labels say what counts, those of padding are below 0.
            case.labels = labels.as_ref().map(|labels| match case.loss.name() {
                "chunked_with_labels" => {
                    let none = Tensor::full([1, 3], -100, (Kind::Int64, Device::Cpu));
                    Tensor::cat(&[&none, labels, &none], 0)
                }
                _ => between(labels, filler),
            });
            case.also = also.each_ref().map(|side| {
                let of_rows = |tensor: &Tensor| tensor.size() == [2, 3];
                let wider =
                    |tensor: &Tensor| if of_rows(tensor) { between(tensor, filler) } else { tensor.copy() };
                side.iter().map(|(role, tensor)| (*role, wider(tensor))).collect()
            });
            let what = format!("{}, rows of {filler}", case.name);
            let (found, of_rows) = measured(&case, &student, &teacher, &masked());
            assert_close(found, expected, &what);
            for (gradient, expected) in of_rows.iter().zip(&gradients) {
                let rows = expected.size()[0];
                let off = (gradient.narrow(0, 1, rows) - expected).abs().max().double_value(&[]);
                assert!(off < 1e-12, "{what}: gradients differ by {off}");
                for row in [0, rows + 1] {
                    let of_padding = gradient.get(row).abs().max().double_value(&[]);
                    assert_eq!(of_padding, 0.0, "{what}: padding has a gradient");
                }
            }
        }
    }
}

#[test]
fn no_loss_of_the_catalogue_is_left_out() {
    let cases = cases();
    for entry in entries() {
        let listed = WITHOUT_A_MASK.iter().any(|(name, _)| *name == entry.name) || entry.name == BY_ITSELF;
        let tried = cases.iter().any(|case| case.loss.name() == entry.name);
        assert!(listed || tried, "`{}` is in no case", entry.name);
    }
}

/// Four rows, of which the second is padding alone.
fn four_rows() -> Tensor {
    Tensor::from_slice(&[1_i64, 1, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0]).view([4, 3])
}

fn four(layers: &[(f64, f64)], size: f64) -> Vec<Tensor> {
    layers.iter().map(|(frequency, phase)| seq(&[4, 3, 4], *frequency, *phase, size)).collect()
}

// Each formula over the three rows that have a position, row by row and by hand, in PyTorch 2.11 and float64:
// S, T = sin(.6 i + .1), 1.2 sin(.4 i + .9) of (4, 3, 4), and sin(1.1 i + .5), 1.2 sin(1.3 i + .2) behind them;
// rows = [0, 2, 3]; ch = lambda x, i: x[i][m[i]].T, and for example
// cwd = sum(4 * (p * (p.log() - q)).sum(1).mean() for i in rows) / 3 with p = (ch(T, i) / 2).softmax(1),
// q = (ch(S, i) / 2).log_softmax(1).
#[test]
fn means_are_over_the_rows_that_have_a_position() {
    let one = (four(&[(0.6, 0.1)], 1.0), four(&[(0.4, 0.9)], 1.2));
    let two = (four(&[(0.6, 0.1), (1.1, 0.5)], 1.0), four(&[(0.4, 0.9), (1.3, 0.2)], 1.2));
    let cases: [(&dyn Loss, &Sides, f64); 10] = [
        (&Cwd::at(2.0), &one, 0.135_103_378_566_977_66),
        (&Ickd, &one, 0.201_124_330_885_144_9),
        (&NstPoly, &one, 0.316_322_714_304_124_5),
        (&AtNorm, &one, 0.301_029_028_583_007_73),
        (&MiniLmRelation::heads(2), &one, 0.153_701_954_695_848_55),
        (&Sp, &one, 0.096_151_934_995_424_53),
        (&RkdDistance::of_means(), &one, 0.066_434_841_624_153_21),
        (&RkdAngle::of_means(), &one, 0.018_743_156_163_736_046),
        (&Pkt::of_means(), &one, 0.057_318_481_964_774_31),
        (&Fsp, &two, 0.166_870_561_100_946_2),
    ];
    for (loss, (student, teacher), expected) in cases {
        let mask = four_rows();
        let found = value(loss, &read(student, Some(&mask)), &read(teacher, Some(&mask)));
        assert_close(found, expected, loss.name());
    }
}

/// The value of a contrast over these rows, its gradient, and its bank of the student's vectors afterwards.
fn contrasted(rows: &[i64], mask: Option<&Tensor>) -> (f64, Tensor, Tensor) {
    let at = Tensor::from_slice(rows);
    let mut loss = Crd::over(8).between(4, 4).width(5).negatives(3);
    prepare(&mut loss, 3);
    let select = |tensor: Tensor| tensor.index_select(0, &at);
    let leaf = select(seq(&[4, 3, 4], 0.6, 0.1, 1.0)).set_requires_grad(true);
    let mut student =
        read(&[leaf.shallow_clone()], mask).with::<Index>(select(Tensor::from_slice(&[5_i64, 1, 0, 7])));
    let drawn = Tensor::from_slice(&[1_i64, 2, 3, 0, 3, 4, 2, 6, 1, 4, 5, 0]).view([4, 3]);
    student.also.insert("negatives", select(drawn));
    let teacher = read(&[select(seq(&[4, 3, 4], 0.4, 0.9, 1.2))], mask);
    let term = loss.term(&student, &teacher).unwrap();
    loss.after_term(&term).unwrap();
    let mean = term.mean().unwrap();
    mean.backward();
    loss.after_step().unwrap();
    (mean.double_value(&[]), leaf.grad(), loss.state().unwrap()["student_bank"].copy())
}

#[test]
fn a_contrast_neither_counts_nor_keeps_a_row_of_padding_alone() {
    let without = Tensor::from_slice(&[1_i64, 1, 0, 1, 1, 1, 1, 0, 0]).view([3, 3]);
    let (expected, of_three, bank_of_three) = contrasted(&[0, 2, 3], Some(&without));
    let (found, of_four, bank) = contrasted(&[0, 1, 2, 3], Some(&four_rows()));
    assert_close(found, expected, "crd");
    let off = (of_four.index_select(0, &Tensor::from_slice(&[0_i64, 2, 3])) - of_three).abs().max();
    assert!(off.double_value(&[]) < 1e-12, "{off:?}");
    assert_eq!(of_four.get(1).abs().max().double_value(&[]), 0.0);
    assert_eq!(bank, bank_of_three);
}

#[test]
fn a_contrast_of_padding_alone_is_0_and_leaves_no_trace() {
    let nothing = Tensor::zeros([3, 3], (Kind::Int64, Device::Cpu));
    let (value, gradient, bank) = contrasted(&[0, 2, 3], Some(&nothing));
    assert_eq!((value, gradient.abs().max().double_value(&[])), (0.0, 0.0));
    let mut untouched = Crd::over(8).between(4, 4).width(5).negatives(3);
    prepare(&mut untouched, 3);
    assert_eq!(bank, untouched.state().unwrap()["student_bank"]);
}
