//! Tokens, starts and ends in a pipeline: the losses read the roles that the ready adaptors give.

use brew_core::execute::Executor;
use brew_core::loss::KdCe;
use brew_core::model::{
    BertForQuestionAnswering, BertForTokenClassification, SpanOutputAdaptor, TokenClassifierOutputAdaptor,
};
use brew_core::pass::Wants;
use brew_core::prelude::*;

use super::support::{difference, head_folder, recorded, span_batch, token_batch};

// `kd` is TextBrewer's kd_ce_loss of the model against itself, and `hard_labels` transformers' loss.
#[test]
fn losses_of_a_pipeline_read_the_roles_of_tokens_and_of_start_and_end() {
    let pass = Pass::evaluation(Wants::nothing());
    let check = |case: &str, terms: Vec<(String, Tensor)>| {
        let golden = recorded(case);
        let names: Vec<_> = terms.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["kd_ce", "hard_labels"]);
        for ((_, found), name) in terms.iter().zip(["kd", "loss"]) {
            let off = difference(found, &golden[name]);
            assert!(off < 1e-5, "{case}: {name} is off by {off:e}");
        }
    };
    for case in ["bert/token", "distilbert/token"] {
        let model = || BertForTokenClassification::from_pretrained(head_folder(case), Device::Cpu).unwrap();
        let (teacher, student) =
            (model().seen_by(TokenClassifierOutputAdaptor), model().seen_by(TokenClassifierOutputAdaptor));
        let pipeline =
            Distill::new(teacher, student).soft_targets(KdCe::at(2.0)).hard_labels(1.0).plan().unwrap();
        let executor = Executor::new(&pipeline, 0).unwrap();
        check(case, executor.run(&token_batch(&recorded(case)), &pass, None).unwrap().terms);
    }
    for case in ["roberta/question", "distilbert/question"] {
        let model = || BertForQuestionAnswering::from_pretrained(head_folder(case), Device::Cpu).unwrap();
        let (teacher, student) = (model().seen_by(SpanOutputAdaptor), model().seen_by(SpanOutputAdaptor));
        let pipeline =
            Distill::new(teacher, student).soft_targets(KdCe::at(2.0)).hard_labels(1.0).plan().unwrap();
        let executor = Executor::new(&pipeline, 0).unwrap();
        check(case, executor.run(&span_batch(&recorded(case)), &pass, None).unwrap().terms);
    }
}
