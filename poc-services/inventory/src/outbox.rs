//! What of a partition is new, as records: the cut of a flush, and cells, shares and windows at it. (Completeness: `statement`.)
//!
//! Invariant: a cut's digests are those of exactly what lies below it, and what is handed out after it holds exactly
//! that, as long as nothing is applied in between. Nothing is handed out before the restored records agree on an
//! offset. It does not know in which order records become durable: that is `flush`.

use contracts::ids::Sku;
use contracts::records::Partial;
use contracts::topics::StateKey;
use prost::Message;

use crate::InventoryError;
use crate::cell::News;
use crate::log::{Log, OutTopic};
use crate::partition::{Cut, Partition};
use crate::plant::{self, Plant};

impl Partition {
    /// Cells, shares or windows have something that is not published yet.
    pub fn has_news(&self) -> bool {
        !(self.news.is_empty()
            && self.new_sources.is_empty()
            && self.new_places.is_empty()
            && self.new_shares.is_empty())
    }

    /// Behind every offset that a restored record had reached: what is published from here on is one state of the log.
    pub const fn is_settled(&self) -> bool {
        self.next >= self.hold_until
    }

    /// The state between two transactions. Sums over all cells and windows, kept up to date by what changes.
    pub fn cut(&self) -> Cut {
        let cells = self.new_slots.iter().map(|index| self.slot_digest(index));
        let windows = self
            .new_sources
            .iter()
            .map(|index| self.sources[*index as usize].digest());
        Cut {
            offset: self.next,
            cells_digest: cells.fold(self.cells_digest, u64::wrapping_add),
            windows_digest: windows.fold(self.windows_digest, u64::wrapping_add),
        }
    }

    /// Compares with what the last head, or an unfinished flush behind it, said that the state would be here.
    pub(crate) fn check_promise(&mut self) {
        let Some(promised) = self.promised.take() else {
            return;
        };
        // An offset that the log does not have: the state between two records is the same.
        let found = Cut {
            offset: promised.offset,
            ..self.cut()
        };
        if found != promised {
            tracing::error!(
                partition = self.number,
                ?promised,
                ?found,
                "the restored state differs"
            );
            self.is_sound = false;
        }
    }

    /// To be asked before anything is published: false where the state is not what an earlier owner had here.
    pub fn is_sound(&mut self) -> bool {
        if self.promised.is_some_and(|promised| self.next >= promised.offset) {
            self.check_promise();
        }
        self.is_sound
    }

    /// Hands out the new cells, and how many they are.
    pub fn take_cells(&mut self, cut: &Cut, log: &mut impl Log) -> Result<u64, InventoryError> {
        let mut count = self.news.len() as u64;
        let mut key = Vec::with_capacity(24);
        let mut value = Vec::with_capacity(192);
        for index in self.new_slots.iter() {
            let slot = &mut self.slots[index as usize];
            let news = self.news[slot.news as usize - 1];
            slot.news = 0;
            let location = self.places[slot.place as usize].location;
            let sku = Sku(self.shares[slot.share as usize].sku);
            key.clear();
            StateKey::Cell { location, sku }.write(&mut key);
            value.clear();
            slot.cell.encode(plant::epoch(self.epoch), &news, &mut value);
            log.send(OutTopic::State, self.number, &key, &value)?;
            if let Some(older) = self.damage.older.get(&index) {
                value.clear();
                older.encode(self.epoch, &News::default(), &mut value);
                log.send(OutTopic::State, self.number, &key, &value)?;
                count += 1;
            }
        }
        self.news.clear();
        self.new_slots.clear();
        self.cells_digest = cut.cells_digest;
        Ok(count)
    }

    /// Hands out the new shares of articles, and how many they are.
    pub fn take_partials(&mut self, cut: &Cut, log: &mut impl Log) -> Result<u64, InventoryError> {
        let count = self.new_shares.len() as u64;
        let mut key = Vec::with_capacity(24);
        let mut value = Vec::with_capacity(64);
        let mut new = std::mem::take(&mut self.new_shares);
        for index in new.drain(..) {
            let share = &mut self.shares[index as usize];
            share.is_new = false;
            let partial = Partial {
                epoch: plant::epoch(self.epoch),
                cut: cut.offset,
                ..share.partial
            };
            share.partial.due_ms_min = 0;
            key.clear();
            StateKey::Partial {
                partition: self.number,
                sku: Sku(share.sku),
            }
            .write(&mut key);
            encode(&partial, &mut value);
            log.send(OutTopic::Partials, self.number, &key, &value)?;
        }
        self.new_shares = new;
        Ok(count)
    }

    /// Hands out the window of every source that is new, and how many they are.
    ///
    /// `live_from` is the cut before: a window that is not taken at the cut would hold more than what it says.
    pub fn take_windows(
        &mut self,
        cut: &Cut,
        live_from: u64,
        log: &mut impl Log,
    ) -> Result<u64, InventoryError> {
        let count = self.new_sources.len() as u64;
        let mut key = Vec::with_capacity(24);
        let mut value = Vec::with_capacity(512);
        let mut new = std::mem::take(&mut self.new_sources);
        for index in new.drain(..) {
            let source = &mut self.sources[index as usize];
            source.is_new = false;
            key.clear();
            StateKey::Window(source.id).write(&mut key);
            let told = if plant::is(Plant::LiveWindow) {
                live_from
            } else {
                cut.offset
            };
            encode(
                &source.window.to_record(plant::epoch(self.epoch), told),
                &mut value,
            );
            log.send(OutTopic::State, self.number, &key, &value)?;
        }
        self.new_sources = new;
        self.windows_digest = cut.windows_digest;
        Ok(count)
    }
}

pub(crate) fn encode(message: &impl Message, out: &mut Vec<u8>) {
    out.clear();
    message.encode(out).expect("a Vec takes all bytes");
}
