//! The whole flow as pure functions, from the world to the audit: the services' own rules without servers between them.
//!
//! What lies between the stages are lists of bytes in place of topics. Everything else is the code that runs.

use std::collections::BTreeMap;

use audit::{AuditReport, Comparison};
use contracts::digest::{Digest, Minutes};
use contracts::ids::{LocationId, Sku, TimeMs};
use contracts::sabotage::raw::{Damage, damage};
use contracts::sabotage::{Sabotage, SabotageStage};
use contracts::topics::{PARTITIONS, partition_of, partition_of_item};
use inventory::{
    Applied, Group, InventoryError, ItemSaboteur, Items, Log, OutTopic, Owned, Restore, Taker, Transaction,
    flush,
};
use ledger::Ledger;
use normaliser::{
    BusinessClock, Catalogue, Normalised, Normaliser, RawMessage, RawTopic, Saboteur, encode_movement,
};
use prost::Message as _;
use world::events::{Channel, Message, PlaceEvents, Step};
use world::{TillMix, World, WorldConfig};

use crate::damage::{Damaged, SabotageView};
use crate::digests::{self, Points, StagesDigest};

const STEPS: usize = 8;

pub fn world(seed: u64) -> World {
    World::new(WorldConfig {
        seed,
        // So many that each partition has several places.
        stores: 24,
        warehouses: 2,
        data_centres: 1,
        skus: 60,
        assortment: 30,
        transactions_per_day: 40_000,
        tills: TillMix {
            ibm_4690: 40,
            poslog_6: 30,
            poslog_2: 30,
        },
        start: TimeMs(20_528 * 86_400_000),
        start_of_trading_ms: 10 * 3_600_000,
        ..WorldConfig::default()
    })
    .expect("a small world")
}

/// What came of a run.
pub struct Ran {
    pub report: AuditReport,
    pub digest: StagesDigest,
    pub exam: Option<SabotageView>,
    /// Minutes in which something that was damaged happened, as the digest writes them.
    pub minutes: Vec<String>,
    pub repeats: u64,
    pub dead_letters: u64,
}

/// What the services have between them.
struct Flow {
    sabotage: Option<Sabotage>,
    normaliser: Normaliser,
    normalised: Normalised,
    saboteur: Saboteur,
    catalogue: Catalogue,
    raw_counters: normaliser::Counters,
    raw_offsets: BTreeMap<(&'static str, u32), u64>,
    movements: Vec<Vec<Vec<u8>>>,
    owned: Vec<Owned>,
    applied: Vec<usize>,
    counters: inventory::Counters,
    items: Items,
    ends: BTreeMap<(OutTopic, u32), u64>,
    item_saboteur: ItemSaboteur,
    comparison: Comparison,
    repeats: u64,
    dead_letters: u64,
}

/// Takes what the store stage writes.
struct Out<'a> {
    comparison: &'a mut Comparison,
    items: &'a mut Items,
    ends: &'a mut BTreeMap<(OutTopic, u32), u64>,
}

impl Log for Out<'_> {
    fn send(
        &mut self,
        topic: OutTopic,
        partition: u32,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), InventoryError> {
        match topic {
            OutTopic::State => self.comparison.take_cell(partition, key, Some(value), 0),
            OutTopic::Partials => assert!(self.items.take(key, value), "a record of the topic"),
            OutTopic::Items => panic!("the store stage writes no totals"),
        }
        *self.ends.entry((topic, partition)).or_default() += 1;
        Ok(())
    }

    fn delete(&mut self, topic: OutTopic, partition: u32, key: &[u8]) -> Result<(), InventoryError> {
        assert_eq!(topic, OutTopic::State);
        self.comparison.take_cell(partition, key, None, 0);
        *self.ends.entry((topic, partition)).or_default() += 1;
        Ok(())
    }

    fn acknowledged(&mut self) -> Result<(), InventoryError> {
        Ok(())
    }

    fn ends(&mut self, partitions: &[(OutTopic, u32)]) -> Result<Vec<u64>, InventoryError> {
        let end = |log| self.ends.get(log).copied().unwrap_or_default();
        Ok(partitions.iter().map(end).collect())
    }

    fn read(&mut self, _: OutTopic, _: u32, _: u64, _: u64, _: &mut Taker<'_>) -> Result<(), InventoryError> {
        panic!("nobody else writes here, so there is nothing to look up")
    }
}

struct NoGroup;

impl Group for NoGroup {
    fn commit(&self, _: &[(u32, u64)], _: u32) -> Result<bool, InventoryError> {
        Ok(true)
    }

    fn is_lost(&self) -> bool {
        false
    }

    fn keep_from(&self, _: u32, _: u64) -> Result<bool, InventoryError> {
        Ok(true)
    }
}

const fn route(channel: Channel) -> RawTopic {
    match channel {
        Channel::Till => RawTopic::Till,
        Channel::Queue => RawTopic::Queue,
        Channel::Scan => RawTopic::Scan,
    }
}

impl Flow {
    fn new(world: &World, ledger: &Ledger, sabotage: Option<Sabotage>) -> Self {
        let mut catalogue = Catalogue::default();
        for article in world.articles() {
            assert!(catalogue.apply(b"", Some(&article.encode_to_vec())));
        }
        let owner = |number| {
            let restored = Restore::new(number).finish(1, 0).expect("nothing to restore");
            Owned::restored(restored, 0, 0)
        };
        Self {
            sabotage,
            normaliser: Normaliser::new(BusinessClock::default()),
            normalised: Normalised::default(),
            saboteur: Saboteur::new(sabotage),
            catalogue,
            raw_counters: normaliser::Counters::default(),
            raw_offsets: BTreeMap::new(),
            movements: vec![Vec::new(); PARTITIONS as usize],
            owned: (0..PARTITIONS).map(owner).collect(),
            applied: vec![0; PARTITIONS as usize],
            counters: inventory::Counters::default(),
            items: Items::default(),
            ends: BTreeMap::new(),
            item_saboteur: ItemSaboteur::new(sabotage),
            comparison: Comparison::new(ledger),
            repeats: 0,
            dead_letters: 0,
        }
    }

    /// Store gateway or mq-source.
    fn edge(&mut self, channel: Channel, format: &str, location: LocationId, payload: &[u8]) {
        let topic = route(channel);
        let stage = match channel {
            Channel::Queue => SabotageStage::MqSource,
            Channel::Till | Channel::Scan => SabotageStage::StoreGateway,
        };
        let sabotage = Sabotage::at(self.sabotage, stage);
        match damage(sabotage.as_ref(), format, location, payload) {
            Damage::None => self.normalise(topic, format, location, payload),
            Damage::Drop => {}
            Damage::Twice => {
                self.normalise(topic, format, location, payload);
                self.normalise(topic, format, location, payload);
            }
            Damage::Altered(altered) => self.normalise(topic, format, location, &altered),
            Damage::Elsewhere(other) => self.normalise(topic, format, other, payload),
        }
    }

    fn normalise(&mut self, topic: RawTopic, format: &str, location: LocationId, payload: &[u8]) {
        let partition = partition_of(location);
        let next = self.raw_offsets.entry((topic.name(), partition)).or_default();
        let offset = *next;
        *next += 1;
        let key = location.to_string();
        let raw = RawMessage {
            topic,
            key: key.as_bytes(),
            payload,
            format: Some(format.as_bytes()),
            group: None,
        };
        let result = self
            .normaliser
            .normalise(&raw, &self.catalogue, &mut self.normalised);
        let understood = result.is_ok().then_some(&self.normalised);
        self.raw_counters.digested(topic, partition, offset, understood);
        if result.is_err() {
            self.dead_letters += 1;
            return;
        }
        for transaction in &self.normalised.transactions {
            let lines = self.normalised.lines_of(transaction);
            let movements = &mut self.movements;
            self.saboteur
                .send(transaction, lines, |transaction, lines| {
                    let mut movement = Vec::new();
                    encode_movement(transaction, 1, lines, &mut movement);
                    movements[partition_of(transaction.id.source.location) as usize].push(movement);
                    Ok::<_, ()>(())
                })
                .expect("a list takes all");
        }
    }

    fn inventory(&mut self) {
        let sabotage = Sabotage::at(self.sabotage, SabotageStage::Inventory);
        let mut transaction = Transaction::default();
        for (partition, owned) in self.owned.iter_mut().enumerate() {
            let movements = &self.movements[partition];
            for (offset, movement) in movements.iter().enumerate().skip(self.applied[partition]) {
                transaction.read(movement).expect("the normaliser wrote it");
                let applied = owned.state.apply(&transaction, offset as u64, sabotage.as_ref());
                self.counters
                    .digested(partition as u32, offset as u64, &transaction, applied);
                self.repeats += u64::from(applied == Applied::Repeat);
                self.dead_letters += u64::from(matches!(applied, Applied::Refused(_)));
            }
            self.applied[partition] = movements.len();
        }
        let mut out = Out {
            comparison: &mut self.comparison,
            items: &mut self.items,
            ends: &mut self.ends,
        };
        flush(&mut self.owned, &mut out, &NoGroup, &self.counters).expect("a list takes all");
        let (saboteur, comparison) = (&mut self.item_saboteur, &mut self.comparison);
        self.items
            .publish(
                |_| true,
                |total| {
                    saboteur.send(total, |total| {
                        let key = total.sku.to_string();
                        let partition = partition_of_item(Sku(total.sku));
                        comparison.take_item(partition, key.as_bytes(), Some(&total.encode_to_vec()));
                        Ok::<_, ()>(())
                    })
                },
            )
            .expect("a list takes all");
    }
}

/// The opening stock and some steps of trading.
fn steps(world: &mut World) -> impl Iterator<Item = Step> + '_ {
    let mut is_open = false;
    std::iter::from_fn(move || {
        if !is_open && let Some(part) = world.opening_part(4) {
            return Some(part);
        }
        is_open = true;
        Some(world.step(1))
    })
}

fn each(seed: u64, mut take: impl FnMut(usize, &PlaceEvents, &Message), mut end_of_step: impl FnMut()) {
    let mut world = world(seed);
    let parts = world.places().len().div_ceil(4);
    for step in steps(&mut world).take(parts + STEPS) {
        for (place, events) in step.places.iter().enumerate() {
            for message in &events.messages {
                take(place, events, message);
            }
        }
        end_of_step();
    }
}

pub fn run(seed: u64, sabotage: Option<Sabotage>) -> Ran {
    let plain = world(seed);
    let ledger = Ledger::new(&plain.assortments());
    let flow = std::cell::RefCell::new(Flow::new(&plain, &ledger, sabotage));
    let locations: Vec<_> = plain.places().iter().map(|place| place.location).collect();
    let mut source = Minutes::default();
    let mut damaged = sabotage.map(Damaged::new);
    let mut minutes = std::collections::BTreeSet::new();
    each(
        seed,
        |place, events, message| {
            for transaction in events.transactions_of(message) {
                let lines = events.lines_of(transaction);
                let quantity = lines.iter().map(|line| line.quantity).sum();
                let of_it = Digest::of(&transaction.id, lines.len() as u64, quantity);
                source.add(transaction.at.0, &of_it);
                ledger.place(place).apply(&transaction.id, lines);
            }
            if let Some(damaged) = &mut damaged {
                damaged.message(events, message);
                let hit = events.transactions_of(message).iter();
                let hit = hit.filter(|transaction| damaged.has(&transaction.id));
                minutes.extend(hit.map(|hit| digests::minute(Some(hit.at.0.div_euclid(60_000)))));
            }
            flow.borrow_mut().edge(
                message.channel,
                message.format,
                locations[place],
                events.bytes_of(message),
            );
        },
        || flow.borrow_mut().inventory(),
    );
    let mut flow = flow.into_inner();
    let report = flow.comparison.compare(&ledger).explain(true, |take| {
        each(
            seed,
            |_, events, message| {
                for transaction in events.transactions_of(message) {
                    take(&transaction.id, transaction.at, events.lines_of(transaction));
                }
            },
            || {},
        );
    });
    let raw = flow.raw_counters.digest();
    let movements = flow.counters.digest();
    let digest = digests::compare(&Points {
        source: &source,
        raw: &raw.minutes,
        raw_unreadable: raw.unreadable,
        movements: &movements.minutes,
        movements_unreadable: movements.unreadable,
        repeats: &movements.repeats,
        view_less_truth: &report.view_less_truth,
        view_unexplained_cells: report.unexplained_cells,
    });
    Ran {
        exam: damaged.map(|damaged| damaged.examine(&report)),
        report,
        digest,
        minutes: minutes.into_iter().collect(),
        repeats: flow.repeats,
        dead_letters: flow.dead_letters,
    }
}
