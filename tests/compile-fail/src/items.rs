//! Several fields, or several columns, of one role: a list in the order of the items. And an output
//! that a user's own macro writes.

use brew_core::prelude::*;

/// A paragraph and where the answer in it begins and ends.
#[derive(Debug, Batch)]
pub struct Paragraph {
    #[column(i32, pad = 0)]
    input_ids: Tensor,
    #[column(i64)]
    start_position: Option<Tensor>,
    #[column(i64)]
    end_position: Option<Tensor>,
}

/// Start and end of a span: two fields of one role.
#[distill(batch = Paragraph, labels = [start_position, end_position])]
#[derive(Debug)]
pub struct Span {
    #[role(logits, item = 1)]
    end: Tensor,
    #[role(logits, item = 0)]
    start: Tensor,
}

/// Answers questions.
#[derive(Debug)]
pub struct Reader;

#[distill(batch = Paragraph)]
impl Reader {
    fn forward(&self, input_ids: &Tensor) -> Span {
        Span { end: input_ids.shallow_clone(), start: input_ids.shallow_clone() }
    }
}

impl Model for Reader {
    fn parameters(&self) -> Parameters {
        Parameters::default()
    }
}

macro_rules! output {
    ($batch:ty, $name:ident, $view:ident, $column:ident, $field:ident: $type:ty) => {
        /// An output of a user's own macro.
        #[distill(batch = $batch, inputs_mask = $column)]
        #[derive(Debug)]
        pub struct $name {
            #[role(logits)]
            $field: $type,
        }

        /// An adaptor of a user's own macro.
        #[derive(Debug)]
        pub struct $view;

        #[adaptor(batch = $batch, output = $name)]
        impl $view {
            fn logits(output: &$name) -> &$type {
                &output.$field
            }
            fn inputs_mask(batch: &$batch) -> &Tensor {
                &batch.$column
            }
        }
    };
}

output!(Paragraph, FromMacro, FromMacroView, input_ids, scores: Vec<Tensor>);

/// Model and adaptor fit.
pub fn seen() -> Seen<SpanAdaptor> {
    Reader.seen_by(SpanAdaptor)
}
