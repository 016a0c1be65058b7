impl StudentView {
    fn logits(output: &Prediction) -> &Tensor {
        &output.logits
    }
    fn pooled(_batch: &Review, p: &Prediction) -> Tensor {
        p.pooled()
    }
    fn labels(batch: &Review) -> &Tensor {
        &batch.labels
    }
    fn lengths(batch: &Review) -> Tensor {
        batch.lengths()
    }
}
#[automatically_derived]
impl ::brew_core::adaptor::Adaptor for StudentView {
    type Batch = Review;
    type Output = Prediction;
    const ROLES: &'static [&'static str] = &[
        "logits",
        <my::Pooled as ::brew_core::role::Role>::NAME,
        "labels",
        <my::Length as ::brew_core::role::Role>::NAME,
    ];
    const READS_BATCH: bool = true;
    fn read(
        role: &str,
        batch: &Self::Batch,
        output: &Self::Output,
    ) -> ::brew_core::__private::Read {
        let _ = || ::brew_core::__private::labels_follow(
            <StudentView>::logits(output),
            <StudentView>::labels(batch),
        );
        match role {
            "logits" => ::brew_core::__private::feature(<StudentView>::logits(output)),
            role if role == Self::ROLES[1usize] => {
                ::brew_core::__private::feature(<StudentView>::pooled(batch, output))
            }
            _ => Self::read_batch(role, batch),
        }
    }
    fn read_batch(role: &str, batch: &Self::Batch) -> ::brew_core::__private::Read {
        match role {
            "labels" => ::brew_core::__private::feature(<StudentView>::labels(batch)),
            role if role == Self::ROLES[3usize] => {
                ::brew_core::__private::feature(<StudentView>::lengths(batch))
            }
            _ => ::core::result::Result::Ok(::core::option::Option::None),
        }
    }
}
#[automatically_derived]
impl ::brew_core::adaptor::Provides<::brew_core::role::Logits> for StudentView {}
#[automatically_derived]
impl ::brew_core::adaptor::Provides<my::Pooled> for StudentView {}
#[automatically_derived]
impl ::brew_core::adaptor::Provides<::brew_core::role::Labels> for StudentView {}
#[automatically_derived]
impl ::brew_core::adaptor::Provides<my::Length> for StudentView {}
