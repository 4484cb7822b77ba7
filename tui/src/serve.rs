//! `stockstream serve NAME`: one service as a process, against outside servers, until Ctrl-C.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result};
use contracts::ids::LocationId;
use contracts::topics;
use tokio_util::sync::CancellationToken;

use crate::cli::{ServeArgs, ServiceName};
use crate::observe::{self, Metric, Observed};
use crate::stage;

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

struct Gateway(Arc<store_gateway::Counters>);
struct MqSource(Arc<mq_source::Counters>);
struct Normaliser(Arc<normaliser::Counters>);
struct Inventory(Arc<inventory::Counters>);
struct Reconciler(Arc<reconciler::Counters>);
struct ItemProjector(Arc<item_projector::Counters>);

impl Observed for Gateway {
    fn service(&self) -> &'static str {
        "store-gateway"
    }

    fn metrics(&self) -> Vec<Metric> {
        let counters = &self.0;
        vec![
            ("requests_total", "Requests taken.", get(&counters.requests)),
            (
                "messages_total",
                "Receipts and documents that Kafka acknowledged.",
                get(&counters.messages),
            ),
            (
                "rejected_total",
                "Places in bodies where the framing was broken.",
                get(&counters.rejected),
            ),
            ("busy_total", "Answers of 429 and 503.", get(&counters.busy)),
            ("bytes_total", "Bytes of bodies.", get(&counters.bytes)),
        ]
    }
}

impl Observed for MqSource {
    fn service(&self) -> &'static str {
        "mq-source"
    }

    fn metrics(&self) -> Vec<Metric> {
        let counters = &self.0;
        vec![
            (
                "messages_total",
                "Messages accepted after Kafka acknowledged.",
                get(&counters.messages),
            ),
            (
                "received_total",
                "Messages taken from the queues, however often.",
                get(&counters.received),
            ),
            (
                "dead_letters_total",
                "Messages rejected and sent to movements.dlq.",
                get(&counters.dead_letters),
            ),
            (
                "redelivered_total",
                "Messages that were delivered before.",
                get(&counters.redelivered),
            ),
            (
                "released_total",
                "Messages given back because Kafka did not acknowledge.",
                get(&counters.released),
            ),
            (
                "reconnects_total",
                "Connections made again.",
                get(&counters.reconnects),
            ),
            ("connected", "Queues connected now.", get(&counters.connected)),
        ]
    }
}

impl Observed for Normaliser {
    fn service(&self) -> &'static str {
        "normaliser"
    }

    fn metrics(&self) -> Vec<Metric> {
        let counts = self.0.snapshot();
        vec![
            ("till_messages_total", "Receipts read.", counts.till_messages),
            (
                "queue_messages_total",
                "Queue records read.",
                counts.queue_messages,
            ),
            (
                "scan_messages_total",
                "EPCIS documents read.",
                counts.scan_messages,
            ),
            (
                "statements_total",
                "Marks, status records and places read.",
                counts.statements,
            ),
            ("transactions_total", "Movements written.", counts.transactions),
            ("lines_total", "Movement lines written.", counts.lines),
            (
                "dead_letters_total",
                "Messages sent to movements.dlq.",
                counts.dead_letters_total(),
            ),
            (
                "double_beeps_total",
                "Lines of scans that repeat another scan.",
                self.0.digest().double_beeps,
            ),
            (
                "corrections_again_total",
                "Events of scans' corrections that were made before under other numbers.",
                self.0.digest().corrections_again,
            ),
            (
                "clocks_off",
                "Tills whose clock was off in some message.",
                counts.clocks_off,
            ),
            ("articles", "Articles known.", counts.articles),
            (
                "recoveries_total",
                "Times that reading began again at the last commit.",
                counts.recoveries,
            ),
            (
                "logs_cut_total",
                "Times that a raw log was found cut off below what was read of it, or to be another one.",
                counts.logs_cut,
            ),
        ]
    }
}

impl Observed for Inventory {
    fn service(&self) -> &'static str {
        "inventory"
    }

    fn metrics(&self) -> Vec<Metric> {
        let counters = &self.0;
        vec![
            (
                "transactions_total",
                "Transactions applied.",
                get(&counters.transactions),
            ),
            ("lines_total", "Lines applied.", get(&counters.lines)),
            ("repeats_total", "Repeats dropped.", get(&counters.repeats)),
            (
                "replayed_total",
                "Transactions read again after a restore.",
                get(&counters.replayed),
            ),
            (
                "dead_letters_total",
                "Transactions sent to movements.dlq.",
                get(&counters.dead_letters),
            ),
            (
                "cells_written_total",
                "Cell records written.",
                get(&counters.cells_written),
            ),
            (
                "items_written_total",
                "Article totals written.",
                get(&counters.items_written),
            ),
            ("flushes_total", "Flushes.", get(&counters.flushes)),
            (
                "flush_milliseconds",
                "Duration of the last flush.",
                get(&counters.flush_ms_last),
            ),
            (
                "flush_interval_milliseconds",
                "Time between flushes now.",
                get(&counters.flush_interval_ms),
            ),
            ("epoch", "Highest epoch owned.", get(&counters.epoch)),
            ("partitions", "Partitions owned.", get(&counters.partitions)),
            (
                "restored_cells",
                "Cells restored last.",
                get(&counters.restored_cells),
            ),
            (
                "restore_milliseconds",
                "Duration of the last restore.",
                get(&counters.restore_ms_last),
            ),
            (
                "recoveries_total",
                "Times that everything was acquired anew.",
                get(&counters.recoveries),
            ),
            (
                "partitions_unknown",
                "Partitions owned that cannot be known: their movements are gone. They are not worked on.",
                get(&counters.partitions_unknown),
            ),
            ("places", "Places of the partitions owned.", get(&counters.places)),
            (
                "places_uncertain",
                "Of these, places whose stock is not known for certain.",
                get(&counters.places_uncertain),
            ),
            (
                "places_offline",
                "Of these, places whose marks stay away.",
                get(&counters.places_offline),
            ),
            (
                "numbers_missing",
                "Transactions that are known to be missing.",
                get(&counters.numbers_missing),
            ),
            (
                "partitions_rebuilt_total",
                "Times that a partition was counted anew from the log.",
                get(&counters.partitions_rebuilt),
            ),
            (
                "zombie_writes_repaired_total",
                "Keys that a former owner wrote and that were written over.",
                get(&counters.zombie_writes_repaired),
            ),
            (
                "images_sealed_total",
                "Images of partitions written whole.",
                get(&counters.images_sealed),
            ),
            (
                "stale_records_total",
                "Records of former owners found when state was read.",
                get(&counters.stale_records),
            ),
        ]
    }
}

impl Observed for Reconciler {
    fn service(&self) -> &'static str {
        "reconciler"
    }

    fn metrics(&self) -> Vec<Metric> {
        let counts = self.0.snapshot();
        vec![
            ("papers_total", "Papers of deliveries read.", counts.papers),
            (
                "discrepancies",
                "Deliveries that contradict each other now.",
                counts.open,
            ),
            ("published_total", "Discrepancies written.", counts.published),
            ("withdrawn_total", "Discrepancies withdrawn.", counts.withdrawn),
            (
                "deleted_total",
                "Papers of settled deliveries deleted.",
                counts.deleted,
            ),
            (
                "recoveries_total",
                "Times that it began again.",
                counts.recoveries,
            ),
        ]
    }
}

impl Observed for ItemProjector {
    fn service(&self) -> &'static str {
        "item-projector"
    }

    fn metrics(&self) -> Vec<Metric> {
        let counts = self.0.snapshot();
        vec![
            (
                "items_total",
                "Lines in items, counted when their transaction is committed.",
                counts.items,
            ),
            ("repeats_total", "Transactions projected before.", counts.repeats),
            (
                "too_old_total",
                "Transactions of a day that is not remembered.",
                counts.too_old,
            ),
            (
                "without_article_total",
                "Lines whose article is not known.",
                counts.without_article,
            ),
            ("commits_total", "Transactions committed.", counts.commits),
            (
                "recoveries_total",
                "Times that it began again.",
                counts.recoveries,
            ),
        ]
    }
}

pub async fn run(args: ServeArgs, cancel: CancellationToken) -> Result<()> {
    let backbone = stage::outside(&args.kafka).await?;
    backbone.ensure_topics(&topics::ALL).await?;
    let listener = observe::bind(args.metrics).await.with_context(|| {
        format!(
            "metrics cannot be served on {}; give another address with --metrics",
            args.metrics
        )
    })?;
    let metrics = listener.local_addr().context("the metrics' address")?;
    let gateway = Arc::new(store_gateway::Counters::default());
    let mq_source = Arc::new(mq_source::Counters::default());
    let normaliser = Arc::new(normaliser::Counters::default());
    let inventory = Arc::new(inventory::Counters::default());
    let reconciler = Arc::new(reconciler::Counters::default());
    let projector = Arc::new(item_projector::Counters::default());
    let observed: Arc<dyn Observed> = match args.service {
        ServiceName::StoreGateway => Arc::new(Gateway(Arc::clone(&gateway))),
        ServiceName::MqSource => Arc::new(MqSource(Arc::clone(&mq_source))),
        ServiceName::Normaliser => Arc::new(Normaliser(Arc::clone(&normaliser))),
        ServiceName::Inventory => Arc::new(Inventory(Arc::clone(&inventory))),
        ServiceName::Reconciler => Arc::new(Reconciler(Arc::clone(&reconciler))),
        ServiceName::ItemProjector => Arc::new(ItemProjector(Arc::clone(&projector))),
    };
    println!(
        "{} against {}: http://{metrics}/health and /metrics; Ctrl-C ends it",
        observed.service(),
        args.kafka
    );
    let serving = tokio::spawn(observe::serve(listener, observed, cancel.clone()));
    let result = match args.service {
        ServiceName::StoreGateway => {
            let config = store_gateway::Config {
                listen: args.listen,
                counters: gateway,
                ..Default::default()
            };
            let server = store_gateway::Gateway::bind(config, &backbone).await?;
            println!("listens on http://{}", server.local_addr());
            server
                .run(cancel.clone())
                .await
                .map(drop)
                .map_err(anyhow::Error::from)
        }
        ServiceName::MqSource => {
            let url = args
                .amqp
                .context("mq-source needs --amqp, such as amqp://127.0.0.1:5672")?;
            let amqp = stage::amqp_options(url);
            stage::reach_queue(&amqp).await?;
            let config = mq_source::Config {
                client_id: format!("mq-source-{}", args.instance),
                warehouses: (1..=args.warehouses).map(LocationId::warehouse).collect(),
                amqp,
                sabotage: None,
                counters: mq_source,
            };
            mq_source::run(config, backbone, cancel.clone())
                .await
                .map_err(anyhow::Error::from)
        }
        ServiceName::Normaliser => {
            let config = normaliser::Config {
                client_id: format!("normaliser-{}", args.instance),
                counters: normaliser,
                ..Default::default()
            };
            let cancel = cancel.clone();
            tokio::task::spawn_blocking(move || normaliser::run(config, backbone, cancel))
                .await
                .context("the normaliser's thread")?
                .map(drop)
                .map_err(anyhow::Error::from)
        }
        ServiceName::Inventory => {
            let config = inventory::Config {
                instance: args.instance,
                counters: inventory,
                ..Default::default()
            };
            let cancel = cancel.clone();
            tokio::task::spawn_blocking(move || inventory::run(&config, &backbone, &cancel))
                .await
                .context("the inventory's thread")?
                .map_err(anyhow::Error::from)
        }
        ServiceName::Reconciler => {
            let config = reconciler::Config {
                client_id: format!("reconciler-{}", args.instance),
                counters: reconciler,
                ..Default::default()
            };
            let cancel = cancel.clone();
            tokio::task::spawn_blocking(move || reconciler::run(&config, &backbone, &cancel))
                .await
                .context("the reconciler's thread")?
                .map_err(anyhow::Error::from)
        }
        ServiceName::ItemProjector => {
            let config = item_projector::Config {
                client_id: format!("item-projector-{}", args.instance),
                delivery: if args.keyed_ids {
                    item_projector::Delivery::KeyedIds
                } else {
                    item_projector::Delivery::Transactions
                },
                counters: projector,
                ..Default::default()
            };
            let cancel = cancel.clone();
            tokio::task::spawn_blocking(move || item_projector::run(&config, &backbone, &cancel))
                .await
                .context("the item projector's thread")?
                .map_err(anyhow::Error::from)
        }
    };
    cancel.cancel();
    serving.await.context("the metrics' task")?;
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_has_one_name_and_a_name_one_metric() {
        let services: [&dyn Observed; 6] = [
            &Reconciler(Arc::default()),
            &ItemProjector(Arc::default()),
            &Gateway(Arc::default()),
            &MqSource(Arc::default()),
            &Normaliser(Arc::default()),
            &Inventory(Arc::default()),
        ];
        for service in services {
            let mut names: Vec<_> = service.metrics().into_iter().map(|(name, ..)| name).collect();
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all, "{names:?}");
        }
    }
}
