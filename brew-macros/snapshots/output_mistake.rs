struct Prediction {
    logits: Tensor,
}
///What the parts of [`Prediction`] mean to distillation.
#[derive(Debug, Clone, Copy, Default)]
struct PredictionAdaptor;
::core::compile_error! {
    "`logit` is not a role; did you mean `logits`?"
}
impl ::brew_core::adaptor::Adapted for Prediction {
    type Adaptor = PredictionAdaptor;
}
#[automatically_derived]
impl ::brew_core::adaptor::Adaptor for PredictionAdaptor {
    type Batch = Review;
    type Output = Prediction;
    const ROLES: &'static [&'static str] = &[];
    fn read(_: &str, _: &Self::Batch, _: &Self::Output) -> ::brew_core::__private::Read {
        ::core::result::Result::Ok(::core::option::Option::None)
    }
    fn read_batch(_: &str, _: &Self::Batch) -> ::brew_core::__private::Read {
        ::core::result::Result::Ok(::core::option::Option::None)
    }
}
#[automatically_derived]
impl<AnyRole: ::brew_core::role::Role> ::brew_core::adaptor::Provides<AnyRole>
for PredictionAdaptor {}
