//! A log in memory, movements to fill it, and an owner that can die at any record.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use contracts::ids::LocationId;
use contracts::records::{
    self, ExpectedSource, Movement, MovementKind, MovementLine, Rejected, Resolved, SourceKind, SourceMark,
};
use contracts::topics::{StateKey, partition_of};
use inventory::{
    Applied, Cell as StockCell, Content, Counters, Group, InventoryError, Items, Log, OutTopic, Owned,
    Partition, Taker, Taking, Transaction, flush,
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
pub type Stock = BTreeMap<(LocationId, u32), StockCell>;

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
/// placed, a SKU on two lines of one basket, transactions without lines; and with what is said of their sources: marks that
/// overtake, come late, come twice or cannot be placed, silence, master data, rejections.
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
    let mut sayer = Sayer::new(seed);
    let mut written = out.len();
    while written < length {
        written += 1;
        if let Some(said) = sayer.say(&sources, &out) {
            out.push(said);
        }
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

/// Says something of the sources now and then.
struct Sayer {
    draw: Draw,
    wall_ms: i64,
}

type Numbered = (LocationId, SourceKind, u32, u64);

impl Sayer {
    fn new(seed: u64) -> Self {
        Self {
            draw: Draw(seed ^ 0x5a1d),
            wall_ms: 1_000_000,
        }
    }

    fn say(&mut self, sources: &[Numbered], before: &[Movement]) -> Option<Movement> {
        let place = sources[self.draw.below(sources.len() as u64) as usize].0;
        let of_place = sources.iter().filter(|source| source.0 == place);
        self.wall_ms += self.draw.below(4_000) as i64;
        let due_ms = self.wall_ms;
        let said = Movement {
            location: place.to_string(),
            due_ms,
            ..Movement::default()
        };
        Some(match self.draw.below(32) {
            0..8 => self.mark(said, of_place),
            // Another one has overtaken it.
            8 => {
                let due_ms = said.due_ms - self.draw.below(9_000) as i64;
                self.mark(Movement { due_ms, ..said }, of_place)
            }
            9 => {
                let mut unclear = self.mark(said, of_place);
                unclear.marks[0].business_day = 1;
                unclear
            }
            10 => before.iter().rfind(|said| !said.marks.is_empty())?.clone(),
            11 => Movement {
                expected: of_place
                    .map(|(_, kind, unit, _)| ExpectedSource {
                        source_kind: *kind as i32,
                        source_unit: *unit + self.draw.below(2) as u32,
                        first_number: 1 + self.draw.below(3),
                    })
                    .collect(),
                ..said
            },
            12 => Movement {
                rejected: Some(Rejected {
                    topic: ["tlog.raw", "scan.raw"][self.draw.below(2) as usize].into(),
                    offset: self.draw.below(20),
                    class: "bad-frame".into(),
                }),
                ..said
            },
            13 => Movement {
                resolved: Some(Resolved {
                    topic: ["tlog.raw", "scan.raw"][self.draw.below(2) as usize].into(),
                    offset: self.draw.below(20),
                }),
                ..said
            },
            _ => return None,
        })
    }

    /// How far each had written, or a little further.
    fn mark<'a>(&mut self, said: Movement, sources: impl Iterator<Item = &'a Numbered>) -> Movement {
        let marks = sources
            .map(|(_, kind, unit, number)| {
                let number = *number + self.draw.below(3);
                let is_till = *kind == SourceKind::Till && number > 0;
                SourceMark {
                    source_kind: *kind as i32,
                    source_unit: *unit,
                    business_day: if is_till { day_of(number) } else { 0 },
                    last_number: if is_till { (number - 1) % 9_999 + 1 } else { number },
                }
            })
            .collect();
        Movement {
            occurred_ms: said.due_ms - 77,
            marks,
            ..said
        }
    }
}

const fn day_of(unwrapped: u64) -> u32 {
    20_000 + (unwrapped / 12_000) as u32
}

fn basket(draw: &mut Draw, place: LocationId, kind: SourceKind, unit: u32, unwrapped: u64) -> Movement {
    let is_till = kind == SourceKind::Till && unwrapped > 0;
    let raw = if is_till {
        (unwrapped - 1) % 9_999 + 1
    } else {
        unwrapped
    };
    let mut movement = movement(place, kind, unit, day_of(unwrapped), raw);
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
    match transaction.set(movement).expect("the movement is valid") {
        Content::Transaction => partition.apply(&transaction, offset, None),
        Content::Statement(statement) => partition.note(&statement, offset),
    }
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

/// A record of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub topic: OutTopic,
    pub offset: u64,
    pub key: Vec<u8>,
    /// `None`: a tombstone.
    pub value: Option<Vec<u8>>,
}

impl Written {
    pub fn bytes(&self) -> &[u8] {
        self.value.as_deref().expect("it is no tombstone")
    }
}

/// Takes records until it breaks, and among them those that somebody else sends late.
#[derive(Clone, Debug, Default)]
pub struct MemoryLog {
    pub records: Vec<Written>,
    /// Next offset of each topic.
    pub next: BTreeMap<OutTopic, u64>,
    /// Records before it are durable.
    pub durable: usize,
    /// Records that it still takes.
    pub left: Option<usize>,
    /// Sends and looks of the owner so far.
    pub steps: usize,
    /// What comes from somebody else when the owner has done so many steps, in ascending order.
    pub late: Vec<(usize, Written)>,
    /// Movements between two images; 0: none is made.
    pub image_every: u64,
}

impl MemoryLog {
    pub fn of(&self, topic: OutTopic) -> impl DoubleEndedIterator<Item = &Written> {
        self.records.iter().filter(move |record| record.topic == topic)
    }

    /// Appends a record as it comes, and gives it its offset.
    pub fn append(&mut self, topic: OutTopic, key: &[u8], value: Option<&[u8]>) {
        let next = self.next.entry(topic).or_default();
        self.records.push(Written {
            topic,
            offset: *next,
            key: key.to_vec(),
            value: value.map(<[u8]>::to_vec),
        });
        *next += 1;
    }

    /// A window goes out behind what is known of its place at the same cut, or a replay would tell less of the place.
    fn assert_not_ahead_of_its_place(&self, key: &[u8], value: &[u8]) {
        let Some(StateKey::Window(source)) = StateKey::parse(key) else {
            return;
        };
        let window = records::Window::decode(value).expect("a window");
        let of_place = StateKey::Completeness(source.location).to_bytes();
        let is_there = self.of(OutTopic::State).rev().any(|record| {
            record.key == of_place
                && records::Completeness::decode(record.bytes())
                    .is_ok_and(|known| (known.epoch, known.cut) == (window.epoch, window.cut))
        });
        assert!(
            is_there,
            "the window of {source} at {} is ahead of its place",
            window.cut
        );
    }

    fn step(&mut self) {
        while self.late.first().is_some_and(|(step, _)| *step <= self.steps) {
            let (_, record) = self.late.remove(0);
            self.append(record.topic, &record.key, record.value.as_deref());
        }
        self.steps += 1;
    }

    fn take(&mut self, topic: OutTopic, key: &[u8], value: Option<&[u8]>) -> Result<(), InventoryError> {
        self.step();
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(1).ok_or_else(broken)?;
        }
        self.append(topic, key, value);
        Ok(())
    }

    /// Loses records as no broker should; where they were the last, others come in their place.
    pub fn lose(&mut self, is_lost: impl Fn(&Written) -> bool) {
        self.records.retain(|record| !is_lost(record));
        self.durable = self.records.len();
        for (topic, next) in &mut self.next {
            let last = self.records.iter().rfind(|record| record.topic == *topic);
            *next = last.map_or(0, |record| record.offset + 1);
        }
    }

    /// Loses what was not acknowledged of one topic, which can happen to each alone.
    pub fn lose_unacknowledged(&mut self, topic: OutTopic) {
        let mut position = 0;
        let durable = self.durable;
        self.records.retain(|record| {
            position += 1;
            record.topic != topic || position <= durable
        });
        let last = self
            .records
            .iter()
            .rfind(|record| record.topic == topic)
            .map(|record| record.offset + 1);
        self.next.insert(topic, last.unwrap_or(0));
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

pub fn broken() -> InventoryError {
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
        self.assert_not_ahead_of_its_place(key, value);
        self.take(topic, key, Some(value))
    }

    fn delete(&mut self, topic: OutTopic, partition: u32, key: &[u8]) -> Result<(), InventoryError> {
        assert_eq!(partition, PARTITION);
        self.take(topic, key, None)
    }

    fn acknowledged(&mut self) -> Result<(), InventoryError> {
        self.step();
        if self.left == Some(0) {
            return Err(broken());
        }
        self.durable = self.records.len();
        Ok(())
    }

    fn ends(&mut self, partitions: &[(OutTopic, u32)]) -> Result<Vec<u64>, InventoryError> {
        self.step();
        Ok(partitions
            .iter()
            .map(|(topic, _)| self.next.get(topic).copied().unwrap_or(0))
            .collect())
    }

    fn read(
        &mut self,
        topic: OutTopic,
        _: u32,
        from: u64,
        end: u64,
        take: &mut Taker<'_>,
    ) -> Result<(), InventoryError> {
        for record in self
            .of(topic)
            .filter(|record| (from..end).contains(&record.offset))
        {
            take(record.offset, &record.key, record.value.as_deref())?;
        }
        Ok(())
    }
}

/// Remembers what it was told last.
#[derive(Debug, Default)]
pub struct MemoryGroup {
    pub committed: Cell<Option<(u64, u32)>>,
    pub floor: Cell<u64>,
    pub is_lost: Cell<bool>,
    pub refuses: Cell<bool>,
}

impl Group for MemoryGroup {
    fn commit(&self, partitions: &[(u32, u64)], epoch: u32) -> Result<bool, InventoryError> {
        if self.refuses.get() {
            return Ok(false);
        }
        self.committed
            .set(partitions.first().map(|partition| (partition.1, epoch)));
        Ok(true)
    }

    fn is_lost(&self) -> bool {
        self.is_lost.get()
    }

    fn keep_from(&self, _: u32, offset: u64) -> Result<bool, InventoryError> {
        if self.refuses.get() {
            return Ok(false);
        }
        self.floor.set(offset);
        Ok(true)
    }
}

/// Takes the partition over as an owner does: a barrier above all epochs, then the state up to it.
pub fn take_over(log: &mut MemoryLog) -> Result<Owned, InventoryError> {
    take_over_with(log, &MemoryGroup::default(), &Counters::default(), |_| {})
}

/// `between` happens to the log while the barrier is on its way.
pub fn take_over_with(
    log: &mut MemoryLog,
    group: &MemoryGroup,
    counters: &Counters,
    mut between: impl FnMut(&mut MemoryLog),
) -> Result<Owned, InventoryError> {
    let mut taking = Taking::new(PARTITION, group.committed.get());
    let state = [(OutTopic::State, PARTITION)];
    let end = log.ends(&state)?[0];
    while !taking.is_done() {
        if taking.wants_barrier(end) {
            between(log);
            taking.send_barrier("test", log.steps as u64, log)?;
            log.acknowledged()?;
        }
        if taking.wants_end() {
            let end = log.ends(&state)?[0];
            taking.set_end(end);
        }
        let next = log
            .of(OutTopic::State)
            .find(|record| record.offset >= taking.next());
        if let Some(record) = next.cloned() {
            taking.take(record.offset, &record.key, record.value.as_deref())?;
        }
    }
    let state_end = taking.next();
    let restored = taking.finish()?;
    let is_bad = restored.cause.is_some();
    let partials_end = log.ends(&[(OutTopic::Partials, PARTITION)])?[0];
    let mut owned = Owned::restored(restored, state_end, partials_end);
    if log.image_every > 0 {
        owned.image_every = log.image_every;
    }
    if is_bad {
        owned.rebuild(log, counters)?;
    }
    Ok(owned)
}

/// One life of an owner: takes over, applies the rest of the movements, flushes after each few. `Ok`: it came to the end.
/// Nobody disturbs it, so nothing is repaired and nothing made anew.
pub fn live(
    movements: &[Movement],
    flush_every: usize,
    log: &mut MemoryLog,
) -> Result<Partition, InventoryError> {
    let counters = Counters::default();
    let lived = live_with(movements, flush_every, log, &MemoryGroup::default(), &counters);
    let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    assert_eq!(get(&counters.partitions_rebuilt), 0, "nothing is made anew");
    assert_eq!(get(&counters.zombie_writes_repaired), 0, "nothing is repaired");
    Ok(lived?.state)
}

/// The same, disturbed.
pub fn live_with(
    movements: &[Movement],
    flush_every: usize,
    log: &mut MemoryLog,
    group: &MemoryGroup,
    counters: &Counters,
) -> Result<Owned, InventoryError> {
    let owned = take_over_with(log, group, counters, |_| {})?;
    go_on(owned, movements, flush_every, log, group, counters)
}

/// From where an owner is to the end of the movements.
pub fn go_on(
    owned: Owned,
    movements: &[Movement],
    flush_every: usize,
    log: &mut MemoryLog,
    group: &MemoryGroup,
    counters: &Counters,
) -> Result<Owned, InventoryError> {
    let mut owned = [owned];
    let mut since = flush_every;
    loop {
        let [owner] = &mut owned;
        if !owner.state.is_sound() {
            owner.rebuild(log, counters)?;
        }
        let is_at_end = owner.state.next() >= movements.len() as u64;
        if since >= flush_every || is_at_end {
            since = 0;
            flush(&mut owned, log, group, counters)?;
        }
        let [owner] = &mut owned;
        if !owner.state.is_sound() {
            continue;
        }
        if is_at_end {
            break;
        }
        let offset = owner.state.next();
        apply(&mut owner.state, &movements[offset as usize], offset);
        since += 1;
    }
    let [owned] = owned;
    Ok(owned)
}

/// What a reader of the state sees: the record of the highest epoch and offset of each cell.
pub fn view(log: &MemoryLog) -> Stock {
    let mut best: BTreeMap<(LocationId, u32), records::Cell> = BTreeMap::new();
    for record in log.of(OutTopic::State) {
        if let Some(StateKey::Cell { location, sku }) = StateKey::parse(&record.key) {
            let cell = records::Cell::decode(record.bytes()).expect("a cell is readable");
            let old = best.entry((location, sku.0)).or_default();
            if (cell.epoch, cell.applied_offset) >= (old.epoch, old.applied_offset) {
                *old = cell;
            }
        }
    }
    best.into_iter()
        .map(|(key, record)| (key, StockCell::from_record(&record)))
        .collect()
}

/// Completeness of each place, by key: what its last record says, whoever wrote it and at which cut.
pub fn completeness(log: &MemoryLog) -> BTreeMap<Vec<u8>, records::Completeness> {
    log.of(OutTopic::State)
        .filter(|record| record.key.starts_with(b"k/"))
        .map(|record| {
            let told = records::Completeness::decode(record.bytes()).expect("completeness is readable");
            let told = records::Completeness {
                epoch: 0,
                cut: 0,
                ..told
            };
            (record.key.clone(), told)
        })
        .collect()
}

/// Repeats of each source that its window counted.
pub fn repeats(log: &MemoryLog) -> BTreeMap<Vec<u8>, u64> {
    log.of(OutTopic::State)
        .filter(|record| record.key.starts_with(b"w/"))
        .map(|record| {
            let window = records::Window::decode(record.bytes()).expect("a window is readable");
            (record.key.clone(), window.duplicates)
        })
        .collect()
}

/// On hand, in transit, partitions in doubt; of on hand what lies in places that are not certain, and how many those are.
pub type Totals = BTreeMap<u32, (i64, i64, u32, i64, u32)>;

/// Totals over all places, as the item stage has them.
pub fn totals(log: &MemoryLog) -> Totals {
    let mut items = Items::default();
    for record in log.of(OutTopic::Partials) {
        assert!(items.take(&record.key, record.bytes()));
    }
    let mut totals = BTreeMap::new();
    items
        .publish(
            |_| true,
            |total| {
                totals.insert(
                    total.sku,
                    (
                        total.on_hand,
                        total.in_transit,
                        total.uncertain_partitions,
                        total.uncertain,
                        total.uncertain_places,
                    ),
                );
                Ok::<_, InventoryError>(())
            },
        )
        .expect("nothing fails");
    totals
}

/// The same out of cells and of what is known of their places.
pub fn totals_of(stock: &Stock, known: &BTreeMap<Vec<u8>, records::Completeness>) -> Totals {
    let mut totals = Totals::new();
    for ((location, sku), cell) in stock {
        let total = totals.entry(*sku).or_default();
        total.0 += cell.floor + cell.back_room;
        total.1 += cell.shipped - cell.received;
        let key = StateKey::Completeness(*location).to_bytes();
        if !known.get(&key).is_some_and(|known| known.is_certain) {
            total.3 += cell.floor + cell.back_room;
            total.4 += 1;
        }
    }
    totals
}

/// In the order of the log, what a reader shows of a cell never goes back to an earlier offset.
pub fn assert_never_back(log: &MemoryLog, what: &str) {
    let mut shown: BTreeMap<Vec<u8>, (u32, u64)> = BTreeMap::new();
    for record in log
        .of(OutTopic::State)
        .filter(|record| record.key.starts_with(b"c/"))
    {
        let cell = records::Cell::decode(record.bytes()).expect("a cell is readable");
        let old = shown.entry(record.key.clone()).or_default();
        let new = (cell.epoch, cell.applied_offset);
        if new >= *old {
            let key = String::from_utf8_lossy(&record.key);
            assert!(new.1 >= old.1, "{what}: {key} goes back from {old:?} to {new:?}");
            *old = new;
        }
    }
}

/// Everything that a reader can see equals what an undisturbed owner makes of the same movements.
pub fn assert_right(log: &MemoryLog, movements: &[Movement], what: &str) {
    assert_never_back(log, what);
    let (partition, _) = undisturbed(movements);
    let expected = stock(&partition);
    assert_eq!(view(log), expected, "{what}");
    let mut calm = MemoryLog::default();
    live(movements, usize::MAX, &mut calm).expect("nothing breaks");
    let known = completeness(&calm);
    assert_eq!(completeness(log), known, "{what}");
    assert_eq!(totals(log), totals_of(&expected, &known), "{what}");
    assert_eq!(repeats(log), repeats(&calm), "{what}");
}
