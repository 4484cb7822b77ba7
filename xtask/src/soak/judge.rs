//! Whether anything grew: the last quarter of a soak against the second, when everything has found its size.

use std::collections::BTreeSet;

use serde::Serialize;

use super::sample::Sample;

/// Of the resident memory.
const RSS_GROWTH_MAX: f64 = 0.05;
/// A topic's mean may be more by this, which is what compaction and retention do between two of their runs.
const TOPIC_GROWTH_MAX: f64 = 0.25;
const TOPIC_SLACK_BYTES: f64 = (4 << 20) as f64;
/// Records of a compacted topic for each of its keys: compaction begins when half of a partition is new, and what comes in
/// meanwhile is on top.
const RECORDS_A_KEY_MAX: f64 = 6.0;
/// And these in each partition, whatever its keys: the embedded broker compacts nothing for less.
const UNCLEAN_BYTES: f64 = (10 << 20) as f64;
/// A service that begins again before its former self has closed everything has some twenty more for a second, so what counts is
/// the median; one lost in each restart is thirty more after as many minutes.
const DESCRIPTORS_SLACK: u64 = 4;
/// Fewer samples in a quarter say nothing.
const SAMPLES_MIN: usize = 5;

/// Keys of the compacted topics, at most.
#[derive(Clone, Copy, Debug)]
pub struct Keys {
    pub cells: u64,
    pub skus: u64,
    pub partitions: u64,
    /// Windows, completeness, barriers, images.
    pub others: u64,
}

impl Keys {
    fn of(self, topic: &str) -> Option<u64> {
        match topic {
            "store.inventory" => Some(self.cells + self.others),
            "item.partials" => Some(self.skus * self.partitions + self.others),
            "item.inventory" => Some(self.skus + self.others),
            "catalogue" => Some(self.skus),
            _ => None,
        }
    }
}

/// One comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    pub what: String,
    pub second_quarter: f64,
    pub last_quarter: f64,
    pub most: f64,
    pub holds: bool,
}

/// All comparisons; `None`: there are too few samples.
pub fn findings(samples: &[Sample], keys_of: Keys) -> Option<Vec<Finding>> {
    let quarter = samples.len() / 4;
    if quarter < SAMPLES_MIN {
        return None;
    }
    let (second, last) = (
        &samples[quarter..quarter * 2],
        &samples[samples.len() - quarter..],
    );
    let mut findings = vec![grown(
        "resident memory, MiB",
        mean(second, |sample| sample.rss_mib),
        mean(last, |sample| sample.rss_mib),
        |before| before * (1.0 + RSS_GROWTH_MAX),
    )];
    let topics: BTreeSet<&String> = samples.iter().flat_map(|sample| sample.topics.keys()).collect();
    for topic in topics {
        let bytes = |sample: &Sample| sample.topics.get(topic).map_or(0.0, |held| held.bytes as f64);
        let records = |sample: &Sample| sample.topics.get(topic).map_or(0, |held| held.records);
        // What is compacted grows between two rounds, by any factor: it has a size that it may not pass.
        if let Some(keys) = keys_of.of(topic) {
            let most = |samples: &[Sample]| samples.iter().map(records).max().unwrap_or_default() as f64;
            let bytes_a_record = mean(last, bytes) / mean(last, |sample| records(sample) as f64).max(1.0);
            let unclean = UNCLEAN_BYTES * keys_of.partitions as f64 / bytes_a_record.max(1.0);
            findings.push(grown(
                &format!("{topic}, records at most"),
                most(second),
                most(last),
                |_| keys as f64 * RECORDS_A_KEY_MAX + unclean,
            ));
        } else {
            findings.push(grown(
                &format!("{topic}, MiB"),
                mean(second, bytes) / f64::from(1 << 20),
                mean(last, bytes) / f64::from(1 << 20),
                |before| before * (1.0 + TOPIC_GROWTH_MAX) + TOPIC_SLACK_BYTES / f64::from(1 << 20),
            ));
        }
    }
    findings.push(grown(
        "open descriptors, median",
        median(second, |sample| sample.descriptors),
        median(last, |sample| sample.descriptors),
        |before| before + DESCRIPTORS_SLACK as f64,
    ));
    let file_mib = |samples: &[Sample]| {
        samples
            .iter()
            .map(|sample| sample.file_bytes >> 20)
            .max()
            .unwrap_or_default()
    };
    findings.push(grown(
        "files, MiB at most",
        file_mib(second) as f64,
        file_mib(last) as f64,
        |before| before + 1.0,
    ));
    Some(findings)
}

fn grown(what: &str, before: f64, after: f64, most: impl Fn(f64) -> f64) -> Finding {
    let most = most(before);
    Finding {
        what: what.to_owned(),
        second_quarter: before,
        last_quarter: after,
        most,
        holds: after <= most,
    }
}

fn mean(samples: &[Sample], of: impl Fn(&Sample) -> f64) -> f64 {
    samples.iter().map(of).sum::<f64>() / samples.len() as f64
}

fn median(samples: &[Sample], of: impl Fn(&Sample) -> u64) -> f64 {
    let mut all: Vec<u64> = samples.iter().map(of).collect();
    all.sort_unstable();
    all[all.len() / 2] as f64
}

#[cfg(test)]
mod tests {
    use super::super::sample::Topic;
    use super::*;

    const KEYS: Keys = Keys {
        cells: 1_000,
        skus: 100,
        partitions: 6,
        others: 50,
    };

    fn samples(rss: impl Fn(usize) -> f64, records: impl Fn(usize) -> u64) -> Vec<Sample> {
        samples_of("store.inventory", rss, records)
    }

    fn samples_of(topic: &str, rss: impl Fn(usize) -> f64, records: impl Fn(usize) -> u64) -> Vec<Sample> {
        let sample = |index| Sample {
            rss_mib: rss(index),
            topics: [(
                topic.to_owned(),
                Topic {
                    records: records(index),
                    bytes: records(index) * 100_000,
                },
            )]
            .into(),
            ..Sample::default()
        };
        (0..40).map(sample).collect()
    }

    fn broken(samples: &[Sample]) -> Vec<String> {
        let findings = findings(samples, KEYS).expect("enough samples");
        findings
            .into_iter()
            .filter(|finding| !finding.holds)
            .map(|finding| finding.what)
            .collect()
    }

    #[test]
    fn what_goes_up_and_down_has_not_grown() {
        assert!(broken(&samples(|i| 700.0 + (i % 3) as f64, |i| 1_500 + i as u64 % 5)).is_empty());
        assert!(
            broken(&samples(|i| 700.0 - i as f64, |_| 1_500)).is_empty(),
            "less is no leak"
        );
    }

    #[test]
    fn what_grows_is_named() {
        assert_eq!(
            broken(&samples(|i| 700.0 + 4.0 * i as f64, |_| 1_500)),
            ["resident memory, MiB"]
        );
        assert_eq!(
            broken(&samples(|_| 700.0, |i| 1_000 + 300 * i as u64)),
            ["store.inventory, records at most"]
        );
    }

    #[test]
    fn a_topic_without_keys_may_only_go_up_and_down() {
        let movements = |records: fn(usize) -> u64| broken(&samples_of("movements", |_| 700.0, records));
        assert!(movements(|i| 1_000 + (i as u64 % 7) * 100).is_empty());
        assert_eq!(movements(|i| 1_000 + 30 * i as u64), ["movements, MiB"]);
    }

    #[test]
    fn descriptors_that_are_lost_count_and_those_open_for_a_moment_do_not() {
        let descriptors = |of: fn(usize) -> u64| {
            let mut samples = samples(|_| 700.0, |_| 1_500);
            for (index, sample) in samples.iter_mut().enumerate() {
                sample.descriptors = of(index);
            }
            broken(&samples)
        };
        assert!(descriptors(|i| if i == 35 { 966 } else { 940 + i as u64 % 3 * 2 }).is_empty());
        assert_eq!(descriptors(|i| 940 + i as u64 / 4), ["open descriptors, median"]);
    }

    #[test]
    fn a_few_samples_say_nothing() {
        assert!(findings(&samples(|_| 1.0, |_| 1)[..12], KEYS).is_none());
    }
}
