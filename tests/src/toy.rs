//! A model of a few numbers, annotated as a user would, for tests of the plan and the loop.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use brew_core::pass::Wants;
use brew_core::prelude::*;

/// A batch of token numbers.
#[derive(Batch, Debug)]
pub struct Sentence {
    /// `(batch, length)`.
    #[column(i64, pad = 0)]
    pub tokens: Tensor,
    /// `(batch, length)`, 0 or 1.
    #[column(i64, pad = 0)]
    pub mask: Tensor,
    /// `(batch,)`.
    #[column(i64)]
    pub labels: Option<Tensor>,
}

/// What the toy returns.
#[distill(batch = Sentence, inputs_mask = mask, labels = labels)]
#[derive(Debug)]
pub struct ToyOutput {
    /// `(batch, classes)`.
    #[role(logits)]
    pub logits: Tensor,
    /// Layers + 1 of `(batch, length, width)`.
    #[role(hidden)]
    pub hidden: Vec<Tensor>,
    /// Layers of `(batch, 1, length, length)`.
    #[role(attention)]
    pub attention: Vec<Tensor>,
    /// `(batch,)`.
    #[role(losses)]
    pub loss: Option<Tensor>,
}

/// What a toy saw of one pass.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// Whether it trained.
    pub training: bool,
    /// Which features were requested.
    pub wants: Wants,
}

/// How often something ran, counted by a model and read by its test.
#[derive(Debug, Clone, Default)]
pub struct Count(Arc<AtomicUsize>);

impl Count {
    /// One more.
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it has run so far.
    pub fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Wishes for these roles.
pub fn wants(roles: &[&str]) -> Wants {
    roles.iter().fold(Wants::nothing(), |wants, role| wants.and_role(*role))
}

/// Keeps tests that draw random numbers apart: libtorch's generator belongs to the whole process.
pub fn alone() -> MutexGuard<'static, ()> {
    static GENERATOR: Mutex<()> = Mutex::new(());
    GENERATOR.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Normal numbers of deviation 0.5 in float64, from a seed alone: whatever other tests draw from libtorch's
/// generator meanwhile.
pub fn drawn(seed: i64, size: &[i64]) -> Tensor {
    Numbers::from(seed).tensor(size)
}

/// Embeddings, a few tanh layers, and a head over the mean of what the mask keeps; float64.
#[derive(Debug)]
pub struct Toy {
    embeddings: Tensor,
    layers: Vec<Tensor>,
    head: Tensor,
    dropout: f64,
    sparse: bool,
    /// Panics when attention maps are asked for.
    pub refuses_attention: bool,
    /// What each pass asked for.
    pub passes: Arc<Mutex<Vec<Probe>>>,
}

impl Toy {
    /// A toy with this many layers of this width, for 12 tokens and 3 classes.
    pub fn new(layers: usize, width: i64, seed: i64) -> Self {
        let mut numbers = Numbers::from(seed);
        let mut normal = |size: [i64; 2]| numbers.tensor(&size).set_requires_grad(true);
        Toy {
            embeddings: normal([12, width]),
            layers: (0..layers).map(|_| normal([width, width])).collect(),
            head: normal([width, 3]),
            dropout: 0.0,
            sparse: false,
            refuses_attention: false,
            passes: Arc::default(),
        }
    }

    /// The same with dropout after each layer.
    #[must_use]
    pub fn with_dropout(self, dropout: f64) -> Self {
        Toy { dropout, ..self }
    }

    /// The same whose embeddings have sparse gradients where the pass allows it.
    #[must_use]
    pub fn with_sparse_gradients(self) -> Self {
        Toy { sparse: true, ..self }
    }
}

#[distill(batch = Sentence)]
impl Toy {
    /// One pass.
    pub fn forward(
        &self,
        tokens: &Tensor,
        mask: &Tensor,
        labels: Option<&Tensor>,
        pass: &Pass,
    ) -> Result<ToyOutput> {
        self.passes
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(Probe { training: pass.is_training(), wants: pass.wants().clone() });
        assert!(
            !(self.refuses_attention && pass.wants().role::<role::Attention>()),
            "nobody matches attention maps, and yet they were asked for"
        );
        let count = self.layers.len() + 1;
        let keep = |state: &Tensor, index: usize| match pass.wants().layer::<role::Hidden>(index, count) {
            true => state.shallow_clone(),
            false => Tensor::new(),
        };
        let sparse = self.sparse && pass.sparse_gradients();
        let mut state = Tensor::f_embedding(&self.embeddings, tokens, -1, false, sparse)?;
        let mut hidden = vec![keep(&state, 0)];
        let mut attention = Vec::new();
        for (index, layer) in self.layers.iter().enumerate() {
            if pass.wants().role::<role::Attention>() {
                attention
                    .push(state.f_matmul(&state.f_transpose(1, 2)?)?.f_softmax(-1, None)?.f_unsqueeze(1)?);
            }
            state =
                state.f_matmul(layer)?.f_tanh()?.f_dropout(pass.dropout(self.dropout), pass.is_training())?;
            hidden.push(keep(&state, index + 1));
        }
        let weights = mask.f_to_kind(Kind::Double)?.f_unsqueeze(-1)?;
        let total = weights.f_sum_dim_intlist(1, false, None)?.f_clamp_min(1.0)?;
        let mean = state.f_mul(&weights)?.f_sum_dim_intlist(1, false, None)?.f_div(&total)?;
        let logits = mean.f_matmul(&self.head)?;
        let loss = labels
            .filter(|_| pass.wants().role::<role::Losses>())
            .map(|labels| {
                logits.f_cross_entropy_loss(
                    labels,
                    None::<&Tensor>,
                    brew_core::tch::Reduction::None,
                    -100,
                    0.0,
                )
            })
            .transpose()?;
        Ok(ToyOutput { logits, hidden, attention, loss })
    }
}

impl Model for Toy {
    fn parameters(&self) -> Parameters {
        let layers = self.layers.iter().enumerate();
        let layers = layers.map(|(index, layer)| (format!("layer.{index}"), layer.shallow_clone()));
        Parameters::new(layers.chain([
            ("embeddings".to_owned(), self.embeddings.shallow_clone()),
            ("head".to_owned(), self.head.shallow_clone()),
        ]))
    }

    fn takes_dropout(&self) -> bool {
        true
    }

    fn save(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder).map_err(|error| Error::file(folder, error))?;
        let file = folder.join("toy.txt");
        std::fs::write(&file, "a toy").map_err(|error| Error::file(file, error))
    }
}

/// Batches of sentences of different lengths; the label is the first token modulo 3.
pub fn sentences(batches: usize, rows: i64, seed: i64) -> Vec<Sentence> {
    let mut numbers = Numbers::from(seed);
    (0..batches)
        .map(|_| {
            let tokens: Vec<i64> = (0..rows * 6).map(|_| numbers.below(12)).collect();
            let lengths: Vec<i64> = (0..rows).map(|_| 1 + numbers.below(6)).collect();
            let tokens = Tensor::from_slice(&tokens).view([rows, 6]);
            let lengths = Tensor::from_slice(&lengths).view([rows, 1]);
            let mask = Tensor::arange(6, (Kind::Int64, Device::Cpu)).lt_tensor(&lengths).to_kind(Kind::Int64);
            let labels = tokens.select(1, 0).remainder(3);
            Sentence { tokens, mask, labels: Some(labels) }
        })
        .collect()
}

/// Random numbers that do not touch libtorch's generator, which belongs to the whole process: tests that
/// only make toys need not be kept apart (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn from(seed: i64) -> Self {
        Numbers(seed as u64)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> i64 {
        (self.next() % end) as i64
    }

    /// Normal numbers of deviation 0.5 in float64.
    fn tensor(&mut self, size: &[i64]) -> Tensor {
        let values: Vec<f64> = (0..size.iter().product()).map(|_: i64| self.normal() * 0.5).collect();
        Tensor::from_slice(&values).view(size)
    }

    /// From the standard normal distribution (Box and Muller).
    fn normal(&mut self) -> f64 {
        let unit = |number: u64| ((number >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        let (radius, angle) = (unit(self.next()), unit(self.next()));
        (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
    }
}
