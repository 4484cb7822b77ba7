//! Movements for measurements: opening counts of a chain, then baskets without end.

use contracts::ids::LocationId;
use contracts::records::{Movement, MovementKind, MovementLine, SourceKind};
use contracts::topics::partition_of;
use prost::Message;

/// Of a basket.
pub const LINES: usize = 10;
const TILLS: u32 = 8;

/// A partition, and a record for it.
pub type Payload = (u32, Vec<u8>);

/// Counts of every article at every store, a hundred to a transaction.
pub fn opening(stores: u32, skus: u32) -> Vec<Payload> {
    let mut payloads = Vec::new();
    for store in 1..=stores {
        for (number, first) in (1..).zip((0..skus).step_by(100)) {
            let lines = (first..skus.min(first + 100))
                .map(|index| MovementLine {
                    sku: sku(store, index, skus),
                    kind: MovementKind::CountedBackRoom as i32,
                    quantity: 50_000,
                })
                .collect();
            payloads.push(payload(store, SourceKind::Reader, 1, number, lines));
        }
    }
    payloads
}

/// Half a chain's assortment apart, so that stores share articles but not all.
fn sku(store: u32, index: u32, skus: u32) -> u32 {
    100_000 + (store * 37 + index * 7) % (skus * 10)
}

/// Baskets at random tills, of random articles; the same ones every time.
pub struct Baskets {
    stores: u32,
    skus: u32,
    random: u64,
    numbers: Vec<u64>,
}

impl Baskets {
    pub fn new(stores: u32, skus: u32) -> Self {
        Self {
            stores,
            skus,
            random: 0x1234_5678_9abc_def0,
            numbers: vec![0; ((stores + 1) * TILLS) as usize],
        }
    }

    pub fn next(&mut self, count: usize) -> Vec<Payload> {
        (0..count).map(|_| self.basket()).collect()
    }

    fn basket(&mut self) -> Payload {
        let store = 1 + self.draw(self.stores);
        let till = self.draw(TILLS);
        let number = &mut self.numbers[(store * TILLS + till) as usize];
        *number += 1;
        let number = *number;
        let lines = (0..LINES)
            .map(|_| MovementLine {
                sku: sku(store, self.draw(self.skus), self.skus),
                kind: MovementKind::Sold as i32,
                quantity: 1_000,
            })
            .collect();
        payload(store, SourceKind::Till, till + 1, number, lines)
    }

    fn draw(&mut self, below: u32) -> u32 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.random >> 33) % u64::from(below)) as u32
    }
}

fn payload(store: u32, kind: SourceKind, unit: u32, number: u64, lines: Vec<MovementLine>) -> Payload {
    let location = LocationId::store(store as u16);
    let movement = Movement {
        location: location.to_string(),
        source_kind: kind as i32,
        source_unit: unit,
        business_day: 20_528,
        number,
        occurred_ms: 1_741_944_413_000,
        due_ms: 1_741_944_413_000,
        content_hash: number.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        despatch_advice: 0,
        lines,
        ..Movement::default()
    };
    (partition_of(location), movement.encode_to_vec())
}
