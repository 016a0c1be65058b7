//! Padding, all-zero masks, and the order of a batch change no loss.

use brew_core::tch::{Device, Kind, Tensor};
use tests::mask;

use crate::cases::{Case, assert_close, cases};

const FILLERS: [f64; 4] = [7.5, f64::NEG_INFINITY, f64::INFINITY, f64::NAN];

/// Four more positions of a filler along each dimension that is a length.
fn padded(tensor: &Tensor, lengths: &[i64], filler: f64) -> Tensor {
    lengths.iter().fold(tensor.copy(), |tensor, &dimension| {
        let mut size = tensor.size();
        size[dimension as usize] = 4;
        // Classes of a store are numbers of classes, whatever they stand for.
        let filler = if tensor.is_floating_point() { filler } else { 0.0 };
        Tensor::cat(&[&tensor, &Tensor::full(&size, filler, (tensor.kind(), Device::Cpu))], dimension)
    })
}

/// Labels, tokens and ends of tokens that would count, if the mask did not say otherwise.
fn longer(numbers: &Tensor) -> Tensor {
    Tensor::cat(&[numbers, &Tensor::ones([2, 4], (Kind::Int64, Device::Cpu))], 1)
}

fn padded_mask() -> Tensor {
    Tensor::cat(&[mask(), Tensor::zeros([2, 4], (Kind::Int64, Device::Cpu))], 1)
}

/// TextBrewer's cross-entropies normalise over padded keys too, by their definition. Where labels say what
/// counts, padding has a label below 0: `labels_are_learned_from_the_same_logits`.
fn is_invariant(case: &Case) -> bool {
    case.loss.name() != "chunked_with_labels"
        && !(case.loss.name().starts_with("attention_ce") && case.name.contains("textbrewer"))
}

#[test]
fn padding_changes_no_masked_loss() {
    for case in cases().iter().filter(|case| is_invariant(case)) {
        let short = case.value(Some(&mask()));
        for filler in FILLERS {
            let pad = |side: &[Tensor]| -> Vec<Tensor> {
                side.iter().map(|tensor| padded(tensor, case.lengths, filler)).collect()
            };
            let long = Case {
                student: pad(&case.student),
                teacher: pad(&case.teacher),
                labels: case.labels.as_ref().map(longer),
                also: case.also_by(longer),
                ..again(case)
            };
            assert_close(long.value(Some(&padded_mask())), short, &format!("{}, {filler}", case.name));
        }
    }
}

#[test]
fn padding_gets_no_gradient_whatever_it_holds() {
    for case in cases().iter().filter(|case| is_invariant(case)) {
        for filler in FILLERS {
            let pad = |side: &[Tensor], gradient: bool| -> Vec<Tensor> {
                let pad = |tensor| {
                    let padded = padded(tensor, case.lengths, filler);
                    if gradient { padded.set_requires_grad(true) } else { padded }
                };
                side.iter().map(pad).collect()
            };
            let (student, teacher) = (pad(&case.student, true), pad(&case.teacher, false));
            let mask = padded_mask();
            let (labels, also) = (case.labels.as_ref().map(longer), case.also_by(longer));
            let case = &Case { labels, also, ..again(case) };
            let student_read = case.student_read(&student, Some(&mask));
            let term = case.loss.term(&student_read, &case.teacher_read(&teacher, Some(&mask))).unwrap();
            term.mean().unwrap().backward();
            for (layer, tensor) in student.iter().enumerate() {
                let gradient = tensor.grad();
                let what = format!("{}, layer {layer}, {filler}", case.name);
                assert_eq!(gradient.isfinite().all().int64_value(&[]), 1, "{what}: not finite");
                for &dimension in case.lengths {
                    let largest = gradient.narrow(dimension, 3, 4).abs().max().double_value(&[]);
                    assert_eq!(largest, 0.0, "{what}: padding along {dimension}");
                }
            }
        }
    }
}

#[test]
fn an_all_zero_mask_gives_zero() {
    let nothing = Tensor::zeros([2, 3], (Kind::Int64, Device::Cpu));
    for case in cases().iter().filter(|case| case.is_masked()) {
        assert_eq!(case.value(Some(&nothing)), 0.0, "{}", case.name);
    }
}

#[test]
fn pkd_reads_no_mask() {
    let nothing = Tensor::zeros([2, 3], (Kind::Int64, Device::Cpu));
    let pkd = cases().into_iter().find(|case| case.loss.name() == "pkd").unwrap();
    assert_eq!(pkd.value(Some(&nothing)), pkd.value(None));
}

#[test]
fn the_order_of_a_batch_changes_nothing() {
    for case in cases() {
        let turn = |side: &[Tensor]| side.iter().map(|tensor| tensor.flip([0])).collect::<Vec<_>>();
        let labels = case.labels.as_ref().map(|labels| labels.flip([0]));
        let (student, teacher) = (turn(&case.student), turn(&case.teacher));
        let also = case.also_by(|numbers| numbers.flip([0]));
        let turned = Case { student, teacher, labels, also, ..again(&case) };
        assert_close(turned.value(Some(&mask().flip([0]))), case.value(Some(&mask())), &case.name);
        assert_close(turned.value(None), case.value(None), &case.name);
    }
}

/// The same case once more.
fn again(case: &Case) -> Case {
    cases().into_iter().find(|other| other.name == case.name).unwrap()
}

// What a teacher cache goes by: it cuts padding off wherever a loss does not say this.
#[test]
fn a_loss_says_that_it_reads_padding_if_and_only_if_the_teachers_padding_changes_it() {
    let changes = |case: &Case| {
        let pad = |side: &[Tensor], filler: f64| -> Vec<Tensor> {
            side.iter().map(|tensor| padded(tensor, case.lengths, filler)).collect()
        };
        let with = |filler: f64| {
            let (student, teacher) = (pad(&case.student, 0.25), pad(&case.teacher, filler));
            let (labels, also) = (case.labels.as_ref().map(longer), case.also_by(longer));
            Case { student, teacher, labels, also, ..again(case) }.value(Some(&padded_mask()))
        };
        (with(0.0) - with(0.75)).abs() > 1e-9
    };
    let masked = cases().into_iter().filter(Case::is_masked);
    // Its labels say what counts, and here those of padding do.
    for case in masked.filter(|case| case.loss.name() != "chunked_with_labels") {
        assert_eq!(changes(&case), case.loss.reads_padding(), "{}", case.name);
    }
}
