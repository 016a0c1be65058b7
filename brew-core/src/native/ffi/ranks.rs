//! Calls between several processes: `ranks.cpp`.

#![expect(unsafe_code, reason = "calls into the native shim; each block says why it is sound")]

use std::ffi::{CString, c_char, c_int, c_void};
use std::time::Duration;

use tch::Tensor;

use super::{Raw, brew_free, owned, raws, told};
use crate::error::{Error, Result};

type Handle = *mut c_void;

unsafe extern "C" {
    fn brew_store_open(
        host: *const c_char,
        port: u16,
        server: c_int,
        descriptor: c_int,
        timeout: i64,
        opened: *mut Handle,
    ) -> *mut c_char;
    fn brew_store_close(store: Handle);
    fn brew_store_set(store: Handle, key: *const c_char, bytes: *const u8, count: usize) -> *mut c_char;
    fn brew_store_get(
        store: Handle,
        key: *const c_char,
        found: *mut *mut u8,
        count: *mut usize,
    ) -> *mut c_char;
    fn brew_store_add(store: Handle, key: *const c_char, amount: i64, sum: *mut i64) -> *mut c_char;
    fn brew_group_join(
        store: Handle,
        prefix: *const c_char,
        address: *const c_char,
        rank: c_int,
        size: c_int,
        timeout: i64,
        joined: *mut Handle,
    ) -> *mut c_char;
    fn brew_group_leave(group: Handle);
    fn brew_group_start(
        group: Handle,
        kind: c_int,
        root: c_int,
        tensors: *const Raw,
        count: usize,
        timeout: i64,
        started: *mut Handle,
    ) -> *mut c_char;
    fn brew_group_wait(started: Handle, outputs: *mut Raw, count: usize) -> *mut c_char;
    fn brew_group_forget(started: Handle);
}

/// A connection to the store: keys and values that all ranks see.
#[derive(Debug)]
pub(crate) struct Store(Handle);

/// A group of processes that exchange tensors.
#[derive(Debug)]
pub(crate) struct Gloo(Handle);

/// A call that has started.
#[derive(Debug)]
pub(crate) struct Started {
    handle: Handle,
    outputs: usize,
}

/// What a call does; the numbers are the shim's.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Exchange {
    /// Adds up the tensors of all ranks.
    Sum,
    /// Sends one rank's tensors to all.
    Broadcast {
        /// The rank that sends.
        root: usize,
    },
    /// Gives all ranks the tensors of all.
    Gather,
}

// SAFETY: the objects belong to no thread: libtorch's own threads use them too.
unsafe impl Send for Store {}
// SAFETY: as above.
unsafe impl Send for Gloo {}
// SAFETY: as above, and tensors are `Send`.
unsafe impl Send for Started {}

impl Store {
    /// Connects to the store; the server also starts it, on a listening socket if it is given one.
    pub(crate) fn open(
        host: &str,
        port: u16,
        server: bool,
        socket: Option<i32>,
        timeout: Duration,
    ) -> Result<Self> {
        let mut opened = std::ptr::null_mut();
        let host = text(host)?;
        let socket = socket.unwrap_or(-1);
        // SAFETY: a string that outlives the call, and a place for the result.
        let message = unsafe {
            brew_store_open(host.as_ptr(), port, server.into(), socket, millis(timeout), &raw mut opened)
        };
        told("store", message)?;
        Ok(Store(opened))
    }

    /// Sets a key.
    pub(crate) fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        let key = text(key)?;
        // SAFETY: a live store, a string and bytes that outlive the call.
        told("store", unsafe { brew_store_set(self.0, key.as_ptr(), value.as_ptr(), value.len()) })
    }

    /// The value of a key, `None` as long as it has none.
    pub(crate) fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let key = text(key)?;
        let (mut found, mut count) = (std::ptr::null_mut(), 0);
        // SAFETY: a live store, a string that outlives the call, and two places for the result.
        told("store", unsafe { brew_store_get(self.0, key.as_ptr(), &raw mut found, &raw mut count) })?;
        if found.is_null() {
            return Ok(None);
        }
        // SAFETY: the shim allocated `count` bytes there, which are copied and then freed, once.
        let value = unsafe {
            let value = std::slice::from_raw_parts(found, count).to_vec();
            brew_free(found.cast());
            value
        };
        Ok(Some(value))
    }

    /// Adds to a counter and returns its new value.
    pub(crate) fn add(&self, key: &str, amount: i64) -> Result<i64> {
        let key = text(key)?;
        let mut sum = 0;
        // SAFETY: a live store, a string that outlives the call, and a place for the result.
        told("store", unsafe { brew_store_add(self.0, key.as_ptr(), amount, &raw mut sum) })?;
        Ok(sum)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // SAFETY: the shim's pointer, deleted once.
        unsafe { brew_store_close(self.0) }
    }
}

impl Gloo {
    /// Connects to all ranks of a group that has this name.
    pub(crate) fn join(
        store: &Store,
        name: &str,
        address: &str,
        (rank, world_size): (usize, usize),
        timeout: Duration,
    ) -> Result<Self> {
        let mut joined = std::ptr::null_mut();
        let (name, address) = (text(name)?, text(address)?);
        let (rank, size) = (number(rank)?, number(world_size)?);
        // SAFETY: a live store, which libtorch counts as used; strings that outlive the call; a place for the result.
        let message = unsafe {
            brew_group_join(
                store.0,
                name.as_ptr(),
                address.as_ptr(),
                rank,
                size,
                millis(timeout),
                &raw mut joined,
            )
        };
        told("group", message)?;
        Ok(Gloo(joined))
    }

    /// Starts a call. Sizes and dtypes must be equal on all ranks: the process ends otherwise. `world_size` is the
    /// group's.
    pub(crate) fn start(
        &self,
        exchange: Exchange,
        tensors: &[Tensor],
        world_size: usize,
        timeout: Duration,
    ) -> Result<Started> {
        let (kind, root, outputs) = match exchange {
            Exchange::Sum => (0, 0, 0),
            Exchange::Broadcast { root } => (1, number(root)?, 0),
            Exchange::Gather => (2, 0, tensors.len() * world_size),
        };
        let raws = raws(tensors);
        let mut handle = std::ptr::null_mut();
        // SAFETY: a live group, and pointers to borrowed tensors; the shim takes handles of its own to what it keeps.
        let message = unsafe {
            brew_group_start(self.0, kind, root, raws.as_ptr(), raws.len(), millis(timeout), &raw mut handle)
        };
        told("group", message)?;
        Ok(Started { handle, outputs })
    }
}

impl Drop for Gloo {
    fn drop(&mut self) {
        // SAFETY: the shim's pointer, deleted once.
        unsafe { brew_group_leave(self.0) }
    }
}

impl Started {
    /// Waits for the call and writes its result into its tensors. If it gathers, they are returned instead, all of rank
    /// 0 first.
    pub(crate) fn wait(self) -> Result<Vec<Tensor>> {
        let mut outputs = vec![std::ptr::null_mut(); self.outputs];
        // SAFETY: a live call, which is deleted only in `drop`, and a place for each result.
        told("group", unsafe { brew_group_wait(self.handle, outputs.as_mut_ptr(), outputs.len()) })?;
        Ok(outputs.into_iter().map(owned).collect())
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // SAFETY: the shim's pointer, deleted once; gloo keeps what it still uses.
        unsafe { brew_group_forget(self.handle) }
    }
}

fn text(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::invalid(format!("{text:?} contains a zero byte")))
}

fn number(number: usize) -> Result<c_int> {
    c_int::try_from(number).map_err(|_| Error::invalid(format!("{number} is too large for a rank")))
}

/// libtorch reads 0 as "for ever".
fn millis(timeout: Duration) -> i64 {
    i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX / 4).clamp(1, i64::MAX / 4)
}
