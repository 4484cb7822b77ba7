//! One unit more in the first line of a POSLog document that moves stock.

use crate::ids::Quantity;
use crate::wire::poslog::{
    Document, DocumentWriter, InventoryLine, LineKind, StockLine, Transaction, parse, stock_lines,
};

/// Lines tried in each transaction: a line can be taken back by another, and then it cannot be changed alone.
const TRIED_MAX: usize = 64;

pub(super) fn altered(payload: &[u8]) -> Option<Vec<u8>> {
    let document = parse(payload).ok()?;
    let (index, transaction) = document
        .transactions
        .iter()
        .enumerate()
        .find_map(|(index, transaction)| Some((index, with_more(transaction)?)))?;
    written(&document, index, &transaction)
}

fn with_more<'a>(transaction: &Transaction<'a>) -> Option<Transaction<'a>> {
    let mut before = Vec::new();
    stock_lines(transaction, &mut before).ok()?;
    if before.is_empty() {
        return None;
    }
    let mut after = Vec::new();
    let mut works = |changed: &Transaction<'a>| {
        stock_lines(changed, &mut after).is_ok() && differ_in_one(&before, &after)
    };
    let receipt_lines = transaction.retail.as_ref().map_or(0, |retail| retail.lines.len());
    let in_receipt = (0..receipt_lines.min(TRIED_MAX)).find_map(|line| {
        let mut changed = transaction.clone();
        let line = &mut changed.retail.as_mut()?.lines[line];
        let (LineKind::Sale(item) | LineKind::Return(item)) = &mut line.kind else {
            return None;
        };
        let measured = item.quantity.as_mut()?;
        // What is written as one piece with its content has the content that moves.
        let quantity = measured.units.as_mut().unwrap_or(&mut measured.quantity);
        more(quantity);
        works(&changed).then_some(changed)
    });
    in_receipt.or_else(|| {
        (0..transaction.inventory.len()).find_map(|paper| {
            let mut changed = transaction.clone();
            let line = changed.inventory[paper].lines.first_mut()?;
            more(moving(line)?);
            works(&changed).then_some(changed)
        })
    })
}

fn moving<'l>(line: &'l mut InventoryLine<'_>) -> Option<&'l mut Quantity> {
    let of_line = [&mut line.received, &mut line.disposed, &mut line.quantity];
    of_line
        .into_iter()
        .find_map(|measured| measured.as_mut())
        .map(|measured| &mut measured.quantity)
}

/// Away from nothing.
fn more(quantity: &mut Quantity) {
    quantity.0 += if quantity.0 < 0 {
        -Quantity::ONE.0
    } else {
        Quantity::ONE.0
    };
}

/// Same lines, but for the quantity of one; of goods that were written off, of two.
fn differ_in_one(before: &[StockLine], after: &[StockLine]) -> bool {
    let same_but_quantity = |(one, other): (&StockLine, &StockLine)| {
        StockLine {
            quantity: one.quantity,
            ..*other
        } == *one
    };
    let changed = before
        .iter()
        .zip(after)
        .filter(|(one, other)| one != other)
        .count();
    before.len() == after.len()
        && before.iter().zip(after).all(same_but_quantity)
        && (1..=2).contains(&changed)
}

fn written(document: &Document<'_>, changed: usize, by: &Transaction<'_>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut writer = DocumentWriter::new(document.dialect, &mut out);
    for (index, transaction) in document.transactions.iter().enumerate() {
        writer
            .transaction(if index == changed { by } else { transaction })
            .ok()?;
    }
    writer.finish();
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Gtin, Sku};
    use crate::wire::poslog::{
        Dialect, InventoryDocument, InventoryKind, Item, ItemCode, ItemId, Line, Measured, Retail,
        UnitOfMeasure, Voids,
    };

    fn lines_of(document: &[u8]) -> Vec<i64> {
        let mut all = Vec::new();
        let mut lines = Vec::new();
        for transaction in &parse(document).expect("a document").transactions {
            stock_lines(transaction, &mut lines).expect("understood");
            all.extend(lines.iter().map(|line| line.quantity.0));
        }
        all
    }

    fn sale(number: u32, quantity: Measured<'static>) -> Line<'static> {
        let code = ItemCode::Gtin(Gtin::from_body(400_000_123_456).expect("a body"));
        Line {
            number: Some(number),
            ..LineKind::Sale(Item {
                id: ItemId {
                    code: Some(code),
                    ..ItemId::default()
                },
                quantity: Some(quantity),
                ..Item::default()
            })
            .into()
        }
    }

    fn document(transactions: &[Transaction<'_>]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = DocumentWriter::new(Dialect::V6, &mut out);
        for transaction in transactions {
            writer.transaction(transaction).expect("it can be written");
        }
        writer.finish();
        out
    }

    #[test]
    fn the_first_line_that_moves_has_one_more_and_nothing_else_changes() {
        let each = |count: i64| Measured::new(Quantity(count * 1000), UnitOfMeasure::Each);
        let voids = Line {
            number: Some(3),
            void: true,
            voids: Some(Voids {
                line: 1,
                quantity: None,
            }),
            ..LineKind::Empty.into()
        };
        let weighed = Measured {
            units: Some(Quantity(425)),
            ..Measured::new(Quantity::ONE, UnitOfMeasure::Kilogram)
        };
        let receipt = |number, lines| Transaction {
            number,
            retail: Some(Retail {
                lines,
                ..Retail::default()
            }),
            ..Transaction::default()
        };
        let before = document(&[
            Transaction::default(),
            receipt(1, vec![sale(1, each(2)), sale(2, weighed.clone()), voids]),
            receipt(2, vec![sale(1, each(5))]),
        ]);
        assert_eq!(lines_of(&before), [425, 5_000]);
        assert_eq!(lines_of(&altered(&before).expect("a line")), [1_425, 5_000]);

        let mut loss = InventoryDocument::new(InventoryKind::Loss);
        loss.lines.push(InventoryLine {
            item: ItemId {
                sku: Some(Sku(7)),
                ..ItemId::default()
            },
            quantity: Some(Quantity(3_000).into()),
            ..InventoryLine::default()
        });
        let before = document(&[Transaction {
            inventory: vec![loss],
            ..Transaction::default()
        }]);
        assert_eq!(lines_of(&altered(&before).expect("a line")), [-4_000]);
        assert_eq!(
            altered(&document(&[Transaction::default()])),
            None,
            "nothing moves"
        );
        assert_eq!(altered(b"no document"), None);
    }
}
