//! Events of every kind, written: golden text, and laws of the content hash.

use crate::support;
use contracts::ids::{Gtin, LocationId, Quantity, TimeMs};
use contracts::wire::epcis::{
    self, Action, Capture, CaptureEvent, DeclarationDraft, Disposition, DocumentWriter, DraftContent,
    DraftLine, DraftThings, Effect, EventDraft, EventId, Flow, IdDraft, Reason, Side, Site, Spelling, Step,
    SubLocation, Thing,
};
use contracts::wire::gs1::{Key, Measure, PrefixLength, Sscc, Unit};
use proptest::prelude::*;

const AT: TimeMs = TimeMs(1_741_944_413_250); // 2025-03-14T09:26:53.250Z

fn written(drafts: &[EventDraft<'_>]) -> (String, Vec<Option<EventId>>) {
    let mut out = Vec::new();
    let mut writer = DocumentWriter::begin(&mut out, AT);
    let ids = drafts.iter().map(|draft| writer.draft(draft)).collect();
    writer.finish();
    (String::from_utf8(out).unwrap(), ids)
}

fn line(body: u64, quantity: i64, unit: Unit) -> DraftLine<'static> {
    DraftLine {
        class: Key::class(Gtin::from_body(body).unwrap()),
        measure: Measure {
            quantity: Quantity(quantity),
            unit,
        },
        book: None,
    }
}

fn draft(content: DraftContent<'_>, step: Step, disposition: Disposition) -> EventDraft<'_> {
    let site = Some(Site {
        location: LocationId::store(42),
        sub_location: Some(SubLocation::Floor),
    });
    EventDraft {
        content,
        step: Some(step),
        disposition: Some(disposition),
        at: AT,
        offset_minutes: -210,
        read_point: site,
        biz_location: site,
        despatch_advice: None,
        reader: Some((3, 41)),
        declaration: None,
        spelling: Spelling::Urn(PrefixLength::new(7).unwrap()),
        id: IdDraft::Content,
    }
}

#[test]
fn every_kind_of_event_is_written_as_the_golden_document() {
    let oats = line(61_414_199_999, 48_000, Unit::Piece);
    let apples = line(200_001_234_567, 12_500, Unit::Kilogram);
    let lot = DraftLine {
        class: Key::Article {
            gtin: Gtin::from_body(61_414_199_999).unwrap(),
            lot: Some("LOT/7".into()),
            serial: None,
        },
        ..oats.clone()
    };
    let counted = DraftLine {
        book: Some(Quantity(50_000)),
        ..oats.clone()
    };
    let piece = Key::Article {
        gtin: Gtin::from_body(61_414_199_999).unwrap(),
        lot: None,
        serial: Some("2017".into()),
    };
    let unit = |body| Sscc::from_body(body).unwrap();
    let (pallet, carton) = (unit(10_614_141_234_567_890), unit(10_614_141_234_567_891));
    let cartons = [Key::LogisticUnit(carton)];
    let packed = [oats.clone(), lot];
    let counts = [counted];
    let baked = [apples];
    let pieces = [piece];
    let things = |epcs, classes| DraftThings { epcs, classes };
    let object = |action, things| DraftContent::Object { action, things };
    let pack = |parent, children| DraftContent::Aggregation {
        action: Action::Add,
        parent,
        children,
    };
    let receiving = EventDraft {
        despatch_advice: Some((LocationId::warehouse(7), 700_123)),
        ..draft(
            object(Action::Observe, things(&pieces, &packed)),
            Step::Receiving,
            Disposition::InProgress,
        )
    };
    let (_, ids) = written(&[receiving]);
    let corrective = [ids[0].clone().unwrap(), EventId::Named("urn:uuid:0".into())];
    let drafts = [
        draft(
            pack(pallet, things(&cartons, &[])),
            Step::Packing,
            Disposition::InProgress,
        ),
        draft(
            pack(carton, things(&[], &packed)),
            Step::Packing,
            Disposition::ContainerClosed,
        ),
        receiving,
        EventDraft {
            declaration: Some(DeclarationDraft {
                at: TimeMs(AT.0 + 60_000),
                reason: Some(Reason::IncorrectData),
                corrective: &corrective,
                reader: Some((9, 44)),
            }),
            ..receiving
        },
        draft(
            object(Action::Observe, things(&[], &counts)),
            Step::CycleCounting,
            Disposition::SellableAccessible,
        ),
        EventDraft {
            spelling: Spelling::DigitalLink,
            id: IdDraft::None,
            ..draft(
                DraftContent::Transformation {
                    inputs: things(&[], &baked),
                    outputs: things(&pieces, &[]),
                },
                Step::Commissioning,
                Disposition::Active,
            )
        },
        EventDraft {
            despatch_advice: Some((LocationId::warehouse(7), 700_123)),
            reader: None,
            ..draft(
                DraftContent::Transaction {
                    action: Action::Add,
                    parent: Some(pallet),
                    things: DraftThings::default(),
                },
                Step::Shipping,
                Disposition::InTransit,
            )
        },
        draft(
            object(Action::Observe, DraftThings::default()),
            Step::Stocking,
            Disposition::SellableAccessible,
        ),
    ];
    let (text, ids) = written(&drafts);
    let golden = support::text("epcis/written.jsonld");
    assert_eq!(text, golden.trim_end());
    let capture = epcis::read(text.as_bytes()).unwrap();
    for (event, id) in capture.events.iter().zip(ids) {
        assert_eq!(event.event_id.as_ref().map(|_| capture.id(event)), id);
        if let Some(id) = id {
            assert_eq!(capture.content_id(event), id);
        }
    }
    // An event and its declaration have one id.
    let correction = capture.correction(&capture.events[3]).unwrap();
    assert_eq!(correction.corrected, capture.id(&capture.events[2]));
    assert_eq!(correction.corrective, corrective);
}

fn any_site() -> impl Strategy<Value = Site> {
    let location = prop_oneof![
        any::<u16>().prop_map(LocationId::store),
        (0_u16..10_000).prop_map(LocationId::warehouse)
    ];
    (
        location,
        prop::sample::select(vec![SubLocation::Floor, SubLocation::BackRoom]),
    )
        .prop_map(|(location, sub_location)| Site {
            location,
            sub_location: Some(sub_location),
        })
}

fn any_line() -> impl Strategy<Value = DraftLine<'static>> {
    (
        0_u64..10_000_000_000_000,
        prop::option::of("[A-Z0-9]{1,20}"),
        0_i64..=1_000_000_000_000,
        prop::sample::select(vec![Unit::Piece, Unit::Kilogram, Unit::Litre, Unit::Metre]),
    )
        .prop_map(|(body, lot, quantity, unit)| DraftLine {
            class: Key::Article {
                gtin: Gtin::from_body(body).unwrap(),
                lot: lot.map(Into::into),
                serial: None,
            },
            measure: Measure {
                quantity: Quantity(quantity),
                unit,
            },
            book: None,
        })
}

fn any_piece() -> impl Strategy<Value = Key<'static>> {
    (0_u64..10_000_000_000_000, "[A-Za-z0-9]{1,20}").prop_map(|(body, serial)| Key::Article {
        gtin: Gtin::from_body(body).unwrap(),
        lot: None,
        serial: Some(serial.into()),
    })
}

/// Steps whose effect is known with any of these dispositions.
fn any_step() -> impl Strategy<Value = (Step, Disposition, Effect)> {
    prop::sample::select(vec![
        (
            Step::Receiving,
            Disposition::InProgress,
            Effect::Moves(Flow::Received),
        ),
        (
            Step::Stocking,
            Disposition::SellableAccessible,
            Effect::Moves(Flow::Stocked),
        ),
        (
            Step::Storing,
            Disposition::SellableNotAccessible,
            Effect::Moves(Flow::Stored),
        ),
        (
            Step::Shipping,
            Disposition::InTransit,
            Effect::Confirms(Flow::Shipped),
        ),
        (
            Step::RetailSelling,
            Disposition::RetailSold,
            Effect::Confirms(Flow::Sold),
        ),
        (Step::Removing, Disposition::Stolen, Effect::Moves(Flow::Lost)),
        (Step::Picking, Disposition::Reserved, Effect::Reserves),
        (Step::Arriving, Disposition::InTransit, Effect::None),
    ])
}

fn assert_reads(capture: &Capture<'_>, event: &CaptureEvent<'_>, draft: &EventDraft<'_>, effect: Effect) {
    assert_eq!(
        (event.at, event.offset_minutes, event.effect),
        (draft.at, draft.offset_minutes, effect)
    );
    assert_eq!(
        (event.site, event.step, event.disposition),
        (draft.biz_location, draft.step, draft.disposition)
    );
    assert_eq!(event.reader.zip(event.running_number), draft.reader);
    assert_eq!(
        event.despatch_advice,
        draft.despatch_advice.map(|(_, number)| number)
    );
    let DraftContent::Object { things, .. } = draft.content else {
        panic!("an object");
    };
    let mut lines = capture.lines(event).iter();
    for epc in things.epcs {
        let line = lines.next().unwrap();
        assert_eq!(
            (Some(line.thing), line.quantity),
            (epc.gtin().map(Thing::Article), Quantity::ONE)
        );
    }
    for class in things.classes {
        let line = lines.next().unwrap();
        assert_eq!(
            (Some(line.thing), line.quantity, line.unit, line.side),
            (
                class.class.gtin().map(Thing::Article),
                class.measure.quantity,
                class.measure.unit,
                Side::Whole
            )
        );
    }
    assert!(lines.next().is_none());
}

proptest! {
    #[test]
    fn what_is_written_is_read_in_both_spellings_with_one_id(
        classes in prop::collection::vec(any_line(), 0..6),
        mut pieces in prop::collection::vec(any_piece(), 0..4),
        (step, disposition, effect) in any_step(),
        site in any_site(),
        at in 86_400_000_i64..253_402_200_000_000,
        offset_minutes in -840_i16..=840,
        reader in prop::option::of(any::<(u16, u64)>()),
        advice in prop::option::of(0_u64..1_000_000_000_000_000_000),
        prefix in 6_u8..=12,
    ) {
        pieces.sort_by_key(Key::to_link);
        pieces.dedup();
        let things = DraftThings { epcs: &pieces, classes: &classes };
        let link = EventDraft {
            at: TimeMs(at),
            offset_minutes,
            read_point: None,
            biz_location: Some(site),
            reader,
            despatch_advice: advice.map(|number| (LocationId::warehouse(1), number)),
            spelling: Spelling::DigitalLink,
            ..draft(DraftContent::Object { action: Action::Observe, things }, step, disposition)
        };
        let urn = EventDraft { spelling: Spelling::Urn(PrefixLength::new(prefix).unwrap()), ..link };
        let declared = EventDraft {
            declaration: Some(DeclarationDraft { at: AT, reason: None, corrective: &[], reader: None }),
            ..urn
        };
        let (text, ids) = written(&[link, urn, declared]);
        prop_assert!(ids.iter().all(|id| id.is_some() && *id == ids[0]), "{ids:?}");
        let capture = epcis::read(text.as_bytes()).unwrap();
        for (event, draft) in capture.events.iter().zip([link, urn, declared]) {
            assert_reads(&capture, event, &draft, effect);
        }
        let amounts = |index: usize| capture.movements(&capture.events[index]).map(|line| line.quantity.0).collect::<Vec<_>>();
        let reversed: Vec<_> = amounts(0).into_iter().map(|amount| -amount).collect();
        prop_assert_eq!(amounts(2), reversed);
    }
}
