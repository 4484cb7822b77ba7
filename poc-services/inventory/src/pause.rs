//! A pause for tests: the owner stops in the middle of a flush, as a process does that is sent a SIGSTOP, and what it had
//! queued goes out when it runs again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use crate::InventoryError;
use crate::log::OutTopic;

type Held = (OutTopic, u32, Vec<u8>, Vec<u8>);

#[derive(Debug, Default)]
struct State {
    /// Hold back what is sent.
    is_armed: bool,
    held: Vec<Held>,
    resumed: Option<Resume>,
}

/// Who runs first when the process runs again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// The client sends what it had queued.
    Queue,
    /// The service looks whether it still owns what it flushes.
    Service,
}

/// Shared by a test and a service.
#[derive(Debug, Default)]
pub struct Pause {
    state: Mutex<State>,
    changed: Condvar,
    /// Times that somebody waited in it.
    pub reached: AtomicU64,
    pub dropped: AtomicU64,
}

impl Pause {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From the next cell on.
    pub fn arm(&self) {
        self.state().is_armed = true;
    }

    pub fn resume(&self, first: Resume) {
        self.state().resumed = Some(first);
        self.changed.notify_all();
    }

    pub(crate) fn holds(&self, topic: OutTopic, partition: u32, key: &[u8], value: &[u8]) -> bool {
        let mut state = self.state();
        // Behind the intent, so that the flush is torn.
        let begins = !state.held.is_empty() || (topic == OutTopic::State && key.starts_with(b"c/"));
        if !state.is_armed || state.resumed.is_some() || !begins {
            return false;
        }
        state.held.push((topic, partition, key.to_vec(), value.to_vec()));
        true
    }

    /// Stands still while something is held, then sends it where the queue runs first.
    pub(crate) fn wait(
        &self,
        send: impl FnMut(OutTopic, u32, &[u8], &[u8]) -> Result<(), InventoryError>,
    ) -> Result<(), InventoryError> {
        {
            let mut state = self.state();
            if state.held.is_empty() {
                return Ok(());
            }
            self.reached.fetch_add(1, Ordering::SeqCst);
            while state.resumed.is_none() {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.resumed == Some(Resume::Service) {
                return Ok(());
            }
        }
        self.send_held(send)
    }

    /// What is still queued when the client closes.
    pub(crate) fn send_held(
        &self,
        mut send: impl FnMut(OutTopic, u32, &[u8], &[u8]) -> Result<(), InventoryError>,
    ) -> Result<(), InventoryError> {
        for (topic, partition, key, value) in std::mem::take(&mut self.state().held) {
            send(topic, partition, &key, &value)?;
        }
        Ok(())
    }

    pub(crate) fn drop_held(&self) {
        let dropped = std::mem::take(&mut self.state().held).len();
        self.dropped.fetch_add(dropped as u64, Ordering::SeqCst);
    }
}
