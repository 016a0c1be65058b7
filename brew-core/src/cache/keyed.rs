//! A batch on its way to a device, with the keys of its rows.

use std::any::Any;
use std::collections::BTreeMap;

use tch::Device;

use super::RowKeys;
use crate::batch::Feeds;
use crate::error::Result;

/// A batch with the keys of its rows as each cached teacher reads them.
#[derive(Debug)]
pub struct Keyed<B> {
    batch: B,
    keys: BTreeMap<usize, RowKeys>,
}

impl<B> Keyed<B> {
    pub(crate) fn new(batch: B, keys: BTreeMap<usize, RowKeys>) -> Self {
        Keyed { batch, keys }
    }
}

impl<T, S, B: Feeds<T, S>> Feeds<T, S> for Keyed<B> {
    fn teacher(&self) -> &T {
        self.batch.teacher()
    }

    fn student(&self) -> &S {
        self.batch.student()
    }

    /// Without keys: they belong to the whole batch.
    fn first_rows(&self, rows: usize) -> Result<Self> {
        Ok(Keyed { batch: self.batch.first_rows(rows)?, keys: BTreeMap::new() })
    }

    fn to_device(&self, device: Device) -> Result<Self> {
        Ok(Keyed { batch: self.batch.to_device(device)?, keys: self.keys.clone() })
    }

    fn teacher_output(&self, teacher: usize) -> Option<&dyn Any> {
        self.batch.teacher_output(teacher)
    }

    fn row_keys(&self, teacher: usize) -> Option<&RowKeys> {
        self.keys.get(&teacher)
    }
}
