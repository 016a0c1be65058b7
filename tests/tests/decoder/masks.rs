//! Which mask a loss of the next token reads, where the two sides provide different ones.

use brew_core::execute::Executor;
use brew_core::loss::{Chunked, Kl, next_token};
use brew_core::model::{CausalLmBatch, CausalLmOutput, DecoderArchitecture};
use brew_core::pass::Wants;
use brew_core::plan::StageKind;
use brew_core::prelude::*;

use super::denominators::model;
use super::packed::{rows_of, separate};

/// Says only which positions are tokens.
#[derive(Debug)]
struct Masked;

#[adaptor(batch = CausalLmBatch, output = CausalLmOutput)]
impl Masked {
    fn logits(output: &CausalLmOutput) -> &Tensor {
        &output.logits
    }
    fn hidden(output: &CausalLmOutput) -> &[Tensor] {
        &output.hidden_states
    }
    fn output_weight(output: &CausalLmOutput) -> &Tensor {
        &output.output_weight
    }
    fn output_bias() -> Option<Tensor> {
        None
    }
    fn logit_scale() -> Option<Tensor> {
        None
    }
    fn logit_softcap() -> Option<Tensor> {
        None
    }
    fn inputs_mask(batch: &CausalLmBatch) -> &Tensor {
        &batch.attention_mask
    }
}

/// The same, and only the last tokens of each text are to be learned.
#[derive(Debug)]
struct Answering;

#[adaptor(batch = CausalLmBatch, output = CausalLmOutput)]
impl Answering {
    fn logits(output: &CausalLmOutput) -> &Tensor {
        &output.logits
    }
    fn hidden(output: &CausalLmOutput) -> &[Tensor] {
        &output.hidden_states
    }
    fn output_weight(output: &CausalLmOutput) -> &Tensor {
        &output.output_weight
    }
    fn output_bias() -> Option<Tensor> {
        None
    }
    fn logit_scale() -> Option<Tensor> {
        None
    }
    fn logit_softcap() -> Option<Tensor> {
        None
    }
    fn inputs_mask(batch: &CausalLmBatch) -> &Tensor {
        &batch.attention_mask
    }
    fn logits_mask(batch: &CausalLmBatch) -> Result<Option<Tensor>> {
        let places = Tensor::f_cumsum(&batch.attention_mask, 1, Kind::Int64)?;
        Ok(Some(places.f_gt(2)?.f_to_kind(Kind::Int64)?.f_mul(&batch.attention_mask)?))
    }
}

/// The value of the loss between two models of which each side's adaptor is chosen.
macro_rules! value {
    ($teacher:ident, $student:ident, $loss:expr) => {{
        let architecture = DecoderArchitecture::Llama;
        let teacher = model(5, architecture).seen_by($teacher);
        let student = model(9, architecture).seen_by($student);
        let plan = Distill::new(teacher, student).soft_targets(next_token($loss)).plan().unwrap();
        let executor = Executor::new(&plan, 0).unwrap();
        let batch = separate();
        executor.probe(&batch).unwrap();
        let pass = Pass::evaluation(Wants::nothing());
        executor.run(&batch, &pass, None).unwrap().total.double_value(&[])
    }};
}

// Which tokens there are was compared with which of them count.
#[test]
fn a_side_that_says_only_which_positions_are_tokens_fits_one_that_says_which_count() {
    let loss = || Kl::at(2.0);
    let chunked = || Chunked::of(Kl::at(2.0)).rows(5);
    let (all, answers) = (value!(Masked, Masked, loss()), value!(Answering, Answering, loss()));
    assert!((all - answers).abs() > 1e-3, "{all} and {answers}");
    for (found, expected) in [
        (value!(Masked, Answering, loss()), answers),
        (value!(Answering, Masked, loss()), all),
        (value!(Masked, Answering, chunked()), answers),
        (value!(Answering, Masked, chunked()), all),
    ] {
        assert!((found - expected).abs() < 1e-5, "{found} of {expected}");
    }
}

#[test]
fn a_plan_says_that_the_next_tokens_are_averaged_where_the_inputs_mask_is_the_only_one() {
    let architecture = DecoderArchitecture::Llama;
    let (teacher, student) = (model(5, architecture).seen_by(Masked), model(9, architecture).seen_by(Masked));
    let plan = Distill::new(teacher, student).soft_targets(next_token(Kl::at(2.0))).plan().unwrap();
    let averages = plan.plan().stages().filter_map(|(_, stage)| match &stage.kind {
        StageKind::Loss(loss) => Some(format!("{:?}", loss.average)),
        _ => None,
    });
    assert_eq!(averages.collect::<Vec<_>>(), ["Tokens"]);
}

#[test]
fn labels_of_one_token_leave_nothing_to_predict_and_say_so() {
    let architecture = DecoderArchitecture::Llama;
    let start = Distill::new(model(5, architecture).seen(), model(9, architecture).seen());
    let plan = start.soft_targets(next_token(Kl::at(2.0)).with_probability_shift()).plan().unwrap();
    let one = rows_of(&separate(), 0, 2);
    let one = brew_core::batch::Batch::map(&one, &mut |_, tensor| Ok(tensor.narrow(1, 0, 1))).unwrap();
    let told = Executor::new(&plan, 0).unwrap().probe(&one).unwrap_err().to_string();
    assert!(told.contains("with a length of two or more"), "{told}");
}
