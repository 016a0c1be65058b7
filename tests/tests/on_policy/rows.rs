//! Which rows a student learns: those that it writes, however a step is divided.

use brew_core::distill::Objective;
use brew_core::model::{CausalLm, Continuation, DecoderArchitecture, DecoderForCausalLm, Prefill};
use brew_core::prelude::*;
use brew_core::rollout::{Rollout, TextRow};
use tests::{in_batches, prompts_and_completions, small_lm};

use super::support::{pipeline, rollout, student, teacher, written};

fn of(rollout: &Rollout, rows: &[TextRow], seed: i64, step: u64) -> Vec<Vec<TextRow>> {
    rollout.write(&student(), rows, seed, step).unwrap()
}

fn answer(row: &TextRow) -> &[i64] {
    &row.ids[row.prompt().len()..]
}

#[test]
fn a_step_has_the_same_rows_in_one_batch_of_16_in_four_of_4_and_in_sixteen_of_1() {
    let rows = prompts_and_completions();
    for rollout in [rollout(), Rollout { share: 0.5, num_return_sequences: 3, ..rollout() }] {
        let pipeline = pipeline(Objective::ReverseKl, true, teacher(), rollout);
        let whole = written(&pipeline, &in_batches(&rows, 16), 7, 2);
        for size in [4, 1] {
            assert_eq!(written(&pipeline, &in_batches(&rows, size), 7, 2), whole, "in batches of {size}");
        }
        assert_ne!(written(&pipeline, &in_batches(&rows, 16), 8, 2), whole, "of another seed");
        assert_ne!(written(&pipeline, &in_batches(&rows, 16), 7, 3), whole, "of another step");
    }
}

// Padded in a batch or alone, to the token; GPT-2 has learned positions.
#[test]
fn a_row_has_the_same_answer_alone_as_beside_others() {
    let rows = prompts_and_completions();
    for architecture in [DecoderArchitecture::Qwen3, DecoderArchitecture::Gpt2, DecoderArchitecture::Gemma2] {
        let student = small_lm(architecture, 9, 0.0);
        let with = |answers_at_once| {
            Rollout { answers_at_once, num_return_sequences: 2, ..rollout() }
                .write(&student, &rows, 7, 0)
                .unwrap()
        };
        assert_eq!(with(1), with(64), "{architecture:?}");
        assert_eq!(with(5), with(64), "{architecture:?}");
    }
}

#[test]
fn a_row_is_its_prompt_with_the_students_answer_to_learn_and_as_often_as_there_are_answers() {
    let rows = prompts_and_completions();
    let rollout = Rollout { num_return_sequences: 3, ..rollout() };
    let written = of(&rollout, &rows, 7, 0);
    for (row, answers) in rows.iter().zip(&written) {
        assert_eq!(answers.len(), 3);
        for text in answers {
            assert_eq!(text.prompt(), row.prompt());
            let prompt = text.prompt().len();
            assert!(text.labels[..prompt].iter().all(|label| *label == -100));
            assert_eq!(text.labels[prompt..], text.ids[prompt..]);
        }
    }
    assert!(written.iter().any(|answers| answers[0] != answers[1]));
    // As the first answer alone.
    let one = of(&Rollout { num_return_sequences: 1, ..rollout }, &rows, 7, 0);
    assert!(one.iter().zip(&written).all(|(one, three)| one[0] == three[0]));
}

// Defect: only the first of several stop ids ended a row; the id of the end was masked or deleted where it also pads.
#[test]
fn any_stop_id_ends_an_answer_and_is_learnt_once() {
    let rows = prompts_and_completions();
    let stops = rollout().eos_token_id;
    let mut ended_by = Vec::new();
    for text in of(&rollout(), &rows, 7, 0).concat() {
        let answer = answer(&text);
        let end = answer.iter().position(|id| stops.contains(id));
        assert_eq!(end.map_or(10, |end| end + 1), answer.len(), "{answer:?}");
        ended_by.extend(end.map(|end| answer[end]));
        // Laid beside a longer row, padded with 0 or not: the mask and labels are those of its length.
        let longer = TextRow { ids: vec![1; 20], labels: vec![-100; 20] };
        let batch = TextRow::batch(&[text.clone(), longer], Device::Cpu).unwrap();
        assert_eq!(TextRow::of(&batch).unwrap()[0], text);
        let labels = batch.labels.unwrap().get(0);
        let learnt: i64 = stops.iter().map(|stop| labels.eq(*stop).sum(Kind::Int64).int64_value(&[])).sum();
        assert_eq!(learnt, i64::from(end.is_some()), "{answer:?}");
    }
    assert!(stops.iter().all(|stop| ended_by.contains(stop)), "{ended_by:?}: each must end one");
}

/// A student whose config has another padding token, and no token for the end of a text.
struct PaddedWith(DecoderForCausalLm, Option<i64>);

impl CausalLm for PaddedWith {
    fn vocab_size(&self) -> i64 {
        self.0.vocab_size()
    }
    fn max_positions(&self) -> Option<i64> {
        self.0.max_positions()
    }
    fn eos_token_ids(&self) -> Vec<i64> {
        Vec::new()
    }
    fn pad_token_id(&self) -> Option<i64> {
        self.1
    }
    fn device(&self) -> Device {
        self.0.device()
    }
    fn prefill(&self, prompts: &Prefill<'_>) -> Result<(Tensor, Box<dyn Continuation + '_>)> {
        self.0.prefill(prompts)
    }
}

// The padding of the sampler is the config's: the id of the end, or any other.
#[test]
fn answers_do_not_depend_on_what_pads_them() {
    let rows = prompts_and_completions();
    let padded_with = |pad| rollout().write(&PaddedWith(student(), pad), &rows, 7, 0).unwrap();
    let none = padded_with(None);
    for pad in [0, 3, 11, 19] {
        assert_eq!(padded_with(Some(pad)), none, "padded with {pad}");
    }
}

// Defect: a made-up end, or a lost row.
#[test]
fn a_truncated_answer_is_learnt_without_an_end_or_not_at_all() {
    let rows = prompts_and_completions();
    let kept = of(&rollout(), &rows, 7, 0).concat();
    let left_out = of(&Rollout { learn_truncated: false, ..rollout() }, &rows, 7, 0).concat();
    let mut truncated = 0;
    for (kept, left_out) in kept.iter().zip(&left_out) {
        assert_eq!(kept.ids, left_out.ids);
        if rollout().eos_token_id.contains(kept.ids.last().unwrap()) {
            assert_eq!(kept, left_out);
        } else {
            truncated += 1;
            assert_eq!(answer(kept).len(), 10);
            assert!(left_out.labels.iter().all(|label| *label == -100));
        }
    }
    assert!((1..16).contains(&truncated), "{truncated}: some must be truncated, and some not");
}

// Defect: a model without a token for the end crashed.
#[test]
fn without_a_stop_id_answers_have_all_their_tokens_and_an_answer_may_have_one() {
    let rows = prompts_and_completions();
    let endless = PaddedWith(student(), None);
    for tokens in [1, 6] {
        let rollout = Rollout { max_new_tokens: tokens, eos_token_id: Vec::new(), ..rollout() };
        for text in rollout.write(&endless, &rows, 7, 0).unwrap().concat() {
            assert_eq!(answer(&text).len() as i64, tokens);
        }
    }
    // A student with one ends where it says, in place of what the rollout could say.
    let [own, said] = [Vec::new(), student().eos_token_ids()]
        .map(|eos_token_id| of(&Rollout { eos_token_id, ..rollout() }, &rows, 7, 0).concat());
    assert_eq!(own, said);
    assert!(own.iter().any(|text| text.ids.last() == Some(&2) && answer(text).len() < 10));
}

// 4,000 rows at a share of 0.3: three standard deviations are 87.
#[test]
fn the_share_of_the_students_rows_is_drawn_for_each_row_and_step_by_itself() {
    let row = TextRow { ids: vec![1, 2], labels: vec![-100, 2] };
    let rows = vec![row.clone(); 40];
    let rollout = Rollout { share: 0.3, max_new_tokens: 2, eos_token_id: Vec::new(), ..rollout() };
    let student = PaddedWith(student(), None);
    let drawn = |step: u64| -> Vec<bool> {
        let written = rollout.write(&student, &rows, 7, step).unwrap();
        written.iter().map(|texts| texts[0].ids.len() == 3).collect()
    };
    let steps: Vec<Vec<bool>> = (0..100).map(drawn).collect();
    let count = steps.iter().flatten().filter(|drawn| **drawn).count();
    assert!(count.abs_diff(1_200) < 87, "{count}");
    assert_ne!(steps[0], steps[1]);
    // Fewer rows are drawn as before.
    let fewer = rollout.write(&student, &rows[..7], 7, 0).unwrap();
    let fewer: Vec<bool> = fewer.iter().map(|texts| texts[0].ids.len() == 3).collect();
    assert_eq!(fewer, steps[0][..7]);
    // Both ends.
    for (share, written) in [(0.0, 0), (1.0, 40)] {
        let all = Rollout { share, ..rollout.clone() }.write(&student, &rows, 7, 0).unwrap();
        assert_eq!(all.iter().filter(|texts| texts[0] != row).count(), written);
    }
}

#[test]
fn the_student_writes_without_dropout() {
    let rows = prompts_and_completions();
    let [drops, does_not] = [0.5, 0.0].map(|dropout| small_lm(DecoderArchitecture::Qwen3, 9, dropout));
    assert_eq!(
        rollout().write(&drops, &rows, 7, 0).unwrap(),
        rollout().write(&does_not, &rows, 7, 0).unwrap()
    );
}
