impl<E: Encoder> Classifier<E> {
    /// One forward pass.
    fn forward(
        &self,
        pass: &Pass,
        ids: &Tensor,
        labels: Option<&Tensor>,
    ) -> Result<Prediction> {
        todo!()
    }
}
#[automatically_derived]
impl<E: Encoder + 'static> ::brew_core::model::Forward<Review> for Classifier<E> {
    type Output = Prediction;
    fn run(
        &self,
        batch: &Review,
        pass: &::brew_core::pass::Pass,
    ) -> ::brew_core::Result<Prediction> {
        ::brew_core::__private::returned(
            Self::forward(
                self,
                pass,
                ::brew_core::__private::argument(&batch.ids),
                ::brew_core::__private::argument(&batch.labels),
            ),
        )
    }
    fn reads(&self) -> ::core::option::Option<::std::vec::Vec<::std::string::String>> {
        ::core::option::Option::Some(::std::vec!["ids".to_owned(), "labels".to_owned()])
    }
}
