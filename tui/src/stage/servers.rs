//! The two servers that a run stands on: embedded ones, or those at the addresses that the caller gave.

use std::env;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use backbone::amqp::{AmqpOptions, QueueSender, Secret};
use backbone::{Backbone, BackboneOptions};
use contracts::topics;
use embedded::broker::{Broker, BrokerOptions, PartitionStats};
use embedded::queue::{QueueOptions, QueueServer};

use crate::cli::RunArgs;
use crate::snapshot::TopicView;

const KAFKA_CONFIG: &str = "STOCKSTREAM_KAFKA_CONFIG";
const AMQP_USER: &str = "STOCKSTREAM_AMQP_USER";
const AMQP_PASSWORD: &str = "STOCKSTREAM_AMQP_PASSWORD";

pub struct Servers {
    broker: Option<Broker>,
    queue: Option<QueueServer>,
    pub backbone: Backbone,
    pub kafka_settings: Vec<(String, String)>,
    pub amqp: AmqpOptions,
    pub queue_label: String,
}

impl Servers {
    /// The session time-out is that of the embedded broker's clients.
    pub async fn start(args: &RunArgs, session_timeout: Duration) -> Result<Self> {
        let broker = match &args.kafka {
            Some(_) => None,
            None => Some(
                Broker::start(BrokerOptions {
                    listen: args.listen,
                    memory_bytes: (args.memory as usize) << 20,
                    ..BrokerOptions::default()
                })
                .await
                .context("the embedded broker cannot start")?,
            ),
        };
        let queue = match &args.amqp {
            Some(_) => None,
            None => Some(
                QueueServer::start(QueueOptions::default())
                    .await
                    .context("the embedded queue cannot start")?,
            ),
        };
        let kafka_settings = if broker.is_some() {
            within_a_session(session_timeout)
        } else {
            kafka_settings()?
        };
        let backbone = connect(args.kafka.as_deref(), broker.as_ref(), kafka_settings.clone()).await?;
        if args.fresh {
            backbone
                .delete_topics(&topics::ALL)
                .await
                .context("the topics of an earlier run cannot be deleted")?;
        }
        backbone.ensure_topics(&topics::ALL).await?;
        if args.kafka.is_some() && !args.fresh {
            refuse_used(&backbone).await?;
        }
        let amqp = match (&args.amqp, &queue) {
            (Some(url), _) => {
                let options = amqp_options(url.clone());
                reach_queue(&options).await?;
                options
            }
            (None, Some(queue)) => AmqpOptions {
                url: queue.url(),
                user: None,
                password: None,
            },
            (None, None) => unreachable!("without --amqp there is an embedded queue"),
        };
        let queue_label = match &args.amqp {
            Some(url) => format!("AMQP 1.0 at {url}"),
            None => "embedded".to_owned(),
        };
        Ok(Self {
            broker,
            queue,
            backbone,
            kafka_settings,
            amqp,
            queue_label,
        })
    }

    /// The embedded broker, if the run stands on it.
    pub const fn broker(&self) -> Option<&Broker> {
        self.broker.as_ref()
    }

    /// The embedded queue, if the run stands on it.
    pub const fn queue(&self) -> Option<&QueueServer> {
        self.queue.as_ref()
    }

    /// Bytes of log that the embedded broker holds.
    pub fn broker_bytes(&self) -> u64 {
        self.broker
            .as_ref()
            .map_or(0, |broker| broker.stats().bytes_held as u64)
    }

    /// What the embedded broker holds, by topic.
    pub fn topics(&self) -> Arc<[TopicView]> {
        let topics = self.broker.iter().flat_map(|broker| broker.stats().topics);
        let view = |(name, partitions): (String, Vec<PartitionStats>)| TopicView {
            name,
            records: partitions.iter().map(|partition| partition.records).sum(),
            bytes: partitions.iter().map(|partition| partition.bytes as u64).sum(),
            appended: partitions
                .iter()
                .map(|partition| partition.appended_records)
                .sum(),
        };
        topics.map(view).collect()
    }

    /// Messages on the embedded queue that nobody accepted yet; `None`: the queue is not ours.
    pub fn queue_depth(&self) -> Option<u64> {
        self.queue.as_ref().map(|queue| queue.depth_of_all() as u64)
    }

    /// How often the embedded broker slowed a producer because its memory was full.
    pub fn broker_throttled(&self) -> u64 {
        self.broker
            .as_ref()
            .map_or(0, |broker| broker.stats().throttled_requests)
    }

    pub async fn shutdown(self) {
        if let Some(queue) = self.queue {
            queue.shutdown();
        }
        if let Some(broker) = self.broker {
            broker.shutdown().await;
        }
    }
}

/// Nothing that a client waits for takes longer than its session; what a lost owner has in flight dies before.
fn within_a_session(timeout: Duration) -> Vec<(String, String)> {
    let ms = timeout.as_millis();
    [
        ("session.timeout.ms", ms),
        ("heartbeat.interval.ms", (ms / 6).min(2_000)),
        ("message.timeout.ms", ms * 8 / 10),
        ("socket.timeout.ms", ms * 4 / 10),
        ("request.timeout.ms", ms / 3),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_string()))
    .to_vec()
}

/// Connects to an outside cluster for a service that runs as a process, or for `tap`.
pub async fn outside(address: &str) -> Result<Backbone> {
    connect(Some(address), None, kafka_settings()?).await
}

/// A queue manager that is not there is told before anything runs; one that goes away later is waited for.
pub async fn reach_queue(options: &AmqpOptions) -> Result<()> {
    let queue = backbone::amqp::queue_name(contracts::ids::LocationId::warehouse(1));
    QueueSender::connect(options, &queue).await?.close().await;
    Ok(())
}

pub fn amqp_options(url: String) -> AmqpOptions {
    AmqpOptions {
        url,
        user: env::var(AMQP_USER).ok(),
        password: env::var(AMQP_PASSWORD).ok().map(Secret::new),
    }
}

async fn connect(
    address: Option<&str>,
    broker: Option<&Broker>,
    settings: Vec<(String, String)>,
) -> Result<Backbone> {
    let options = match (address, broker) {
        (Some(address), _) => BackboneOptions {
            bootstrap: address.to_owned(),
            label: format!("Kafka at {address}"),
            settings,
            compress: true,
        },
        (None, Some(broker)) => BackboneOptions {
            bootstrap: broker.bootstrap(),
            label: "embedded stand-in, no Kafka figures".to_owned(),
            settings,
            compress: false,
        },
        (None, None) => bail!("neither an address nor an embedded broker"),
    };
    Ok(tokio::task::spawn_blocking(move || Backbone::connect(options))
        .await
        .context("connect")??)
}

/// State of another run would be taken for this run's: the audit would be red for a reason that is none.
async fn refuse_used(backbone: &Backbone) -> Result<()> {
    let backbone = backbone.clone();
    let used = tokio::task::spawn_blocking(move || -> Result<bool> {
        let reader = backbone.reader_from_beginning(
            "stockstream-look",
            topics::STORE_INVENTORY,
            topics::PARTITIONS,
        )?;
        for partition in 0..topics::PARTITIONS {
            if reader.watermarks(partition)?.1 > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    })
    .await
    .context("look at the topics")??;
    if used {
        bail!(
            "the cluster holds the topics of an earlier run; add --fresh to delete them first (movements, store.inventory and so on)"
        );
    }
    Ok(())
}

fn kafka_settings() -> Result<Vec<(String, String)>> {
    let Ok(path) = env::var(KAFKA_CONFIG) else {
        return Ok(Vec::new());
    };
    let text = fs::read_to_string(&path)
        .with_context(|| format!("{KAFKA_CONFIG} names {path}, which cannot be read"))?;
    parse_settings(Path::new(&path), &text)
}

/// Values are secrets: an error shows the line's number and never the line.
fn parse_settings(path: &Path, text: &str) -> Result<Vec<(String, String)>> {
    let mut settings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            bail!(
                "{}:{}: expected key=value, as librdkafka has them",
                path.display(),
                index + 1
            );
        };
        settings.push((key.trim().to_owned(), value.trim().to_owned()));
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_settings_are_read_and_a_bad_line_is_named_without_showing_it() {
        let path = Path::new("client.properties");
        let good =
            parse_settings(path, "# comment\nsasl.username = app\nsasl.password=a=b\n").expect("valid");
        assert_eq!(good[1], ("sasl.password".to_owned(), "a=b".to_owned()));
        let error = parse_settings(path, "\nhunter2\n")
            .expect_err("no equals sign")
            .to_string();
        assert!(error.starts_with("client.properties:2:"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}
