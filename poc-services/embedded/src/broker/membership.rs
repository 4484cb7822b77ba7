//! What a consumer group and its members say to each other.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;

/// What a group is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Empty,
    /// Members are asked to join.
    PreparingRebalance,
    /// All have joined; the leader's assignment is awaited.
    CompletingRebalance,
    Stable,
}

impl State {
    /// The name that clients know it by.
    pub fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::PreparingRebalance => "PreparingRebalance",
            State::CompletingRebalance => "CompletingRebalance",
            State::Stable => "Stable",
        }
    }
}

/// Who asks.
#[derive(Debug, Clone)]
pub struct Caller {
    pub member: StrBytes,
    pub instance: Option<StrBytes>,
}

/// A request to join.
#[derive(Debug)]
pub struct Join {
    pub caller: Caller,
    pub client_id: String,
    pub client_host: String,
    pub session_timeout: Duration,
    pub rebalance_timeout: Duration,
    pub protocol_type: StrBytes,
    pub protocols: Vec<(StrBytes, Bytes)>,
    /// The member id to use if the caller has none.
    pub new_member: StrBytes,
    /// A caller without an id is first told its id and has to come again (since JoinGroup v4).
    pub requires_known_member: bool,
    /// The client knows "skip the assignment" (since JoinGroup v9).
    pub can_skip_assignment: bool,
}

/// What a member is told when the group has a new generation.
#[derive(Debug, Clone)]
pub struct Joined {
    pub generation: i32,
    pub protocol_type: Option<StrBytes>,
    pub protocol: Option<StrBytes>,
    pub leader: StrBytes,
    pub member: StrBytes,
    /// All members with their metadata; for the leader only.
    pub members: Vec<(StrBytes, Option<StrBytes>, Bytes)>,
    pub skip_assignment: bool,
}

/// Why a join failed, and the id that the member has to use next time.
#[derive(Debug, Clone)]
pub struct JoinRefused {
    pub error: ResponseError,
    pub member: StrBytes,
}

/// What a member is to own.
#[derive(Debug, Clone)]
pub struct Synced {
    pub protocol_type: Option<StrBytes>,
    pub protocol: Option<StrBytes>,
    pub assignment: Bytes,
}

pub type JoinAnswer = Result<Joined, JoinRefused>;
pub type SyncAnswer = Result<Synced, ResponseError>;
