//! The scenario of a soak: a steady rate of receipts over days of simulated time, and a fault in each minute of the wall's.

use std::fmt::Write as _;

/// Hundredths of a per cent of the day's receipts in each hour, and of the week's on each day from Monday on, as the world
/// has them: with a steady rate the simulated clock runs fast by night.
const HOURS: [u32; 24] = [
    80, 39, 49, 19, 14, 19, 64, 125, 194, 283, 427, 591, 664, 676, 707, 770, 900, 1010, 949, 806, 658, 489,
    307, 160,
];
const WEEKDAYS: [u32; 7] = [1400, 1336, 1312, 1324, 1363, 1596, 1668];
const RECEIPTS_A_DAY: f64 = 5_000_000.0;
/// Of the week: Saturday at ten. What is on its way in memory follows the size of the hour, and an hour of the wall's clock is a
/// week. So begun, the quarters that are compared, the second and the last, have hours of one size; begun on a Monday, the last
/// would be the weekend and 13 % larger.
const FIRST_HOUR: usize = 5 * 24 + 10;
/// Two thirds of Acme's places, each with an assortment that leaves the broker room to work.
const WORLD: &str = "\
title: Soak
world:
  stores: 1500
  warehouses: 12
  skus: 2000
  assortment: 200
  transactions_per_day: 5000000
  start: 2026-03-14 10:00
";

/// Something that breaks, and how it is mended after so many seconds.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub name: &'static str,
    breaks: &'static str,
    mends: &'static str,
    seconds: f64,
}

const fn service(name: &'static str, breaks: &'static str, mends: &'static str) -> Fault {
    Fault {
        name,
        breaks,
        mends,
        seconds: 5.0,
    }
}

/// In turn; a new one is a line here.
pub const FAULTS: [Fault; 5] = [
    service(
        "inventory stops",
        "{stop_service: inventory}",
        "{start_service: inventory}",
    ),
    Fault {
        name: "150 stores offline",
        breaks: "{stores_offline: {count: 150}}",
        mends: "{stores_online: all}",
        seconds: 15.0,
    },
    service(
        "normaliser stops",
        "{stop_service: normaliser}",
        "{start_service: normaliser}",
    ),
    service(
        "mq-source stops",
        "{stop_service: mq-source}",
        "{start_service: mq-source}",
    ),
    service(
        "store-gateway stops",
        "{stop_service: store-gateway}",
        "{start_service: store-gateway}",
    ),
];
/// Of each minute, so that what the fault did is over before the next one.
const SECOND_OF_FAULT: f64 = 20.0;

/// Lines in a receipt, for which the rate is translated; the report says what they were.
pub const LINES_A_RECEIPT: f64 = 10.25;

/// Transactions that tills write for each receipt: the rate counts all of them, the hours' shares are of receipts. Without it the
/// faults of an hour came 3.4 % late, and the last two not at all.
const TRANSACTIONS_A_RECEIPT: f64 = 1.034;

/// As fast as it goes, without faults: what the machine can do.
pub fn probe(receipts: u64) -> String {
    format!("{WORLD}load: unthrottled\nstop:\n  transactions: {receipts}\n")
}

pub fn soak(receipts_a_second: u32, minutes: u32) -> String {
    let rate = f64::from(receipts_a_second);
    let mut text = format!(
        "{WORLD}load:\n  rate: {{per_second: {receipts_a_second}}}\nstop:\n  transactions: {}\nsteps:\n",
        u64::from(receipts_a_second) * 60 * u64::from(minutes)
    );
    for minute in 0..minutes {
        let fault = FAULTS[minute as usize % FAULTS.len()];
        let breaks = f64::from(minute) * 60.0 + SECOND_OF_FAULT;
        for (seconds, action) in [(breaks, fault.breaks), (breaks + fault.seconds, fault.mends)] {
            // A String takes all text.
            let _ = writeln!(
                text,
                "  - at: {}s\n    do: {action}",
                simulated_seconds(rate * seconds / TRANSACTIONS_A_RECEIPT)
            );
        }
    }
    text
}

/// When, from the first sale on, so many receipts have come.
fn simulated_seconds(receipts: f64) -> u64 {
    let mut left = receipts;
    let sum = |shares: &[u32]| f64::from(shares.iter().sum::<u32>());
    for hour in 0_usize.. {
        let of_day = HOURS[(FIRST_HOUR + hour) % 24];
        let of_week = WEEKDAYS[(FIRST_HOUR + hour) / 24 % 7];
        let in_hour =
            RECEIPTS_A_DAY * 7.0 * f64::from(of_day) / sum(&HOURS) * f64::from(of_week) / sum(&WEEKDAYS);
        if left <= in_hour {
            return hour as u64 * 3_600 + (3_600.0 * left / in_hour) as u64;
        }
        left -= in_hour;
    }
    unreachable!("every hour has receipts")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of all steps, in simulated seconds.
    fn times(scenario: &str) -> Vec<u64> {
        let at = |line: &str| {
            line.trim()
                .strip_prefix("- at: ")?
                .strip_suffix('s')?
                .parse()
                .ok()
        };
        scenario.lines().filter_map(at).collect()
    }

    #[test]
    fn simulated_time_follows_the_receipts_of_each_hour() {
        assert_eq!(simulated_seconds(0.0), 0);
        // Saturday from ten to eleven: 4.27 % of a day's receipts that is stronger than the mean one.
        let hour = 5e6 * 0.0427 * 7.0 * 0.1596;
        assert!(simulated_seconds(hour).abs_diff(3_600) < 30);
        // A whole week.
        assert!(simulated_seconds(35e6).abs_diff(7 * 86_400) < 60);
    }

    #[test]
    fn the_quarters_that_are_compared_have_hours_of_one_size() {
        // By what a receipt sees: large hours have more of them.
        let mean_hour = |receipts: std::ops::Range<f64>| {
            let steps = 10_000;
            let at = |step: u32| {
                let share = f64::from(step) / f64::from(steps);
                simulated_seconds(receipts.start + share * (receipts.end - receipts.start)) / 3_600
            };
            let size = |hour: u64| {
                let hour = FIRST_HOUR + hour as usize;
                f64::from(HOURS[hour % 24]) * f64::from(WEEKDAYS[hour / 24 % 7])
            };
            (0..steps).map(|step| size(at(step))).sum::<f64>() / f64::from(steps)
        };
        let all = 36.0e6;
        let ratio = mean_hour(all * 0.75..all) / mean_hour(all * 0.25..all * 0.5);
        assert!((0.97..1.03).contains(&ratio), "{ratio}");
    }

    #[test]
    fn each_minute_has_a_fault_that_is_mended_before_the_next() {
        let text = soak(9_000, 7);
        let times = times(&text);
        assert_eq!(times.len(), 14);
        assert!(times.is_sorted());
        assert_eq!(
            text.matches("stop_service: inventory").count(),
            2,
            "the faults go round"
        );
        assert!(text.contains("transactions: 3780000"));
    }

    /// How far the simulated clock came in an hour with 9,756 a second, its report said.
    #[test]
    fn the_last_fault_of_an_hour_is_mended_before_its_last_transaction() {
        let text = soak(9_756, 60);
        let last = times(&text).pop().expect("a fault");
        assert!((548_000..557_103).contains(&last), "{last}");
    }
}
