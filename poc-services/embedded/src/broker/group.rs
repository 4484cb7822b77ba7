//! One consumer group of the classic protocol: a state machine over members, generations and assignments.
//!
//! Invariant: a member acts only under the generation that it was given; whoever missed a rebalance gets an error
//! that makes it join again, so a partition has at most one owner in a generation.
//! It reads no clock and does no IO: every call is given the time, answers go out through one-shot channels.
//! Rules as in Apache Kafka's classic group coordinator.

mod rebalance;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;
use tokio::sync::oneshot;

use super::membership::{Caller, Join, JoinAnswer, JoinRefused, State, SyncAnswer, Synced};

/// Members of one group.
const MEMBERS_MAX: usize = 1_000;

#[derive(Debug)]
pub struct Member {
    pub instance: Option<StrBytes>,
    pub client_id: String,
    pub client_host: String,
    pub session_timeout: Duration,
    rebalance_timeout: Duration,
    protocols: Vec<(StrBytes, Bytes)>,
    pub assignment: Bytes,
    joining: Option<oneshot::Sender<JoinAnswer>>,
    syncing: Option<oneshot::Sender<SyncAnswer>>,
    /// Has sent SyncGroup in this generation.
    has_synced: bool,
    expires: Instant,
}

impl Member {
    pub fn metadata(&self, protocol: &str) -> Bytes {
        self.protocols
            .iter()
            .find(|(name, _)| name.as_str() == protocol)
            .map(|(_, m)| m.clone())
            .unwrap_or_default()
    }

    /// Waits for an answer of ours, so its silence means nothing.
    fn is_waiting(&self) -> bool {
        self.joining.is_some() || self.syncing.is_some()
    }
}

#[derive(Debug)]
pub struct Group {
    pub state: State,
    pub generation: i32,
    pub protocol_type: Option<StrBytes>,
    pub protocol: Option<StrBytes>,
    pub members: BTreeMap<StrBytes, Member>,
    leader: Option<StrBytes>,
    statics: BTreeMap<StrBytes, StrBytes>,
    /// Ids handed out to callers that have not come back yet, with the time until which they may.
    pending: BTreeMap<StrBytes, Instant>,
    /// When the present phase (joining or syncing) ends for those who are missing.
    deadline: Option<Instant>,
    /// A rebalance that starts from an empty group waits until here for more members.
    gather_until: Option<Instant>,
    initial_delay: Duration,
    /// Members that were put out because nothing was heard of them.
    pub expired: u64,
}

impl Group {
    pub fn new(initial_delay: Duration) -> Self {
        Self {
            state: State::Empty,
            generation: 0,
            protocol_type: None,
            protocol: None,
            members: BTreeMap::new(),
            leader: None,
            statics: BTreeMap::new(),
            pending: BTreeMap::new(),
            deadline: None,
            gather_until: None,
            initial_delay,
            expired: 0,
        }
    }

    /// Nobody is in it or about to be.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.pending.is_empty()
    }

    pub fn join(&mut self, request: Join, now: Instant) -> oneshot::Receiver<JoinAnswer> {
        let (answer, receiver) = oneshot::channel();
        if let Err(refused) = self.try_join(request, now, answer) {
            let (answer, receiver) = oneshot::channel();
            let _ = answer.send(Err(refused));
            return receiver;
        }
        receiver
    }

    fn try_join(
        &mut self,
        request: Join,
        now: Instant,
        answer: oneshot::Sender<JoinAnswer>,
    ) -> Result<(), JoinRefused> {
        let caller = request.caller.clone();
        let refuse = |error| JoinRefused {
            error,
            member: caller.member.clone(),
        };
        self.check_protocols(&request).map_err(refuse)?;
        if caller.member.is_empty() {
            return self.join_unknown(request, now, answer);
        }
        if self.pending.remove(&caller.member).is_some() {
            let member = caller.member.clone();
            self.add_member(member, request, now, answer);
            return Ok(());
        }
        self.check_identity(&caller).map_err(refuse)?;
        let same = {
            let member = &self.members[&caller.member];
            member.protocols == request.protocols
        };
        let is_leader = self.leader.as_ref() == Some(&caller.member);
        match self.state {
            State::CompletingRebalance if same => {
                self.refresh(&caller.member, now);
                let _ = answer.send(Ok(self.joined(&caller.member, is_leader)));
            }
            State::Stable if same && !is_leader => {
                self.refresh(&caller.member, now);
                let _ = answer.send(Ok(self.joined(&caller.member, false)));
            }
            _ => {
                let member = self
                    .members
                    .get_mut(&caller.member)
                    .expect("identity was checked");
                member.protocols = request.protocols;
                member.session_timeout = request.session_timeout;
                member.rebalance_timeout = request.rebalance_timeout;
                // Only the newest request of a member can be answered.
                member.joining = Some(answer);
                self.refresh(&caller.member, now);
                self.begin_rebalance(now);
                self.complete_join_if_all_are_here(now);
            }
        }
        Ok(())
    }

    fn check_protocols(&self, request: &Join) -> Result<(), ResponseError> {
        if request.protocols.is_empty() || request.protocol_type.is_empty() {
            return Err(ResponseError::InconsistentGroupProtocol);
        }
        if self.members.is_empty() {
            return Ok(());
        }
        let others = self
            .members
            .iter()
            .filter(|(id, _)| **id != request.caller.member)
            .map(|(_, m)| m);
        let common = |name: &StrBytes| {
            others
                .clone()
                .all(|m| m.protocols.iter().any(|(known, _)| known == name))
        };
        if self
            .protocol_type
            .as_ref()
            .is_some_and(|known| *known != request.protocol_type)
            || !request.protocols.iter().any(|(name, _)| common(name))
        {
            return Err(ResponseError::InconsistentGroupProtocol);
        }
        Ok(())
    }

    fn join_unknown(
        &mut self,
        request: Join,
        now: Instant,
        answer: oneshot::Sender<JoinAnswer>,
    ) -> Result<(), JoinRefused> {
        let new_member = request.new_member.clone();
        if let Some(instance) = &request.caller.instance {
            if let Some(old) = self.statics.get(instance).cloned() {
                self.replace_static(&old, request, now, answer);
                return Ok(());
            }
        } else if request.requires_known_member {
            self.pending
                .insert(new_member.clone(), now + request.session_timeout);
            return Err(JoinRefused {
                error: ResponseError::MemberIdRequired,
                member: new_member,
            });
        }
        if self.members.len() >= MEMBERS_MAX {
            return Err(JoinRefused {
                error: ResponseError::GroupMaxSizeReached,
                member: StrBytes::default(),
            });
        }
        self.add_member(new_member, request, now, answer);
        Ok(())
    }

    fn add_member(&mut self, id: StrBytes, request: Join, now: Instant, answer: oneshot::Sender<JoinAnswer>) {
        if let Some(instance) = &request.caller.instance {
            self.statics.insert(instance.clone(), id.clone());
        }
        if self.members.is_empty() {
            self.protocol_type = Some(request.protocol_type);
        }
        if self.leader.is_none() {
            self.leader = Some(id.clone());
        }
        let member = Member {
            instance: request.caller.instance,
            client_id: request.client_id,
            client_host: request.client_host,
            session_timeout: request.session_timeout,
            rebalance_timeout: request.rebalance_timeout,
            protocols: request.protocols,
            assignment: Bytes::new(),
            joining: Some(answer),
            syncing: None,
            has_synced: false,
            expires: now + request.session_timeout,
        };
        self.members.insert(id, member);
        let starts_empty = self.state == State::Empty;
        self.begin_rebalance(now);
        if starts_empty || self.gather_until.is_some() {
            // More members usually follow the first: one rebalance for all of them.
            self.gather_until = Some((now + self.initial_delay).min(self.deadline.unwrap_or(now)));
        }
        self.complete_join_if_all_are_here(now);
    }

    /// A static member came back with a new id: the old id is fenced; if the group's protocol stays there is no rebalance.
    fn replace_static(
        &mut self,
        old: &StrBytes,
        request: Join,
        now: Instant,
        answer: oneshot::Sender<JoinAnswer>,
    ) {
        let id = request.new_member.clone();
        let mut member = self.members.remove(old).expect("a static id names a member");
        if let Some(joining) = member.joining.take() {
            let refused = JoinRefused {
                error: ResponseError::FencedInstanceId,
                member: old.clone(),
            };
            let _ = joining.send(Err(refused));
        }
        if let Some(syncing) = member.syncing.take() {
            let _ = syncing.send(Err(ResponseError::FencedInstanceId));
        }
        let instance = request
            .caller
            .instance
            .clone()
            .expect("only static members are replaced");
        self.statics.insert(instance, id.clone());
        let was_leader = self.leader.as_ref() == Some(old);
        if was_leader {
            self.leader = Some(id.clone());
        }
        member.protocols = request.protocols;
        member.session_timeout = request.session_timeout;
        member.rebalance_timeout = request.rebalance_timeout;
        member.client_id = request.client_id;
        member.client_host = request.client_host;
        self.members.insert(id.clone(), member);
        self.refresh(&id, now);
        // As in Apache Kafka, other metadata alone is no reason to assign anew.
        if self.state == State::Stable && self.vote() == self.protocol {
            let mut joined = self.joined(&id, false);
            if was_leader {
                if request.can_skip_assignment {
                    joined = self.joined(&id, true);
                    joined.skip_assignment = true;
                } else {
                    // An old client that saw itself as the leader would assign anew; so it is told the former id.
                    joined.leader = old.clone();
                }
            }
            let _ = answer.send(Ok(joined));
            return;
        }
        self.members.get_mut(&id).expect("just put in").joining = Some(answer);
        self.begin_rebalance(now);
        self.complete_join_if_all_are_here(now);
    }

    pub fn sync(
        &mut self,
        caller: &Caller,
        generation: i32,
        protocol: (Option<&StrBytes>, Option<&StrBytes>),
        assignments: Vec<(StrBytes, Bytes)>,
        now: Instant,
    ) -> oneshot::Receiver<SyncAnswer> {
        let (answer, receiver) = oneshot::channel();
        let checked = self.check_member(caller, generation).and_then(|()| {
            let differs = |given: Option<&StrBytes>, ours: &Option<StrBytes>| {
                given.is_some_and(|given| ours.as_ref().is_some_and(|ours| ours != given))
            };
            if differs(protocol.0, &self.protocol_type) || differs(protocol.1, &self.protocol) {
                return Err(ResponseError::InconsistentGroupProtocol);
            }
            match self.state {
                State::Empty => Err(ResponseError::UnknownMemberId),
                State::PreparingRebalance => Err(ResponseError::RebalanceInProgress),
                State::CompletingRebalance | State::Stable => Ok(()),
            }
        });
        if let Err(error) = checked {
            let _ = answer.send(Err(error));
            return receiver;
        }
        self.refresh(&caller.member, now);
        let member = self
            .members
            .get_mut(&caller.member)
            .expect("membership was checked");
        member.has_synced = true;
        member.syncing = Some(answer);
        if self.state == State::CompletingRebalance && self.leader.as_ref() == Some(&caller.member) {
            for (id, assignment) in assignments {
                if let Some(member) = self.members.get_mut(&id) {
                    member.assignment = assignment;
                }
            }
            self.state = State::Stable;
        }
        if self.state == State::Stable {
            self.answer_syncs(now);
        }
        receiver
    }

    fn answer_syncs(&mut self, now: Instant) {
        if self.members.values().all(|m| m.has_synced) {
            self.deadline = None;
        }
        for member in self.members.values_mut() {
            if let Some(syncing) = member.syncing.take() {
                member.expires = now + member.session_timeout;
                let _ = syncing.send(Ok(Synced {
                    protocol_type: self.protocol_type.clone(),
                    protocol: self.protocol.clone(),
                    assignment: member.assignment.clone(),
                }));
            }
        }
    }

    pub fn heartbeat(&mut self, caller: &Caller, generation: i32, now: Instant) -> Result<(), ResponseError> {
        self.check_member(caller, generation)?;
        self.refresh(&caller.member, now);
        match self.state {
            State::Empty => Err(ResponseError::UnknownMemberId),
            State::PreparingRebalance => Err(ResponseError::RebalanceInProgress),
            State::CompletingRebalance | State::Stable => Ok(()),
        }
    }

    /// A member goes on its own account, or an administrator names it by its instance.
    pub fn leave(&mut self, caller: &Caller, now: Instant) -> Result<(), ResponseError> {
        let id = if caller.member.is_empty() {
            let instance = caller.instance.as_ref().ok_or(ResponseError::UnknownMemberId)?;
            self.statics
                .get(instance)
                .cloned()
                .ok_or(ResponseError::UnknownMemberId)?
        } else {
            if self.pending.remove(&caller.member).is_some() {
                self.complete_join_if_all_are_here(now);
                return Ok(());
            }
            self.check_identity(caller)?;
            caller.member.clone()
        };
        self.remove(&id, now);
        Ok(())
    }

    /// Whether offsets may be committed on behalf of the caller. A caller outside the group has generation -1.
    pub fn check_commit(
        &mut self,
        caller: &Caller,
        generation: i32,
        now: Instant,
    ) -> Result<(), ResponseError> {
        if generation < 0 && self.members.is_empty() {
            return Ok(());
        }
        self.check_member(caller, generation)?;
        self.refresh(&caller.member, now);
        if self.state == State::CompletingRebalance {
            return Err(ResponseError::RebalanceInProgress);
        }
        Ok(())
    }

    /// As [`Group::check_commit`]; a producer that names no member is no matter of the group's.
    pub fn check_transactional_commit(
        &mut self,
        caller: &Caller,
        generation: i32,
        now: Instant,
    ) -> Result<(), ResponseError> {
        if generation < 0 && caller.member.is_empty() && caller.instance.is_none() {
            return Ok(());
        }
        self.check_commit(caller, generation, now)
    }

    fn check_member(&self, caller: &Caller, generation: i32) -> Result<(), ResponseError> {
        self.check_identity(caller)?;
        if generation == self.generation {
            Ok(())
        } else {
            Err(ResponseError::IllegalGeneration)
        }
    }

    fn check_identity(&self, caller: &Caller) -> Result<(), ResponseError> {
        if let Some(instance) = &caller.instance {
            match self.statics.get(instance) {
                None => return Err(ResponseError::UnknownMemberId),
                Some(id) if *id != caller.member => return Err(ResponseError::FencedInstanceId),
                Some(_) => {}
            }
        }
        if self.members.contains_key(&caller.member) {
            Ok(())
        } else {
            Err(ResponseError::UnknownMemberId)
        }
    }

    fn refresh(&mut self, id: &StrBytes, now: Instant) {
        if let Some(member) = self.members.get_mut(id) {
            member.expires = now + member.session_timeout;
        }
    }

    fn forget(&mut self, id: &StrBytes, error: ResponseError) {
        let Some(mut member) = self.members.remove(id) else {
            return;
        };
        if let Some(joining) = member.joining.take() {
            let _ = joining.send(Err(JoinRefused {
                error,
                member: id.clone(),
            }));
        }
        if let Some(syncing) = member.syncing.take() {
            let _ = syncing.send(Err(error));
        }
        if let Some(instance) = &member.instance {
            self.statics.remove(instance);
        }
        if self.leader.as_ref() == Some(id) {
            self.leader = self.members.keys().next().cloned();
        }
    }

    fn remove(&mut self, id: &StrBytes, now: Instant) {
        self.forget(id, ResponseError::UnknownMemberId);
        if self.members.is_empty() && self.pending.is_empty() {
            self.become_empty();
            return;
        }
        self.begin_rebalance(now);
        self.complete_join_if_all_are_here(now);
    }

    /// Another node takes over at a time: whoever waits for an answer is sent there, and sessions begin anew.
    pub fn unload(&mut self, until: Instant) {
        for (id, member) in &mut self.members {
            let error = ResponseError::NotCoordinator;
            if let Some(joining) = member.joining.take() {
                let member = id.clone();
                let _ = joining.send(Err(JoinRefused { error, member }));
            }
            if let Some(syncing) = member.syncing.take() {
                let _ = syncing.send(Err(error));
            }
            member.expires = until + member.session_timeout;
        }
    }

    /// Lets time pass: sessions end, late members are left behind. To be called every few ten milliseconds.
    pub fn tick(&mut self, now: Instant) {
        let before = self.pending.len();
        self.pending.retain(|_, until| *until > now);
        let expired: Vec<StrBytes> = self
            .members
            .iter()
            .filter(|(_, m)| !m.is_waiting() && m.expires <= now)
            .map(|(id, _)| id.clone())
            .collect();
        self.expired += expired.len() as u64;
        for id in &expired {
            self.remove(id, now);
        }
        if before != self.pending.len() && self.members.is_empty() {
            self.become_empty();
        }
        let is_over = self.deadline.is_some_and(|deadline| deadline <= now);
        match self.state {
            State::PreparingRebalance if is_over => {
                self.pending.clear();
                self.complete_join(now);
            }
            State::PreparingRebalance => self.complete_join_if_all_are_here(now),
            State::CompletingRebalance | State::Stable if is_over => {
                let silent: Vec<StrBytes> = self
                    .members
                    .iter()
                    .filter(|(_, m)| !m.has_synced)
                    .map(|(id, _)| id.clone())
                    .collect();
                self.deadline = None;
                for id in silent {
                    self.remove(&id, now);
                }
            }
            _ => {}
        }
    }
}
