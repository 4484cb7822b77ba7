//! Scans of one reader on the floor of one store.

pub mod service;

use contracts::ids::{Gtin, LocationId, Quantity, TimeMs};
use contracts::wire::epcis::{
    Action, Disposition, DraftContent, DraftLine, DraftThings, EventDraft, IdDraft, Site, Spelling, Step,
    SubLocation,
};
use contracts::wire::gs1::{Key, Measure, Unit};

pub const AT: TimeMs = TimeMs(1_741_944_360_000);
pub const STORE: LocationId = LocationId::store(42);

pub fn pieces(gtin: Gtin, pieces: i64) -> DraftLine<'static> {
    DraftLine {
        class: Key::class(gtin),
        measure: Measure {
            quantity: Quantity::units(pieces),
            unit: Unit::Piece,
        },
        book: None,
    }
}

pub fn stocking<'a>(classes: &'a [DraftLine<'a>], number: u64) -> EventDraft<'a> {
    let site = Some(Site {
        location: STORE,
        sub_location: Some(SubLocation::Floor),
    });
    EventDraft {
        content: DraftContent::Object {
            action: Action::Observe,
            things: DraftThings { epcs: &[], classes },
        },
        step: Some(Step::Stocking),
        disposition: Some(Disposition::SellableAccessible),
        at: AT,
        offset_minutes: 60,
        read_point: site,
        biz_location: site,
        despatch_advice: None,
        reader: Some((5, number)),
        declaration: None,
        spelling: Spelling::DigitalLink,
        id: IdDraft::Content,
    }
}
