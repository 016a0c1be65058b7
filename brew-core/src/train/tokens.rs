//! Counting the tokens that the student has seen, without synchronizing with the device.

use tch::{Kind, Tensor};

use crate::error::Result;

/// A count of tokens whose newest part is still on the device.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    counted: u64,
    /// Tokens added since the last read: an int64 scalar.
    waiting: Option<Tensor>,
    /// Whether some batch did not report its count; the total is then unknown.
    unknown: bool,
}

impl Tokens {
    /// Resumes from a checkpoint's count.
    pub(super) fn from(counted: Option<u64>) -> Self {
        Tokens { counted: counted.unwrap_or(0), waiting: None, unknown: counted.is_none() }
    }

    /// Adds a batch's tokens, a scalar, without reading it.
    pub(super) fn add(&mut self, of_batch: Option<Tensor>) -> Result<()> {
        match (of_batch, &self.waiting) {
            (None, _) => *self = Tokens { unknown: true, ..Tokens::default() },
            (Some(_), _) if self.unknown => {}
            (Some(new), Some(waiting)) => self.waiting = Some(waiting.f_add(&new.f_to_kind(Kind::Int64)?)?),
            (Some(new), None) => self.waiting = Some(new.f_to_kind(Kind::Int64)?),
        }
        Ok(())
    }

    /// Reads the total from the device; `None` if some batch did not report its count.
    pub(super) fn read(&mut self) -> Result<Option<u64>> {
        if let Some(waiting) = self.waiting.take() {
            self.counted += waiting.f_int64_value(&[])?.unsigned_abs();
        }
        Ok((!self.unknown).then_some(self.counted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_add_up_until_a_batch_does_not_say_how_many_it_has() {
        let mut tokens = Tokens::from(Some(100));
        tokens.add(Some(Tensor::from(7_i64))).unwrap();
        tokens.add(Some(Tensor::from(5_i64))).unwrap();
        assert_eq!(tokens.read().unwrap(), Some(112));
        assert_eq!(tokens.read().unwrap(), Some(112));
        tokens.add(None).unwrap();
        tokens.add(Some(Tensor::from(5_i64))).unwrap();
        assert_eq!(tokens.read().unwrap(), None);
        assert_eq!(Tokens::from(None).read().unwrap(), None);
    }
}
