//! One expansion a macro and form.

use expect_test::expect_file;
use quote::quote;

use super::formatted;
use crate::{adaptor, batch, distill};

#[test]
fn an_output_struct_gains_an_adaptor_made_of_its_roles() {
    let expansion = distill::expand(
        quote!(batch = Review, inputs_mask = attention_mask, labels = labels),
        quote! {
            /// What one forward pass returns.
            #[derive(Debug)]
            pub struct Prediction {
                /// `(batch, classes)`.
                #[role(logits)]
                pub logits: Tensor,
                #[role(hidden)]
                hidden_states: Vec<Tensor>,
                #[role(losses)]
                #[role(my::PerExample)]
                loss: Option<Tensor>,
                seconds: f64,
            }
        },
    );
    expect_file!["../../snapshots/output_struct.rs"].assert_eq(&formatted(expansion));
}

#[test]
fn items_become_a_list_in_the_order_of_their_numbers() {
    let expansion = distill::expand(
        quote!(batch = (Tensor, Tensor, Tensor), labels = [1, 2]),
        quote! {
            struct Span(#[role(logits, item = 1)] Tensor, #[role(logits, item = 0)] Tensor);
        },
    );
    expect_file!["../../snapshots/output_items.rs"].assert_eq(&formatted(expansion));
}

#[test]
fn an_output_struct_with_a_mistake_keeps_the_struct_and_provides_every_role() {
    let expansion = distill::expand(
        quote!(batch = Review),
        quote! {
            struct Prediction {
                #[role(logit)]
                logits: Tensor,
            }
        },
    );
    expect_file!["../../snapshots/output_mistake.rs"].assert_eq(&formatted(expansion));
}

#[test]
fn forward_over_a_struct_is_called_with_columns_by_name() {
    let expansion = distill::expand(
        quote!(batch = Review),
        quote! {
            impl<E: Encoder> Classifier<E> {
                /// One forward pass.
                fn forward(&self, pass: &Pass, ids: &Tensor, labels: Option<&Tensor>) -> Result<Prediction> {
                    todo!()
                }
            }
        },
    );
    expect_file!["../../snapshots/forward_struct.rs"].assert_eq(&formatted(expansion));
}

#[test]
fn forward_over_a_tuple_is_called_with_columns_by_position() {
    let expansion = distill::expand(
        quote!(batch = (Tensor, Option<Tensor>)),
        quote! {
            impl Classifier {
                fn forward(&self, ids: &Tensor, settings: &Pass, _: Option<&Tensor>) -> Prediction {
                    todo!()
                }
            }
        },
    );
    expect_file!["../../snapshots/forward_tuple.rs"].assert_eq(&formatted(expansion));
}

#[test]
fn an_adaptor_reads_one_function_a_role() {
    let expansion = adaptor::expand(
        quote!(),
        quote! {
            impl StudentView {
                fn logits(output: &Prediction) -> &Tensor {
                    &output.logits
                }
                #[role(my::Pooled)]
                fn pooled(_batch: &Review, p: &Prediction) -> Tensor {
                    p.pooled()
                }
                fn labels(batch: &Review) -> &Tensor {
                    &batch.labels
                }
                #[role(my::Length)]
                fn lengths(batch: &Review) -> Tensor {
                    batch.lengths()
                }
            }
        },
    );
    expect_file!["../../snapshots/adaptor.rs"].assert_eq(&formatted(expansion));
}

#[test]
fn an_adaptor_over_the_batch_alone_reads_no_output() {
    let expansion = adaptor::expand(
        quote!(batch = Review, output = Prediction),
        quote! {
            impl<T> View<T> {
                fn inputs_mask(batch: &Review) -> &Tensor {
                    &batch.attention_mask
                }
            }
        },
    );
    expect_file!["../../snapshots/adaptor_batch_only.rs"].assert_eq(&formatted(expansion));
}

#[test]
fn a_batch_is_made_of_columns() {
    let expansion = batch::expand(quote! {
        struct Review {
            #[column(i64, pad = -100)]
            ids: Tensor,
            #[column(bf16, nested)]
            r#type: Option<Tensor>,
        }
    });
    expect_file!["../../snapshots/batch.rs"].assert_eq(&formatted(expansion));
}
