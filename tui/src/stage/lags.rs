//! What waits in front of each service, asked from Kafka once a second on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use backbone::{Backbone, LagProbe, Reader};
use contracts::topics::{self, PARTITIONS};
use tokio_util::sync::CancellationToken;

use super::extras::Reads;

const INTERVAL: Duration = Duration::from_millis(500);
const UNKNOWN: u64 = u64::MAX;

/// Records not yet committed.
#[derive(Debug)]
pub struct Lags {
    normaliser: AtomicU64,
    inventory: AtomicU64,
    dead_letters: AtomicU64,
    /// By group.
    extras: Vec<(&'static str, AtomicU64)>,
    /// Measurements since the start.
    rounds: AtomicU64,
}

/// The sum of all ends of a topic.
fn ends(reader: &Reader) -> Option<u64> {
    (0..PARTITIONS)
        .map(|partition| reader.watermarks(partition).ok().map(|(_, end)| end))
        .sum()
}

impl Lags {
    /// `extras` are the services beside the way of the stock.
    pub fn start(backbone: &Backbone, extras: &[Reads], cancel: CancellationToken) -> Result<Arc<Self>> {
        let probes = extras
            .iter()
            .map(|(group, topic)| backbone.lag_probe(group, topic, PARTITIONS))
            .collect::<Result<Vec<_>, _>>()?;
        let raw = [topics::TLOG_RAW, topics::MQ_RAW, topics::SCAN_RAW]
            .iter()
            .map(|topic| backbone.lag_probe(normaliser::GROUP, topic, PARTITIONS))
            .collect::<Result<Vec<_>, _>>()?;
        let movements = backbone.lag_probe(inventory::GROUP, topics::MOVEMENTS, PARTITIONS)?;
        let letters = backbone.reader_from_beginning("stockstream-lags", topics::DEAD_LETTERS, PARTITIONS)?;
        let lags = Arc::new(Self {
            normaliser: AtomicU64::new(UNKNOWN),
            inventory: AtomicU64::new(UNKNOWN),
            dead_letters: AtomicU64::new(UNKNOWN),
            extras: extras
                .iter()
                .map(|(group, _)| (*group, AtomicU64::new(UNKNOWN)))
                .collect(),
            rounds: AtomicU64::new(0),
        });
        thread::Builder::new()
            .name("lags".into())
            .spawn({
                let lags = Arc::clone(&lags);
                move || {
                    while !cancel.is_cancelled() {
                        let first = raw.iter().map(LagProbe::records).sum::<Option<u64>>();
                        lags.normaliser.store(first.unwrap_or(UNKNOWN), Ordering::Release);
                        lags.inventory
                            .store(movements.records().unwrap_or(UNKNOWN), Ordering::Release);
                        lags.dead_letters
                            .store(ends(&letters).unwrap_or(UNKNOWN), Ordering::Release);
                        for ((_, lag), probe) in lags.extras.iter().zip(&probes) {
                            lag.store(probe.records().unwrap_or(UNKNOWN), Ordering::Release);
                        }
                        lags.rounds.fetch_add(1, Ordering::AcqRel);
                        thread::sleep(INTERVAL);
                    }
                }
            })
            .context("the lag's thread")?;
        Ok(lags)
    }

    fn known(value: u64) -> Option<u64> {
        (value != UNKNOWN).then_some(value)
    }

    pub fn normaliser(&self) -> Option<u64> {
        Self::known(self.normaliser.load(Ordering::Acquire))
    }

    pub fn inventory(&self) -> Option<u64> {
        Self::known(self.inventory.load(Ordering::Acquire))
    }

    /// Records that were ever in the dead letters, whoever wrote them.
    pub fn dead_letters(&self) -> Option<u64> {
        Self::known(self.dead_letters.load(Ordering::Acquire))
    }

    /// In front of all services beside the way of the stock.
    pub fn extras(&self) -> Option<u64> {
        self.extras.iter().map(|(group, _)| self.extra(group)).sum()
    }

    /// In front of one of them; `None`: there is none, or it is not known.
    pub fn extra(&self, group: &str) -> Option<u64> {
        let (_, lag) = self.extras.iter().find(|(other, _)| *other == group)?;
        Self::known(lag.load(Ordering::Acquire))
    }

    pub fn rounds(&self) -> u64 {
        self.rounds.load(Ordering::Acquire)
    }
}
