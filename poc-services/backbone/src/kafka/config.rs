//! Where the cluster is, and the settings that every client shares.

use std::sync::Arc;
use std::time::{Duration, Instant};

use contracts::topics::RECORD_BYTES_MAX;
use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};

/// How long a cluster may take to answer the first question.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum BackboneError {
    #[error(
        "no Kafka broker answers at {address} within {} s: {cause}; check the address, that the broker runs and that its advertised listeners can be reached from here",
        CONNECT_TIMEOUT.as_secs()
    )]
    Unreachable { address: String, cause: String },
    #[error("the Kafka setting `{name}` cannot be changed, because this rests on it: {why}; leave it out")]
    Setting { name: String, why: &'static str },
    #[error("Kafka client `{client}`: {source}")]
    Client { client: String, source: KafkaError },
    #[error("topic {topic}: {message}")]
    Topic { topic: String, message: String },
    #[error("{failed} records to Kafka were not acknowledged; the first: {first}")]
    Delivery { failed: u64, first: String },
    #[error("Kafka will never take this record: {record}")]
    Refused { record: String },
    #[error("records to Kafka were not acknowledged within {waited_ms} ms, {in_flight} are still under way")]
    FlushTimeout { waited_ms: u128, in_flight: i32 },
    #[error(
        "`{client}` cannot read on where it was: {source}; the log was cut off or trimmed there, so records that were \
         acknowledged may be gone"
    )]
    Position { client: String, source: KafkaError },
    #[error(
        "transaction of `{id}`: {source}; its producer is fenced or gave up, and a new one goes on from the last commit"
    )]
    Transaction { id: String, source: KafkaError },
    #[error("commit for group `{group}` was refused: {source}")]
    Commit { group: String, source: KafkaError },
}

impl BackboneError {
    /// A commit that is worth another try: the group shares its partitions out anew, or has begun a generation that this
    /// member has not heard of, or its coordinator moves, or nobody answered and it may even be in.
    pub fn is_postponed(&self) -> bool {
        use RDKafkaErrorCode::{
            AllBrokersDown, BrokerTransportFailure, CoordinatorLoadInProgress, CoordinatorNotAvailable,
            IllegalGeneration, NotCoordinator, OperationTimedOut, RebalanceInProgress, RequestTimedOut,
            WaitingForCoordinator,
        };
        matches!(
            self.commit_code(),
            Some(
                RebalanceInProgress
                    | IllegalGeneration
                    | NotCoordinator
                    | CoordinatorLoadInProgress
                    | CoordinatorNotAvailable
                    | WaitingForCoordinator
                    | RequestTimedOut
                    | OperationTimedOut
                    | BrokerTransportFailure
                    | AllBrokersDown
            )
        )
    }

    /// A commit of somebody that the group has put out meanwhile: what it had belongs to others.
    pub fn is_put_out(&self) -> bool {
        use RDKafkaErrorCode::{FencedInstanceId, UnknownMemberId};
        matches!(self.commit_code(), Some(UnknownMemberId | FencedInstanceId))
    }

    /// Worth another try with clients made anew, from what was last committed: the cluster or a connection to it was in the way,
    /// or the client was. The others would only come again: what is not allowed, cannot be said to Kafka or never reached it, and
    /// a log that lacks what was there. The one list for all services.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Delivery { .. } | Self::FlushTimeout { .. } | Self::Topic { .. } => true,
            Self::Client { source, .. } | Self::Transaction { source, .. } | Self::Commit { source, .. } => {
                !is_lasting(source)
            }
            Self::Unreachable { .. }
            | Self::Setting { .. }
            | Self::Refused { .. }
            | Self::Position { .. } => false,
        }
    }

    /// Why a commit was refused.
    fn commit_code(&self) -> Option<RDKafkaErrorCode> {
        match self {
            Self::Commit { source, .. } => source.rdkafka_error_code(),
            _ => None,
        }
    }
}

/// An error that other clients of the same settings would have too.
fn is_lasting(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{
        Authentication, ClusterAuthorizationFailed, GroupAuthorizationFailed, InvalidArgument,
        SaslAuthenticationFailed, TopicAuthorizationFailed, TransactionalIdAuthorizationFailed,
        UnsupportedFeature, UnsupportedSASLMechanism, UnsupportedVersion,
    };
    matches!(
        error,
        KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_)
    ) || matches!(
        error.rdkafka_error_code(),
        Some(
            Authentication
                | SaslAuthenticationFailed
                | UnsupportedSASLMechanism
                | TopicAuthorizationFailed
                | GroupAuthorizationFailed
                | ClusterAuthorizationFailed
                | TransactionalIdAuthorizationFailed
                | InvalidArgument
                | UnsupportedFeature
                | UnsupportedVersion
        )
    )
}

/// Settings that are not for others to make, with what rests on them.
const OURS: [(&str, &str); 17] = [
    ("acks", "what is acknowledged is on all in-sync replicas"),
    (
        "request.required.acks",
        "what is acknowledged is on all in-sync replicas",
    ),
    ("enable.idempotence", "what is sent again is written once"),
    ("transactional.id", "what is sent again is written once"),
    (
        "delivery.report.only.error",
        "a flush knows what was acknowledged",
    ),
    (
        "enable.auto.commit",
        "a position is committed behind what came of it",
    ),
    (
        "enable.auto.offset.store",
        "a position is committed behind what came of it",
    ),
    (
        "auto.offset.reset",
        "a position that is gone is an error, and not another position",
    ),
    ("isolation.level", "what was taken back is not read"),
    ("check.crcs", "what was damaged on the way is not read"),
    ("enable.partition.eof", "a reader gets records and nothing else"),
    (
        "partition.assignment.strategy",
        "a partition has one owner at a time",
    ),
    ("group.protocol", "a partition has one owner at a time"),
    ("group.id", "the members of a group are of one service"),
    ("group.instance.id", "the members of a group are told apart"),
    (
        "allow.auto.create.topics",
        "topics have the partitions and the policies that they need",
    ),
    (
        "bootstrap.servers",
        "all clients speak to one cluster; the address is given by --kafka",
    ),
];

/// What a consumer does where its offset does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetReset {
    Earliest,
    /// Losing the place is an error: the state's offset and the log must agree.
    Error,
}

#[derive(Clone, Debug)]
pub struct BackboneOptions {
    /// `host:port`, several by comma.
    pub bootstrap: String,
    /// Names the backbone in reports and on the screen.
    pub label: String,
    /// Settings of librdkafka on top of ours, such as `security.protocol`; those that safety rests on are refused. Values
    /// are never printed.
    pub settings: Vec<(String, String)>,
    /// Compress batches. Not worth its cost on a loopback.
    pub compress: bool,
}

/// A cluster that has answered. Cheap to clone; every client made from it has its own connections.
#[derive(Clone)]
pub struct Backbone {
    options: Arc<BackboneOptions>,
}

impl std::fmt::Debug for Backbone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Backbone({} at {})",
            self.options.label, self.options.bootstrap
        )
    }
}

impl Backbone {
    /// Asks the cluster for its brokers; an error names the address and the cause that librdkafka saw.
    pub fn connect(options: BackboneOptions) -> Result<Self, BackboneError> {
        refuse_ours(&options.settings)?;
        let backbone = Self {
            options: Arc::new(options),
        };
        let context = SharedContext::default();
        let consumer: BaseConsumer<SharedContext> = backbone
            .client_config("stockstream-connect")
            .set("group.id", "stockstream-connect")
            .create_with_context(context.clone())
            .map_err(|source| BackboneError::Client {
                client: "stockstream-connect".into(),
                source,
            })?;
        let deadline = Instant::now() + CONNECT_TIMEOUT;
        loop {
            match consumer.fetch_metadata(None, Duration::from_secs(1)) {
                Ok(metadata) if !metadata.brokers().is_empty() => return Ok(backbone),
                Ok(_) => {}
                Err(error) if Instant::now() >= deadline => {
                    return Err(BackboneError::Unreachable {
                        address: backbone.options.bootstrap.clone(),
                        cause: context.last_error().unwrap_or_else(|| error.to_string()),
                    });
                }
                Err(_) => {
                    // Only polling serves the error callback, which knows the cause.
                    let _ = consumer.poll(Duration::from_millis(50));
                }
            }
        }
    }

    pub fn label(&self) -> &str {
        &self.options.label
    }

    pub fn bootstrap(&self) -> &str {
        &self.options.bootstrap
    }

    pub(super) fn client_config(&self, client_id: &str) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.options.bootstrap)
            .set("client.id", client_id)
            .set("socket.nagle.disable", "true")
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            .set("topic.metadata.refresh.interval.ms", "30000")
            .set("allow.auto.create.topics", "false")
            .set_log_level(RDKafkaLogLevel::Error);
        self.add_settings(&mut config);
        config
    }

    /// Over ours, but for those that are refused: called last.
    fn add_settings(&self, config: &mut ClientConfig) {
        for (key, value) in &self.options.settings {
            config.set(key, value);
        }
    }

    pub(super) fn producer_config(&self, client_id: &str, linger_ms: u32) -> ClientConfig {
        let mut config = self.client_config(client_id);
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", linger_ms.to_string())
            .set("partitioner", "murmur2_random")
            .set("batch.size", "1000000")
            .set("message.max.bytes", RECORD_BYTES_MAX.to_string())
            .set("batch.num.messages", "10000")
            .set("queue.buffering.max.messages", "500000")
            .set("queue.buffering.max.kbytes", "131072")
            // Below the session timeout: what a lost owner still has in flight dies before its partitions move.
            .set("message.timeout.ms", "12000")
            .set("socket.timeout.ms", "6000")
            .set("request.timeout.ms", "5000")
            .set(
                "compression.type",
                if self.options.compress { "lz4" } else { "none" },
            );
        self.add_settings(&mut config);
        config
    }

    pub(super) fn consumer_config(&self, client_id: &str, group: &str, reset: OffsetReset) -> ClientConfig {
        let mut config = self.client_config(client_id);
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "false")
            .set(
                "auto.offset.reset",
                match reset {
                    OffsetReset::Earliest => "earliest",
                    OffsetReset::Error => "error",
                },
            )
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", "15000")
            .set("heartbeat.interval.ms", "2000")
            // So long a group waits for a member that is alive and does not come, and a member for an answer that was lost. A
            // restore of a million cells takes a tenth of it, and polls nothing meanwhile.
            .set("max.poll.interval.ms", "120000")
            .set("fetch.queue.backoff.ms", "5")
            // What waits on the same connection waits no longer than this.
            .set("fetch.wait.max.ms", "200")
            .set("fetch.error.backoff.ms", "100")
            .set("max.partition.fetch.bytes", "2097152")
            .set("queued.min.messages", "50000")
            .set("queued.max.messages.kbytes", "32768")
            .set("check.crcs", "true");
        self.add_settings(&mut config);
        config
    }
}

fn refuse_ours(settings: &[(String, String)]) -> Result<(), BackboneError> {
    let is_it = |given: &str, ours: &str| {
        // The same setting under its topic and its older name.
        let given = given.strip_prefix("topic.").unwrap_or(given);
        given == ours || (ours == "bootstrap.servers" && given == "metadata.broker.list")
    };
    for (given, _) in settings {
        if let Some((_, why)) = OURS.iter().find(|(ours, _)| is_it(given.trim(), ours)) {
            return Err(BackboneError::Setting {
                name: given.clone(),
                why,
            });
        }
    }
    Ok(())
}

/// Keeps the last error that librdkafka reported apart from any call, which is where it names causes.
#[derive(Clone, Default)]
pub(super) struct SharedContext {
    last: Arc<Mutex<Option<String>>>,
}

impl SharedContext {
    pub(super) fn last_error(&self) -> Option<String> {
        self.last.lock().clone()
    }
}

impl ClientContext for SharedContext {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka client");
        // "All brokers down" follows the cause and says less.
        let mut last = self.last.lock();
        if last.is_none() || !reason.contains("brokers are down") {
            *last = Some(reason.to_owned());
        }
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(?level, facility, message, "librdkafka");
    }
}

impl rdkafka::consumer::ConsumerContext for SharedContext {}

pub(super) fn client_error(client: &str) -> impl FnOnce(KafkaError) -> BackboneError {
    let client = client.to_owned();
    move |source| BackboneError::Client { client, source }
}

pub(super) fn tolerate<T>(result: KafkaResult<T>, what: &str) -> Option<T> {
    result
        .map_err(|error| tracing::debug!(%error, what, "kafka"))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(source: KafkaError) -> BackboneError {
        client_error("test")(source)
    }

    #[test]
    fn what_clients_made_anew_may_mend_is_passing_and_what_they_would_have_too_is_not() {
        use RDKafkaErrorCode as Code;
        let passing = [
            client(KafkaError::Global(Code::DestroyBroker)),
            client(KafkaError::MetadataFetch(Code::BrokerTransportFailure)),
            client(KafkaError::OffsetFetch(Code::NotCoordinator)),
            client(KafkaError::MessageConsumption(Code::Fatal)),
            client(KafkaError::Canceled),
            BackboneError::Delivery {
                failed: 1,
                first: String::new(),
            },
            BackboneError::Topic {
                topic: "papers".into(),
                message: "no leader".into(),
            },
            BackboneError::Commit {
                group: "test".into(),
                source: KafkaError::ConsumerCommit(Code::IllegalGeneration),
            },
        ];
        for error in passing {
            assert!(error.is_passing(), "{error}");
        }
        let lasting = [
            client(KafkaError::Global(Code::Authentication)),
            client(KafkaError::MessageConsumption(Code::TopicAuthorizationFailed)),
            client(KafkaError::ClientCreation("no such setting".into())),
            BackboneError::Transaction {
                id: "test".into(),
                source: KafkaError::Global(Code::TransactionalIdAuthorizationFailed),
            },
            BackboneError::Refused {
                record: String::new(),
            },
            BackboneError::Position {
                client: "test".into(),
                source: KafkaError::MessageConsumption(Code::LogTruncation),
            },
        ];
        for error in lasting {
            assert!(!error.is_passing(), "{error}");
        }
    }

    #[test]
    fn a_setting_that_safety_rests_on_is_refused_before_anybody_connects() {
        let connect = |name: &str| {
            Backbone::connect(BackboneOptions {
                bootstrap: "127.0.0.1:1".into(),
                label: "nobody".into(),
                settings: vec![
                    ("security.protocol".into(), "plaintext".into()),
                    (name.into(), "secret".into()),
                ],
                compress: false,
            })
        };
        for (name, why) in OURS {
            let error = connect(name).expect_err("it is refused");
            assert!(matches!(error, BackboneError::Setting { .. }), "{name}: {error}");
            let said = error.to_string();
            assert!(
                said.contains(name) && said.contains(why) && !said.contains("secret"),
                "{said}"
            );
        }
        for other in ["topic.acks", "metadata.broker.list"] {
            let error = connect(other).expect_err("it is refused");
            assert!(matches!(error, BackboneError::Setting { .. }), "{other}: {error}");
        }
        for free in ["session.timeout.ms", "sasl.password", "ssl.ca.location"] {
            let settings = [(free.to_owned(), "1".to_owned())];
            refuse_ours(&settings).expect(free);
        }
    }

    /// A name that the library does not know would be refused in vain.
    #[test]
    fn what_is_refused_is_a_setting_of_the_library() {
        let said = |name: &str| {
            let made = ClientConfig::new().set(name, "true").create_native_config();
            made.err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert!(said("acsk").contains("No such configuration property"));
        for (name, _) in OURS {
            assert!(!said(name).contains("No such configuration property"), "{name}");
        }
    }
}
