//! How this service errs when it is told to, as far as it needs something to be remembered.
//!
//! Nothing here is used by a service that is not told to err. What is remembered is lost with the process.

use std::collections::{BTreeMap, BTreeSet};

use contracts::ids::{LocationId, Quantity, Sku};
use contracts::records::ItemTotal;
use contracts::sabotage::{Sabotage, SabotageClass, SabotageStage};
use contracts::topics::partition_of;
use hashbrown::{HashMap, HashSet};

use crate::cell::Cell;
use crate::partition::Partition;
use crate::transaction::Transaction;

const STORE_NUMBER_MAX: u16 = 9_999;

/// Of a partition of the store stage.
#[derive(Debug, Default)]
pub struct Damage {
    /// By slot: what is written behind each newer record of the cell.
    pub older: HashMap<u32, Cell>,
    /// By place, kind and unit: sources that are said to be complete one number further than they are.
    pub liars: HashSet<(u32, i32, u32)>,
}

impl Partition {
    /// The next place of this partition by its name, or the first.
    pub(crate) fn other_place(&mut self, place: u32) -> u32 {
        let own = self.places[place as usize].location;
        let named = self.places.iter().map(|place| place.location).zip(0..);
        let others: Vec<_> = named.filter(|(location, _)| *location != own).collect();
        let behind = others.iter().filter(|(location, _)| *location > own).min();
        if let Some((_, other)) = behind.or_else(|| others.iter().min()) {
            return *other;
        }
        // Nothing came from any other yet: a store that would be of this partition, whether there is one or not.
        let stores = (1..=STORE_NUMBER_MAX).map(LocationId::store);
        let mut of_here = stores.filter(|store| *store != own && partition_of(*store) == self.number);
        of_here.next().map_or(place, |store| self.place(store))
    }

    /// Keeps the cells of a transaction as they are before it, unless something older is kept already.
    pub(crate) fn remember_cells(&mut self, transaction: &Transaction, place: u32) {
        for line in &transaction.lines {
            let slot = self.slot(place, line.sku);
            let cell = self.slots[slot as usize].cell;
            self.damage.older.entry(slot).or_insert(cell);
        }
    }
}

/// Of the item stage: what is written in place of an article's total.
#[derive(Debug, Default)]
pub struct ItemSaboteur {
    sabotage: Option<Sabotage>,
    known: BTreeSet<u32>,
    /// Of an article the first total, and the first with another stock: an older one that is wrong can always be chosen.
    older: BTreeMap<u32, (ItemTotal, Option<ItemTotal>)>,
}

/// Offsets by which a total claims to be further than it is.
const AHEAD: u64 = 1_000_000;

impl ItemSaboteur {
    /// Obeys only what names this stage.
    pub fn new(sabotage: Option<Sabotage>) -> Self {
        Self {
            sabotage: Sabotage::at(sabotage, SabotageStage::ItemInventory),
            ..Self::default()
        }
    }

    /// Hands on what is to be written: the total, unless the article is hit.
    pub fn send<E>(
        &mut self,
        total: &ItemTotal,
        mut send: impl FnMut(&ItemTotal) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(sabotage) = self.sabotage else {
            return send(total);
        };
        self.known.insert(total.sku);
        if !sabotage.hits_article(Sku(total.sku)) {
            return send(total);
        }
        let mut wrong = total.clone();
        match sabotage.class {
            SabotageClass::Drop => Ok(()),
            SabotageClass::Double => {
                wrong.floor *= 2;
                wrong.back_room *= 2;
                wrong.on_hand *= 2;
                wrong.in_transit *= 2;
                send(&wrong)
            }
            SabotageClass::Alter => {
                wrong.floor += Quantity::ONE.0;
                wrong.on_hand += Quantity::ONE.0;
                send(&wrong)
            }
            SabotageClass::Misroute => {
                let mut behind = self.known.range(total.sku + 1..);
                let Some(other) = behind.next().or_else(|| self.known.first()) else {
                    return Ok(());
                };
                wrong.sku = *other;
                if wrong.sku == total.sku {
                    return Ok(());
                }
                send(&wrong)
            }
            SabotageClass::Stale => {
                send(total)?;
                let (first, second) = self
                    .older
                    .entry(total.sku)
                    .or_insert_with(|| (total.clone(), None));
                if stock(first) != stock(total) {
                    second.get_or_insert_with(|| total.clone());
                    return send(first);
                }
                // Before the first one there was nothing.
                let nothing = ItemTotal {
                    sku: total.sku,
                    ..ItemTotal::default()
                };
                send(second.as_ref().unwrap_or(&nothing))
            }
            SabotageClass::Lie => {
                if let Some(position) = wrong.positions.first_mut() {
                    position.cut += AHEAD;
                }
                send(&wrong)
            }
        }
    }
}

/// What a total says of the stock, apart from how far it is.
const fn stock(total: &ItemTotal) -> [i64; 4] {
    [total.floor, total.back_room, total.on_hand, total.in_transit]
}

#[cfg(test)]
mod tests {
    use contracts::records::PartialPosition;

    use super::*;

    fn total(sku: u32, floor: i64) -> ItemTotal {
        ItemTotal {
            sku,
            floor,
            on_hand: floor,
            positions: vec![PartialPosition {
                partition: 0,
                epoch: 1,
                cut: 10,
            }],
            ..ItemTotal::default()
        }
    }

    /// What is written of two articles, one after the other, the first of them twice.
    fn written(sabotage: &str) -> Vec<(u32, i64, u64)> {
        let mut saboteur = ItemSaboteur::new(Some(sabotage.parse().expect("valid")));
        let mut written = Vec::new();
        for total in [total(7, 1_000), total(9, 5_000), total(7, 2_000)] {
            saboteur
                .send(&total, |total| {
                    let cut = total.positions.first().map_or(0, |position| position.cut);
                    written.push((total.sku, total.floor, cut));
                    Ok::<_, ()>(())
                })
                .expect("nothing fails");
        }
        written
    }

    #[test]
    fn a_transaction_is_misrouted_also_where_no_other_place_is_known_yet() {
        let own = LocationId::store(42);
        let mut partition = Partition::new(partition_of(own));
        let place = partition.place(own);
        let other = partition.other_place(place);
        assert_ne!(other, place);
        // Known from now on, and no third one comes.
        assert_eq!(partition.other_place(place), other);
        assert_eq!(partition.other_place(other), place);
        let place = &partition.places[other as usize];
        assert_eq!(partition_of(place.location), partition.number);
    }

    #[test]
    fn a_stale_total_is_always_of_another_stock_than_the_newest() {
        let mut saboteur = ItemSaboteur::new(Some("stale:1/1@item-inventory".parse().expect("valid")));
        let mut last = 0;
        for floor in [1_000, 1_000, 2_000, 1_000, 1_000, 3_000, 2_000] {
            saboteur
                .send(&total(7, floor), |total| {
                    last = total.floor;
                    Ok::<_, ()>(())
                })
                .expect("nothing fails");
            assert_ne!(last, floor);
        }
    }

    #[test]
    fn each_class_damages_totals_in_its_own_way() {
        assert_eq!(written("drop:1/1@item-inventory"), []);
        assert_eq!(
            written("double:1/1@item-inventory"),
            [(7, 2_000, 10), (9, 10_000, 10), (7, 4_000, 10)]
        );
        assert_eq!(
            written("alter:1/1@item-inventory"),
            [(7, 2_000, 10), (9, 6_000, 10), (7, 3_000, 10)]
        );
        assert_eq!(
            written("misroute:1/1@item-inventory"),
            [(7, 5_000, 10), (9, 2_000, 10)]
        );
        assert_eq!(
            written("stale:1/1@item-inventory"),
            [
                (7, 1_000, 10),
                (7, 0, 0),
                (9, 5_000, 10),
                (9, 0, 0),
                (7, 2_000, 10),
                (7, 1_000, 10)
            ]
        );
        assert_eq!(
            written("lie:1/1@item-inventory"),
            [
                (7, 1_000, 1_000_010),
                (9, 5_000, 1_000_010),
                (7, 2_000, 1_000_010)
            ]
        );
        // What names another stage is not obeyed.
        assert_eq!(
            written("drop:1/1@inventory"),
            [(7, 1_000, 10), (9, 5_000, 10), (7, 2_000, 10)]
        );
    }
}
