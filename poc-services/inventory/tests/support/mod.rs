//! A log in memory, movements to fill it, and an owner that can die at any record.

#![allow(dead_code, reason = "each test uses its part")]

use std::cell::RefCell;
use std::collections::BTreeMap;

use contracts::ids::LocationId;
use contracts::records::{self, Movement, MovementKind, MovementLine, SourceKind};
use contracts::topics::{StateKey, partition_of};
use inventory::{
    Applied, Cell, Counters, Group, InventoryError, Items, Log, OutTopic, Owned, Partition, Restore, Seen,
    Transaction, flush,
};
use prost::Message as _;

pub const PARTITION: u32 = 2;

/// Places of one partition.
pub fn places(count: usize) -> Vec<LocationId> {
    (1..)
        .map(LocationId::store)
        .filter(|place| partition_of(*place) == PARTITION)
        .take(count)
        .collect()
}

/// Stock by place and SKU, with what was applied and how far.
pub type Stock = BTreeMap<(LocationId, u32), Cell>;

pub fn stock(partition: &Partition) -> Stock {
    let mut stock = Stock::new();
    partition.each_cell(|location, sku, cell| {
        stock.insert((location, sku), *cell);
    });
    stock
}

/// The same for any order of arrival.
pub fn without_offsets(mut stock: Stock) -> Stock {
    for cell in stock.values_mut() {
        cell.applied_offset = 0;
    }
    stock
}

pub fn movement(place: LocationId, kind: SourceKind, unit: u32, day: u32, number: u64) -> Movement {
    Movement {
        location: place.to_string(),
        source_kind: kind as i32,
        source_unit: unit,
        business_day: day,
        number,
        occurred_ms: number as i64 * 1_000,
        due_ms: number as i64,
        content_hash: number * 31 + u64::from(unit),
        ..Movement::default()
    }
}

pub fn line(sku: u32, kind: MovementKind, quantity: i64) -> MovementLine {
    MovementLine {
        sku,
        kind: kind as i32,
        quantity,
    }
}

/// A repeatable source of choices.
pub struct Draw(pub u64);

impl Draw {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Movements with all that can happen to them: repeats, gaps, late numbers, numbers used again, numbers that cannot be
/// placed, a SKU on two lines of one basket, transactions without lines.
pub fn story(seed: u64, length: usize) -> Vec<Movement> {
    let mut draw = Draw(seed);
    let places = places(2);
    let mut sources = Vec::new();
    for place in &places {
        sources.push((*place, SourceKind::Till, 1, 9_990_u64));
        sources.push((*place, SourceKind::Till, 2, 0));
        sources.push((*place, SourceKind::Reader, 1, 0));
    }
    let mut out: Vec<Movement> = Vec::new();
    // Tills come near their wrap by steps that are not too far to be placed.
    for (place, kind, unit, number) in &sources {
        for step in [4_000, 8_000, 9_990]
            .into_iter()
            .take_while(|step| step <= number)
        {
            out.push(basket(&mut draw, *place, *kind, *unit, step));
        }
    }
    while out.len() < length {
        let choice = draw.below(20);
        let index = draw.below(sources.len() as u64) as usize;
        let (place, kind, unit, number) = &mut sources[index];
        match choice {
            0..3 if !out.is_empty() => {
                let repeated = out[draw.below(out.len() as u64) as usize].clone();
                out.push(repeated);
            }
            3 => {
                let mut reused = basket(&mut draw, *place, *kind, *unit, *number);
                reused.content_hash ^= 0xff;
                out.push(reused);
            }
            4 => out.push(basket(&mut draw, *place, *kind, *unit, 0)),
            5 => *number += 1 + draw.below(3),
            6 => {
                let late = number.saturating_sub(draw.below(4)).max(1);
                out.push(basket(&mut draw, *place, *kind, *unit, late));
            }
            _ => {
                *number += 1;
                out.push(basket(&mut draw, *place, *kind, *unit, *number));
            }
        }
    }
    out
}

fn basket(draw: &mut Draw, place: LocationId, kind: SourceKind, unit: u32, unwrapped: u64) -> Movement {
    let is_till = kind == SourceKind::Till && unwrapped > 0;
    let raw = if is_till {
        (unwrapped - 1) % 9_999 + 1
    } else {
        unwrapped
    };
    let mut movement = movement(place, kind, unit, 20_000 + (unwrapped / 12_000) as u32, raw);
    for _ in 0..draw.below(4) {
        let kind = MovementKind::ALL[draw.below(11) as usize];
        let quantity = draw.below(5) as i64 * 1_000;
        let signed = if kind.is_signed() && draw.below(2) == 0 {
            -quantity
        } else {
            quantity
        };
        movement
            .lines
            .push(line(100 + draw.below(4) as u32, kind, signed));
    }
    movement
}

/// Applies a movement.
pub fn apply(partition: &mut Partition, movement: &Movement, offset: u64) -> Applied {
    let mut transaction = Transaction::default();
    transaction.set(movement).expect("the movement is valid");
    partition.apply(&transaction, offset, None)
}

/// All of a log, by somebody who never dies.
pub fn undisturbed(movements: &[Movement]) -> (Partition, Vec<Applied>) {
    let mut partition = Partition::new(PARTITION);
    let applied = (0..)
        .zip(movements)
        .map(|(offset, movement)| apply(&mut partition, movement, offset))
        .collect();
    (partition, applied)
}

#[derive(Clone, Debug)]
pub struct Written {
    pub topic: OutTopic,
    pub key: Vec<u8>,
    pub value: Vec<u8>,
}

/// Takes records until it breaks.
#[derive(Clone, Debug, Default)]
pub struct MemoryLog {
    pub records: Vec<Written>,
    /// Records before it are durable.
    pub durable: usize,
    /// Records that it still takes.
    pub left: Option<usize>,
}

impl MemoryLog {
    pub fn of(&self, topic: OutTopic) -> impl Iterator<Item = &Written> {
        self.records.iter().filter(move |record| record.topic == topic)
    }

    /// Loses what was not acknowledged of one topic, which can happen to each alone.
    pub fn lose_unacknowledged(&mut self, topic: OutTopic) {
        let mut position = 0;
        let durable = self.durable;
        self.records.retain(|record| {
            position += 1;
            record.topic != topic || position <= durable
        });
        self.durable = self.records.len();
    }

    /// Keeps of each key the newest record, as the broker's compaction may at any time.
    pub fn compact(&mut self) {
        let mut newest = BTreeMap::new();
        for (position, record) in self.records.iter().enumerate() {
            newest.insert((record.topic, record.key.clone()), position);
        }
        let mut position = 0;
        self.records.retain(|record| {
            position += 1;
            newest[&(record.topic, record.key.clone())] == position - 1
        });
        self.durable = self.records.len();
    }
}

fn broken() -> InventoryError {
    InventoryError::Lost {
        partitions: vec![PARTITION],
    }
}

impl Log for MemoryLog {
    fn send(
        &mut self,
        topic: OutTopic,
        partition: u32,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), InventoryError> {
        assert_eq!(partition, PARTITION);
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(1).ok_or_else(broken)?;
        }
        self.records.push(Written {
            topic,
            key: key.to_vec(),
            value: value.to_vec(),
        });
        Ok(())
    }

    fn acknowledged(&mut self) -> Result<(), InventoryError> {
        if self.left == Some(0) {
            return Err(broken());
        }
        self.durable = self.records.len();
        Ok(())
    }
}

/// Remembers the last commit.
#[derive(Debug, Default)]
pub struct MemoryGroup(pub RefCell<Option<u64>>);

impl Group for MemoryGroup {
    fn commit(&self, partitions: &[(u32, u64)], _: u32) -> Result<(), InventoryError> {
        *self.0.borrow_mut() = partitions.first().map(|partition| partition.1);
        Ok(())
    }
}

/// Takes the partition over as an owner does: a barrier above all epochs, then the state up to it.
pub fn take_over(log: &mut MemoryLog) -> Result<Owned, InventoryError> {
    let mut restore = Restore::new(PARTITION);
    for (offset, record) in (0..).zip(log.of(OutTopic::State)) {
        restore.take(offset, &record.key, &record.value)?;
    }
    let epoch = restore.epoch_max() + 1;
    let barrier = records::Barrier {
        epoch,
        ..records::Barrier::default()
    };
    let (key, value) = (
        StateKey::Barrier {
            partition: PARTITION,
            epoch,
        }
        .to_bytes(),
        barrier.encode_to_vec(),
    );
    for topic in [OutTopic::State, OutTopic::Partials] {
        log.send(topic, PARTITION, &key, &value)?;
    }
    log.acknowledged()?;
    assert_eq!(restore.take(u64::MAX, &key, &value)?, Seen::Barrier(barrier));
    Ok(Owned::new(restore.finish(epoch)?))
}

/// One life of an owner: takes over, applies the rest of the movements, flushes after each few. `Ok`: it came to the end.
pub fn live(
    movements: &[Movement],
    flush_every: usize,
    log: &mut MemoryLog,
) -> Result<Partition, InventoryError> {
    let counters = Counters::default();
    let group = MemoryGroup::default();
    let mut owned = [take_over(log)?];
    flush(&mut owned, log, &group, &counters)?;
    let mut since = 0;
    for offset in owned[0].state.next()..movements.len() as u64 {
        apply(&mut owned[0].state, &movements[offset as usize], offset);
        since += 1;
        if since == flush_every {
            flush(&mut owned, log, &group, &counters)?;
            since = 0;
        }
    }
    flush(&mut owned, log, &group, &counters)?;
    let [owned] = owned;
    Ok(owned.state)
}

/// What a reader of the state sees: the record of the highest epoch and offset of each cell.
pub fn view(log: &MemoryLog) -> Stock {
    let mut best: BTreeMap<(LocationId, u32), records::Cell> = BTreeMap::new();
    for record in log.of(OutTopic::State) {
        if let Some(StateKey::Cell { location, sku }) = StateKey::parse(&record.key) {
            let cell = records::Cell::decode(&*record.value).expect("a cell is readable");
            let old = best.entry((location, sku.0)).or_default();
            if (cell.epoch, cell.applied_offset) >= (old.epoch, old.applied_offset) {
                *old = cell;
            }
        }
    }
    best.into_iter()
        .map(|(key, record)| (key, Cell::from_record(&record)))
        .collect()
}

/// Completeness of each source, by key: what its last record says.
pub fn completeness(log: &MemoryLog) -> BTreeMap<Vec<u8>, (u64, u64, u64, i64, u64)> {
    log.of(OutTopic::State)
        .filter(|record| record.key.starts_with(b"k/"))
        .map(|record| {
            let c = records::Completeness::decode(&*record.value).expect("completeness is readable");
            let told = (
                c.complete_up_to,
                c.highest,
                c.missing,
                c.complete_until_ms,
                c.dead_letters,
            );
            (record.key.clone(), told)
        })
        .collect()
}

/// Repeats of each source that its window counted.
pub fn repeats(log: &MemoryLog) -> BTreeMap<Vec<u8>, u64> {
    log.of(OutTopic::State)
        .filter(|record| record.key.starts_with(b"w/"))
        .map(|record| {
            let window = records::Window::decode(&*record.value).expect("a window is readable");
            (record.key.clone(), window.duplicates)
        })
        .collect()
}

/// Totals over all places, as the item stage has them: on hand, in transit, partitions in doubt.
pub fn totals(log: &MemoryLog) -> BTreeMap<u32, (i64, i64, u32)> {
    let mut items = Items::default();
    for record in log.of(OutTopic::Partials) {
        assert!(items.take(&record.key, &record.value));
    }
    let mut totals = BTreeMap::new();
    items
        .publish(|total| {
            totals.insert(
                total.sku,
                (total.on_hand, total.in_transit, total.uncertain_partitions),
            );
            Ok::<_, InventoryError>(())
        })
        .expect("nothing fails");
    totals
}

/// The same out of cells.
pub fn totals_of(stock: &Stock) -> BTreeMap<u32, (i64, i64, u32)> {
    let mut totals = BTreeMap::new();
    for ((_, sku), cell) in stock {
        let total = totals.entry(*sku).or_insert((0, 0, 0));
        total.0 += cell.floor + cell.back_room;
        total.1 += cell.shipped - cell.received;
    }
    totals
}
