//! POSLog: one file a case beside what must be read of it, the table of what moves stock, and write ∘ read = id.
//!
//! A new case is a new file under `tests/data/poslog`. `UPDATE_GOLDEN=1` writes what is read beside each document; look
//! at the difference before you commit it.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use contracts::records::MovementKind;
use contracts::wire::poslog::{
    Coded, ControlKind, DOCUMENT_BYTES_MAX, Dialect, Document, DocumentWriter, EntryMethod, InventoryDocument,
    InventoryKind, InventoryLine, Item, ItemCode, ItemId, Line, LineKind, Measured, ParseError, Retail, StockLine,
    Tender, Transaction, TransactionLink, WriteError, parse, stock_lines,
};

fn cases() -> BTreeMap<String, PathBuf> {
    let folder = support::path("poslog");
    let mut cases = BTreeMap::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "xml") {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            cases.insert(name, path);
        }
    }
    assert!(cases.len() > 90, "{} cases in {}", cases.len(), folder.display());
    cases
}

#[test]
fn every_document_is_read_as_the_text_beside_it_says() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    for (name, path) in cases() {
        let read = rendered(&std::fs::read(&path).unwrap());
        let beside = path.with_extension("txt");
        if update {
            std::fs::write(&beside, &read).unwrap();
        }
        let expected = std::fs::read_to_string(&beside)
            .unwrap_or_else(|error| panic!("{}: {error}; UPDATE_GOLDEN=1 writes it", beside.display()));
        assert_eq!(read, expected, "{name}");
    }
}

/// Columns: file of the case, what the till wrote, what moves.
#[test]
fn the_table_of_what_moves_stock_is_what_is_read_row_for_row() {
    let page = support::path("../../../../docs/formats/what-moves-stock.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut rows = BTreeMap::new();
    for line in page.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        if let [case, _, moves] = cells[..]
            && let Some(case) = case.strip_prefix('`').and_then(|case| case.strip_suffix('`'))
        {
            assert_eq!(rows.insert(case.to_owned(), moves.to_owned()), None, "{case} twice");
        }
    }
    for (name, path) in cases() {
        if name.starts_with("bad-") || name.starts_with("document-") {
            continue;
        }
        let bytes = std::fs::read(path).unwrap();
        let document = parse(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let moves: Vec<String> = document.transactions.iter().map(moves).collect();
        let moves = if moves.iter().all(|moves| moves == "nothing") {
            "nothing".to_owned()
        } else {
            moves.join("; ")
        };
        assert_eq!(rows.remove(&name), Some(moves), "the row of {name}");
    }
    assert!(rows.is_empty(), "rows without a case: {rows:?}");
}

#[test]
fn what_was_read_of_a_document_is_written_and_read_alike() {
    let mut written = 0;
    for (name, path) in cases() {
        let bytes = std::fs::read(path).unwrap();
        let Ok(document) = parse(&bytes) else { continue };
        match write(&document) {
            Ok(text) => {
                let again = parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
                assert_eq!(again.transactions, document.transactions, "{name}");
                written += 1;
            }
            // Feeds of others hold what the schema does not.
            Err(error) => assert!(
                ["document-dirty", "void-repeated", "refused-line-kind", "refused-void-repeated"]
                    .contains(&&*name)
                    || document.dialect == Dialect::V2 && error.what.contains("none of 2.2.1"),
                "{name}: {error}"
            ),
        }
    }
    assert!(written > 60, "{written}");
}

#[test]
fn nothing_is_left_of_a_transaction_that_cannot_be_written() {
    let negative = Transaction {
        retail: Some(Retail {
            lines: vec![Line::from(LineKind::Tender(Tender {
                amount: Some(contracts::ids::Money(-1)),
                ..Tender::default()
            }))],
            ..Retail::default()
        }),
        ..Transaction::default()
    };
    let mut out = Vec::new();
    let mut writer = DocumentWriter::new(Dialect::V6, &mut out);
    writer.transaction(&negative).unwrap_err();
    let cancelled = Transaction {
        flags: contracts::wire::poslog::Flags {
            cancelled: true,
            ..Default::default()
        },
        ..Transaction::default()
    };
    assert_eq!(writer.transaction(&cancelled).unwrap_err().element, "CancelFlag");
    writer.finish();
    assert!(parse(&out).unwrap().transactions.is_empty());
}

#[test]
fn what_is_too_long_or_in_another_encoding_is_refused_unread() {
    let long = vec![b' '; DOCUMENT_BYTES_MAX + 1];
    assert_eq!(parse(&long).unwrap_err().class(), "too-long");
    let utf_16: Vec<u8> = "<POSLog/>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(parse(&utf_16).unwrap_err().class(), "bad-xml");
    assert_eq!(
        parse(b"<POSLog a='\xe9'/>"),
        Err(ParseError::Encoding {
            found: "a byte that is no UTF-8".to_owned(),
            offset: 11
        })
    );
    assert!(parse("\u{feff}<POSLog/>".as_bytes()).is_ok());
}

/// Cut anywhere: an error, and never a part of the document.
#[test]
fn a_document_that_is_cut_off_is_refused() {
    let bytes = std::fs::read(support::path("poslog/document-template.xml")).unwrap();
    let whole = bytes.trim_ascii_end().len();
    for length in 0..whole {
        assert!(parse(&bytes[..length]).is_err(), "cut at {length}");
    }
    assert!(parse(&bytes[..whole]).is_ok());
}

#[test]
fn floods_are_refused_at_their_bound() {
    let inside = |text: &str| format!("<POSLog>{text}</POSLog>").into_bytes();
    let transaction = "<Transaction><BusinessUnit>1</BusinessUnit><WorkstationID>1</WorkstationID>\
                       <SequenceNumber>1</SequenceNumber>";
    for (what, bytes) in [
        ("depth", inside(&"<x>".repeat(100_000))),
        ("attributes", inside(&format!("<x {}/>", "a='' ".repeat(100_000)))),
        ("transactions", inside(&format!("{transaction}</Transaction>").repeat(7000))),
        (
            "lines",
            inside(&format!(
                "{transaction}<RetailTransaction>{}</RetailTransaction></Transaction>",
                "<LineItem/>".repeat(80_000)
            )),
        ),
        ("text", inside(&format!("{transaction}<TillID>{}</TillID></Transaction>", "9".repeat(2000)))),
    ] {
        match parse(&bytes) {
            Err(ParseError::Bound { what: found, .. }) => assert_eq!(found, what),
            other => panic!("{what}: {:?}", other.map(|_| ())),
        }
    }
}

fn write(document: &Document<'_>) -> Result<Vec<u8>, WriteError> {
    let mut out = Vec::new();
    let mut writer = DocumentWriter::new(document.dialect, &mut out);
    for transaction in &document.transactions {
        writer.transaction(transaction)?;
    }
    writer.finish();
    Ok(out)
}

/// What a transaction moves in a cell of the table.
fn moves(transaction: &Transaction<'_>) -> String {
    let mut lines = Vec::new();
    match stock_lines(transaction, &mut lines) {
        Err(error) => format!("refused: `{}`", error.class()),
        Ok(()) if lines.is_empty() => "nothing".to_owned(),
        Ok(()) => lines
            .iter()
            .map(|line| {
                format!("`{}` {} {:?}", kind_name(line.kind), line.quantity, line.unit)
            })
            .collect::<Vec<_>>()
            .join(", "),
    }
}

fn rendered(bytes: &[u8]) -> String {
    let document = match parse(bytes) {
        Ok(document) => document,
        Err(error) => return format!("refused {}: {error}\n", error.class()),
    };
    let mut out = format!("{:?}, {} unread\n", document.dialect, document.unread);
    for transaction in &document.transactions {
        render_transaction(transaction, &mut out);
    }
    out
}

fn render_transaction(transaction: &Transaction<'_>, out: &mut String) {
    let Transaction {
        store,
        workstation,
        number,
        flags,
        ..
    } = transaction;
    write!(out, "transaction S{store:04}/till/{workstation} {number}").unwrap();
    let day = transaction.business_day.map(|day| day.0);
    optional(out, "day", day.as_ref());
    let stamp = |stamp: contracts::wire::poslog::Stamp| format!("{}{:?}", stamp.at.0, stamp.zone);
    optional(out, "begin", transaction.begin.map(stamp).as_ref());
    optional(out, "end", transaction.end.map(stamp).as_ref());
    optional(out, "id", transaction.id.as_ref());
    optional(out, "operator", transaction.operator.as_ref());
    optional(out, "till", transaction.till.as_ref());
    optional(out, "currency", transaction.currency.as_ref());
    for (name, set) in [
        ("training", flags.training),
        ("offline", flags.offline),
        ("cancelled", flags.cancelled),
    ] {
        out.push_str(if set { " " } else { "" });
        out.push_str(if set { name } else { "" });
    }
    out.push('\n');
    if let Some(retail) = &transaction.retail {
        out.push_str("  receipt");
        optional(out, "status", retail.status.as_ref().map(Coded::code).as_ref());
        optional(out, "loyalty", retail.loyalty_account.as_ref());
        optional(out, "link", retail.link.as_ref().map(link).as_ref());
        for total in &retail.totals {
            let kind = total.kind.as_ref().map_or("-", Coded::code);
            optional(out, kind, total.amount.map(|amount| amount.0).as_ref());
        }
        out.push('\n');
        for line in &retail.lines {
            render_line(line, out);
        }
    }
    for event in &transaction.control {
        write!(out, "  control {}", event.kind.code()).unwrap();
        optional(out, "link", event.link.as_ref().map(link).as_ref());
        out.push('\n');
    }
    for document in &transaction.inventory {
        render_document(document, out);
    }
    render_moves(transaction, out);
}

/// As the contract names it.
fn kind_name(kind: MovementKind) -> String {
    let mut name = String::new();
    for letter in format!("{kind:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

fn render_moves(transaction: &Transaction<'_>, out: &mut String) {
    let mut lines = Vec::new();
    if let Err(error) = stock_lines(transaction, &mut lines) {
        writeln!(out, "  refused {}: {error}", error.class()).unwrap();
        return;
    }
    if lines.is_empty() {
        out.push_str("  moves nothing\n");
    }
    for StockLine {
        sku,
        code,
        kind,
        quantity,
        unit,
        despatch_advice,
    } in lines
    {
        write!(out, "  moves {} {quantity} {unit:?}", kind_name(kind)).unwrap();
        optional(out, "sku", sku.as_ref());
        optional(out, "code", code.map(item_code).as_ref());
        optional(out, "advice", despatch_advice.as_ref());
        out.push('\n');
    }
}

fn render_line(line: &Line<'_>, out: &mut String) {
    out.push_str("    line");
    optional(out, "number", line.number.as_ref());
    optional(out, "at", line.at.map(|at| at.at.0).as_ref());
    optional(out, "entry", line.entry.as_ref().map(Coded::code).as_ref());
    out.push_str(if line.void { " void" } else { "" });
    out.push_str(if line.cancelled { " cancelled" } else { "" });
    if let Some(voids) = &line.voids {
        write!(out, " voids={}", voids.line).unwrap();
        optional(out, "of-it", voids.quantity.as_ref().map(measured).as_ref());
    }
    let money = |amount: Option<contracts::ids::Money>| amount.map_or("-".to_owned(), |amount| amount.0.to_string());
    match &line.kind {
        LineKind::Sale(item) => render_item("sale", item, out),
        LineKind::Return(item) => render_item("return", item, out),
        LineKind::Discount(amount) => write!(out, ": discount {}", money(*amount)).unwrap(),
        LineKind::Tax(amount) => write!(out, ": tax {}", money(*amount)).unwrap(),
        LineKind::Change(amount) => write!(out, ": change {}", money(*amount)).unwrap(),
        LineKind::Deposit(amount) => write!(out, ": deposit {}", money(*amount)).unwrap(),
        LineKind::Coupon(amount) => write!(out, ": coupon {}", money(*amount)).unwrap(),
        LineKind::Tender(tender) => {
            write!(out, ": tender {}", money(tender.amount)).unwrap();
            optional(out, "currency", tender.currency.as_ref());
            optional(out, "kind", tender.kind.as_ref().map(Coded::code).as_ref());
            optional(out, "direction", tender.direction.as_ref().map(Coded::code).as_ref());
            optional(out, "change", tender.change.map(|amount| amount.0).as_ref());
            optional(out, "rounding", tender.rounding.map(|amount| amount.0).as_ref());
        }
        LineKind::Loyalty { promotion } => {
            out.push_str(": loyalty");
            optional(out, "promotion", promotion.as_ref());
        }
        LineKind::Empty => out.push_str(": empty"),
        LineKind::Other(name) => write!(out, ": other {name}").unwrap(),
    }
    out.push('\n');
}

fn render_item(name: &str, item: &Item<'_>, out: &mut String) {
    write!(out, ": {name} {}", item_id(&item.id)).unwrap();
    optional(out, "quantity", item.quantity.as_ref().map(measured).as_ref());
    optional(out, "type", item.item_type.as_ref().map(Coded::code).as_ref());
    optional(out, "department", item.department.as_ref());
    optional(out, "description", item.description.as_ref());
    for (name, amount) in [
        ("list", item.list_price),
        ("regular", item.regular_price),
        ("actual", item.actual_price),
        ("extended", item.extended_amount),
        ("discount", item.discount),
    ] {
        optional(out, name, amount.map(|amount| amount.0).as_ref());
    }
    optional(out, "link", item.link.as_ref().map(link).as_ref());
    optional(out, "disposal", item.disposal.as_ref().map(Coded::code).as_ref());
    optional(out, "reason", item.reason.as_ref());
}

fn render_document(document: &InventoryDocument<'_>, out: &mut String) {
    let place = |place: &contracts::wire::poslog::Place<'_>| {
        format!("{}:{}", place.kind.as_ref().map_or("-", Coded::code), place.id)
    };
    write!(out, "  paper {:?} {:?}", document.kind, document.room).unwrap();
    optional(out, "status", document.status.as_ref().map(Coded::code).as_ref());
    optional(out, "type", document.type_code.as_ref());
    optional(out, "reason", document.reason.as_ref().map(Coded::code).as_ref());
    optional(out, "id", document.id.as_ref());
    optional(out, "source", document.source.as_ref().map(place).as_ref());
    optional(out, "destination", document.destination.as_ref().map(place).as_ref());
    out.push('\n');
    for line in &document.lines {
        write!(out, "    line: {}", item_id(&line.item)).unwrap();
        for (name, quantity) in [
            ("ordered", &line.ordered),
            ("received", &line.received),
            ("disposed", &line.disposed),
            ("quantity", &line.quantity),
        ] {
            optional(out, name, quantity.as_ref().map(measured).as_ref());
        }
        optional(out, "book", line.book.as_ref());
        out.push('\n');
    }
}

fn optional(out: &mut String, name: &str, value: Option<&impl std::fmt::Display>) {
    if let Some(value) = value {
        write!(out, " {name}={value}").unwrap();
    }
}

fn item_id(id: &ItemId<'_>) -> String {
    let mut out = "item".to_owned();
    optional(&mut out, "sku", id.sku.as_ref());
    optional(&mut out, "code", id.code.map(item_code).as_ref());
    optional(&mut out, "unread", id.unread.as_ref());
    out
}

fn item_code(code: ItemCode) -> String {
    match code {
        ItemCode::Gtin(gtin) => format!("GTIN:{gtin}"),
        ItemCode::Plu(plu) => format!("PLU:{plu:05}"),
    }
}

fn measured(measured: &Measured<'_>) -> String {
    let unit = measured.unit.as_ref().map_or("-", Coded::code);
    let units = measured.units.map_or(String::new(), |units| format!("*{units}"));
    format!("{}{unit}{units}", measured.quantity)
}

fn link(link: &TransactionLink<'_>) -> String {
    let mut out = String::new();
    optional(&mut out, "reason", link.reason.as_ref());
    optional(&mut out, "id", link.id.as_ref());
    optional(&mut out, "store", link.store.as_ref());
    optional(&mut out, "till", link.workstation.as_ref());
    optional(&mut out, "day", link.business_day.map(|day| day.0).as_ref());
    optional(&mut out, "number", link.number.as_ref());
    optional(&mut out, "line", link.line.as_ref());
    format!("({})", out.trim())
}

#[test]
fn a_till_of_ours_writes_these_bytes() {
    for (dialect, golden) in [(Dialect::V6, "poslog-6.xml"), (Dialect::V2, "poslog-2.xml")] {
        let mut out = Vec::new();
        let mut writer = DocumentWriter::new(dialect, &mut out);
        for transaction in everything(dialect) {
            writer.transaction(&transaction).unwrap();
        }
        writer.finish();
        // One element a line, for whoever reads it.
        let text = String::from_utf8(out).unwrap().replace("><", ">\n<") + "\n";
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(support::path(golden), &text).unwrap();
        }
        assert_eq!(text, support::text(golden), "{golden}");
    }
}

/// One of each that is written.
fn everything(dialect: Dialect) -> Vec<Transaction<'static>> {
    use contracts::ids::{BusinessDay, Gtin, Money, Quantity, Sku, TimeMs};
    use contracts::wire::poslog::{
        AdjustmentReason, ControlEvent, DisposalMethod, DocumentStatus, Flags, ItemType, Place, Room, Stamp,
        TenderDirection, TenderType, Text, Total, TotalType, TransactionStatus, UnitOfMeasure, UnitType, Voids,
    };
    let begin = TimeMs(1_741_944_400_000);
    let base = |number| Transaction {
        store: 42,
        workstation: 3,
        number,
        id: (dialect == Dialect::V6).then(|| Text::Owned(format!("0042-003-20250314-{number}"))),
        business_day: Some(BusinessDay(20_161)),
        begin: Some(Stamp::utc(begin)),
        end: Some(Stamp::utc(TimeMs(begin.0 + 51_500))),
        operator: Some(Text::Borrowed("117")),
        till: Some(Text::Borrowed("3")),
        currency: Some(Text::Borrowed("USD")),
        ..Transaction::default()
    };
    let earlier = TransactionLink {
        store: Some(42),
        workstation: Some(3),
        business_day: Some(BusinessDay(20_159)),
        number: Some(911),
        ..TransactionLink::default()
    };
    let item = Item {
        id: ItemId {
            sku: Some(Sku(100_234)),
            code: Gtin::new(614_141_999_996).map(ItemCode::Gtin),
            unread: None,
        },
        item_type: Some(Coded::Known(ItemType::Stock)),
        department: Some(Text::Borrowed("81")),
        description: Some(Text::Borrowed("APPLE & PEAR <500g>")),
        list_price: Some(Money(299)),
        regular_price: Some(Money(299)),
        actual_price: Some(Money(249)),
        extended_amount: Some(Money(498)),
        discount: Some(Money(100)),
        quantity: Some(Measured::new(Quantity::units(2), UnitOfMeasure::Each)),
        ..Item::default()
    };
    let weighed = Item {
        id: ItemId {
            code: Some(ItemCode::Plu(4011)),
            ..ItemId::default()
        },
        quantity: Some(Measured {
            units: Some(Quantity(425)),
            ..Measured::new(Quantity::ONE, UnitOfMeasure::Kilogram)
        }),
        ..Item::default()
    };
    let returned = Item {
        link: Some(TransactionLink {
            reason: Some(Text::Borrowed("Return")),
            line: Some(4),
            ..earlier.clone()
        }),
        disposal: Some(Coded::Known(DisposalMethod::WriteOff)),
        reason: Some(Text::Borrowed("Defective")),
        ..item.clone()
    };
    let negative = Item {
        quantity: Some(Measured::new(Quantity(-1000), UnitOfMeasure::Each)),
        ..item.clone()
    };
    let mut lines: Vec<Line<'static>> = [
        LineKind::Sale(item.clone()),
        LineKind::Sale(weighed),
        LineKind::Return(returned),
        LineKind::Sale(negative),
        LineKind::Empty,
        LineKind::Discount(Some(Money(50))),
        LineKind::Deposit(Some(Money(25))),
        LineKind::Coupon(Some(Money(100))),
        LineKind::Loyalty {
            promotion: Some(Text::Borrowed("5177")),
        },
        LineKind::Tax(Some(Money(30))),
        LineKind::Tender(Tender {
            kind: Some(Coded::Known(TenderType::Cash)),
            direction: Some(Coded::Known(TenderDirection::Sale)),
            amount: Some(Money(500)),
            currency: Some(Text::Borrowed("USD")),
            change: Some(Money(70)),
            rounding: Some(Money(-2)),
        }),
        LineKind::Change(Some(Money(70))),
    ]
    .into_iter()
    .zip(1..)
    .map(|(kind, number)| Line {
        number: Some(number),
        ..Line::from(kind)
    })
    .collect();
    lines[0].entry = Some(Coded::Known(EntryMethod::Scanned));
    lines[0].at = Some(Stamp::utc(TimeMs(begin.0 + 3000)));
    lines[4].void = true;
    lines[4].voids = Some(Voids {
        line: 1,
        quantity: Some(Measured::from(Quantity::ONE)),
    });
    let receipt = Transaction {
        flags: Flags {
            offline: true,
            ..Flags::default()
        },
        retail: Some(Retail {
            status: Some(Coded::Known(TransactionStatus::Finished)),
            lines,
            totals: vec![Total {
                kind: Some(Coded::Known(TotalType::Grand)),
                amount: Some(Money(-250)),
            }],
            loyalty_account: Some(Text::Borrowed("22000129")),
            link: Some(TransactionLink {
                reason: Some(Text::Borrowed("Resume")),
                ..earlier.clone()
            }),
        }),
        ..base(1187)
    };
    let sign_on = Transaction {
        control: vec![ControlEvent {
            kind: Coded::Known(ControlKind::SignOn),
            link: None,
        }],
        ..base(1188)
    };
    let post_void = Transaction {
        retail: Some(Retail {
            lines: vec![Line {
                number: Some(1),
                ..Line::from(LineKind::Return(Item {
                    link: Some(TransactionLink {
                        line: Some(1),
                        ..earlier.clone()
                    }),
                    ..item
                }))
            }],
            ..Retail::default()
        }),
        control: vec![ControlEvent {
            kind: Coded::Known(ControlKind::PostVoid),
            link: Some(earlier),
        }],
        ..base(1189)
    };
    let article = || ItemId {
        sku: Some(Sku(100_234)),
        ..ItemId::default()
    };
    let of = |kind, line| InventoryDocument {
        lines: vec![line],
        ..InventoryDocument::new(kind)
    };
    let units = |count| Some(Measured::new(Quantity::units(count), UnitOfMeasure::Each));
    let papers = Transaction {
        inventory: vec![
            InventoryDocument {
                type_code: Some(Text::Borrowed("Cycle")),
                room: Room::BackRoom,
                ..of(
                    InventoryKind::Count,
                    InventoryLine {
                        item: article(),
                        quantity: units(17),
                        book: Some(Quantity::units(20)),
                        ..InventoryLine::default()
                    },
                )
            },
            InventoryDocument {
                status: Some(Coded::Known(DocumentStatus::Posted)),
                type_code: Some(Text::Borrowed("Receipt")),
                id: Some(Text::Borrowed("771")),
                source: Some(Place {
                    kind: Some(Coded::Known(UnitType::DistributionCenter)),
                    id: Text::Borrowed("DC01"),
                }),
                ..of(
                    InventoryKind::Receive,
                    InventoryLine {
                        item: article(),
                        ordered: units(48),
                        received: units(47),
                        ..InventoryLine::default()
                    },
                )
            },
            InventoryDocument {
                reason: Some(Coded::Known(AdjustmentReason::Destroy)),
                ..of(
                    InventoryKind::Adjustment,
                    InventoryLine {
                        item: article(),
                        disposed: units(4),
                        ..InventoryLine::default()
                    },
                )
            },
            InventoryDocument {
                type_code: Some(Text::Borrowed("Stolen")),
                ..of(
                    InventoryKind::Loss,
                    InventoryLine {
                        item: article(),
                        quantity: units(1),
                        ..InventoryLine::default()
                    },
                )
            },
        ],
        ..base(1190)
    };
    vec![receipt, sign_on, post_void, papers]
}

#[test]
fn what_a_till_of_ours_writes_is_read_back() {
    for dialect in [Dialect::V6, Dialect::V2] {
        let transactions = everything(dialect);
        let document = Document {
            dialect,
            transactions,
            unread: 0,
        };
        assert_eq!(parse(&write(&document).unwrap()).as_ref(), Ok(&document));
    }
}
