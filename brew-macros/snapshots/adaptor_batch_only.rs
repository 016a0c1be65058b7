impl<T> View<T> {
    fn inputs_mask(batch: &Review) -> &Tensor {
        &batch.attention_mask
    }
}
#[automatically_derived]
impl<T: 'static> ::brew_core::adaptor::Adaptor for View<T> {
    type Batch = Review;
    type Output = Prediction;
    const ROLES: &'static [&'static str] = &["inputs_mask"];
    const READS_BATCH: bool = false;
    fn read(
        role: &str,
        batch: &Self::Batch,
        _: &Self::Output,
    ) -> ::brew_core::__private::Read {
        Self::read_batch(role, batch)
    }
    fn read_batch(role: &str, batch: &Self::Batch) -> ::brew_core::__private::Read {
        match role {
            "inputs_mask" => {
                ::brew_core::__private::feature(<View<T>>::inputs_mask(batch))
            }
            _ => ::core::result::Result::Ok(::core::option::Option::None),
        }
    }
}
#[automatically_derived]
impl<T: 'static> ::brew_core::adaptor::Provides<::brew_core::role::InputsMask>
for View<T> {}
