//! A small Acme, and a view of it that can be damaged: what an inventory service would write, made from a second
//! ledger that gets other transactions than the truth.

use std::collections::{BTreeMap, BTreeSet};

use audit::{AuditReport, Comparison, Take};
use contracts::ids::{BusinessDay, LocationId, Sku, SourceId, TimeMs, TransactionId};
use contracts::records::{Cell, ItemTotal, MovementKind};
use contracts::topics::{PARTITIONS, StateKey, partition_of, partition_of_item};
use ledger::{Assortment, Ledger, Line, TrueCell};
use prost::Message as _;

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut hash = self.0;
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        hash ^ (hash >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

#[derive(Clone, Debug)]
pub struct Transaction {
    pub id: TransactionId,
    pub place: usize,
    pub lines: Vec<Line>,
}

pub struct Acme {
    pub assortments: Vec<Assortment>,
    pub transactions: Vec<Transaction>,
    pub truth: Ledger,
}

/// A record as it would be read.
#[derive(Clone, Debug)]
pub struct Written {
    pub partition: u32,
    pub key: Vec<u8>,
    pub value: Vec<u8>,
}

/// What of the view differs from the truth, by place and SKU.
pub type Cells = BTreeSet<(LocationId, Sku)>;

impl Acme {
    /// Eight stores and a warehouse, 40 of 60 SKUs each.
    pub fn new(seed: u64, transactions: usize) -> Self {
        let mut random = Random(seed);
        let locations = (1..=8).map(LocationId::store).chain([LocationId::warehouse(1)]);
        let assortments: Vec<_> = locations
            .map(|location| {
                let mut skus = BTreeSet::new();
                while skus.len() < 40 {
                    skus.insert(Sku(100_000 + random.below(60) as u32));
                }
                Assortment {
                    location,
                    skus: skus.into_iter().collect(),
                }
            })
            .collect();
        let mut numbers = BTreeMap::new();
        let transactions: Vec<_> = (0..transactions)
            .map(|_| transaction(&assortments, &mut numbers, &mut random))
            .collect();
        let truth = Ledger::new(&assortments);
        for transaction in &transactions {
            truth
                .place(transaction.place)
                .apply(&transaction.id, &transaction.lines);
        }
        Self {
            assortments,
            transactions,
            truth,
        }
    }

    /// Some transactions, each at most once, ascending.
    pub fn pick(&self, random: &mut Random, count: usize) -> Vec<usize> {
        let mut picked = BTreeSet::new();
        while picked.len() < count {
            picked.insert(random.below(self.transactions.len()));
        }
        picked.into_iter().collect()
    }

    pub fn ids(&self, picked: &[usize]) -> Vec<TransactionId> {
        let ids: BTreeSet<_> = picked.iter().map(|index| self.transactions[*index].id).collect();
        ids.into_iter().collect()
    }

    /// A view in which each transaction came as the function says, with its lines or others, once or more often.
    pub fn view(&self, mut apply: impl FnMut(usize, &Transaction, &mut dyn FnMut(&[Line]))) -> Ledger {
        let view = Ledger::new(&self.assortments);
        for (index, transaction) in self.transactions.iter().enumerate() {
            apply(index, transaction, &mut |lines| {
                view.place(transaction.place).apply(&transaction.id, lines);
            });
        }
        view
    }

    /// A view in which these transactions came so many times.
    pub fn view_with(&self, picked: &[usize], times: usize) -> Ledger {
        self.view(|index, transaction, take| {
            let times = if picked.contains(&index) { times } else { 1 };
            (0..times).for_each(|_| take(&transaction.lines));
        })
    }

    pub fn replay(&self) -> impl FnOnce(&mut Take<'_>) + '_ {
        |take| {
            self.transactions
                .iter()
                .for_each(|transaction| take(&transaction.id, TimeMs(0), &transaction.lines));
        }
    }

    /// Cells that differ between the truth and a view.
    pub fn differing(&self, view: &Ledger) -> Cells {
        let mut cells = Cells::new();
        for place in 0..self.truth.places() {
            let (truth, view) = (self.truth.place(place), view.place(place));
            for ((sku, truth_cell), view_cell) in truth.skus.iter().zip(&truth.cells).zip(&view.cells) {
                if truth_cell != view_cell {
                    cells.insert((truth.location, *sku));
                }
            }
        }
        cells
    }

    /// The verdict on a view that was written once, in the end.
    pub fn verdict(&self, view: &Ledger) -> AuditReport {
        let mut comparison = Comparison::new(&self.truth);
        feed(&mut comparison, &records(view, 1, 1_000), &items(view));
        self.verdict_of(&mut comparison)
    }

    pub fn verdict_of(&self, comparison: &mut Comparison) -> AuditReport {
        comparison.compare(&self.truth).explain(true, self.replay())
    }
}

fn transaction(
    assortments: &[Assortment],
    numbers: &mut BTreeMap<SourceId, u64>,
    random: &mut Random,
) -> Transaction {
    let place = random.below(assortments.len());
    let location = assortments[place].location;
    let source = if location.is_store() {
        SourceId::till(location, 1 + random.below(3) as u16)
    } else {
        SourceId::queue(location)
    };
    let number = numbers.entry(source).or_insert(0);
    *number += 1;
    let lines = (0..=random.below(6))
        .map(|_| {
            let slot = random.below(assortments[place].skus.len());
            let kind = MovementKind::ALL[random.below(MovementKind::ALL.len())];
            let quantity = 1_000 * (1 + random.below(5) as i64);
            let sign = if kind.is_signed() && random.below(2) == 0 {
                -1
            } else {
                1
            };
            Line {
                sku: assortments[place].skus[slot],
                slot: slot as u16,
                kind,
                quantity: sign * quantity,
            }
        })
        .collect();
    Transaction {
        id: TransactionId {
            source,
            business_day: BusinessDay(20_528),
            number: *number,
        },
        place,
        lines,
    }
}

pub fn cell_of(cell: &TrueCell, epoch: u32, applied_offset: u64) -> Cell {
    Cell {
        floor: cell.floor,
        back_room: cell.back_room,
        counted: cell.counted,
        supplied: cell.supplied,
        received: cell.received,
        shipped: cell.shipped,
        sold: cell.sold,
        returned: cell.returned,
        adjusted: cell.adjusted,
        stocked: cell.stocked,
        stored: cell.stored,
        applied_offset,
        epoch,
        applied_count: cell.lines,
        applied_hash: cell.hash,
        due_ms_min: 1_000,
        due_ms_max: 1_000,
        new_lines: 1,
    }
}

pub fn written(location: LocationId, sku: Sku, cell: &Cell) -> Written {
    Written {
        partition: partition_of(location),
        key: StateKey::Cell { location, sku }.to_bytes(),
        value: cell.encode_to_vec(),
    }
}

/// Records of all cells in which the view has something.
pub fn records(view: &Ledger, epoch: u32, applied_offset: u64) -> Vec<Written> {
    let mut records = Vec::new();
    for place in 0..view.places() {
        let place = view.place(place);
        for (sku, cell) in place.skus.iter().zip(&place.cells) {
            if cell.lines > 0 {
                records.push(written(
                    place.location,
                    *sku,
                    &cell_of(cell, epoch, applied_offset),
                ));
            }
        }
    }
    records
}

/// Records of all articles that the view has, summed up.
pub fn items(view: &Ledger) -> Vec<Written> {
    let mut totals: BTreeMap<Sku, ItemTotal> = BTreeMap::new();
    for place in 0..view.places() {
        let place = view.place(place);
        for (sku, cell) in place
            .skus
            .iter()
            .zip(&place.cells)
            .filter(|(_, cell)| cell.lines > 0)
        {
            let total = totals.entry(*sku).or_insert_with(|| ItemTotal {
                sku: sku.0,
                ..ItemTotal::default()
            });
            total.floor += cell.floor;
            total.back_room += cell.back_room;
            total.on_hand += cell.on_hand();
            total.in_transit += cell.shipped - cell.received;
        }
    }
    totals.into_values().map(|total| item_written(&total)).collect()
}

pub fn item_written(total: &ItemTotal) -> Written {
    Written {
        partition: partition_of_item(Sku(total.sku)),
        key: total.sku.to_string().into_bytes(),
        value: total.encode_to_vec(),
    }
}

pub fn feed(comparison: &mut Comparison, cells: &[Written], items: &[Written]) {
    for record in cells {
        comparison.take_cell(record.partition, &record.key, Some(&record.value), 1_100);
    }
    for record in items {
        comparison.take_item(record.partition, &record.key, Some(&record.value));
    }
}

pub fn other_partition(partition: u32) -> u32 {
    (partition + 1) % PARTITIONS
}

/// The diverging cells that a report lists.
pub fn listed(report: &AuditReport) -> Cells {
    report
        .diverging
        .iter()
        .map(|cell| (cell.location, cell.sku))
        .collect()
}
