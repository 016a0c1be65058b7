//! What the macros' expansions do with tensors: the right one for every role and every argument.
//!
//! A tensor is known again by where its data lies, which nothing here computes.

use brew_core::batch::{Columns, FromColumns};
use brew_core::pass::Wants;
use brew_core::prelude::*;

struct Names;
impl role::Role for Names {
    const NAME: &'static str = "names";
}

#[derive(Batch)]
struct Paragraph {
    #[column(i64, pad = 0)]
    input_ids: Tensor,
    #[column(f32, pad = 0.5)]
    names: Tensor,
    #[column(i64)]
    start: Option<Tensor>,
    #[column(i64)]
    end: Option<Tensor>,
}

#[distill(batch = Paragraph, labels = [start, end], self::Names = names)]
struct Answer {
    #[role(logits, item = 1)]
    end: Tensor,
    #[role(logits, item = 0)]
    start: Tensor,
    #[role(hidden)]
    hidden: [Tensor; 2],
    #[role(losses)]
    loss: Option<Tensor>,
}

struct Reader;

#[distill(batch = Paragraph)]
impl Reader {
    fn forward(
        &self,
        start: Option<&Tensor>,
        names: Option<&Tensor>,
        pass: &Pass,
        input_ids: &Tensor,
    ) -> Answer {
        let share = |tensor: Option<&Tensor>| tensor.map_or_else(Tensor::new, Tensor::shallow_clone);
        assert_eq!(pass.step(), 7);
        Answer {
            start: input_ids.shallow_clone(),
            end: share(names),
            hidden: [share(start), share(names)],
            loss: None,
        }
    }
}

struct Pair;

#[distill(batch = (Tensor, Option<Tensor>, Tensor), labels = 1)]
struct Scores {
    #[role(logits)]
    logits: Tensor,
}

#[distill(batch = (Tensor, Option<Tensor>, Tensor))]
impl Pair {
    fn forward(&self, _first: &Tensor, second: Option<&Tensor>, third: &Tensor) -> Result<Scores> {
        match second {
            Some(_) => Ok(Scores { logits: third.shallow_clone() }),
            None => Err(Error::invalid("the second column is absent")),
        }
    }
}

struct View;

#[adaptor(batch = Paragraph, output = Answer)]
impl View {
    fn logits(_: &Paragraph, answer: &Answer) -> Result<Tensor> {
        Ok(answer.start.shallow_clone())
    }
    fn labels(batch: &Paragraph) -> Option<&Tensor> {
        batch.end.as_ref()
    }
    #[role(self::Names)]
    fn both(batch: &Paragraph, _output: &Answer) -> Vec<Tensor> {
        vec![batch.input_ids.shallow_clone(), batch.names.shallow_clone()]
    }
}

fn tensor(value: i64) -> Tensor {
    Tensor::from_slice(&[value, value])
}

fn paragraph() -> Paragraph {
    Paragraph { input_ids: tensor(1), names: tensor(2), start: Some(tensor(3)), end: Some(tensor(4)) }
}

fn places(value: Option<brew_core::feature::Feature>) -> Option<Vec<usize>> {
    value.map(|feature| feature.into_tensors().iter().map(place).collect())
}

fn place(tensor: &Tensor) -> usize {
    tensor.data_ptr() as usize
}

fn run(batch: &Paragraph) -> Result<Answer> {
    Reader.run(batch, &Pass::training(7, Wants::nothing()))
}

#[test]
fn arguments_are_columns_by_name_and_the_pass_by_type() {
    let batch = paragraph();
    let answer = run(&batch).expect("a forward pass");
    assert_eq!(place(&answer.start), place(&batch.input_ids));
    assert_eq!(place(&answer.end), place(&batch.names));
    assert_eq!(Some(place(&answer.hidden[0])), batch.start.as_ref().map(place));
}

#[test]
fn arguments_over_a_tuple_are_columns_by_position() {
    let pass = Pass::evaluation(Wants::nothing());
    let batch = (tensor(1), Some(tensor(2)), tensor(3));
    let scores = Pair.run(&batch, &pass).expect("a forward pass");
    assert_eq!(place(&scores.logits), place(&batch.2));
    let labels = ScoresAdaptor::read_batch("labels", &batch).expect("labels");
    assert_eq!(places(labels), batch.1.as_ref().map(|labels| vec![place(labels)]));
    let without = Pair.run(&(tensor(1), None, tensor(3)), &pass);
    assert_eq!(without.err().map(|error| error.to_string()).as_deref(), Some("the second column is absent"));
}

#[test]
fn each_role_is_read_from_its_field_or_column_and_items_in_their_order() {
    let batch = paragraph();
    let answer = run(&batch).expect("a forward pass");
    let read = |role| places(AnswerAdaptor::read(role, &batch, &answer).expect("a role"));
    let here = |tensors: &[&Tensor]| Some(tensors.iter().map(|tensor| place(tensor)).collect());
    assert_eq!(AnswerAdaptor::ROLES, ["logits", "hidden", "losses", "labels", "names"]);
    assert_eq!(read("logits"), here(&[&answer.start, &answer.end]));
    assert_eq!(read("hidden"), here(&[&answer.hidden[0], &answer.hidden[1]]));
    assert_eq!(read("names"), here(&[&batch.names]));
    assert_eq!(read("labels").map(|labels| labels[1]), batch.end.as_ref().map(place));
    assert_eq!(read("losses"), None, "an absent value");
    assert_eq!(read("attention"), None, "a role that the adaptor lacks");
}

#[test]
fn the_batch_alone_answers_exactly_the_roles_that_come_from_it() {
    let batch = paragraph();
    let read = |role| places(AnswerAdaptor::read_batch(role, &batch).expect("a role"));
    let known: Vec<_> = AnswerAdaptor::ROLES.iter().filter(|role| read(role).is_some()).collect();
    assert_eq!(known, [&"labels", &"names"]);
    let read = |role| places(View::read_batch(role, &batch).expect("a role"));
    let known: Vec<_> = View::ROLES.iter().filter(|role| read(role).is_some()).collect();
    assert_eq!(known, [&"labels"], "`both` takes the output, though it does not read it");
}

#[test]
fn a_list_of_labels_is_absent_where_one_of_its_columns_is() {
    let batch = Paragraph { end: None, ..paragraph() };
    assert_eq!(places(AnswerAdaptor::read_batch("labels", &batch).expect("labels")), None);
}

#[test]
fn functions_of_an_adaptor_are_given_the_batch_and_the_output() {
    let batch = paragraph();
    let answer = run(&batch).expect("a forward pass");
    let read = |role| places(View::read(role, &batch, &answer).expect("a role"));
    assert_eq!(read("logits"), Some(vec![place(&answer.start)]));
    assert_eq!(read("labels"), batch.end.as_ref().map(|end| vec![place(end)]));
    assert_eq!(read("names"), Some(vec![place(&batch.input_ids), place(&batch.names)]));
}

#[test]
fn a_batch_is_filled_from_columns_and_says_what_it_lacks() {
    let columns = |names: &[&str]| {
        let mut columns = Columns::new();
        for (value, name) in names.iter().enumerate() {
            columns.insert(*name, tensor(value as i64));
        }
        columns
    };
    let batch =
        Paragraph::from_columns(&mut columns(&["names", "input_ids", "end", "more"])).expect("a batch");
    assert_eq!(batch.input_ids, tensor(1));
    assert!(batch.start.is_none());
    let present: Vec<_> = batch.tensors().into_iter().map(|(name, _)| name).collect();
    assert_eq!(present, ["input_ids", "names", "end"]);
    let doubled = batch.map(&mut |_, tensor| Ok(tensor.f_add(tensor)?)).expect("a batch");
    assert_eq!((doubled.names, doubled.end), (tensor(0), Some(tensor(4))));
    let lacking = Paragraph::from_columns(&mut columns(&["input_ids", "name"])).err();
    let message = lacking.map(|error| error.to_string()).unwrap_or_default();
    assert_eq!(message, "the batch needs the column `names`, which the data lacks; did you mean `name`?");
}

#[test]
fn columns_carry_dtype_pad_and_whether_they_may_be_absent() {
    let declared: Vec<_> = Paragraph::COLUMNS
        .iter()
        .map(|column| (column.name, column.kind, column.pad, column.optional))
        .collect();
    assert_eq!(
        declared,
        [
            ("input_ids", Kind::Int64, Some(0.0), false),
            ("names", Kind::Float, Some(0.5), false),
            ("start", Kind::Int64, None, true),
            ("end", Kind::Int64, None, true),
        ]
    );
}
