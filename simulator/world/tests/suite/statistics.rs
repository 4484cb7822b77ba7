//! What people do has the measured shape: Complete Journey (dunnhumby, 2017), the aggregates only.

use std::collections::BTreeMap;

use crate::common::{STEPS_A_DAY, walk};
use crate::measured::{BASKET_SIZES, HOURS, LINES_A_BASKET, LORENZ, UNITS, WEEKDAYS};
use contracts::records::MovementKind;
use world::events::Channel;
use world::{World, WorldConfig};

/// What is counted over a week.
#[derive(Default)]
struct Week {
    baskets_by_size: BTreeMap<usize, u64>,
    baskets_by_hour: [u64; 24],
    baskets_by_weekday: [u64; 7],
    lines_by_sku: BTreeMap<u32, u64>,
    /// Of the first store.
    lines_by_sku_in_a_store: BTreeMap<u32, u64>,
    lines: u64,
    single: u64,
    baskets: u64,
    returns: u64,
}

fn a_week() -> (Week, World) {
    let config = WorldConfig {
        seed: 20_260_316,
        stores: 60,
        warehouses: 2,
        data_centres: 1,
        transactions_per_day: 15_000,
        ..WorldConfig::default()
    };
    let mut world = World::new(config).expect("valid");
    let weighed: BTreeMap<u32, bool> = world
        .articles()
        .iter()
        .map(|article| (article.sku, article.weighed))
        .collect();
    let start = world.config().start.0;
    let mut week = Week::default();
    walk(&mut world, 7 * STEPS_A_DAY, |_, place, events| {
        let till = events
            .messages
            .iter()
            .filter(|message| message.channel == Channel::Till)
            .flat_map(|message| events.transactions_of(message));
        // What tills write beside sales has no lines of goods, or is a paper.
        let is_basket =
            |line: &ledger::Line| matches!(line.kind, MovementKind::Sold | MovementKind::Returned);
        for transaction in till {
            let lines = events.lines_of(transaction);
            if !lines.first().is_some_and(is_basket) {
                continue;
            }
            let sold = lines.iter().filter(|line| line.kind == MovementKind::Sold);
            let size = sold.clone().count();
            week.baskets += 1;
            week.baskets_by_hour[(transaction.at.0 / 3_600_000 % 24) as usize] += 1;
            week.baskets_by_weekday[((transaction.at.0 - start) / 86_400_000) as usize] += 1;
            week.returns += u64::from(lines.iter().any(|line| line.kind == MovementKind::Returned));
            if size > 0 {
                *week.baskets_by_size.entry(size).or_default() += 1;
            }
            for line in sold {
                week.lines += 1;
                week.single += u64::from(weighed[&line.sku.0] || line.quantity == 1000);
                *week.lines_by_sku.entry(line.sku.0).or_default() += 1;
                if place == 0 {
                    *week.lines_by_sku_in_a_store.entry(line.sku.0).or_default() += 1;
                }
            }
        }
    });
    (week, world)
}

/// Per cent of lines that the best sellers make, of so many SKUs.
fn share_of_best(lines_by_sku: &BTreeMap<u32, u64>, count: usize) -> f64 {
    let mut lines: Vec<u64> = lines_by_sku.values().copied().collect();
    lines.sort_unstable_by(|a, b| b.cmp(a));
    100.0 * lines.iter().take(count).sum::<u64>() as f64 / lines.iter().sum::<u64>() as f64
}

#[test]
fn a_week_of_a_million_lines_has_the_measured_shape() {
    let (week, world) = a_week();
    assert!(week.lines > 1_000_000, "{}", week.lines);

    let baskets: u64 = week.baskets_by_size.values().sum();
    let distance = BASKET_SIZES
        .map(|(size, measured)| {
            let up_to: u64 = week.baskets_by_size.range(..=size).map(|(_, count)| count).sum();
            (up_to as f64 / baskets as f64 - measured).abs()
        })
        .into_iter()
        .fold(0.0, f64::max);
    println!("baskets: {baskets}, Kolmogorov-Smirnov distance {distance:.4}");
    assert!(distance <= 0.03, "{distance}");
    let mean = week.lines as f64 / baskets as f64;
    assert!((mean - LINES_A_BASKET).abs() < 0.3, "{mean}");

    let single = week.single as f64 / week.lines as f64;
    println!("mean {mean:.3}, one unit a line {single:.4}");
    assert!((single - UNITS[0].1).abs() <= 0.02, "{single}");

    for (hour, (count, share)) in week.baskets_by_hour.iter().zip(HOURS).enumerate() {
        let made = 100.0 * *count as f64 / week.baskets as f64;
        assert!((made - share).abs() <= 0.5, "hour {hour}: {made}");
    }
    for (count, (weekday, share)) in week.baskets_by_weekday.iter().zip(WEEKDAYS) {
        let made = 100.0 * *count as f64 / week.baskets as f64;
        assert!((made - share).abs() <= 0.5, "{weekday}: {made}");
    }
    assert!(
        (week.baskets as f64 / 105_000.0 - 1.0).abs() < 0.01,
        "{}",
        week.baskets
    );

    let skus = world.articles().len() as f64;
    for (top, measured) in LORENZ {
        let made = share_of_best(&week.lines_by_sku, (skus * top) as usize);
        println!("top {top}: {made:.1} {measured}");
        assert!((made - measured).abs() <= 3.0, "top {top}: {made}");
    }
    let in_a_store = share_of_best(&week.lines_by_sku_in_a_store, 100);
    println!("top fifth in a store: {in_a_store:.1}");
    assert!((in_a_store - 62.0).abs() <= 6.0, "{in_a_store}");

    let returns = 100.0 * week.returns as f64 / week.baskets as f64;
    assert!((returns - 1.0).abs() < 0.3, "{returns}");
}

#[test]
fn stores_of_usual_size_bring_the_usual_share_of_queue_records_and_scans() {
    let config = WorldConfig {
        stores: 24,
        warehouses: 1,
        data_centres: 1,
        transactions_per_day: 24 * 2_174,
        ..WorldConfig::default()
    };
    let mut world = World::new(config).expect("valid");
    walk(&mut world, 2 * STEPS_A_DAY, |_, _, _| {});
    let split = world.split();
    let of_receipts =
        |counts: world::Counts| 100.0 * counts.transactions as f64 / split.till.transactions as f64;
    let (queue, scan) = (of_receipts(split.queue), of_receipts(split.scan));
    println!("queue {queue:.1} %, scans {scan:.1} %");
    assert!((5.0..10.0).contains(&queue), "{queue}");
    assert!((2.0..4.0).contains(&scan), "{scan}");
    assert!(split.lost_sales > 0);
}
