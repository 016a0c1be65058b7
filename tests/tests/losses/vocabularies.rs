//! Losses across vocabularies, against the code of their papers; gradients' norms by PyTorch 2.11 from the
//! formulas. GOLD's values and norms are of TRL 1.16.0's own methods, on PyTorch 2.11:
//!
//! ```python
//! # `gold` has ULDLoss's _merge_probabilities_with_alignment_groups and _compute_hybrid_uld_loss, and what
//! # the latter calls, with these attributes set: token_merge_strategy, beta, hybrid_matched_weight,
//! # hybrid_unmatched_weight, _teacher_matched_ids = {0, 4, 2, 8}, mapping_tensor[[0, 4, 2, 8]] = 1, 3, 7, 2
//! g = lambda n, a, b, s, *shape: (torch.arange(n) * a + b).sin().mul(s).view(shape)  # in float64
//! z = g(110, .37, .1, 2.5, 2, 5, 11)[0, :4].clone().requires_grad_()
//! s = gold.merge(z.softmax(-1), [[0, 1], [2, 3]], [3, 1, 7, 2])
//! t = gold.merge(g(36, .53, .7, 3, 4, 9).softmax(-1), [[0], [1, 2, 3]], [4, 0, 8, 5])
//! v = gold.hybrid(s, t); v.backward(); print(v.item(), z.grad.norm().item())
//! ```

use brew_core::loss::{
    AlignedUld, Features, Gold, Jsd, Kl, Loss, ReverseKl, SharedTokens, TopK, Uld, next_token,
};
use brew_core::role::{ByteEnds, TokenIds};
use brew_core::tch::{Device, Kind, Tensor};
use tests::{finite_difference_error, seq};

use crate::cases::{assert_close, value};
use crate::logits::{long, value_and_gradient};

/// A student of 11 tokens and a teacher of 9, over this many positions of one text.
fn sides(length: i64) -> (Features, Features) {
    let student = seq(&[2, 5, 11], 0.37, 0.1, 2.5).narrow(0, 0, 1).narrow(1, 0, length);
    (Features::one(student), Features::one(seq(&[1, length, 9], 0.53, 0.7, 3.0)))
}

/// Four tokens per side with their ends in the text.
fn aligned() -> (Features, Features) {
    let (student, teacher) = sides(4);
    let row = |numbers: &[i64]| Tensor::from_slice(numbers).view([1, numbers.len() as i64]);
    let student = student.with::<TokenIds>(row(&[3, 1, 7, 2])).with::<ByteEnds>(row(&[1, 4, 5, 9]));
    (student, teacher.with::<TokenIds>(row(&[4, 0, 8, 5])).with::<ByteEnds>(row(&[4, 6, 7, 9])))
}

// llm-recipes' ULDLoss.
#[test]
fn probabilities_in_order_of_size() {
    let (found, gradient) = value_and_gradient(&Uld::at(1.0), sides(5));
    assert_close(found, 0.369_243_255_217_617_64, "uld");
    assert_close(gradient.norm().double_value(&[]), 0.215_605_065_725_713_95, "uld, norm of the gradient");
}

// TRL's gold_trainer.py, extended ULD.
#[test]
fn tokens_that_cover_the_same_bytes() {
    let cases = [
        (AlignedUld::observed(), 0.527_059_512_018_093, 0.029_618_861_402_941_427),
        (AlignedUld::bayesian(), 0.407_782_952_461_564_5, 0.082_652_393_938_653_35),
    ];
    for (loss, expected, norm) in cases {
        let (found, gradient) = value_and_gradient(&loss, aligned());
        assert_close(found, expected, "aligned_uld");
        assert_close(gradient.norm().double_value(&[]), norm, "aligned_uld, norm of the gradient");
        let (student, teacher) = aligned();
        let error = finite_difference_error(&student.tensors[0], |moved| {
            let (student, _) = aligned();
            let student = student.with_tensors(vec![moved.shallow_clone()]);
            loss.term(&student, &teacher).unwrap().mean().unwrap()
        });
        assert!(error < 1e-7, "{error}");
    }
}

/// The student's id and the teacher's of the tokens that both know.
const PAIRS: [(i64, i64); 4] = [(1, 0), (3, 4), (7, 2), (2, 8)];

#[test]
fn shared_tokens_by_name_and_all_others_by_size() {
    let gold = |beta| Gold::of(PAIRS, Jsd::between(beta));
    let cases = [
        (gold(0.5), 0.184_108_833_257_906_3, 0.011_232_156_249_332_9),
        (gold(0.5).bayesian(), 0.140_250_571_952_021_4, 0.030_216_223_037_465_2),
        (gold(0.2).weights(0.7, 0.1), 0.084_019_091_943_677_1, 0.003_462_451_246_677_6),
    ];
    for (loss, expected, norm) in cases {
        let what = loss.options().to_string();
        let (found, gradient) = value_and_gradient(&loss, aligned());
        assert_close(found, expected, &what);
        assert_close(gradient.norm().double_value(&[]), norm, &what);
        let (student, teacher) = aligned();
        let error = finite_difference_error(&student.tensors[0], |moved| {
            let (student, _) = aligned();
            let student = student.with_tensors(vec![moved.shallow_clone()]);
            loss.term(&student, &teacher).unwrap().mean().unwrap()
        });
        assert!(error < 1e-7, "{what}: {error}");
    }
}

// With no weight on the shared tokens, and as few of them as can be, the rest is `aligned_uld` less two columns.
#[test]
fn without_shared_tokens_to_speak_of_it_is_the_aligned_loss() {
    let impossible = |read: Features, token: i64| {
        let logits = read.tensors[0].index_fill(-1, &Tensor::from_slice(&[token]), -1e4);
        read.with_tensors(vec![logits])
    };
    let sides = || (impossible(aligned().0, 10), impossible(aligned().1, 7));
    let (student, teacher) = sides();
    let gold = Gold::of([(10, 7)], Jsd::between(0.5)).weights(1.0, 1.0);
    assert_close(
        value(&gold, &student, &teacher),
        value(&AlignedUld::observed(), &student, &teacher),
        "gold",
    );
    let (found, gradient) = value_and_gradient(&gold, sides());
    assert!(found.is_finite() && gradient.isfinite().all().int64_value(&[]) == 1);
}

/// Another row and more positions, none of which count: by the mask, or by an end of -1.
fn with_padding(read: &Features, tokens: i64, by_mask: bool) -> Features {
    let pad = |tensor: &Tensor, filler: f64| {
        let mut size = tensor.size();
        size[1] = 3;
        let longer = Tensor::cat(&[tensor, &Tensor::full(&size, filler, (tensor.kind(), Device::Cpu))], 1);
        Tensor::cat(&[&longer, &longer.full_like(filler)], 0)
    };
    let logits = pad(&read.tensors[0], f64::NAN);
    assert_eq!(logits.size()[2], tokens);
    let ends = pad(read.also::<ByteEnds>().unwrap(), if by_mask { 9.0 } else { -1.0 });
    let length = logits.size()[1];
    let mask = Tensor::arange(length, (Kind::Int64, Device::Cpu)).lt(length - 3).to_kind(Kind::Int64);
    let mask = Tensor::stack(&[&mask, &mask.zeros_like()], 0);
    let padded = Features::one(logits)
        .with::<TokenIds>(pad(read.also::<TokenIds>().unwrap(), 0.0))
        .with::<ByteEnds>(ends);
    if by_mask { padded.with_mask(mask) } else { padded }
}

#[test]
fn padding_changes_nothing_across_vocabularies() {
    let (student, teacher) = aligned();
    let gold = Gold::of(PAIRS, Jsd::between(0.5));
    for loss in [&AlignedUld::observed() as &dyn Loss, &AlignedUld::bayesian(), &gold, &Uld::at(2.0)] {
        let expected = value(loss, &student, &teacher);
        for by_mask in [true, false] {
            if loss.name() == "uld" && !by_mask {
                continue;
            }
            let sides = (with_padding(&student, 11, by_mask), with_padding(&teacher, 9, by_mask));
            let (found, gradient) = value_and_gradient(loss, sides);
            assert_close(found, expected, loss.name());
            assert_eq!(gradient.isfinite().all().int64_value(&[]), 1, "{}", loss.name());
        }
        let nothing = Tensor::zeros([1, 4], (Kind::Int64, Device::Cpu));
        let (none, _) = aligned();
        assert_eq!(value(loss, &none.with_mask(nothing), &teacher), 0.0, "{}", loss.name());
    }
}

// Every token of a side gets another number, in its logits, in the pairs and in the text.
#[test]
fn renaming_the_tokens_of_a_side_changes_nothing() {
    let renamed = |read: &Features, names: &Tensor| {
        let logits = read.tensors[0].index_select(-1, &names.argsort(0, false));
        let ids = names.index_select(0, &read.also::<TokenIds>().unwrap().reshape([-1])).view([1, 4]);
        Features::one(logits).with::<TokenIds>(ids).with::<ByteEnds>(read.also::<ByteEnds>().unwrap().copy())
    };
    let names = |tokens: i64| (Tensor::arange(tokens, (Kind::Int64, Device::Cpu)) * 4 + 3).remainder(tokens);
    let (of_student, of_teacher) = (names(11), names(9));
    let pairs = PAIRS.map(|(one, other)| (of_student.int64_value(&[one]), of_teacher.int64_value(&[other])));
    let losses = |pairs: [(i64, i64); 4]| -> Vec<Box<dyn Loss>> {
        vec![
            Box::new(Uld::at(1.0)),
            Box::new(AlignedUld::observed()),
            Box::new(AlignedUld::bayesian()),
            Box::new(SharedTokens::of(pairs, Kl::at(1.0))),
            Box::new(Gold::of(pairs, Jsd::between(0.5))),
            Box::new(Gold::of(pairs, Jsd::between(0.5)).bayesian()),
        ]
    };
    let (student, teacher) = aligned();
    for (loss, other) in losses(PAIRS).into_iter().zip(losses(pairs)) {
        let found = value(&*other, &renamed(&student, &of_student), &renamed(&teacher, &of_teacher));
        assert_close(found, value(&*loss, &student, &teacher), loss.name());
    }
}

// Tokens that end together one by one are compared one by one.
#[test]
fn tokens_cut_alike_are_compared_position_by_position() {
    let (student, teacher) = aligned();
    let ends = || Tensor::from_slice(&[2_i64, 3, 7, 8]).view([1, 4]);
    let (student, teacher) = (student.with::<ByteEnds>(ends()), teacher.with::<ByteEnds>(ends()));
    for loss in [AlignedUld::observed(), AlignedUld::bayesian()] {
        assert_close(value(&loss, &student, &teacher), value(&Uld::at(1.0), &student, &teacher), "aligned");
    }
}

#[test]
fn a_shift_moves_tokens_and_ends_with_the_labels() {
    let (student, teacher) = aligned();
    // The same logits one position earlier, before a last one that is about nothing.
    let shifted = |read: &Features| {
        let grow = |tensor: &Tensor, at_front: bool, filler: f64| {
            let mut size = tensor.size();
            size[1] = 1;
            let more = Tensor::full(&size, filler, (tensor.kind(), Device::Cpu));
            if at_front { Tensor::cat(&[&more, tensor], 1) } else { Tensor::cat(&[tensor, &more], 1) }
        };
        Features::one(grow(&read.tensors[0], false, f64::NAN))
            .with::<TokenIds>(grow(read.also::<TokenIds>().unwrap(), true, 0.0))
            .with::<ByteEnds>(grow(read.also::<ByteEnds>().unwrap(), true, -1.0))
    };
    let found = value(&next_token(AlignedUld::observed()), &shifted(&student), &shifted(&teacher));
    assert_close(found, 0.527_059_512_018_093, "shifted");
}

// The top k of the teacher is a set of tokens that both share, and its tail is what is left.
#[test]
fn shared_tokens_are_a_top_k_where_all_rows_have_the_same() {
    let row = |side: &Features| Features::one(side.tensors[0].narrow(0, 0, 1).narrow(1, 2, 1));
    let (student, teacher) = long();
    let (student, teacher) = (row(&student), row(&teacher));
    let ids = Vec::<i64>::try_from(teacher.tensors[0].topk(4, -1, true, true).1.reshape([-1])).unwrap();
    // Another order of the teacher's vocabulary, and pairs that say so.
    let order = Tensor::from_slice(&[4_i64, 0, 9, 2, 7, 1, 10, 3, 5, 8, 6]);
    let moved = Features::one(teacher.tensors[0].index_select(2, &order));
    let place = order.argsort(0, false);
    let pairs: Vec<(i64, i64)> = ids.iter().map(|id| (*id, place.int64_value(&[*id]))).collect();
    let (expected, gradient) =
        value_and_gradient(&TopK::of(4, Kl::at(2.0)), (Features::one(student.tensors[0].copy()), teacher));
    let loss = SharedTokens::of(pairs, Kl::at(2.0));
    let (found, of_shared) = value_and_gradient(&loss, (Features::one(student.tensors[0].copy()), moved));
    assert_close(found, expected, "shared tokens");
    assert!((of_shared - gradient).abs().max().double_value(&[]) < 1e-12);
}

#[test]
fn vocabularies_shared_in_full_are_the_dense_loss() {
    let loss = SharedTokens::of((0..11).map(|id| (id, id)), ReverseKl::at(1.0));
    let (found, gradient) = value_and_gradient(&loss, long());
    let (expected, dense) = value_and_gradient(&ReverseKl::at(1.0), long());
    assert_close(found, expected, "shared in full");
    assert!((gradient - dense).abs().max().double_value(&[]) < 1e-12);
}

#[test]
fn pairs_and_shapes_that_cannot_be_are_named() {
    let loss = SharedTokens::of([(0, 1), (0, 2), (3, -1)], Kl::at(1.0));
    let problems = loss.problems();
    assert!(problems[0].contains("the student's token 0 is in two pairs"), "{problems:?}");
    assert!(problems[1].contains("-1 is not a token id of the teacher"), "{problems:?}");
    let (student, teacher) = sides(5);
    let problems = SharedTokens::of([(3, 9)], Kl::at(1.0)).mismatches(&student, &teacher);
    assert_eq!(problems, ["the teacher's token 9 is in a pair, but its logits have 9 tokens"]);
    let gold = Gold::of([(0, 1), (0, 2)], Jsd::between(1.0)).weights(-1.0, 1.0).problems();
    assert_eq!(gold.len(), 3, "{gold:?}");
    assert!(gold[1].contains("the student's token 0 is in two pairs"), "{gold:?}");
    assert!(gold[2].contains("the shared tokens' weight is -1"), "{gold:?}");
    let (one, other) = aligned();
    let gold = Gold::of([(11, 0)], Jsd::between(0.5)).mismatches(&one, &other);
    assert_eq!(gold, ["the student's token 11 is in a pair, but its logits have 11 tokens"]);
    let problems = AlignedUld::observed().mismatches(&student, &teacher);
    assert_eq!(problems.len(), 4, "{problems:?}");
    assert!(problems[0].contains("no `token_ids`"), "{problems:?}");
    let problems = Uld::at(1.0)
        .mismatches(&student, &Features::one(Tensor::zeros([2, 5, 9], (Kind::Float, Device::Cpu))));
    assert!(problems[0].contains("of the same rows"), "{problems:?}");
}
