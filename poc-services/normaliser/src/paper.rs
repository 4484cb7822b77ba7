//! What a transaction says of a delivery, beside what it does to stock: its paper.
//!
//! A delivery is written down by several sources: the warehouse that ships, the back door that scans, the till system that posts
//! the receipt. They share the despatch advice. Which of them moves stock is fixed: shipment records and receiving scans do, a
//! receipt that the till system posts with an advice moves nothing. So papers can come in any order. Pure.
//!
//! Invariant: a paper's key is its advice and the identity of its transaction, so a repeat writes the same record.

use contracts::ids::TransactionId;
use contracts::records::{MovementKind, MovementLine, Paper, PaperKind, PaperLine, SourceKind};
use contracts::topics::{PAPERS, partition_of_advice};
use prost::Message as _;

use backbone::{BackboneError, Producer};

use crate::normalised::Transaction;

/// The paper of a transaction that moves stock of a delivery; `None`: it has no advice, or moves something else.
pub fn of_transaction(transaction: &Transaction, lines: &[MovementLine]) -> Option<Paper> {
    let kind = match (transaction.id.source.kind, lines.first()?.kind()) {
        _ if transaction.despatch_advice == 0 => return None,
        (SourceKind::Queue, MovementKind::Shipped) => PaperKind::Shipment,
        (SourceKind::Reader, MovementKind::Received) => PaperKind::ReceivingScan,
        _ => return None,
    };
    let lines = lines.iter().map(|line| PaperLine {
        sku: line.sku,
        quantity: line.quantity,
    });
    Some(paper(transaction, kind, lines.collect()))
}

/// A paper with lines of its own: of a transaction that confirms and moves nothing.
pub fn paper(transaction: &Transaction, kind: PaperKind, lines: Vec<PaperLine>) -> Paper {
    let TransactionId {
        source,
        business_day,
        number,
    } = transaction.id;
    Paper {
        despatch_advice: transaction.despatch_advice,
        kind: kind as i32,
        location: source.location.to_string(),
        source_kind: source.kind as i32,
        source_unit: source.unit.into(),
        business_day: business_day.0,
        number,
        occurred_ms: transaction.occurred.0,
        content_hash: transaction.content_hash,
        lines,
        group_sequence: transaction.group.map_or(0, |place| place.sequence),
        is_last_in_group: transaction.group.is_some_and(|place| place.is_last),
    }
}

/// `20000012/W0002/queue/0/0/48210`
pub fn key(paper: &Paper) -> String {
    let kind = match paper.source_kind() {
        SourceKind::Till => "till",
        SourceKind::Queue => "queue",
        SourceKind::Reader => "reader",
        SourceKind::Unspecified => "none",
    };
    format!(
        "{}/{}/{kind}/{}/{}/{}",
        paper.despatch_advice, paper.location, paper.source_unit, paper.business_day, paper.number
    )
}

pub(crate) fn send(
    paper: &Paper,
    timestamp_ms: Option<i64>,
    producer: &mut Producer,
) -> Result<(), BackboneError> {
    producer.send(
        PAPERS,
        partition_of_advice(paper.despatch_advice),
        key(paper).as_bytes(),
        &paper.encode_to_vec(),
        timestamp_ms,
        &[],
    )
}

#[cfg(test)]
mod tests {
    use contracts::ids::{BusinessDay, LocationId, SourceId, TimeMs};

    use super::*;

    fn transaction(source: SourceId, despatch_advice: u64) -> Transaction {
        Transaction {
            id: TransactionId {
                source,
                business_day: BusinessDay(0),
                number: 7,
            },
            occurred: TimeMs(1),
            content_hash: 9,
            despatch_advice,
            group: None,
            lines: 0..1,
        }
    }

    fn line(kind: MovementKind) -> MovementLine {
        MovementLine {
            sku: 100_001,
            kind: kind as i32,
            quantity: 48_000,
        }
    }

    #[test]
    fn what_ships_and_what_is_scanned_at_the_back_door_are_papers() {
        let queue = transaction(SourceId::queue(LocationId::warehouse(2)), 20_000_012);
        let shipment = of_transaction(&queue, &[line(MovementKind::Shipped)]).expect("a paper");
        assert_eq!(shipment.kind(), PaperKind::Shipment);
        assert_eq!(key(&shipment), "20000012/W0002/queue/0/0/7");
        let reader = transaction(SourceId::reader(LocationId::store(42), 1), 20_000_012);
        let scan = of_transaction(&reader, &[line(MovementKind::Received)]).expect("a paper");
        assert_eq!(scan.kind(), PaperKind::ReceivingScan);
        assert_eq!(scan.lines[0].quantity, 48_000);
        assert_ne!(key(&scan), key(&shipment));
    }

    #[test]
    fn what_has_no_advice_or_moves_otherwise_is_none() {
        let reader = |advice| transaction(SourceId::reader(LocationId::store(42), 1), advice);
        assert_eq!(of_transaction(&reader(0), &[line(MovementKind::Received)]), None);
        assert_eq!(of_transaction(&reader(5), &[line(MovementKind::Stocked)]), None);
        assert_eq!(of_transaction(&reader(5), &[]), None);
    }
}
