struct Span(Tensor, Tensor);
///What the parts of [`Span`] mean to distillation.
#[derive(Debug, Clone, Copy, Default)]
struct SpanAdaptor;
impl ::brew_core::adaptor::Adapted for Span {
    type Adaptor = SpanAdaptor;
}
#[automatically_derived]
impl ::brew_core::adaptor::Adaptor for SpanAdaptor {
    type Batch = (Tensor, Tensor, Tensor);
    type Output = Span;
    const ROLES: &'static [&'static str] = &["logits", "labels"];
    const READS_BATCH: bool = false;
    fn read(
        role: &str,
        batch: &Self::Batch,
        output: &Self::Output,
    ) -> ::brew_core::__private::Read {
        let _ = || ::brew_core::__private::labels_follow(
            ::std::vec::Vec::<::brew_core::tch::Tensor>::new(),
            ::std::vec::Vec::<::brew_core::tch::Tensor>::new(),
        );
        match role {
            "logits" => {
                ::brew_core::__private::items([
                    ::brew_core::__private::item(&output.1),
                    ::brew_core::__private::item(&output.0),
                ])
            }
            _ => Self::read_batch(role, batch),
        }
    }
    fn read_batch(role: &str, batch: &Self::Batch) -> ::brew_core::__private::Read {
        match role {
            "labels" => {
                ::brew_core::__private::items([
                    ::brew_core::__private::item(&batch.1),
                    ::brew_core::__private::item(&batch.2),
                ])
            }
            _ => ::core::result::Result::Ok(::core::option::Option::None),
        }
    }
}
#[automatically_derived]
impl ::brew_core::adaptor::Provides<::brew_core::role::Logits> for SpanAdaptor {}
#[automatically_derived]
impl ::brew_core::adaptor::Provides<::brew_core::role::Labels> for SpanAdaptor {}
impl ::brew_core::batch::Output for Span {
    fn map(
        &self,
        change: &mut dyn ::core::ops::FnMut(
            &::brew_core::tch::Tensor,
        ) -> ::brew_core::Result<::brew_core::tch::Tensor>,
    ) -> ::brew_core::Result<Self> {
        ::core::result::Result::Ok(Span {
            0: ::brew_core::batch::Output::map(&self.0, change)?,
            1: ::brew_core::batch::Output::map(&self.1, change)?,
        })
    }
}
