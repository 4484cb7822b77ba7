//! What tills wrote as POSLog, read back.

use contracts::ids::Sku;
use contracts::records::MovementKind;
use contracts::wire::poslog::{
    Coded, Document, ItemCode, ItemType, Line, LineKind, StockUnit, Transaction, Zone, parse,
    stock_and_confirmed,
};
use contracts::wire::{FORMAT_POSLOG_6, poslog};
use world::events::{Message, PlaceEvents};

use super::seen::Seen;
use super::{Articles, Read, facts};

impl Articles {
    pub fn document(&self, bytes: &[u8], message: &Message, events: &PlaceEvents, seen: &mut Seen) {
        let document: Document<'_> = parse(bytes).expect("a document of ours");
        assert_eq!(poslog::format_of(bytes), message.format);
        assert_eq!(document.dialect.format(), message.format);
        let dialect = if message.format == FORMAT_POSLOG_6 {
            "V6"
        } else {
            "V2"
        };
        let transactions = events.transactions_of(message);
        assert_eq!(document.transactions.len(), transactions.len());
        if transactions.len() > 1 {
            seen.see(format!("{dialect} several transactions"));
        }
        let (mut stock, mut confirmed) = (Vec::new(), Vec::new());
        for (written, transaction) in document.transactions.iter().zip(transactions) {
            let id = transaction.id;
            assert_eq!((written.workstation, written.number), (id.source.unit, id.number));
            assert_eq!(written.store, id.source.location.number());
            assert_eq!(written.business_day, Some(id.business_day));
            let occurred = written.occurred().expect("a time");
            assert_eq!(occurred.zone, Zone::Utc);
            assert_eq!(occurred.at.0, transaction.at.0.div_euclid(1000) * 1000, "{id}");
            assert!(transaction.at <= message.at && id.source == transactions[0].id.source);
            stock_and_confirmed(written, &mut stock, &mut confirmed)
                .unwrap_or_else(|error| panic!("{id}: {error}"));
            let read: Vec<Read> = stock.iter().map(|line| self.moved(line)).collect();
            assert_eq!(read, facts(events.lines_of(transaction)), "{id}");
            let paper = events
                .papers_of(message)
                .iter()
                .find(|paper| events.transactions[paper.transaction as usize].id == id);
            confirmed.retain(|line| line.quantity.0 != 0);
            let read: Vec<Read> = confirmed.iter().map(|line| self.moved(line)).collect();
            let said = paper.map_or(&[][..], |paper| events.lines_of_paper(paper));
            assert_eq!(read, facts(said), "{id}");
            if let Some(paper) = paper {
                let advice = written.inventory[0].despatch_advice();
                assert_eq!(advice, Some(paper.despatch_advice), "{id}");
            }
            look(dialect, written, &document, seen);
            self.pays(written);
        }
        // A coupon's zero and a bag's name are the only things that decide nothing.
        assert!(
            document.unread <= document.transactions.len() as u32,
            "{}",
            document.unread
        );
    }

    fn moved(&self, line: &poslog::StockLine) -> Read {
        let by_code = line.code.map(|code| match code {
            ItemCode::Gtin(gtin) => self.by_code[&gtin.value()],
            ItemCode::Plu(plu) => self.by_code[&u64::from(plu)],
        });
        if let (Some(sku), Some((of_code, _))) = (line.sku, by_code) {
            assert_eq!(sku, of_code);
        }
        let sku: Sku = line.sku.or(by_code.map(|(sku, _)| sku)).expect("an article");
        let factor = if line.unit == StockUnit::Carton {
            self.packs[&sku]
        } else {
            1
        };
        if let Some((_, weighed)) = by_code {
            assert_eq!(
                weighed,
                line.unit == StockUnit::Kilogram || weighed && line.unit == StockUnit::Unstated
            );
        }
        let kind: MovementKind = line.kind;
        (sku, kind, line.quantity.0 * factor)
    }

    /// What is tendered, less what is given out, is what is due, but for the rounding.
    #[allow(clippy::unused_self, reason = "as its neighbours")]
    fn pays(&self, transaction: &Transaction<'_>) {
        let Some(retail) = &transaction.retail else { return };
        let (mut paid, mut rounding, mut tenders) = (0, 0, 0);
        for line in retail.lines.iter().filter(|line| !line.void) {
            match &line.kind {
                LineKind::Tender(tender) => {
                    let amount = tender.amount.expect("an amount").0;
                    let is_refund = tender.direction == Some(Coded::Known(poslog::TenderDirection::Refund));
                    paid += if is_refund { -amount } else { amount };
                    rounding += tender.rounding.map_or(0, |amount| amount.0);
                    tenders += 1;
                }
                LineKind::Change(amount) => paid -= amount.expect("an amount").0,
                _ => {}
            }
        }
        if tenders > 0 {
            let due = retail
                .totals
                .iter()
                .find(|total| total.kind == Some(Coded::Known(poslog::TotalType::Grand)));
            let due = due.and_then(|total| total.amount).expect("a grand total").0;
            assert_eq!(paid - rounding, due, "transaction {}", transaction.number);
        }
    }
}

fn look(dialect: &str, transaction: &Transaction<'_>, document: &Document<'_>, seen: &mut Seen) {
    let mut see = |what: &str| seen.see(format!("{dialect} {what}"));
    for (flag, what) in [
        (transaction.flags.training, "training"),
        (transaction.flags.offline, "offline"),
        (transaction.flags.cancelled, "cancelled"),
    ] {
        if flag {
            see(what);
        }
    }
    for event in &transaction.control {
        see(&format!("control {}", event.kind.code()));
    }
    if let Some(event) = transaction.post_void() {
        see("post-void");
        let voided = event.link.as_ref().and_then(|link| link.number);
        if !document
            .transactions
            .iter()
            .any(|other| Some(other.number) == voided)
        {
            see("post-void of an earlier document");
        }
    }
    for paper in &transaction.inventory {
        see(poslog::CodeList::code(paper.kind));
    }
    let Some(retail) = &transaction.retail else { return };
    if let Some(status) = &retail.status {
        see(&format!("status {}", status.code()));
    }
    if retail.link.is_some() {
        see("resumed");
    }
    let tenders = retail.lines.iter();
    let tenders = tenders
        .filter(|line| matches!(line.kind, LineKind::Tender(_)) && !line.void)
        .count();
    see(&format!("tenders {tenders}"));
    for line in &retail.lines {
        look_at_line(line, &mut see);
    }
}

fn look_at_line(line: &Line<'_>, see: &mut dyn FnMut(&str)) {
    match &line.kind {
        LineKind::Sale(item) | LineKind::Return(item) => {
            let quantity = item.quantity.as_ref().expect("a quantity");
            let is_return = matches!(line.kind, LineKind::Return(_));
            if line.void {
                see("void");
                see("void by repetition");
            } else if item.item_type == Some(Coded::Known(ItemType::Fee)) {
                see("fee");
            } else if is_return {
                see("return");
                see(&format!(
                    "return {}",
                    item.disposal.as_ref().expect("a disposal").code()
                ));
                if item.link.is_some() {
                    see("return with link");
                }
            } else if quantity.quantity.0 < 0 {
                see("negative sale");
            } else {
                see("sale");
            }
            if quantity.units.is_some() {
                see("units KGM");
            }
            if matches!(item.id.code, Some(ItemCode::Plu(_))) {
                see("PLU");
            }
            if item.discount.is_some() {
                see("item discount");
            }
        }
        LineKind::Empty => {
            see("void");
            see("void by link");
        }
        LineKind::Discount(_) => see("transaction discount"),
        LineKind::Tax(_) => see("tax"),
        LineKind::Change(_) => see("change"),
        LineKind::Coupon(_) => see("coupon"),
        LineKind::Loyalty { .. } => see("loyalty"),
        LineKind::Tender(tender) => {
            if line.void {
                see("tender void");
            }
            if tender.rounding.is_some() {
                see("rounding");
            }
            if tender.direction == Some(Coded::Known(poslog::TenderDirection::Refund)) {
                see("refund");
            }
        }
        LineKind::Deposit(_) | LineKind::Other(_) => panic!("not of ours: {line:?}"),
    }
}
