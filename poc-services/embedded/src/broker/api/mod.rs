//! The requests that are served, and the one place through which each of them goes.
//!
//! Invariant: a version is advertised only if the codec, the table in `shape` and the handler all know it.
//! Not served: the newer group protocol, the newer kind of transactions (KIP-890), security, fetch sessions (each fetch
//! is a full one).

mod admin;
mod cluster;
mod configs;
mod fetch;
mod groups;
mod offsets;
mod produce;
mod refuse;
mod transactions;

use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, ApiVersionsResponse};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::{ResponseError, messages};

use super::cluster::Cluster;
use super::faults::{Effect, Moment};
use super::partition::Waiter;
use super::wire::{FrameError, Header, Reply, decode, encode};

/// What is served: api, lowest and highest version.
pub const SERVED: [(ApiKey, i16, i16); 34] = [
    (ApiKey::Produce, 3, 13),
    (ApiKey::Fetch, 4, 17),
    (ApiKey::ListOffsets, 1, 10),
    (ApiKey::Metadata, 0, 13),
    (ApiKey::OffsetCommit, 2, 9),
    (ApiKey::OffsetFetch, 1, 9),
    (ApiKey::FindCoordinator, 0, 6),
    (ApiKey::JoinGroup, 0, 9),
    (ApiKey::Heartbeat, 0, 4),
    (ApiKey::LeaveGroup, 0, 5),
    (ApiKey::SyncGroup, 0, 5),
    (ApiKey::DescribeGroups, 0, 6),
    (ApiKey::ListGroups, 0, 5),
    (ApiKey::ApiVersions, 0, 4),
    (ApiKey::CreateTopics, 2, 7),
    (ApiKey::DeleteTopics, 1, 6),
    (ApiKey::DeleteRecords, 0, 2),
    (ApiKey::InitProducerId, 0, 5),
    (ApiKey::OffsetForLeaderEpoch, 2, 4),
    (ApiKey::AddPartitionsToTxn, 0, 3),
    (ApiKey::AddOffsetsToTxn, 0, 4),
    (ApiKey::EndTxn, 0, 4),
    (ApiKey::TxnOffsetCommit, 0, 4),
    (ApiKey::DescribeConfigs, 1, 4),
    (ApiKey::AlterConfigs, 0, 2),
    (ApiKey::DescribeLogDirs, 1, 4),
    (ApiKey::CreatePartitions, 0, 3),
    (ApiKey::DeleteGroups, 0, 2),
    (ApiKey::IncrementalAlterConfigs, 0, 1),
    (ApiKey::OffsetDelete, 0, 0),
    (ApiKey::DescribeCluster, 0, 2),
    (ApiKey::DescribeTransactions, 0, 0),
    (ApiKey::ListTransactions, 0, 1),
    (ApiKey::DescribeTopicPartitions, 0, 0),
];

/// Whether a request of this version is answered.
pub fn is_served(api: ApiKey, version: i16) -> bool {
    SERVED
        .iter()
        .any(|(known, min, max)| *known == api && (*min..=*max).contains(&version))
}

/// Who asks, and which node was asked.
#[derive(Debug)]
pub struct Context {
    pub cluster: Arc<Cluster>,
    pub node: i32,
    pub peer: String,
    /// Wakes this connection when a partition that it waits for has news.
    pub waiter: Waiter,
}

/// The code of a result; 0 for success.
fn code<T>(result: &Result<T, ResponseError>) -> i16 {
    result.as_ref().err().map_or(0, ResponseError::code)
}

fn text(value: impl Into<String>) -> StrBytes {
    StrBytes::from_string(value.into())
}

/// What a connection does about a request.
#[derive(Debug)]
pub enum Answer {
    Reply(Reply),
    /// The client wants none.
    Nothing,
    /// The connection is cut.
    Cut,
    /// The connection stays open and is never heard of again.
    Mute,
}

impl From<Option<Reply>> for Answer {
    fn from(reply: Option<Reply>) -> Self {
        reply.map_or(Answer::Nothing, Answer::Reply)
    }
}

/// Answers one request. Every request passes here once: the place for rules that disturb a node on purpose.
pub async fn dispatch(context: &Context, header: &Header, body: Bytes) -> Result<Answer, FrameError> {
    if !is_served(header.api, header.version) {
        return refuse_version(header).map(Answer::Reply);
    }
    if context.cluster.faults.are_set() {
        return disturbed(context, header, body).await;
    }
    apply(context, header, body).await.map(Answer::from)
}

/// As `dispatch`, where there are rules.
async fn disturbed(context: &Context, header: &Header, body: Bytes) -> Result<Answer, FrameError> {
    let (faults, node) = (&context.cluster.faults, context.node);
    let topics = if faults.want_topics(header.api, node) {
        refuse::topics_of(context, header, &body)
    } else {
        None
    };
    let fate = faults.decide(header.api, node, &header.client_id, topics.as_deref());
    if !fate.delay.is_zero() {
        tokio::time::sleep(fate.delay).await;
    }
    let (moment, answer) = match fate.effect {
        None | Some(Effect::Delay(_)) => return apply(context, header, body).await.map(Answer::from),
        Some(Effect::Error(error, moment)) => {
            let refused = refuse::refuse(context, header, &body, error)?;
            (moment, Answer::from(refused))
        }
        Some(Effect::Disconnect(moment)) => (moment, Answer::Cut),
        Some(Effect::Silence(moment)) => (moment, Answer::Mute),
    };
    if moment == Moment::After {
        apply(context, header, body).await?;
    }
    Ok(answer)
}

/// Does what a request asks for; nothing for a produce request that wants no answer.
async fn apply(context: &Context, header: &Header, body: Bytes) -> Result<Option<Reply>, FrameError> {
    let cluster = &*context.cluster;
    let reply = match header.api {
        ApiKey::Produce => return produce::produce(context, header, decode(header, body)?).await,
        ApiKey::Fetch => fetch::fetch(context, header, decode(header, body)?).await,
        ApiKey::JoinGroup => encode(
            header,
            &groups::join(context, header, decode(header, body)?).await,
        )?,
        ApiKey::SyncGroup => encode(header, &groups::sync(context, decode(header, body)?).await)?,
        ApiKey::Heartbeat => encode(header, &groups::heartbeat(context, &decode(header, body)?))?,
        ApiKey::LeaveGroup => encode(header, &groups::leave(context, header, &decode(header, body)?))?,
        ApiKey::DescribeGroups => encode(header, &groups::describe(context, header, decode(header, body)?))?,
        ApiKey::ListGroups => encode(header, &groups::list(context, header, &decode(header, body)?))?,
        ApiKey::DeleteGroups => encode(header, &groups::delete(context, decode(header, body)?))?,
        ApiKey::FindCoordinator => encode(
            header,
            &groups::find_coordinator(context, header, &decode(header, body)?),
        )?,
        ApiKey::OffsetCommit => encode(header, &offsets::commit(context, decode(header, body)?))?,
        ApiKey::OffsetFetch => encode(header, &offsets::fetch(context, header, decode(header, body)?))?,
        ApiKey::OffsetDelete => encode(header, &offsets::delete(context, decode(header, body)?))?,
        ApiKey::ListOffsets => encode(header, &offsets::list(context, header, decode(header, body)?))?,
        ApiKey::OffsetForLeaderEpoch => {
            encode(header, &offsets::leader_epochs(context, decode(header, body)?))?
        }
        ApiKey::Metadata => encode(header, &cluster::metadata(cluster, header, decode(header, body)?))?,
        ApiKey::DescribeCluster => encode(
            header,
            &cluster::describe(cluster, header, &decode(header, body)?),
        )?,
        ApiKey::DescribeTopicPartitions => encode(
            header,
            &cluster::describe_topic_partitions(cluster, decode(header, body)?),
        )?,
        ApiKey::DescribeLogDirs => encode(
            header,
            &cluster::describe_log_dirs(cluster, decode(header, body)?),
        )?,
        ApiKey::InitProducerId => {
            let request = decode(header, body)?;
            encode(header, &transactions::init_producer_id(context, header, &request))?
        }
        ApiKey::AddPartitionsToTxn => {
            let request = decode(header, body)?;
            encode(header, &transactions::add_partitions(context, header, request))?
        }
        ApiKey::AddOffsetsToTxn => encode(
            header,
            &transactions::add_offsets(context, header, &decode(header, body)?),
        )?,
        ApiKey::TxnOffsetCommit => encode(
            header,
            &transactions::commit_offsets(context, decode(header, body)?),
        )?,
        ApiKey::EndTxn => encode(
            header,
            &transactions::end(context, header, &decode(header, body)?),
        )?,
        ApiKey::DescribeTransactions => {
            encode(header, &transactions::describe(context, decode(header, body)?))?
        }
        ApiKey::ListTransactions => encode(header, &transactions::list(context, &decode(header, body)?))?,
        ApiKey::CreateTopics => encode(
            header,
            &admin::create_topics(cluster, header, decode(header, body)?),
        )?,
        ApiKey::DeleteTopics => encode(
            header,
            &admin::delete_topics(cluster, header, decode(header, body)?),
        )?,
        ApiKey::CreatePartitions => {
            encode(header, &admin::create_partitions(cluster, decode(header, body)?))?
        }
        ApiKey::DeleteRecords => encode(header, &admin::delete_records(context, decode(header, body)?))?,
        ApiKey::DescribeConfigs => {
            encode(header, &configs::describe(cluster, header, decode(header, body)?))?
        }
        ApiKey::AlterConfigs => encode(header, &configs::replace(cluster, decode(header, body)?))?,
        ApiKey::IncrementalAlterConfigs => encode(header, &configs::alter(cluster, decode(header, body)?))?,
        ApiKey::ApiVersions => encode(header, &api_versions(header, &decode(header, body)?))?,
        api => return Err(FrameError::UnsupportedVersion(api, header.version)),
    };
    Ok(Some(reply))
}

/// A client that asks for versions in a version that we lack is told ours in the oldest format; anything else ends.
fn refuse_version(header: &Header) -> Result<Reply, FrameError> {
    if header.api != ApiKey::ApiVersions {
        return Err(FrameError::UnsupportedVersion(header.api, header.version));
    }
    let oldest = Header {
        version: 0,
        ..header.clone()
    };
    let response = ApiVersionsResponse::default()
        .with_error_code(ResponseError::UnsupportedVersion.code())
        .with_api_keys(advertised());
    encode(&oldest, &response)
}

fn advertised() -> Vec<ApiVersion> {
    SERVED
        .iter()
        .map(|(api, min, max)| {
            // Old librdkafka versions take a broker without Produce v0 for one without the newer formats, which is
            // why Apache Kafka 4 advertises 0 here as well while it serves 3 and up.
            let min = if *api == ApiKey::Produce { 0 } else { *min };
            ApiVersion::default()
                .with_api_key(*api as i16)
                .with_min_version(min)
                .with_max_version(*max)
        })
        .collect()
}

fn api_versions(header: &Header, request: &ApiVersionsRequest) -> ApiVersionsResponse {
    let is_named = |name: &StrBytes| !name.is_empty() && name.is_ascii();
    if header.version >= 3
        && !(is_named(&request.client_software_name) && is_named(&request.client_software_version))
    {
        return ApiVersionsResponse::default().with_error_code(ResponseError::InvalidRequest.code());
    }
    ApiVersionsResponse::default().with_api_keys(advertised())
}

fn topic_name(name: &str) -> messages::TopicName {
    messages::TopicName(text(name))
}
