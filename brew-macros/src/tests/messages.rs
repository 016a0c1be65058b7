//! Mistakes come all at once, and no input makes a macro panic.

use proc_macro2::TokenStream;
use quote::quote;

use super::messages;
use crate::{adaptor, batch, distill};

#[test]
fn all_mistakes_of_one_output_come_at_once() {
    let messages = messages(distill::expand(
        quote!(inputs_maks = attention_mask, logits_mask = mask),
        quote! {
            struct Prediction {
                #[role(hiden)]
                hidden: Vec<Tensor>,
                #[role(losses)]
                loss: Tensor,
                #[role(losses)]
                other: Tensor,
            }
        },
    ));
    let starts = [
        "`inputs_maks` cannot be set here; did you mean `inputs_mask`?",
        "`hiden` is not a role; did you mean `hidden`?",
        "a `logits_mask` needs the `logits`",
        "`losses` is given twice",
        "`losses` is given here first",
        "`#[distill]` needs the batch",
    ];
    assert_eq!(messages.len(), starts.len(), "{messages:#?}");
    for (message, start) in messages.iter().zip(starts) {
        assert!(message.starts_with(start), "{message:?} should start with {start:?}");
    }
}

#[test]
fn a_pad_is_refused_exactly_where_the_dtype_cannot_hold_it() {
    // The limits are those of the formats: two's complement, IEEE 754 binary16 and binary32, and
    // bfloat16 (8 bits of exponent, 7 of mantissa: 3.3895313892515355e38 at most).
    let held = [
        quote!(i64, pad = -9007199254740992),
        quote!(i8, pad = -128),
        quote!(u8, pad = 255),
        quote!(f16, pad = 65504.0),
        quote!(bf16, pad = 3.3895313892515355e38),
        quote!(f32, pad = 3.4028234663852886e38),
        quote!(i16, pad = 2.0),
        quote!(bool, pad = true),
        quote!(bf16, nested),
        quote!(i64, nested, pad = 0),
        quote!(i64, pad = 0, nested),
    ];
    let refused = [
        quote!(i64, pad = 9007199254740994),
        quote!(i8, pad = 128),
        quote!(u8, pad = -1),
        quote!(f16, pad = 65505.0),
        quote!(bf16, pad = 3.39e38),
        quote!(f32, pad = -3.5e38),
        quote!(i16, pad = 2.5),
        quote!(bool, pad = 2),
        quote!(i64, nested, nested),
        quote!(i64, pad = 0, pad = 0),
        quote!(i64, nests),
    ];
    let problems = |column: &TokenStream| {
        messages(batch::expand(quote!(
            struct Row {
                #[column(#column)]
                column: Tensor,
            }
        )))
        .len()
    };
    for column in &held {
        assert_eq!(problems(column), 0, "{column}");
    }
    for column in &refused {
        assert_eq!(problems(column), 1, "{column}");
    }
}

#[test]
fn no_input_panics_and_the_item_is_always_there() {
    let items = [
        quote!(
            struct Here;
        ),
        quote!(
            struct Here(#[role] Tensor, #[role(logits, item)] Tensor, #[role(logits hidden)] Tensor);
        ),
        quote!(
            struct Here {
                #[role = "logits"]
                logits: Tensor,
                #[role()]
                hidden: Tensor,
            }
        ),
        quote!(
            enum Here {
                A,
            }
        ),
        quote!(
            fn Here() {}
        ),
        quote!(impl Here {}),
        quote!(impl Here { fn forward() -> Result; }),
        quote!(impl Here { fn forward(&mut self, (a, b): (&Tensor, &Tensor)) -> impl Sized { 1 } }),
        quote!(impl Here { #[role] #[role(x)] fn logits(self, _: u8, output: u8) {} }),
        quote!(impl Here { fn hidden(batch: &'static [u8]) -> ! { loop {} } }),
    ];
    let arguments = [
        quote!(),
        quote!(batch),
        quote!(batch =),
        quote!(batch = Review output = Prediction),
        quote!(batch = Review, batch = Other),
        quote!(batch = (), output = (), labels = 3),
        quote!(= , =),
        quote!(batch = Review, labels = [], logits = [a b]),
        quote!("batch"),
    ];
    for item in &items {
        for arguments in &arguments {
            for expand in [distill::expand, adaptor::expand] {
                let expansion = expand(arguments.clone(), item.clone()).to_string();
                assert!(expansion.contains("Here"), "{arguments} on {item} lost the item");
            }
        }
        let _ = batch::expand(item.clone());
    }
}
