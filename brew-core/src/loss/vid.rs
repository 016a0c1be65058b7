//! Variational information distillation: how well the teacher can be predicted from the student.
//!
//! With a learned regressor mu(F_s) = W F_s + b, position by position, and a learned variance per channel,
//! v_c = softplus(rho_c) + 1e-5:
//!
//! - mean over channels and positions of ( (mu(F_s) - F_t)^2 / v_c + log v_c ) / 2
//!
//! Up to a constant it is the negative log-likelihood of a normal distribution, and may be below
//! 0. W starts from N(0, 0.02), b from 0, and the variances from 5. Source: Ahn et al., "Variational
//!    Information Distillation for Knowledge Transfer" (2019); the published code's regressor has three
//!    convolutions of size 1 instead of one linear map.

use serde_json::json;
use tch::{Device, Tensor};

use super::catalogue::{Entry, Kept, boxed, required};
use super::channels::{Equal, channels, mismatches};
use super::uses::{MatchLoss, OneLayer};
use super::{Features, Learns, Loss, Place, Term};
use crate::error::{Error, Result};
use crate::parameters::Parameters;
use crate::role::Hidden;

const EPSILON: f64 = 1e-5;
const FIRST_VARIANCE: f64 = 5.0;

/// Negative log-likelihood of the teacher's features, given the student's.
///
/// Features are maps of `(batch, channels, height, width)`, or hidden states of
/// `(batch, length, width)`, at the same positions on both sides.
///
/// ```
/// use brew_core::loss::{Loss, Vid};
///
/// let loss = Vid::between(312, 768);
/// assert_eq!(loss.options(), serde_json::json!({ "student": 312, "teacher": 768 }));
/// ```
#[derive(Debug)]
pub struct Vid {
    student: i64,
    teacher: i64,
    learned: Option<Learned>,
}

#[derive(Debug)]
struct Learned {
    /// `(teacher's channels, student's channels)`.
    weight: Tensor,
    /// `(teacher's channels,)`.
    bias: Tensor,
    /// `(teacher's channels,)`.
    rho: Tensor,
}

impl Vid {
    /// From this number of the student's channels (or width) to this number of the teacher's.
    pub fn between(student: i64, teacher: i64) -> Self {
        Vid { student, teacher, learned: None }
    }
}

impl Loss for Vid {
    fn name(&self) -> &'static str {
        "vid"
    }
    fn options(&self) -> serde_json::Value {
        json!({ "student": self.student, "teacher": self.teacher })
    }
    fn problems(&self) -> Vec<String> {
        let sides = [("student", self.student), ("teacher", self.teacher)];
        let wrong = sides.iter().filter(|(_, channels)| *channels < 1);
        wrong
            .map(|(side, channels)| format!("the {side} has {channels} channels; there must be at least 1"))
            .collect()
    }
    fn learns(&mut self) -> Option<&mut dyn Learns> {
        Some(self)
    }
    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        let mut problems = mismatches(student, teacher, Equal::Positions);
        for (side, read, declared) in [("student", student, self.student), ("teacher", teacher, self.teacher)]
        {
            let found = match *read.shape() {
                [_, channels, _, _] | [_, _, channels] => channels,
                _ => continue,
            };
            if found != declared {
                problems.push(format!(
                    "the {side} has {found} channels, but the loss was declared for {declared}: write `Vid::between(…)` with the channels (the width) of both sides"
                ));
            }
        }
        problems
    }
    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        let learned = self.learned.as_ref().ok_or_else(|| Error::invalid("`vid` was not prepared"))?;
        let mask = student.mask.as_ref();
        let kind = learned.weight.kind();
        // (batch, positions, channels)
        let rows = |read: &Features| -> Result<Tensor> {
            Ok(channels(read, mask)?.f_to_kind(kind)?.f_transpose(1, 2)?)
        };
        let mean = rows(student)?.f_linear(&learned.weight, Some(&learned.bias))?;
        let variance = learned.rho.f_softplus()?.f_add_scalar(EPSILON)?;
        let squares = mean.f_sub(&rows(teacher)?)?.f_square()?.f_div(&variance)?;
        let per_position = squares.f_add(&variance.f_log()?)?.f_mean_dim(2, false, None)?;
        Term::positions(&per_position, mask)?.times(0.5)
    }
}

impl Learns for Vid {
    fn reads_own_step(&self) -> bool {
        false
    }
    fn prepare(&mut self, place: &Place) -> Result<()> {
        tch::manual_seed(place.seed);
        let cpu = (place.kind, Device::Cpu);
        let leaf = |tensor: Tensor| tensor.f_to_device(place.device)?.f_set_requires_grad(true);
        let rho = ((FIRST_VARIANCE - EPSILON).exp() - 1.0).ln();
        self.learned = Some(Learned {
            weight: leaf(Tensor::f_randn([self.teacher, self.student], cpu)?.f_mul_scalar(0.02)?)?,
            bias: leaf(Tensor::f_zeros([self.teacher], cpu)?)?,
            rho: leaf(Tensor::f_full([self.teacher], rho, cpu)?)?,
        });
        Ok(())
    }
    fn parameters(&self) -> Parameters {
        Parameters::new(self.learned.iter().flat_map(|learned| {
            [("regressor.weight", &learned.weight), ("regressor.bias", &learned.bias), ("rho", &learned.rho)]
                .map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone()))
        }))
    }
}

impl MatchLoss<Hidden, OneLayer> for Vid {}

/// Its row in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[Entry {
    name: "vid",
    summary: "negative log-likelihood of the teacher's features given the student's",
    source: "Ahn et al. 2019, arXiv 1904.05835",
    roles: &["hidden"],
    options: &[
        required("student", 312, "the student's channels, or width"),
        required("teacher", 768, "the teacher's channels, or width"),
    ],
    keeps: &[
        Kept::learned("regressor.weight", "(teacher, student)"),
        Kept::learned("regressor.bias", "(teacher,)"),
        Kept::learned("rho", "(teacher,); a channel's variance is softplus(rho) + 1e-5"),
    ],
    make: |options| boxed(Vid::between(options.whole("student"), options.whole("teacher"))),
    ..Entry::EMPTY
}];
