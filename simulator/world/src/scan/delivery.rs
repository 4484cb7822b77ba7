//! A delivery at the back door: the pallet is scanned, and the warehouse's papers say what is on it.
//!
//! The warehouse's packing events travel with the store's own: they have no number of the store's reader, and are no
//! transactions of it.

use contracts::ids::{LocationId, TimeMs};
use contracts::wire::epcis::{
    Action, Disposition, DocumentWriter, DraftContent, DraftThings, EventDraft, Site, Step, SubLocation,
};
use contracts::wire::gs1::{Key, Sscc};

use super::{ScanLine, Scribe};
use crate::calendar::HOUR_MS;
use crate::catalogue::Item;
use crate::warehouse::{ADVICES_A_WAREHOUSE, of_advice};

const LINES_A_CARTON: usize = 8;
/// Numbers of logistic units that a despatch advice has for itself.
const UNITS_AN_ADVICE: u64 = 100;
/// And of these, a pallet with its cartons.
const UNITS_A_PALLET: u64 = 8;
/// Acme's company prefix in a body of 17 digits, behind the extension digit.
const COMPANY: u64 = 614_141_000_000_000;
const EXTENSION: u64 = 10_000_000_000_000_000;

impl<'a, F: Fn(u16) -> &'a Item> Scribe<'_, '_, F> {
    /// One pallet of a delivery, received whole. The store's event comes first: an edge takes the first place that a
    /// document names for the sender's.
    pub(super) fn delivery(
        &mut self,
        document: &mut DocumentWriter<'_>,
        lines: &[ScanLine],
        despatch_advice: u64,
        index: u64,
    ) {
        let warehouse = of_advice(despatch_advice);
        let advice = Some((warehouse, despatch_advice));
        let unit = |position: u64| unit_of(warehouse, despatch_advice, index * UNITS_A_PALLET + position);
        let pallet = unit(0);
        let number = self.next_number();
        let scanned = [Key::LogisticUnit(pallet)];
        document.draft(&EventDraft {
            despatch_advice: advice,
            ..self.draft(things(&scanned), number)
        });
        self.fact(lines, 1, number);

        let cartons: Vec<Sscc> = (1..)
            .map(unit)
            .take(lines.len().div_ceil(LINES_A_CARTON))
            .collect();
        let keys: Vec<Key<'_>> = cartons.iter().map(|carton| Key::LogisticUnit(*carton)).collect();
        document.draft(&self.packed(warehouse, despatch_advice, pallet, things(&keys)));
        for (carton, lines) in cartons.iter().zip(lines.chunks(LINES_A_CARTON)) {
            self.list(lines);
            document.draft(&self.packed(warehouse, despatch_advice, *carton, self.things()));
        }
    }

    fn packed<'d>(
        &'d self,
        warehouse: LocationId,
        despatch_advice: u64,
        parent: Sscc,
        children: DraftThings<'d>,
    ) -> EventDraft<'d> {
        let site = Some(Site {
            location: warehouse,
            sub_location: Some(SubLocation::BackRoom),
        });
        EventDraft {
            content: DraftContent::Aggregation {
                action: Action::Add,
                parent,
                children,
            },
            step: Some(Step::Packing),
            disposition: Some(Disposition::InProgress),
            at: TimeMs(self.at.0 - 4 * HOUR_MS),
            read_point: site,
            biz_location: site,
            despatch_advice: Some((warehouse, despatch_advice)),
            reader: None,
            ..self.draft(DraftThings::default(), 0)
        }
    }
}

const fn things<'d>(epcs: &'d [Key<'d>]) -> DraftThings<'d> {
    DraftThings { epcs, classes: &[] }
}

/// Used again after a thousand million units of a warehouse, or by one whose number ends in the same digit: long after the
/// first one is unpacked, or at another store's door.
fn unit_of(warehouse: LocationId, despatch_advice: u64, position: u64) -> Sscc {
    let serial = despatch_advice % ADVICES_A_WAREHOUSE * UNITS_AN_ADVICE + position % UNITS_AN_ADVICE;
    let body = u64::from(warehouse.number() % 10) * EXTENSION + COMPANY + serial;
    Sscc::from_body(body).expect("seventeen digits")
}
