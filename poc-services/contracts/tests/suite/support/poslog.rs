//! The cases of POSLog, and what is read of them as text for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use contracts::records::MovementKind;
use contracts::wire::poslog::{
    Coded, InventoryDocument, Item, ItemCode, ItemId, Line, LineKind, Measured, StockLine, Transaction,
    TransactionLink, parse, stock_and_confirmed, stock_lines,
};

/// Documents by their names.
pub fn cases() -> BTreeMap<String, PathBuf> {
    let folder = super::path("poslog");
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

/// What a transaction moves in a cell of the table.
pub fn moves(transaction: &Transaction<'_>) -> String {
    let mut lines = Vec::new();
    match stock_lines(transaction, &mut lines) {
        Err(error) => format!("refused: `{}`", error.class()),
        Ok(()) if lines.is_empty() => "nothing".to_owned(),
        Ok(()) => lines
            .iter()
            .map(|line| format!("`{}` {} {:?}", kind_name(line.kind), line.quantity, line.unit))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

pub fn rendered(bytes: &[u8]) -> String {
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
    let (mut lines, mut confirmed) = (Vec::new(), Vec::new());
    if let Err(error) = stock_and_confirmed(transaction, &mut lines, &mut confirmed) {
        writeln!(out, "  refused {}: {error}", error.class()).unwrap();
        return;
    }
    if lines.is_empty() {
        out.push_str("  moves nothing\n");
    }
    let moved = lines.iter().map(|line| ("moves", line));
    for (verb, line) in moved.chain(confirmed.iter().map(|line| ("confirms", line))) {
        let StockLine {
            sku,
            code,
            kind,
            quantity,
            unit,
            despatch_advice,
        } = *line;
        write!(out, "  {verb} {} {quantity} {unit:?}", kind_name(kind)).unwrap();
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
    let money =
        |amount: Option<contracts::ids::Money>| amount.map_or("-".to_owned(), |amount| amount.0.to_string());
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
            optional(
                out,
                "direction",
                tender.direction.as_ref().map(Coded::code).as_ref(),
            );
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
    optional(
        out,
        "destination",
        document.destination.as_ref().map(place).as_ref(),
    );
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
