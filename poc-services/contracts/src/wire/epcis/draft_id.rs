//! The content hash of an event that is being written, straight from the draft.
//!
//! The same canonical form as [`super::content_id`] makes of the text, at a tenth of its cost: for articles as such, logistic
//! units and Acme's places, which is what handhelds write. Everything else is `None` and goes the long way; tests hold the
//! two against each other.

use std::ops::Range;

use sha2::{Digest, Sha256};

use super::capture::Site;
use super::draft::{DraftContent, DraftThings, EventDraft, gln_of, push_offset};
use super::number::{push_decimal, push_quantity};
use super::vocabulary::{Disposition, Step};
use super::{DESPATCH_ADVICE_URI, EXTENSION_NAMESPACE, GTIN_URI, LOCATION_URI};
use crate::ids::Quantity;
use crate::wire::gs1::{Key, Unit};
use crate::wire::rfc3339::{push_instant, push_padded};

const UNIT_URI: &str = "https://id.gs1.org/00/";
/// Whole numbers beyond it are not written digit by digit in the canonical form.
const WHOLE_MAX: u64 = 1 << 53;

/// `None`: something in it is not covered here.
pub(super) fn content_id(draft: &EventDraft<'_>) -> Option<[u8; 32]> {
    let mut form = Form {
        out: Vec::with_capacity(4096),
        parts: Vec::new(),
    };
    form.event(draft)?;
    Some(Sha256::digest(&form.out).into())
}

struct Form {
    out: Vec<u8>,
    /// Elements of a list that has to be sorted.
    parts: Vec<Range<usize>>,
}

impl Form {
    fn event(&mut self, draft: &EventDraft<'_>) -> Option<()> {
        let (kind, action, parent, things, lists) = match draft.content {
            DraftContent::Object { action, things } => {
                ("ObjectEvent", action, None, things, ["epcList", "quantityList"])
            }
            DraftContent::Aggregation {
                action,
                parent,
                children,
            } => (
                "AggregationEvent",
                action,
                Some(parent),
                children,
                ["childEPCs", "childQuantityList"],
            ),
            DraftContent::Transaction { .. } | DraftContent::Transformation { .. } => return None,
        };
        self.text("eventType=");
        self.text(kind);
        self.text("eventTime=");
        push_instant(&mut self.out, draft.at);
        self.text("eventTimeZoneOffset=");
        push_offset(&mut self.out, draft.offset_minutes.clamp(-840, 840));
        if let Some(parent) = parent {
            self.text("parentID=");
            self.unit(parent.value());
        }
        self.things(things, lists)?;
        self.text("action=");
        self.text(action.word());
        self.word(
            "bizStep=https://ref.gs1.org/cbv/BizStep-",
            draft.step.map(Step::word),
        );
        self.word(
            "disposition=https://ref.gs1.org/cbv/Disp-",
            draft.disposition.map(Disposition::word),
        );
        self.site("readPoint", draft.read_point);
        self.site("bizLocation", draft.biz_location);
        if let Some((issuer, number)) = draft.despatch_advice {
            self.text("bizTransactionListtype=https://ref.gs1.org/cbv/BTT-desadvbizTransaction=");
            self.text(DESPATCH_ADVICE_URI);
            push_padded(&mut self.out, gln_of(issuer).value(), 13);
            self.text(":");
            push_decimal(&mut self.out, number);
        }
        if let Some((reader, number)) = draft.reader {
            if number >= WHOLE_MAX {
                return None;
            }
            self.own("number=");
            push_decimal(&mut self.out, number);
            self.own("reader=");
            push_decimal(&mut self.out, u64::from(reader));
        }
        if matches!(draft.content, DraftContent::Object { .. }) {
            self.variances(things)?;
        }
        Some(())
    }

    fn things(&mut self, things: DraftThings<'_>, [epcs, classes]: [&str; 2]) -> Option<()> {
        if !things.epcs.is_empty() {
            self.text(epcs);
            for key in things.epcs {
                let Key::LogisticUnit(unit) = key else { return None };
                let start = self.out.len();
                self.text("epc=");
                self.unit(unit.value());
                self.parts.push(start..self.out.len());
            }
            self.sort();
        }
        if !things.classes.is_empty() {
            self.text(classes);
            for line in things.classes {
                let start = self.out.len();
                self.text("quantityElementepcClass=");
                self.class(&line.class)?;
                self.text("quantity=");
                push_quantity(&mut self.out, line.measure.quantity);
                self.text(match line.measure.unit {
                    Unit::Piece => "",
                    Unit::Kilogram => "uom=KGM",
                    Unit::Litre => "uom=LTR",
                    Unit::Metre => "uom=MTR",
                });
                self.parts.push(start..self.out.len());
            }
            self.sort();
        }
        Some(())
    }

    fn variances(&mut self, things: DraftThings<'_>) -> Option<()> {
        for line in things.classes {
            let Some(book) = line.book else { continue };
            let start = self.out.len();
            self.own("variance");
            self.own("class=");
            self.class(&line.class)?;
            self.own("quantity=");
            push_quantity(&mut self.out, Quantity(line.measure.quantity.0 - book.0));
            self.parts.push(start..self.out.len());
        }
        self.sort();
        Some(())
    }

    /// Puts the elements that were written last into the order of their text.
    fn sort(&mut self) {
        let Some(first) = self.parts.first() else { return };
        let start = first.start;
        let written = self.out.split_off(start);
        self.parts
            .sort_unstable_by_key(|part| &written[part.start - start..part.end - start]);
        for part in self.parts.drain(..) {
            self.out
                .extend_from_slice(&written[part.start - start..part.end - start]);
        }
    }

    fn class(&mut self, key: &Key<'_>) -> Option<()> {
        let Key::Article {
            gtin,
            lot: None,
            serial: None,
        } = key
        else {
            return None;
        };
        self.text(GTIN_URI);
        push_padded(&mut self.out, gtin.value(), 14);
        Some(())
    }

    fn unit(&mut self, sscc: u64) {
        self.text(UNIT_URI);
        push_padded(&mut self.out, sscc, 18);
    }

    fn site(&mut self, name: &str, site: Option<Site>) {
        let Some(site) = site else { return };
        self.text(name);
        self.text("id=");
        self.text(LOCATION_URI);
        push_padded(&mut self.out, gln_of(site.location).value(), 13);
        if let Some(part) = site.sub_location {
            self.text("/254/");
            self.out.push(b'0' + part.extension());
        }
    }

    fn own(&mut self, name: &str) {
        self.text("{");
        self.text(EXTENSION_NAMESPACE);
        self.text("}");
        self.text(name);
    }

    fn word(&mut self, name: &str, word: Option<&str>) {
        if let Some(word) = word {
            self.text(name);
            self.text(word);
        }
    }

    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }
}
