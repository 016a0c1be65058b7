//! A student with two heads on one body, each with its own batch type, and its two teachers.

use std::path::Path;

use brew_core::distill::{student_layer, teacher_layer};
use brew_core::loss::{HiddenMse, KdCe};
use brew_core::plan::Projection;
use brew_core::prelude::*;
use brew_core::semantics::Semantics;
use tests::drawn;

/// Reviews of movies: two classes.
#[derive(Batch, Debug)]
pub(crate) struct Movie {
    #[column(i64, pad = 0)]
    pub(crate) words: Tensor, // (batch, length)
    #[column(i64)]
    pub(crate) labels: Tensor, // (batch,)
}

/// Products, by numbers rather than words: five classes, and no label.
#[derive(Batch, Debug)]
pub(crate) struct Product {
    #[column(f64)]
    pub(crate) numbers: Tensor, // (batch, 4)
}

#[distill(batch = Movie, labels = labels)]
pub(crate) struct OfMovie {
    #[role(logits)]
    logits: Tensor,
    #[role(hidden)]
    hidden: Vec<Tensor>,
    #[role(losses)]
    loss: Tensor,
}

#[distill(batch = Product)]
pub(crate) struct OfProduct {
    #[role(logits)]
    logits: Tensor,
    #[role(hidden)]
    hidden: Vec<Tensor>,
}

/// What both heads share.
pub(crate) struct Body {
    words: Tensor,
    numbers: Tensor,
    middle: Tensor,
}

fn normal(seed: i64, size: [i64; 2]) -> Tensor {
    drawn(seed, &size).set_requires_grad(true)
}

impl Body {
    pub(crate) fn new(width: i64, seed: i64) -> Self {
        let seed = 10 * seed;
        Body {
            words: normal(seed, [12, width]),
            numbers: normal(seed + 1, [4, width]),
            middle: normal(seed + 2, [width, width]),
        }
    }

    fn handle(&self) -> Self {
        let [words, numbers, middle] = [&self.words, &self.numbers, &self.middle].map(Tensor::shallow_clone);
        Body { words, numbers, middle }
    }

    fn parameters(&self) -> impl Iterator<Item = (String, Tensor)> {
        [("words", &self.words), ("numbers", &self.numbers), ("middle", &self.middle)]
            .map(|(name, tensor)| (format!("body.{name}"), tensor.shallow_clone()))
            .into_iter()
    }
}

/// The body with the head for movies.
pub(crate) struct MovieModel(pub(crate) Body, Tensor);
/// The body with the head for products.
pub(crate) struct ProductModel(pub(crate) Body, Tensor);

impl MovieModel {
    pub(crate) fn on(body: &Body) -> Self {
        let width = body.middle.size()[0];
        MovieModel(body.handle(), normal(101, [width, 2]))
    }
}

impl ProductModel {
    pub(crate) fn on(body: &Body) -> Self {
        let width = body.middle.size()[0];
        ProductModel(body.handle(), normal(102, [width, 5]))
    }
}

#[distill(batch = Movie)]
impl MovieModel {
    fn forward(&self, words: &Tensor, labels: &Tensor, _: &Pass) -> Result<OfMovie> {
        let words = Tensor::f_embedding(&self.0.words, words, -1, false, false)?;
        let state = words.f_matmul(&self.0.middle)?.f_tanh()?;
        let logits = state.f_mean_dim(1, false, None)?.f_matmul(&self.1)?;
        let loss = logits.f_cross_entropy_loss(
            labels,
            None::<&Tensor>,
            brew_core::tch::Reduction::None,
            -100,
            0.0,
        )?;
        Ok(OfMovie { logits, hidden: vec![words, state], loss })
    }
}

#[distill(batch = Product)]
impl ProductModel {
    fn forward(&self, numbers: &Tensor, _: &Pass) -> Result<OfProduct> {
        let numbers = numbers.f_matmul(&self.0.numbers)?.f_unsqueeze(1)?;
        let state = numbers.f_matmul(&self.0.middle)?.f_tanh()?;
        let logits = state.f_squeeze_dim(1)?.f_matmul(&self.1)?;
        Ok(OfProduct { logits, hidden: vec![numbers, state] })
    }
}

fn write(folder: &Path, what: &str) -> Result<()> {
    brew_core::disk::write(&folder.join("model.txt"), what.as_bytes())
}

impl Model for MovieModel {
    fn parameters(&self) -> Parameters {
        Parameters::new(self.0.parameters().chain([("head".to_owned(), self.1.shallow_clone())]))
    }
    fn save(&self, folder: &Path) -> Result<()> {
        write(folder, "movies")
    }
}

impl Model for ProductModel {
    fn parameters(&self) -> Parameters {
        Parameters::new(self.0.parameters().chain([("head".to_owned(), self.1.shallow_clone())]))
    }
    fn save(&self, folder: &Path) -> Result<()> {
        write(folder, "products")
    }
}

pub(crate) fn movies(batches: usize, rows: i64) -> Vec<Movie> {
    (0..batches)
        .map(|batch| {
            let words = drawn(300 + batch as i64, &[rows, 5]);
            let words = (words * 1000.0).to_kind(Kind::Int64).remainder(12);
            let labels = words.select(1, 0).remainder(2);
            Movie { words, labels }
        })
        .collect()
}

pub(crate) fn products(batches: usize, rows: i64) -> Vec<Product> {
    (0..batches).map(|batch| Product { numbers: drawn(400 + batch as i64, &[rows, 4]) }).collect()
}

/// The two tasks over one student body, with a match and its projection in both.
pub(crate) fn pipelines(
    semantics: Semantics,
) -> (Pipeline<Movie, OfMovieAdaptor>, Pipeline<Product, OfProductAdaptor>, Body) {
    let (teacher, student) = (Body::new(8, 0), Body::new(6, 1));
    let of_movies = Distill::new(
        MovieModel::on(&teacher).seen_by(OfMovieAdaptor),
        MovieModel::on(&student).seen_by(OfMovieAdaptor),
    )
    .semantics(semantics)
    .soft_targets(KdCe::at(2.0))
    .matching(hidden(teacher_layer(1), student_layer(1)).by(HiddenMse).project(Projection::linear(6, 8)))
    .hard_labels(0.5)
    .plan()
    .unwrap();
    let of_products = Distill::new(
        ProductModel::on(&teacher).seen_by(OfProductAdaptor),
        ProductModel::on(&student).seen_by(OfProductAdaptor),
    )
    .semantics(semantics)
    .soft_targets(KdCe::at(2.0))
    .matching(hidden(teacher_layer(1), student_layer(1)).by(HiddenMse).project(Projection::linear(6, 8)))
    .plan()
    .unwrap();
    (of_movies, of_products, student)
}
