//! A partition's state made anew from the log of movements: what was found is forgotten, but for its keys.
//!
//! Pure. Invariant: after [`Partition::start_over`] every key that was found is new, so the first flush writes all of them
//! over, zero where nothing moves them; and that flush waits until the highest offset that any record had reached is
//! passed, so no reader sees an older state again. It does not find out whether a rebuild is needed: that is `restore`.

use contracts::ids::{LocationId, Sku, SourceId};
use contracts::records::Partial;
use contracts::topics::partition_of;

use crate::cell::{Cell, News};
use crate::image::ImageContent;
use crate::partition::Partition;
use crate::plant::{self, Plant};
use crate::window::Window;

impl Partition {
    /// Forgets everything but the keys, and goes on at the cut of an image or at 0.
    pub fn start_over(&mut self, image: Option<ImageContent>) {
        for slot in &mut self.slots {
            slot.cell = Cell::default();
            slot.news = 0;
        }
        self.news.clear();
        self.new_slots.clear();
        for share in &mut self.shares {
            share.partial = Partial::default();
            share.is_new = false;
        }
        self.new_shares.clear();
        for source in &mut self.sources {
            source.window = Window::default();
            source.is_new = false;
        }
        self.new_sources.clear();
        for index in 0..self.places.len() {
            self.places[index].is_new = false;
            self.forget_known(index as u32);
        }
        self.new_places.clear();
        self.promised = None;
        self.is_sound = true;
        self.hold_until = self.hold_until.max(self.next);
        self.next = 0;
        if let Some(image) = image {
            self.next = image.cut;
            for (location, sku, cell) in image.cells {
                let place = self.place(location);
                let slot = self.slot(place, sku) as usize;
                self.slots[slot].cell = cell;
            }
            for (location, completeness) in image.places {
                let place = self.place(location);
                self.set_completeness(place, &completeness);
            }
            for (id, window) in image.sources {
                if let Some(index) = self.source(id) {
                    let source = &mut self.sources[index as usize];
                    source.window = window;
                }
            }
        }
        if plant::is(Plant::RebuildFlushesEarly) {
            self.hold_until = 0;
        }
        self.renew_all();
    }

    fn renew_all(&mut self) {
        self.cells_digest = 0;
        self.windows_digest = 0;
        for index in 0..self.slots.len() {
            self.new_slots.insert(index as u32);
            self.news.push(News::default());
            let slot = &mut self.slots[index];
            slot.news = self.news.len() as u32;
            let (share, cell) = (slot.share, slot.cell);
            let is_certain = self.places[slot.place as usize].known.is_certain;
            self.change_share(share, cell.change(), 0);
            if !is_certain {
                self.add_uncertain(share, &cell);
            }
        }
        for index in 0..self.places.len() {
            self.renew_place(index as u32);
        }
        for (index, source) in (0..).zip(&mut self.sources) {
            source.is_new = true;
            self.new_sources.push(index);
        }
    }

    /// Has a cell written again; one that is not known is written as zero.
    pub(crate) fn renew_cell(&mut self, location: LocationId, sku: Sku) {
        if partition_of(location) != self.number {
            return;
        }
        let place = self.place(location);
        let index = self.slot(place, sku.0);
        let digest = self.slot_digest(index);
        let slot = &mut self.slots[index as usize];
        if slot.news == 0 {
            self.cells_digest = self.cells_digest.wrapping_sub(digest);
            self.new_slots.insert(index);
            self.news.push(News::default());
            slot.news = self.news.len() as u32;
        }
    }

    /// Has the window of a source written again, and what is known of its place: no window is ever ahead of that.
    pub(crate) fn renew_source(&mut self, id: SourceId) {
        let Some(index) = self.source(id) else { return };
        let source = &mut self.sources[index as usize];
        if !source.is_new {
            source.is_new = true;
            self.windows_digest = self.windows_digest.wrapping_sub(source.digest());
            self.new_sources.push(index);
        }
        let place = source.place;
        self.renew_place(place);
    }

    /// Has what is known of a place written again; of one that is not known, that nothing is.
    pub(crate) fn renew_location(&mut self, location: LocationId) {
        if partition_of(location) == self.number {
            let place = self.place(location);
            self.renew_place(place);
        }
    }

    /// Has the share of an article written again; one that is not known is written as zero.
    pub(crate) fn renew_share(&mut self, sku: Sku) {
        let index = self.share(sku.0);
        let share = &mut self.shares[index as usize];
        if !share.is_new {
            share.is_new = true;
            self.new_shares.push(index);
        }
    }
}
